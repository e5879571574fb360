//! Turns the evidence about a block into findings, and findings into a decision.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::Date;

use super::finding::{FindingSeverity, PreflightFinding};
use super::geofeed_check::GeofeedEvidence;
use super::review::AnnouncementReview;
use crate::bgp::RouteObservation;
use crate::irr::IrrVerdict;
use crate::model::{Asn, CouldNotCheck, Observed, Route, RouteVerdict, VerdictState};

/// What the sources say about a block.
#[derive(Clone, Debug)]
pub struct Evidence {
    pub now: Timestamp,
    /// The date of `now` in the time zone in which leases begin and end.
    pub today: Date,
    /// The AS that is to announce the block, if it is known.
    pub origin: Option<Asn>,
    /// One for each prefix to be announced; none if the origin is not known.
    pub routes: Vec<RouteEvidence>,
    pub bgp: Result<Observed<RouteObservation>, CouldNotCheck>,
    pub reputation: Result<VerdictState, CouldNotCheck>,
    /// `Ok(None)` if no geofeed is recorded for the block.
    pub geofeed: Result<Option<GeofeedEvidence>, CouldNotCheck>,
}

/// What the RPKI and the IRR say about one route.
#[derive(Clone, Debug)]
pub struct RouteEvidence {
    pub route: Route,
    pub roa: Result<Observed<RouteVerdict>, CouldNotCheck>,
    pub irr: Result<Observed<IrrVerdict>, CouldNotCheck>,
}

/// The findings about a block, in the order of [`PreflightAspect::ALL`](super::PreflightAspect::ALL). No advice is given twice.
pub fn assess(review: &AnnouncementReview<'_>, evidence: &Evidence) -> Vec<PreflightFinding> {
    let mut findings = vec![review.term(evidence.today), review.loa()];
    let (mut roa, mut irr) = (Vec::new(), Vec::new());
    for RouteEvidence { route, roa: roa_answer, irr: irr_answer } in &evidence.routes {
        let of_route = review.roa(*route, roa_answer);
        irr.push(review.irr(*route, irr_answer, &of_route));
        roa.extend(of_route);
    }
    if evidence.origin.is_none() {
        findings.extend(review.origin_missing());
    }
    findings.extend(roa);
    findings.extend(irr);
    findings.extend(review.bgp(evidence.origin, &evidence.bgp, evidence.now));
    findings.push(review.reputation(&evidence.reputation, evidence.now));
    findings.push(review.geofeed(&evidence.geofeed));
    drop_repeated_advice(&mut findings);
    findings
}

/// Whether the findings allow the announcement.
pub fn is_ready(findings: &[PreflightFinding]) -> bool {
    findings.iter().all(|finding| finding.severity < FindingSeverity::Blocking)
}

