//! Events as messages, and types of events in both directions.

use jiff::civil::Date;

use super::convert;
use super::parse::View;
use super::proto::v1;
use crate::cache::Index;
use crate::model::{DomainEvent, Event, EventKind, Subject, Verdict};

macro_rules! event_types {
    ($($kind:ident),+ $(,)?) => {
        /// The message's value for a kind of event.
        pub(super) fn event_type(kind: EventKind) -> v1::EventType {
            match kind {
                $(EventKind::$kind => v1::EventType::$kind,)+
            }
        }

        /// The kind of event for a number of the message; `None` for UNSPECIFIED and for unknown numbers.
        pub(super) fn event_kind(kind: i32) -> Option<EventKind> {
            match v1::EventType::try_from(kind) {
                $(Ok(v1::EventType::$kind) => Some(EventKind::$kind),)+
                Ok(v1::EventType::Unspecified) | Err(_) => None,
            }
        }
    };
}

event_types!(
    PrefixCreated,
    PrefixChanged,
    PrefixDeleted,
    PrefixAllocated,
    LeaseRegistered,
    LeaseRenewed,
    LeaseChanged,
    LeaseEnded,
    LeaseExpiring,
    LeaseExpired,
    NoticeDue,
    NoticePassed,
    AddressRecorded,
    AddressChanged,
    AddressRemoved,
    AddressAllocated,
    AddressReleased,
    SyncLost,
    SyncRegained,
    RoaChanged,
    IrrChanged,
    ReputationChanged,
    CompletionRefused,
);

/// An event of the event log. The phase and days left of leases are those of `today`.
pub(super) fn event(index: &Index, event: &Event, today: Date, view: View) -> v1::Event {
    v1::Event {
        sequence: event.sequence,
        record_time: Some(convert::timestamp(event.recorded)),
        ..domain_event(index, &event.domain_event, today, view)
    }
}

/// An event that is not in the event log, and so has neither a sequence nor a time of recording.
pub(super) fn domain_event(index: &Index, domain_event: &DomainEvent, today: Date, view: View) -> v1::Event {
    use v1::event::Subject as Message;
    let subject = match &domain_event.subject {
        Subject::Prefix(change) => Message::Prefix(v1::PrefixChange {
            before: change.before.as_ref().map(|prefix| convert::prefix(index, prefix, today, view)),
            after: change.after.as_ref().map(|prefix| convert::prefix(index, prefix, today, view)),
        }),
        Subject::Address(change) => Message::Address(v1::AddressChange {
            before: change.before.as_ref().map(|address| convert::address(index, address, view)),
            after: change.after.as_ref().map(|address| convert::address(index, address, view)),
        }),
        Subject::Term(reached) => Message::Term(v1::TermReached {
            lease: convert::own_lease(index, &reached.prefix, today),
            date: Some(convert::date(reached.date)),
            threshold_days: reached.threshold.0,
            days_left: reached.days_left,
        }),
        Subject::Verdict(change) => Message::Verdict(v1::VerdictChange {
            lease: convert::own_lease(index, &change.prefix, today),
            verdict: verdict_change(change.before, change.after),
            message: change.reason.clone(),
            source: change.source.clone(),
            observe_time: Some(convert::timestamp(change.observed)),
        }),
        Subject::Completion(refused) => Message::Completion(v1::RefusedCompletion {
            address: Some(convert::address(index, &refused.address, view)),
            message: refused.reason.clone(),
        }),
        Subject::Sync(reason) => Message::Sync(v1::SyncChange { message: reason.clone() }),
    };
    v1::Event {
        sequence: 0,
        r#type: event_type(domain_event.kind).into(),
        event_time: Some(convert::timestamp(domain_event.time)),
        record_time: None,
        owner: domain_event.owner().unwrap_or_default().to_owned(),
        subject: Some(subject),
    }
}

/// A verdict before and after. Both are of one check; `None` if they are not, which no event says.
fn verdict_change(before: Verdict, after: Verdict) -> Option<v1::verdict_change::Verdict> {
    use v1::verdict_change::Verdict as Change;
    match (before, after) {
        (Verdict::Roa(before), Verdict::Roa(after)) => Some(Change::Roa(v1::RoaVerdictChange {
            before: convert::roa_status(Some(before)).into(),
            after: convert::roa_status(Some(after)).into(),
        })),
        (Verdict::Irr(before), Verdict::Irr(after)) => Some(Change::Irr(v1::IrrVerdictChange {
            before: convert::irr_status(Some(before)).into(),
            after: convert::irr_status(Some(after)).into(),
        })),
        (Verdict::Reputation(before), Verdict::Reputation(after)) => {
            Some(Change::Reputation(v1::ReputationVerdictChange {
                before: convert::reputation(Some(before)).into(),
                after: convert::reputation(Some(after)).into(),
            }))
        }
        (Verdict::Roa(_) | Verdict::Irr(_) | Verdict::Reputation(_), _) => None,
    }
}
