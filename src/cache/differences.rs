//! The differences between two snapshots.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::batch::Batch;
use super::index::Index;
use crate::model::{Address, AddressId, Prefix, PrefixId, RecordChange};

/// The prefixes and addresses that differ between two snapshots. Each deletion has its time, if it is known.
#[derive(Clone, Debug, Default)]
pub struct Differences {
    pub prefixes: Vec<(RecordChange<Prefix>, Option<Timestamp>)>,
    pub addresses: Vec<(RecordChange<Address>, Option<Timestamp>)>,
}

impl Differences {
    /// Whether the snapshots are equal.
    pub fn is_empty(&self) -> bool {
        self.prefixes.is_empty() && self.addresses.is_empty()
    }

    /// The differences that a batch makes. Compares the records of the batch only.
    pub(super) fn of_batch(old: &Index, new: &Index, batch: &Batch) -> Self {
        let prefixes: BTreeSet<u64> =
            batch.prefixes.iter().map(|row| row.id.0).chain(batch.deleted_prefixes.iter().copied()).collect();
        let addresses: BTreeSet<u64> = batch
            .addresses
            .iter()
            .map(|row| row.id.0)
            .chain(batch.deleted_addresses.iter().copied())
            .collect();
        let mut found = Self::default();
        for id in prefixes {
            found.compare_prefix(old, new, id, batch.prefix_deleted_at.get(&id).copied());
        }
        for id in addresses {
            found.compare_address(old, new, id, batch.address_deleted_at.get(&id).copied());
        }
        found
    }

    /// The differences between two generations. Compares every record.
    pub(super) fn between(old: &Index, new: &Index) -> Self {
        let mut found = Self::default();
        let prefixes: BTreeSet<u64> = old.prefix_ids().chain(new.prefix_ids()).collect();
        for id in prefixes {
            found.compare_prefix(old, new, id, None);
        }
        let addresses: BTreeSet<u64> = old.address_ids().chain(new.address_ids()).collect();
        for id in addresses {
            found.compare_address(old, new, id, None);
        }
        found
    }

    fn compare_prefix(&mut self, old: &Index, new: &Index, id: u64, deleted_at: Option<Timestamp>) {
        let (before, after) = (old.prefix(PrefixId(id)), new.prefix(PrefixId(id)));
        if let Some(change) = change(before, after) {
            self.prefixes.push((change, deleted_at));
        }
    }

    fn compare_address(&mut self, old: &Index, new: &Index, id: u64, deleted_at: Option<Timestamp>) {
        let (before, after) = (old.address(AddressId(id)), new.address(AddressId(id)));
        if let Some(change) = change(before, after) {
            self.addresses.push((change, deleted_at));
        }
    }
}

/// The change from one version of a record to another; `None` if they are equal.
fn change<T: PartialEq>(before: Option<&Arc<T>>, after: Option<&Arc<T>>) -> Option<RecordChange<T>> {
    let same = match (before, after) {
        (Some(before), Some(after)) => Arc::ptr_eq(before, after) || before == after,
        (None, None) => true,
        _ => false,
    };
    (!same).then(|| RecordChange { before: before.cloned(), after: after.cloned() })
}