/// Where several findings give the same advice to the same actor, keeps it in the most severe of them, and there in the first.
fn drop_repeated_advice(findings: &mut [PreflightFinding]) {
    let mut order: Vec<&mut PreflightFinding> = findings.iter_mut().collect();
    // A stable sort: among equally severe findings the first stays first.
    order.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let mut given = BTreeSet::new();
    for finding in order {
        if !given.insert((finding.actor, finding.advice.clone())) {
            finding.advice.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::{FindingActor, PreflightAspect};
    use super::super::fixtures::{BLOCK, at, lease, observed, reputation_state, review, route, shown};
    use super::*;
    use crate::irr::IrrState;
    use crate::model::{Cause, InvalidReason, Lease, Reputation, RouteState, SourceFault};

    fn down(source: &str) -> CouldNotCheck {
        CouldNotCheck::from_source(source, SourceFault::TimedOut.failure("no answer"))
    }

    /// No source gives an answer: each is down, or none is configured.
    fn nothing(could_not: &CouldNotCheck, announced: &[&str]) -> Evidence {
        let evidence = |prefix: &&str| RouteEvidence {
            route: route(prefix),
            roa: Err(could_not.clone()),
            irr: Err(could_not.clone()),
        };
        Evidence {
            now: at(1_000),
            today: "2026-11-25".parse().unwrap(),
            origin: announced.first().map(|prefix| route(prefix).origin),
            routes: announced.iter().map(evidence).collect(),
            bgp: Err(could_not.clone()),
            reputation: Err(could_not.clone()),
            geofeed: Err(could_not.clone()),
        }
    }

    /// Who is advised to do what, in every finding that gives advice.
    fn advice(lease: Option<&Lease>, evidence: &Evidence) -> Vec<(FindingActor, String)> {
        let findings = review(lease, true, |review| assess(&review, evidence));
        let given = findings.into_iter().filter(|finding| !finding.advice.is_empty());
        given.map(|finding| (finding.actor, finding.advice)).collect()
    }

    #[test]
    fn what_could_not_be_checked_blocks_where_it_is_required_and_never_passes() {
        let lease = lease();
        let (down, none) = (down("rtr"), CouldNotCheck::not_configured());
        let (blocking, operator) = (FindingSeverity::Blocking, FindingActor::Operator);
        for (required, could_not, wanted) in [
            (true, &down, (blocking, "COULD_NOT_CHECK", operator)),
            (false, &down, (FindingSeverity::Warning, "COULD_NOT_CHECK", operator)),
            (true, &none, (blocking, "NOT_CONFIGURED", operator)),
            (false, &none, (FindingSeverity::Note, "NOT_CONFIGURED", FindingActor::Nobody)),
        ] {
            let evidence = nothing(could_not, &[BLOCK]);
            let findings = review(Some(&lease), required, |review| assess(&review, &evidence));
            let unchecked: Vec<_> = findings.iter().skip(2).map(shown).collect();
            assert_eq!(unchecked, [wanted; 5]);
        }
        let could_not = CouldNotCheck { causes: vec![Cause::new("a", SourceFault::Refused.failure("b"))] };
        assert!(could_not.to_string().contains("a: b"));
    }

    #[test]
    fn a_source_that_serves_several_checks_is_complained_about_once() {
        let lease = lease();
        let asked = advice(Some(&lease), &nothing(&down("ripestat"), &[BLOCK, "203.0.113.0/25"]));
        let once = "Find out why there is no answer from ripestat (leasehold status), and try again.";
        assert_eq!(asked, [(FindingActor::Operator, once.to_owned())]);
    }

    #[test]
    fn a_missing_lease_and_a_missing_origin_are_asked_for_once() {
        let asked = advice(None, &nothing(&down("blocklists"), &[]));
        let of = |start: &str| asked.iter().filter(|(_, advice)| advice.starts_with(start)).count();
        assert_eq!((of("Record the lease"), of("Record the AS")), (1, 1), "{asked:?}");
    }

    #[test]
    fn a_route_object_that_a_bad_roa_hides_asks_for_no_second_roa() {
        let lease = lease();
        let hidden =
            IrrVerdict { state: IrrState::Hidden, authoritative: false, objects: vec![], hidden: vec![] };
        let invalid = RouteVerdict {
            state: RouteState::Invalid(InvalidReason::Origin),
            matching: vec![],
            failing: vec![],
        };
        let valid = RouteVerdict { state: RouteState::Valid, ..invalid.clone() };
        let asked = |roa: RouteVerdict| {
            let evidence = Evidence {
                routes: vec![RouteEvidence {
                    route: route(BLOCK),
                    roa: Ok(observed(roa)),
                    irr: Ok(observed(hidden.clone())),
                }],
                ..nothing(&CouldNotCheck::not_configured(), &[BLOCK])
            };
            let all = advice(Some(&lease), &evidence);
            all.into_iter().filter(|(actor, _)| *actor == FindingActor::Holder).count()
        };
        assert_eq!((asked(invalid), asked(valid)), (1, 1));
    }

    /// Every combination of a lease, answers and announcements that are all bad in their own way.
    #[test]
    fn no_two_findings_give_the_same_advice() {
        let with_lease = lease();
        let bare = Lease { owner: None, loa_reference: None, ..Lease::default() };
        let ended = Lease { loa_reference: None, ..with_lease.clone() };
        let states = [
            RouteState::Valid,
            RouteState::NotFound,
            RouteState::Invalid(InvalidReason::Length),
            RouteState::Invalid(InvalidReason::Origin),
            RouteState::Invalid(InvalidReason::As0),
        ];
        let irr_states = [IrrState::Hidden, IrrState::Absent, IrrState::OtherOrigin, IrrState::LessSpecific];
        let unanswered = [CouldNotCheck::not_configured(), down("ripestat"), down("blocklists")];
        let announcements: [&[&str]; 3] = [&[], &[BLOCK], &[BLOCK, "203.0.113.0/25", "203.0.113.128/25"]];
        for lease in [None, Some(&with_lease), Some(&bare), Some(&ended)] {
            for (could_not, announced) in
                unanswered.iter().flat_map(|could_not| announcements.map(|announced| (could_not, announced)))
            {
                let mut cases = vec![nothing(could_not, announced)];
                for (roa, irr) in states.iter().flat_map(|roa| irr_states.map(|irr| (*roa, irr))) {
                    let mut evidence = nothing(could_not, announced);
                    for of_route in &mut evidence.routes {
                        let verdict = RouteVerdict { state: roa, matching: vec![], failing: vec![] };
                        of_route.roa = Ok(observed(verdict));
                        let (objects, hidden) = (vec![], vec![]);
                        let verdict = IrrVerdict { state: irr, authoritative: false, objects, hidden };
                        of_route.irr = Ok(observed(verdict));
                    }
                    evidence.reputation = Ok(reputation_state(Reputation::Listed));
                    evidence.today = "2028-01-01".parse().unwrap();
                    cases.push(evidence);
                }
                for evidence in cases {
                    let mut given = advice(lease, &evidence);
                    let all = given.clone();
                    given.sort();
                    given.dedup();
                    assert_eq!(given.len(), all.len(), "advice is repeated: {all:#?}");
                }
            }
        }
    }

    #[test]
    fn the_most_severe_finding_keeps_the_advice() {
        let lease = lease();
        let mut findings = review(Some(&lease), false, |review| {
            let finding = |aspect| review.unchecked(aspect, review.block, &down("ripestat"));
            vec![finding(PreflightAspect::Roa), finding(PreflightAspect::Bgp)]
        });
        findings[1].severity = FindingSeverity::Blocking;
        drop_repeated_advice(&mut findings);
        assert!(findings[0].advice.is_empty() && !findings[1].advice.is_empty(), "{findings:?}");
        assert_eq!(findings[0].actor, FindingActor::Operator, "the actor stays");
    }
}
