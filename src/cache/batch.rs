//! Changes that are applied to the cache together.

use std::collections::BTreeMap;

use jiff::Timestamp;

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
}

impl Batch {
    /// Whether the batch changes nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
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
