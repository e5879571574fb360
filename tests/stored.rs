//! The exact bytes of each stored form, read and written: a ledger row written by one version is read by the next.
//!
//! Each file under tests/golden/ holds one stored text and was written by commit d39b776. A test fails if the value that it
//! builds is serialised otherwise, or if the text is read as another value.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::date;
use leasehold::cache::Position;
use leasehold::events::ResumeToken;
use leasehold::ledger::{Detail, Observation, ObservationKind};
use leasehold::model::{
    Address, AddressId, DomainEvent, Event, EventKind, IpRange, KnownListing, Lease, Listing, ListingClass,
    NamedRef, Network, Prefix, PrefixId, RangeId, RecordChange, RecordState, RefusedCompletion, Reputation,
    Revision, RoaStatus, Subject, Term, TermDate, TermReached, Threshold, Verdict, VerdictChange,
    VerdictState, Vrf, VrfId, VrfScope, ZoneCoverage,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

/// The text of a golden file. A missing file is written, and the test fails so that somebody looks at it.
fn file(name: &str, text: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    match std::fs::read_to_string(&path) {
        Ok(held) => held.trim_end_matches('\n').to_owned(),
        Err(error) => {
            std::fs::write(&path, format!("{text}\n")).unwrap();
            panic!("{}: {error}; written anew: look at it and commit it", path.display());
        }
    }
}

fn pinned<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(name: &str, value: &T) {
    let text = serde_json::to_string(value).unwrap();
    let held = file(name, &text);
    assert_eq!(text, held, "{name}: written");
    assert_eq!(serde_json::from_str::<T>(&held).unwrap(), *value, "{name}: read");
}

fn named(id: u64, name: &str, slug: &str) -> NamedRef {
    NamedRef { id, name: name.into(), slug: slug.into() }
}

fn fields() -> serde_json::Map<String, serde_json::Value> {
    json!({ "contract": "C-17", "racks": [1, 2] }).as_object().unwrap().clone()
}

fn lease() -> Lease {
    Lease {
        owner: Some("ACME-LIR".to_owned()),
        term: Term {
            start: Some(date(2025, 6, 1)),
            expiry: Some(date(2027, 6, 1)),
            notice: Some(date(2027, 3, 1)),
        },
        loa_reference: Some("LOA-2026-0481".to_owned()),
        origin: Some(64500.try_into().unwrap()),
        roa_status: Some(RoaStatus::Valid),
        roa_checked: Some(at(1)),
        irr_registered: Some(true),
        reputation: Some(Reputation::Watch),
        reputation_checked: Some(at(2)),
    }
}

fn prefix() -> Prefix {
    Prefix {
        id: PrefixId(17),
        network: "203.0.113.0/24".parse().unwrap(),
        scope: VrfScope::Vrf(VrfId(3)),
        status: "active".to_owned(),
        is_pool: true,
        mark_utilized: false,
        tenant: Some(named(5, "Acme", "acme")),
        role: Some(named(6, "Customer", "customer")),
        tags: vec![named(7, "Mail", "mail")],
        description: "Leased \"block\" äöü".to_owned(),
        lease: Some(Box::new(lease())),
        allocation: Some("request-1/0".parse().unwrap()),
        custom_fields: fields(),
        revision: Revision(Some(at(3))),
    }
}

/// A prefix without any optional value.
fn plain_prefix() -> Prefix {
    Prefix {
        lease: None,
        allocation: None,
        tenant: None,
        role: None,
        tags: Vec::new(),
        custom_fields: serde_json::Map::new(),
        scope: VrfScope::Global,
        revision: Revision::default(),
        ..prefix()
    }
}

fn address() -> Address {
    Address {
        id: AddressId(23),
        interface: "203.0.113.9/24".parse().unwrap(),
        scope: VrfScope::Vrf(VrfId(3)),
        status: "active".to_owned(),
        role: Some("vip".to_owned()),
        tenant: Some(named(5, "Acme", "acme")),
        tags: vec![named(7, "Mail", "mail")],
        dns_name: "host.customer.example".to_owned(),
        description: "Customer 4711".to_owned(),
        allocation: Some("request-1/1".parse().unwrap()),
        custom_fields: fields(),
        revision: Revision(Some(at(4))),
        record_state: RecordState::Recorded,
    }
}

/// An address that was handed out of a pool, as it is to be.
fn pending() -> Address {
    Address { record_state: RecordState::Pending, ..address() }
}

fn verdict_change() -> VerdictChange {
    VerdictChange {
        prefix: Arc::new(prefix()),
        before: Verdict::Roa(RoaStatus::Valid),
        before_since: at(5),
        after: Verdict::Roa(RoaStatus::Invalid),
        reason: "no ROA covers 203.0.113.0/24 from AS64500".to_owned(),
        source: "rtr 127.0.0.1:8282".to_owned(),
        observed: at(6),
    }
}

fn term() -> DomainEvent {
    let reached = TermReached {
        prefix: Arc::new(prefix()),
        which: TermDate::Expiry,
        date: date(2027, 6, 1),
        threshold: Threshold(14),
        days_left: 14,
    };
    DomainEvent::term(reached, at(9))
}

/// One event of each subject, as the journal stores its body.
fn domain_events() -> Vec<(&'static str, DomainEvent)> {
    let prefix_change =
        RecordChange { before: Some(Arc::new(plain_prefix())), after: Some(Arc::new(prefix())) };
    let gone = RecordChange { before: Some(Arc::new(address())), after: None };
    let sync = DomainEvent {
        kind: EventKind::SyncLost,
        time: at(10),
        subject: Subject::Sync("connection refused".to_owned()),
    };
    let refused = RefusedCompletion { address: Arc::new(pending()), reason: "dns_name: Invalid".to_owned() };
    vec![
        ("event-prefix.json", DomainEvent::prefix(prefix_change, None, at(7))),
        ("event-address.json", DomainEvent::address(gone, Some(at(8)), at(8))),
        ("event-term.json", term()),
        ("event-verdict.json", DomainEvent::verdict(verdict_change(), at(11))),
        ("event-sync.json", sync),
        ("event-completion.json", DomainEvent::completion_refused(refused, at(13))),
    ]
}

#[test]
fn records_in_the_cache_are_stored_as_before() {
    pinned("prefix.json", &prefix());
    pinned("prefix-plain.json", &plain_prefix());
    pinned("address.json", &address());
    pinned("address-pending.json", &pending());
    let range = IpRange {
        id: RangeId(2),
        start: "203.0.113.100".parse().unwrap(),
        end: "203.0.113.120".parse().unwrap(),
        scope: VrfScope::Global,
        status: "active".to_owned(),
        populated: true,
        description: "DHCP".to_owned(),
        revision: Revision(Some(at(3))),
    };
    pinned("ip-range.json", &range);
    let vrf = Vrf {
        id: VrfId(3),
        name: "customer-a".to_owned(),
        rd: Some("64500:1".to_owned()),
        enforce_unique: true,
        revision: Revision(Some(at(3))),
    };
    pinned("vrf.json", &vrf);
    pinned("position.json", &Position { id: 4711, time: Some(at(3)), request: "6f1c2a90".to_owned() });
}

#[test]
fn events_in_the_journal_are_stored_as_before() {
    for (name, domain_event) in domain_events() {
        pinned(name, &domain_event);
    }
    let kinds: Vec<&str> = EventKind::ALL.iter().map(|kind| kind.as_str()).collect();
    let held = file("event-kinds.json", &serde_json::to_string(&kinds).unwrap());
    let mut words: Vec<String> = serde_json::from_str(&held).unwrap();
    // Added since.
    words.push("completion_refused".to_owned());
    assert_eq!(kinds, words);
    let in_bodies = serde_json::to_string(EventKind::ALL).unwrap();
    assert_eq!(
        in_bodies,
        serde_json::to_string(&words).unwrap(),
        "the word in a body is the word in a column"
    );
    // Deliveries with the same key are sent in order; the key is a column of the outbox.
    let keys: Vec<String> =
        domain_events().iter().map(|(_, domain_event)| domain_event.ordering_key()).collect();
    assert_eq!(keys, ["prefix/17", "address/23", "prefix/17", "prefix/17", "sync", "address/23"]);
}

#[test]
fn a_delivery_in_the_outbox_is_stored_as_before() {
    let event = Event { sequence: 42, recorded: at(12), domain_event: term() };
    pinned("delivery.json", &event);
}

#[test]
fn the_detail_of_an_intent_is_stored_as_before() {
    let made = Detail { wanted: 2, made: vec![11, 12], ..Detail::default() };
    pinned("intent-detail.json", &made);
    pinned("intent-detail-release.json", &Detail { released: vec![address()], ..Detail::default() });
    assert_eq!(serde_json::from_str::<Detail>("{}").unwrap(), Detail::default());
}

#[test]
fn observations_are_stored_as_before() {
    let steady = VerdictState {
        about: "203.0.113.0/24 AS64500 ACME-LIR 2025-06-01".to_owned(),
        verdict: Verdict::Reputation(Reputation::Clean),
        since: at(1),
        observed: at(2),
        reason: "no zone lists any of it".to_owned(),
        source: "dnsbl".to_owned(),
        candidate: None,
        last_failure: None,
        unpublished: None,
    };
    pinned("verdict-state.json", &steady);
    let changing = VerdictState {
        verdict: Verdict::Irr(true),
        candidate: Some((Verdict::Irr(false), 2)),
        last_failure: Some(("whois.example: no answer".to_owned(), at(3))),
        unpublished: Some(verdict_change()),
        ..steady
    };
    pinned("verdict-state-changing.json", &changing);
    let listing = Listing {
        class: ListingClass::Abuse,
        codes: vec!["127.0.0.2".parse().unwrap()],
        reason: "https://lists.example/203.0.113.9".to_owned(),
    };
    let known = KnownListing { listing, since: at(1), checked: at(2) };
    let coverage = ZoneCoverage {
        block: Some("203.0.113.0/24".parse::<Network>().unwrap()),
        began: Some(at(3)),
        next: Some("203.0.113.128".parse().unwrap()),
        complete: Some(at(1)),
        listed: [("203.0.113.9".parse().unwrap(), known)].into(),
        failed: [("203.0.113.10".parse().unwrap(), "SERVFAIL".to_owned())].into(),
        zone_error: Some(("the zone refuses our resolver".to_owned(), at(4))),
    };
    pinned("zone-coverage.json", &coverage);
    let row = Observation::of(PrefixId(17), "zen.example", &coverage).unwrap();
    assert_eq!(row.body, file("zone-coverage.json", &row.body));
    assert_eq!(row.read::<ZoneCoverage>().unwrap(), coverage);
    let garbage = Observation { body: "{\"block\":".to_owned(), ..row };
    assert!(
        garbage.read::<ZoneCoverage>().is_err(),
        "bytes that cannot be read are an error, not an empty coverage"
    );
    let kinds = [ObservationKind::Verdict, ObservationKind::ZoneCoverage, ObservationKind::Baseline];
    assert_eq!(kinds.map(ObservationKind::as_str), ["verdict", "sweep", "baseline"]);
}

#[test]
fn a_resume_token_is_written_as_before() {
    let token = ResumeToken { epoch: "6f1c2a90d1e2f304".to_owned(), sequence: 4711 };
    assert_eq!(token.to_string(), "6f1c2a90d1e2f304-1267");
    assert_eq!("6f1c2a90d1e2f304-1267".parse::<ResumeToken>().unwrap(), token);
}
