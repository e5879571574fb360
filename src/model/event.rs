//! Events: what happened to a record, to a term, to a verdict, or to the connection with NetBox.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::address::Address;
use super::event_kind::EventKind;
use super::network::Network;
use super::prefix::Prefix;
use super::record_change::RecordChange;
use super::term_reached::{TermDate, TermReached};
use super::verdict::{Check, VerdictChange};
use super::vrf::VrfScope;

/// What an event is about, with the details of what happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    Prefix(RecordChange<Prefix>),
    Address(RecordChange<Address>),
    Term(TermReached),
    Verdict(VerdictChange),
    /// The connection with NetBox was lost or regained, for this reason.
    Sync(String),
    Completion(RefusedCompletion),
}

/// NetBox refuses the record of an address that was handed out of a pool. The address stays with whom it was handed out to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RefusedCompletion {
    /// The record as it is to be.
    pub address: Arc<Address>,
    /// What NetBox says.
    pub reason: String,
}

/// Something that happened, before the event log has numbered it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DomainEvent {
    pub kind: EventKind,
    /// The time at which it happened: NetBox's time of a change where NetBox gives one, else the time at which it was noticed.
    pub time: Timestamp,
    pub subject: Subject,
}

/// A domain event with its position in the event log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The position in the log. The first event has 1, and no number is left out.
    pub sequence: u64,
    /// The time at which the log stored the event.
    pub recorded: Timestamp,
    #[serde(rename = "happening")]
    pub domain_event: DomainEvent,
}

impl DomainEvent {
    /// The event for a change of a prefix. `deleted_at` is the time of a deletion, if it is known.
    pub fn prefix(change: RecordChange<Prefix>, deleted_at: Option<Timestamp>, now: Timestamp) -> Self {
        Self {
            kind: change.kind(),
            time: change.time(|prefix| &prefix.revision, deleted_at, now),
            subject: Subject::Prefix(change),
        }
    }

    /// The event for a change of an address. `deleted_at` is the time of a deletion, if it is known.
    pub fn address(change: RecordChange<Address>, deleted_at: Option<Timestamp>, now: Timestamp) -> Self {
        Self {
            kind: change.kind(),
            time: change.time(|address| &address.revision, deleted_at, now),
            subject: Subject::Address(change),
        }
    }

    /// The event for a date of a lease that has reached a threshold.
    pub fn term(reached: TermReached, now: Timestamp) -> Self {
        let kind = match (reached.which, reached.threshold.is_passed()) {
            (TermDate::Expiry, false) => EventKind::LeaseExpiring,
            (TermDate::Expiry, true) => EventKind::LeaseExpired,
            (TermDate::Notice, false) => EventKind::NoticeDue,
            (TermDate::Notice, true) => EventKind::NoticePassed,
        };
        Self { kind, time: now, subject: Subject::Term(reached) }
    }

    /// The event for a verdict that has changed.
    pub fn verdict(change: VerdictChange, now: Timestamp) -> Self {
        let kind = match change.after.check() {
            Check::Roa => EventKind::RoaChanged,
            Check::Irr => EventKind::IrrChanged,
            Check::Reputation => EventKind::ReputationChanged,
        };
        Self { kind, time: now, subject: Subject::Verdict(change) }
    }

    /// The event for a record that NetBox refuses.
    pub fn completion_refused(refused: RefusedCompletion, now: Timestamp) -> Self {
        Self { kind: EventKind::CompletionRefused, time: now, subject: Subject::Completion(refused) }
    }

    /// The prefix that the event is about; `None` for events about an address or the sync.
    pub fn about_prefix(&self) -> Option<&Arc<Prefix>> {
        match &self.subject {
            Subject::Prefix(change) => change.latest(),
            Subject::Term(reached) => Some(&reached.prefix),
            Subject::Verdict(change) => Some(&change.prefix),
            Subject::Address(_) | Subject::Sync(_) | Subject::Completion(_) => None,
        }
    }

    /// Events with the same ordering key are delivered to a sink in their order. The key names the record that the event is
    /// about: `prefix/7`, `address/42` or `sync`. It is stored with each delivery.
    pub fn ordering_key(&self) -> String {
        match &self.subject {
            Subject::Sync(_) => "sync".to_owned(),
            Subject::Address(change) => {
                change.latest().map_or_else(String::new, |address| format!("address/{}", address.id.0))
            }
            Subject::Completion(refused) => format!("address/{}", refused.address.id.0),
            Subject::Prefix(_) | Subject::Term(_) | Subject::Verdict(_) => {
                self.about_prefix().map_or_else(String::new, |prefix| format!("prefix/{}", prefix.id.0))
            }
        }
    }

    /// The address that the event is about; `None` for every other event.
    pub fn about_address(&self) -> Option<&Arc<Address>> {
        match &self.subject {
            Subject::Address(change) => change.latest(),
            Subject::Completion(refused) => Some(&refused.address),
            _ => None,
        }
    }

    /// The versions of the prefix that the event contains: before and after for a change, else one or none.
    pub fn prefixes(&self) -> impl Iterator<Item = &Arc<Prefix>> {
        let (before, after) = match &self.subject {
            Subject::Prefix(change) => (change.before.as_ref(), change.after.as_ref()),
            Subject::Term(reached) => (None, Some(&reached.prefix)),
            Subject::Verdict(change) => (None, Some(&change.prefix)),
            Subject::Address(_) | Subject::Sync(_) | Subject::Completion(_) => (None, None),
        };
        before.into_iter().chain(after)
    }

    /// The networks that the event is about, each with its scope. There are two if a record moved from one to another.
    pub fn networks(&self) -> Vec<(VrfScope, Network)> {
        let mut networks: Vec<(VrfScope, Network)> = match &self.subject {
            Subject::Address(change) => change
                .before
                .iter()
                .chain(&change.after)
                .map(|address| (address.scope, Network::host(address.host())))
                .collect(),
            Subject::Completion(refused) => {
                vec![(refused.address.scope, Network::host(refused.address.host()))]
            }
            _ => self.prefixes().map(|prefix| (prefix.scope, prefix.network)).collect(),
        };
        networks.dedup();
        networks
    }

    /// The owner of the lease that the event is about. If the lease has ended, this is its last owner.
    pub fn owner(&self) -> Option<&str> {
        self.prefixes().filter_map(|prefix| prefix.lease.as_deref()?.owner.as_deref()).last()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Lease, PrefixId};

    #[test]
    fn an_event_reads_back_and_an_ended_lease_keeps_its_owner() {
        let bare = Prefix::bare(PrefixId(1), "203.0.113.0/24".parse().unwrap(), VrfScope::Global);
        let lease = Lease { owner: Some("ACME-LIR".into()), ..Lease::default() };
        let leased = Prefix { lease: Some(Box::new(lease)), ..bare.clone() };
        let change = RecordChange { before: Some(Arc::new(leased)), after: Some(Arc::new(bare)) };
        let event = DomainEvent::prefix(change, None, Timestamp::UNIX_EPOCH);
        assert_eq!(event.owner(), Some("ACME-LIR"));
        let text = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<DomainEvent>(&text).unwrap(), event);
        for kind in EventKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
        }
    }
}
