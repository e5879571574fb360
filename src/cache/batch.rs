//! Changes to apply to the cache together.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::model::{Address, IpRange, Prefix, Vrf};

/// Records as NetBox now has them, and ids that it no longer has.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Prefixes.
    pub prefixes: Vec<Prefix>,
    /// Addresses.
    pub addresses: Vec<Address>,
    /// IP ranges.
    pub ranges: Vec<IpRange>,
    /// VRFs.
    pub vrfs: Vec<Vrf>,
    /// Ids of prefixes that are gone.
    pub gone_prefixes: Vec<u64>,
    /// Ids of addresses that are gone.
    pub gone_addresses: Vec<u64>,
    /// Ids of IP ranges that are gone.
    pub gone_ranges: Vec<u64>,
    /// Ids of VRFs that are gone.
    pub gone_vrfs: Vec<u64>,
    /// When prefixes went, by id, where that is known.
    pub prefix_gone_at: BTreeMap<u64, Timestamp>,
    /// When addresses went, by id, where that is known.
    pub address_gone_at: BTreeMap<u64, Timestamp>,
}

impl Batch {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many records it touches.
    pub fn len(&self) -> usize {
        self.prefixes.len()
            + self.addresses.len()
            + self.ranges.len()
            + self.vrfs.len()
            + self.gone_prefixes.len()
            + self.gone_addresses.len()
            + self.gone_ranges.len()
            + self.gone_vrfs.len()
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
