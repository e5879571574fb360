//! Addresses that were handed out of pools, while NetBox's records of them still say that a pool has reserved them.
//!
//! Whatever is read of NetBox shows such a record as the pool's. Readers of the cache are to see whose it is, so each batch passes here
//! before it is applied.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::model::{Address, RecordState};

/// The records as they are to be, by id. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct HandedOut(Arc<Mutex<HashMap<u64, Wanted>>>);

#[derive(Debug)]
struct Wanted {
    record: Address,
    /// When NetBox's record came to say the same. A read that had begun before may still come in.
    complete: Option<Timestamp>,
}

impl HandedOut {
    /// These are all the records, as they are to be. What is not among them any more is complete, whoever has completed it.
    pub fn replace(&self, records: Vec<Address>, now: Timestamp) {
        let ids: HashSet<u64> = records.iter().map(|record| record.id.0).collect();
        for (id, wanted) in self.lock().iter_mut() {
            if wanted.complete.is_none() && !ids.contains(id) {
                wanted.complete = Some(now);
            }
        }
        self.add(records);
    }

    /// Adds records as they are to be.
    pub fn add(&self, records: impl IntoIterator<Item = Address>) {
        let wanted = records.into_iter().map(|record| (record.id.0, Wanted { record, complete: None }));
        self.lock().extend(wanted);
    }

    /// NetBox's records of these ids say who has them, or are gone.
    pub fn complete(&self, ids: impl IntoIterator<Item = u64>, now: Timestamp) {
        let mut all = self.lock();
        for id in ids {
            if let Some(wanted) = all.get_mut(&id) {
                wanted.complete = Some(now);
            }
        }
    }

    /// Forgets records that were complete by this time.
    pub fn forget(&self, complete_by: Timestamp) {
        self.lock().retain(|_, wanted| wanted.complete.is_none_or(|at| at > complete_by));
    }

    /// Shows records that NetBox still holds as a pool's as they are to be.
    pub fn amend(&self, records: &mut [Address]) {
        let all = self.lock();
        if all.is_empty() {
            return;
        }
        for record in records.iter_mut().filter(|record| record.is_in_pool()) {
            let Some(Wanted { record: wanted, .. }) = all.get(&record.id.0) else { continue };
            record.status.clone_from(&wanted.status);
            record.dns_name.clone_from(&wanted.dns_name);
            record.description.clone_from(&wanted.description);
            record.allocation.clone_from(&wanted.allocation);
            record.record_state = RecordState::Pending;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Wanted>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AddressId, VrfScope};

    fn address(id: u64, allocation: &str, status: &str) -> Address {
        Address {
            status: status.to_owned(),
            allocation: Some(allocation.parse().unwrap()),
            ..Address::bare(AddressId(id), "203.0.113.5/24".parse().unwrap(), VrfScope::Global)
        }
    }

    #[test]
    fn a_record_that_a_pool_reserved_is_shown_as_that_of_whoever_has_it_until_it_says_so() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let handed_out = HandedOut::default();
        handed_out.add([address(1, "order-1/0", "active")]);
        let read = || {
            let mut found = [
                address(1, "leasehold-pool-x/0", "reserved"),
                address(2, "leasehold-pool-x/1", "reserved"),
                address(3, "order-2/0", "active"),
            ];
            handed_out.amend(&mut found);
            found.map(|record| (record.allocation.unwrap().to_string(), record.status, record.record_state))
        };
        let shown = |id: &str, status: &str, state| (id.to_owned(), status.to_owned(), state);
        let pool = |id| shown(id, "reserved", RecordState::Recorded);
        let ours = shown("order-1/0", "active", RecordState::Pending);
        let other = shown("order-2/0", "active", RecordState::Recorded);
        assert_eq!(read(), [ours.clone(), pool("leasehold-pool-x/1"), other.clone()]);
        // A person's change, or the completed record, stands as it is.
        let mut complete = [address(1, "order-1/0", "deprecated")];
        handed_out.amend(&mut complete);
        assert_eq!(
            (complete[0].status.as_str(), complete[0].record_state),
            ("deprecated", RecordState::Recorded)
        );
        handed_out.complete([1], at(100));
        handed_out.forget(at(90));
        assert_eq!(read()[0], ours);
        handed_out.forget(at(100));
        assert_eq!(read()[0], pool("leasehold-pool-x/0"));
    }
}
