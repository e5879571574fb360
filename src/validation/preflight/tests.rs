//! What each answer of a peer means for an announcement.

use super::*;
use crate::bgp::SeenOrigin;
use crate::irr::RouteObject;
use crate::model::{Cause, RoaStatus, Term, Vrp};

const BLOCK: &str = "203.0.113.0/24";

fn lease() -> Lease {
    Lease {
        owner: Some("ACME-LIR".into()),
        term: Term { start: Some(day_of("2026-06-01")), expiry: Some(day_of("2027-06-01")), notice: None },
        loa_reference: Some("LOA-2026-0481".into()),
        origin: Asn::try_from(64500).ok(),
        ..Lease::default()
    }
}

fn day_of(text: &str) -> Date {
    text.parse().unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn route(prefix: &str) -> Route {
    Route { prefix: prefix.parse().unwrap(), origin: Asn::try_from(64500).unwrap() }
}

/// Judges with everything required, or nothing.
fn with<T>(lease: Option<&Lease>, all: bool, judge: impl FnOnce(Case<'_>) -> T) -> T {
    let required: BTreeSet<Aspect> = if all { Aspect::ALL.into() } else { BTreeSet::new() };
    judge(Case { block: BLOCK.parse().unwrap(), lease, required: &required })
}

fn shown(finding: &Finding) -> (Severity, &'static str, Actor) {
    (finding.severity, finding.reason, finding.actor)
}

fn seen<T>(value: T) -> Observed<T> {
    Observed { value, source: "test".into(), time: at(1_000) }
}

fn roa(announced: &str, vrps: &[(&str, u8, u32)]) -> Vec<(Severity, &'static str, Actor)> {
    let vrp =
        |(prefix, most, asn): &(&str, u8, u32)| Vrp::new(prefix.parse().unwrap(), Some(*most), *asn).unwrap();
    let route = route(announced);
    let verdict = RouteVerdict::of(route, vrps.iter().map(vrp));
    let lease = lease();
    with(Some(&lease), true, |case| case.roa(route, &Ok(seen(verdict))).iter().map(shown).collect())
}

#[test]
fn a_term_is_in_force_through_its_last_day_and_long_enough() {
    let lease = lease();
    let on = |day: &str, least: i32| {
        with(Some(&lease), true, |case| shown(&case.term(day.parse().unwrap(), least)))
    };
    assert_eq!(on("2026-05-31", 7), (Severity::Blocking, "LEASE_NOT_YET_IN_FORCE", Actor::Lessee));
    assert_eq!(on("2026-06-01", 7), (Severity::Pass, "LEASE_IN_FORCE", Actor::Nobody));
    assert_eq!(on("2027-05-25", 7), (Severity::Pass, "LEASE_IN_FORCE", Actor::Nobody));
    assert_eq!(on("2027-05-26", 7), (Severity::Blocking, "LEASE_ENDS_SOON", Actor::Lessee));
    assert_eq!(on("2027-06-01", 0), (Severity::Pass, "LEASE_IN_FORCE", Actor::Nobody));
    assert_eq!(on("2027-06-02", 0), (Severity::Blocking, "LEASE_EXPIRED", Actor::Lessee));
    let none = with(None, true, |case| shown(&case.term("2026-06-01".parse().unwrap(), 7)));
    assert_eq!(none, (Severity::Blocking, "LEASE_MISSING", Actor::Lessee));
}

#[test]
fn only_the_holder_can_mend_a_roa() {
    assert_eq!(roa(BLOCK, &[(BLOCK, 24, 64500)]), [(Severity::Pass, "ROA_VALID", Actor::Nobody)]);
    assert_eq!(roa(BLOCK, &[]), [(Severity::Blocking, "ROA_MISSING", Actor::Holder)]);
    assert_eq!(roa(BLOCK, &[(BLOCK, 24, 64501)]), [(Severity::Blocking, "ROA_OTHER_ORIGIN", Actor::Holder)]);
    assert_eq!(roa(BLOCK, &[(BLOCK, 24, 0)]), [(Severity::Blocking, "ROA_AS0", Actor::Holder)]);
}

#[test]
fn a_more_specific_is_judged_by_what_is_announced() {
    assert_eq!(
        roa("203.0.113.0/25", &[(BLOCK, 24, 64500)]),
        [(Severity::Blocking, "ROA_TOO_SHORT", Actor::Holder)]
    );
}

#[test]
fn a_loose_max_length_is_a_warning_rfc_9319() {
    assert_eq!(
        roa(BLOCK, &[(BLOCK, 28, 64500)]),
        [
            (Severity::Pass, "ROA_VALID", Actor::Nobody),
            (Severity::Warning, "ROA_MAX_LENGTH_LOOSE", Actor::Holder)
        ]
    );
}

#[test]
fn what_could_not_be_checked_blocks_where_it_is_required_and_never_passes() {
    let (down, none) = (CouldNotCheck::one("rtr", "expired"), CouldNotCheck::not_configured());
    let lease = lease();
    for (required, could_not, wanted) in [
        (true, &down, (Severity::Blocking, "COULD_NOT_CHECK", Actor::Operator)),
        (false, &down, (Severity::Warning, "COULD_NOT_CHECK", Actor::Operator)),
        (true, &none, (Severity::Blocking, "NOT_CONFIGURED", Actor::Operator)),
        (false, &none, (Severity::Note, "NOT_CONFIGURED", Actor::Nobody)),
    ] {
        with(Some(&lease), required, |case| {
            assert_eq!(shown(&case.roa(route(BLOCK), &Err(could_not.clone()))[0]), wanted);
            assert_eq!(shown(&case.irr(route(BLOCK), &Err(could_not.clone()))), wanted);
            assert_eq!(shown(&case.bgp(None, &Err(could_not.clone()), at(0), Duration::ZERO)[0]), wanted);
            assert_eq!(shown(&case.reputation(None, could_not, at(0), Duration::ZERO)), wanted);
        });
    }
    assert!(
        CouldNotCheck { causes: vec![Cause { source: "a".into(), why: "b".into() }] }
            .to_string()
            .contains("a: b")
    );
}

#[test]
fn each_state_of_the_registries_has_its_finding() {
    let lease = lease();
    let judged = |state, authoritative| {
        let object = RouteObject { route: route(BLOCK), source: "RADB".into(), rpki_invalid: false };
        let verdict = IrrVerdict { state, authoritative, objects: vec![object], hidden: vec![] };
        with(Some(&lease), true, |case| shown(&case.irr(route(BLOCK), &Ok(seen(verdict)))))
    };
    assert_eq!(judged(IrrState::Registered, true), (Severity::Pass, "IRR_REGISTERED", Actor::Nobody));
    assert_eq!(
        judged(IrrState::Registered, false),
        (Severity::Pass, "IRR_REGISTERED_ELSEWHERE", Actor::Nobody)
    );
    assert_eq!(judged(IrrState::OtherOrigin, false), (Severity::Blocking, "IRR_OTHER_ORIGIN", Actor::Holder));
    assert_eq!(
        judged(IrrState::LessSpecific, false),
        (Severity::Blocking, "IRR_LESS_SPECIFIC_ONLY", Actor::Holder)
    );
    assert_eq!(judged(IrrState::Hidden, false), (Severity::Blocking, "IRR_HIDDEN", Actor::Holder));
    assert_eq!(judged(IrrState::Absent, false), (Severity::Blocking, "IRR_MISSING", Actor::Holder));
}

#[test]
fn another_origin_and_foreign_more_specifics_are_told_and_old_data_says_nothing() {
    let lease = lease();
    let origin = |asn: u32| SeenOrigin { asn: Asn::try_from(asn).unwrap(), routes: None };
    let judged = |origins: &[u32], inside: &[u32], now: i64| -> Vec<(Severity, &'static str, Actor)> {
        let inside = inside.iter().map(|asn| Route {
            prefix: "203.0.113.0/25".parse().unwrap(),
            origin: Asn::try_from(*asn).unwrap(),
        });
        let sighting = Sighting {
            origins: origins.iter().copied().map(origin).collect(),
            visibility: None,
            more_specifics: Some(inside.collect()),
            less_specifics: None,
            gaps: vec![],
        };
        with(Some(&lease), false, |case| {
            let findings = case.bgp(lease.origin, &Ok(seen(sighting)), at(now), Duration::from_mins(1));
            findings.iter().map(shown).collect()
        })
    };
    assert_eq!(judged(&[], &[], 1_000), [(Severity::Pass, "BGP_NOT_ANNOUNCED", Actor::Nobody)]);
    assert_eq!(judged(&[64500], &[64500], 1_000), [(Severity::Pass, "BGP_ORIGIN_SEEN", Actor::Nobody)]);
    assert_eq!(judged(&[64500, 64501], &[], 1_000), [(Severity::Warning, "BGP_OTHER_ORIGIN", Actor::Holder)]);
    assert_eq!(
        judged(&[64500], &[64502], 1_000)[1],
        (Severity::Warning, "BGP_MORE_SPECIFICS", Actor::Holder)
    );
    assert_eq!(judged(&[64500], &[], 2_000), [(Severity::Warning, "BGP_STALE", Actor::Nobody)]);
}

#[test]
fn an_old_reputation_is_none() {
    let lease = lease();
    let standing = |reputation| Standing {
        about: String::new(),
        untold: None,
        verdict: Verdict::Reputation(reputation),
        since: at(0),
        observed: at(1_000),
        reason: "why".into(),
        source: "bl.test".into(),
        candidate: None,
        failure: None,
    };
    let judged = |standing: &Standing, now: i64| {
        with(Some(&lease), true, |case| {
            let why_not = CouldNotCheck::not_configured();
            shown(&case.reputation(Some(standing), &why_not, at(now), Duration::from_mins(1)))
        })
    };
    assert_eq!(
        judged(&standing(Reputation::Clean), 1_000),
        (Severity::Pass, "REPUTATION_CLEAN", Actor::Nobody)
    );
    assert_eq!(
        judged(&standing(Reputation::Watch), 1_000),
        (Severity::Warning, "REPUTATION_WATCH", Actor::Nobody)
    );
    assert_eq!(
        judged(&standing(Reputation::Listed), 1_000),
        (Severity::Blocking, "REPUTATION_LISTED", Actor::Holder)
    );
    assert_eq!(
        judged(&standing(Reputation::Clean), 2_000),
        (Severity::Blocking, "REPUTATION_STALE", Actor::Operator)
    );
    let about = Standing {
        candidate: Some((Verdict::Reputation(Reputation::Listed), 1)),
        ..standing(Reputation::Clean)
    };
    assert_eq!(judged(&about, 1_000), (Severity::Warning, "REPUTATION_UNCONFIRMED", Actor::Nobody));
    let other = Standing { verdict: Verdict::Roa(RoaStatus::Valid), ..standing(Reputation::Clean) };
    assert_eq!(judged(&other, 1_000).0, Severity::Blocking);
}

#[test]
fn ready_means_that_nothing_blocks() {
    let lease = lease();
    let blocked = with(Some(&Lease { loa_reference: None, ..lease.clone() }), true, |case| vec![case.loa()]);
    let passed = with(Some(&lease), true, |case| vec![case.loa()]);
    assert!(!is_ready(&blocked) && is_ready(&passed));
    let warned = with(Some(&Lease { loa_reference: None, ..lease }), false, |case| vec![case.loa()]);
    assert!(is_ready(&warned), "a warning is no reason to wait");
}
