//! Which events raise a problem, and which later events resolve it. Pure.
//!
//! A tracker's ticket and an Alertmanager's alert stay open until their problem is resolved: by a renewal, by the end of the
//! lease, by a verdict that is good again, or by NetBox that can be followed again.

use crate::model::{Check, DomainEvent, EventKind, Subject, TermDate};

/// The problem that an event is about. One prefix has at most one open problem of each name. The names are part of deduplication
/// keys that trackers store: they must never change.
pub(super) fn problem(domain_event: &DomainEvent) -> &'static str {
    match &domain_event.subject {
        Subject::Term(reached) => reached.which.as_str(),
        Subject::Verdict(change) => change.after.check().as_str(),
        Subject::Sync(_) => "sync",
        Subject::Completion(_) => "completion",
        Subject::Prefix(_) | Subject::Address(_) => "record",
    }
}

/// The problems that an event resolves: a renewal those of the dates, the end of a lease all of them, a good verdict its own.
pub(super) fn resolved_problems(domain_event: &DomainEvent) -> Vec<&'static str> {
    let dates = [TermDate::Expiry, TermDate::Notice].map(TermDate::as_str);
    match (&domain_event.subject, domain_event.kind) {
        (_, EventKind::SyncRegained) => vec!["sync"],
        (Subject::Verdict(change), _) if change.after.is_good() => vec![change.after.check().as_str()],
        (_, EventKind::LeaseRenewed) => dates.to_vec(),
        (_, EventKind::LeaseEnded) => dates.into_iter().chain(Check::ALL.map(Check::as_str)).collect(),
        _ => Vec::new(),
    }
}

/// Whether an event resolves a problem that an earlier one may have raised.
pub(super) fn resolves(domain_event: &DomainEvent) -> bool {
    !resolved_problems(domain_event).is_empty()
}
