//! A record before and after a change, and the kind and time of the event that the change makes.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::address::Address;
use super::event_kind::EventKind;
use super::prefix::Prefix;
use super::revision::Revision;

/// A record before and after a change. At least one of the two is set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordChange<T> {
    /// `None` if the record was created.
    pub before: Option<Arc<T>>,
    /// `None` if the record was deleted.
    pub after: Option<Arc<T>>,
}

impl<T> RecordChange<T> {
    /// The record after the change; for a deletion, the record before it.
    pub fn latest(&self) -> Option<&Arc<T>> {
        self.after.as_ref().or(self.before.as_ref())
    }

    /// The time of the change by NetBox's clock, which is the revision of the record after it. A deletion has the time
    /// `deleted_at`, if it is known. Some changes leave the revision as it was (a tenant was renamed); they have the time `now`.
    pub(super) fn time(
        &self,
        revision: impl Fn(&T) -> &Revision,
        deleted_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Timestamp {
        let instant = |record: &Option<Arc<T>>| record.as_ref().and_then(|record| revision(record).instant());
        match (instant(&self.before), instant(&self.after)) {
            (before, Some(after)) if before.is_none_or(|before| before < after) => after,
            (_, None) => deleted_at.unwrap_or(now),
            _ => now,
        }
    }
}

impl RecordChange<Prefix> {
    /// The kind of event for this change. A change of the lease decides it; the prefix itself only without one.
    pub(super) fn kind(&self) -> EventKind {
        let lease = |record: &Option<Arc<Prefix>>| record.as_ref().and_then(|prefix| prefix.lease.clone());
        match (lease(&self.before), lease(&self.after)) {
            (None, Some(_)) => EventKind::LeaseRegistered,
            (Some(_), None) => EventKind::LeaseEnded,
            (Some(before), Some(after)) if before.contract() != after.contract() => {
                if before.term.expiry < after.term.expiry && before.term.expiry.is_some() {
                    EventKind::LeaseRenewed
                } else {
                    EventKind::LeaseChanged
                }
            }
            _ => match (&self.before, &self.after) {
                (None, Some(after)) if after.allocation.is_some() => EventKind::PrefixAllocated,
                (None, _) => EventKind::PrefixCreated,
                (Some(_), Some(_)) => EventKind::PrefixChanged,
                (Some(_), None) => EventKind::PrefixDeleted,
            },
        }
    }
}

impl RecordChange<Address> {
    /// The kind of event for this change. An allocation id in the record tells Leasehold's own allocations from others; what a
    /// pool reserves is recorded, and allocated once it is handed out.
    pub(super) fn kind(&self) -> EventKind {
        let allocated = |record: &Option<Arc<Address>>| {
            record.as_ref().is_some_and(|address| address.allocation.is_some() && !address.is_in_pool())
        };
        let in_pool =
            |record: &Option<Arc<Address>>| record.as_ref().is_some_and(|address| address.is_in_pool());
        match (&self.before, &self.after) {
            (None, _) if allocated(&self.after) => EventKind::AddressAllocated,
            (Some(_), Some(_)) if in_pool(&self.before) && allocated(&self.after) => {
                EventKind::AddressAllocated
            }
            (None, _) => EventKind::AddressRecorded,
            (Some(_), None) if allocated(&self.before) => EventKind::AddressReleased,
            (Some(_), None) => EventKind::AddressRemoved,
            (Some(_), Some(_)) => EventKind::AddressChanged,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Lease, PrefixId, Term, VrfScope};
    use jiff::civil::{Date, date};

    fn prefix(expiry: Option<Date>) -> Arc<Prefix> {
        let lease = expiry.map(|expiry| {
            let term = Term { expiry: Some(expiry), ..Term::default() };
            Box::new(Lease { owner: Some("ACME-LIR".into()), term, ..Lease::default() })
        });
        Arc::new(Prefix {
            lease,
            ..Prefix::bare(PrefixId(1), "203.0.113.0/24".parse().unwrap(), VrfScope::Global)
        })
    }

    #[test]
    fn the_kind_of_a_prefix_event_follows_what_happens_to_the_lease() {
        let (early, late) = (Some(date(2027, 6, 1)), Some(date(2028, 6, 1)));
        let kind = |before: Option<Option<Date>>, after: Option<Option<Date>>| {
            RecordChange { before: before.map(prefix), after: after.map(prefix) }.kind()
        };
        assert_eq!(kind(None, Some(None)), EventKind::PrefixCreated);
        assert_eq!(kind(None, Some(early)), EventKind::LeaseRegistered);
        assert_eq!(kind(Some(None), Some(early)), EventKind::LeaseRegistered);
        assert_eq!(kind(Some(early), Some(late)), EventKind::LeaseRenewed);
        assert_eq!(kind(Some(late), Some(early)), EventKind::LeaseChanged);
        assert_eq!(kind(Some(early), Some(None)), EventKind::LeaseEnded);
        assert_eq!(kind(Some(early), None), EventKind::LeaseEnded);
        assert_eq!(kind(Some(None), None), EventKind::PrefixDeleted);
        assert_eq!(kind(Some(early), Some(early)), EventKind::PrefixChanged);
    }
}
