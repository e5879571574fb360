//! The event that a sink is tried with.

use std::sync::Arc;

use jiff::Timestamp;

use crate::model::{
    Asn, DomainEvent, Event, Lease, Prefix, PrefixId, Term, TermDate, TermReached, Threshold, VrfScope,
};

/// An event that never happened: the lease of a documentation prefix (RFC 5737) ends in 14 days.
pub fn sample_event(now: Timestamp) -> Event {
    let today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
    let date = today.checked_add(jiff::Span::new().days(14)).unwrap_or(today);
    let lease = Lease {
        owner: Some("ACME-LIR".to_owned()),
        term: Term { expiry: Some(date), ..Term::default() },
        loa_reference: Some("LOA-2026-0481".to_owned()),
        origin: Asn::try_from(64500).ok(),
        ..Lease::default()
    };
    let network = ipnet::Ipv4Net::new_assert(std::net::Ipv4Addr::new(203, 0, 113, 0), 24).into();
    let prefix = Prefix {
        description: "A test of this sink: no lease ends".to_owned(),
        lease: Some(Box::new(lease)),
        ..Prefix::bare(PrefixId(0), network, VrfScope::Global)
    };
    let reached = TermReached {
        prefix: Arc::new(prefix),
        which: TermDate::Expiry,
        date,
        threshold: Threshold(14),
        days_left: 14,
    };
    Event { sequence: 0, recorded: now, domain_event: DomainEvent::term(reached, now) }
}
