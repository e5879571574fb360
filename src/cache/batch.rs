//! Changes that are applied to the cache together.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::deletions::{CachedKind, Deletions, Reading};
use crate::model::{Address, IpRange, Prefix, Vrf};

/// Records as NetBox has them now, and the ids of records that were deleted.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub prefixes: Vec<Prefix>,
    pub addresses: Vec<Address>,
    pub ranges: Vec<IpRange>,
    pub vrfs: Vec<Vrf>,
    pub deleted_prefixes: Vec<u64>,
    pub deleted_addresses: Vec<u64>,
    pub deleted_ranges: Vec<u64>,
    pub deleted_vrfs: Vec<u64>,
    /// The times of deletion by NetBox's clock, by id of the prefix. Not every deleted prefix has one.
    pub prefix_deleted_at: BTreeMap<u64, Timestamp>,
    /// The times of deletion by NetBox's clock, by id of the address. Not every deleted address has one.
    pub address_deleted_at: BTreeMap<u64, Timestamp>,
    /// The reads that the records come from; none if they are the answer to a write.
    pub readings: Vec<Arc<Reading>>,
}

impl Batch {
    /// Whether the batch changes nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same records, of which is known during which read they were read.
    #[must_use]
    pub fn read_during(mut self, reading: Reading) -> Self {
        self.readings.push(Arc::new(reading));
        self
    }

    /// Removes the records that were deleted while they were read, and notes what the batch deletes. Called with each batch, in the
    /// order in which they are applied.
    pub fn pass(&mut self, deletions: &Deletions) {
        for reading in std::mem::take(&mut self.readings) {
            self.remove_missed(&reading);
        }
        let ids = [
            (CachedKind::Prefix, &self.deleted_prefixes),
            (CachedKind::Address, &self.deleted_addresses),
            (CachedKind::Range, &self.deleted_ranges),
            (CachedKind::Vrf, &self.deleted_vrfs),
        ];
        deletions.note(ids.into_iter().flat_map(|(kind, ids)| ids.iter().map(move |id| (kind, *id))));
    }

    /// Removes the records that were deleted since a read of them began.
    pub(super) fn remove_missed(&mut self, reading: &Reading) {
        self.prefixes.retain(|row| !reading.missed(CachedKind::Prefix, row.id.0));
        self.addresses.retain(|row| !reading.missed(CachedKind::Address, row.id.0));
        self.ranges.retain(|row| !reading.missed(CachedKind::Range, row.id.0));
        self.vrfs.retain(|row| !reading.missed(CachedKind::Vrf, row.id.0));
    }

    /// This batch and a later one, as one.
    #[must_use]
    pub fn and(mut self, later: Self) -> Self {
        self.prefixes.extend(later.prefixes);
        self.addresses.extend(later.addresses);
        self.ranges.extend(later.ranges);
        self.vrfs.extend(later.vrfs);
        self.deleted_prefixes.extend(later.deleted_prefixes);
        self.deleted_addresses.extend(later.deleted_addresses);
        self.deleted_ranges.extend(later.deleted_ranges);
        self.deleted_vrfs.extend(later.deleted_vrfs);
        self.prefix_deleted_at.extend(later.prefix_deleted_at);
        self.address_deleted_at.extend(later.address_deleted_at);
        self.readings.extend(later.readings);
        self
    }

    /// The number of records that the batch writes or deletes.
    pub fn len(&self) -> usize {
        self.prefixes.len()
            + self.addresses.len()
            + self.ranges.len()
            + self.vrfs.len()
            + self.deleted_prefixes.len()
            + self.deleted_addresses.len()
            + self.deleted_ranges.len()
            + self.deleted_vrfs.len()
    }
}

impl From<Vec<Prefix>> for Batch {
    fn from(prefixes: Vec<Prefix>) -> Self {
        Self { prefixes, ..Self::default() }
    }
}

impl From<Vec<Address>> for Batch {
    fn from(addresses: Vec<Address>) -> Self {
        Self { addresses, ..Self::default() }
    }
}

impl From<Vec<IpRange>> for Batch {
    fn from(ranges: Vec<IpRange>) -> Self {
        Self { ranges, ..Self::default() }
    }
}

impl From<Vec<Vrf>> for Batch {
    fn from(vrfs: Vec<Vrf>) -> Self {
        Self { vrfs, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AddressId, VrfScope};

    fn address(id: u64) -> Address {
        Address::bare(AddressId(id), "203.0.113.5/24".parse().unwrap(), VrfScope::Global)
    }

    fn deleting(id: u64) -> Batch {
        Batch { deleted_addresses: vec![id], ..Batch::default() }
    }

    fn ids(batch: &Batch) -> Vec<u64> {
        batch.addresses.iter().map(|address| address.id.0).collect()
    }

    #[test]
    fn a_record_that_was_deleted_while_it_was_read_does_not_come_back() {
        let deletions = Deletions::default();
        let (early, found) = (deletions.begin_reading(), vec![address(1), address(2), address(3)]);
        deleting(1).pass(&deletions);
        let late = deletions.begin_reading();
        deleting(2).pass(&deletions);
        let mut read = Batch::from(found.clone()).read_during(late);
        read.pass(&deletions);
        // What was deleted before the later read began was read again from NetBox: nobody can say better.
        assert_eq!(ids(&read), [1, 3]);
        let mut both = Batch::default().and(Batch::from(found.clone()).read_during(early));
        both.pass(&deletions);
        assert_eq!(ids(&both), [3]);
        let mut written = Batch::from(found);
        written.pass(&deletions);
        assert_eq!(ids(&written), [1, 2, 3]);
    }
}
