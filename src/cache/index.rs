//! The index: every record, found by table and prefix, by id, and by who allocated it.

use std::net::IpAddr;
use std::sync::Arc;

use imbl::{HashMap, OrdMap};
use smallvec::SmallVec;

use super::batch::Batch;
use super::trie::Trie;
use crate::model::{
    Address, AddressId, IpRange, Lease, Network, Prefix, PrefixId, RequestId, Table, Vrf, VrfId,
};

/// Records of one prefix or address in one table: mostly one, more where NetBox holds duplicates. Ordered by id.
type Slot<T> = SmallVec<[Arc<T>; 1]>;

/// One routing table.
#[derive(Clone, Debug, Default)]
struct TableIndex {
    prefixes: Trie<Slot<Prefix>>,
    addresses: Trie<Slot<Address>>,
    /// By last address and id, so that a search from the first address wanted finds all that may reach into it.
    ranges: OrdMap<(IpAddr, u64), Arc<IpRange>>,
}

/// What one request has allocated.
#[derive(Clone, Debug, Default)]
struct Allocated {
    addresses: SmallVec<[AddressId; 2]>,
    prefix: Option<PrefixId>,
}

/// A snapshot of NetBox's records. Cloning shares everything.
#[derive(Clone, Debug, Default)]
pub struct Index {
    tables: HashMap<Table, TableIndex>,
    prefixes: HashMap<u64, Arc<Prefix>>,
    addresses: HashMap<u64, Arc<Address>>,
    ranges: HashMap<u64, Arc<IpRange>>,
    vrfs: HashMap<u64, Arc<Vrf>>,
    /// Prefixes that carry a lease, by id.
    leased: OrdMap<PrefixId, Arc<Prefix>>,
    requests: HashMap<RequestId, Allocated>,
}

/// Answer to "who's on this address?", borrowed from a snapshot.
#[derive(Clone, Debug)]
pub struct Lookup<'a> {
    /// Prefixes that hold the address, the most specific last.
    pub chain: SmallVec<[&'a Arc<Prefix>; 8]>,
    /// Records of the address itself.
    pub records: &'a [Arc<Address>],
}

impl<'a> Lookup<'a> {
    /// The prefix whose lease covers the address: the most specific that carries one.
    pub fn covering(&self) -> Option<(&'a Arc<Prefix>, &'a Lease)> {
        covering(self.chain.iter().rev().copied())
    }
}

fn covering<'a>(mut chain: impl Iterator<Item = &'a Arc<Prefix>>) -> Option<(&'a Arc<Prefix>, &'a Lease)> {
    chain.find_map(|prefix| prefix.lease.as_deref().map(|lease| (prefix, lease)))
}

impl Index {
    /// Who's on this address?
    pub fn lookup(&self, table: Table, host: IpAddr) -> Lookup<'_> {
        let network = Network::host(host);
        match self.tables.get(&table) {
            None => Lookup { chain: SmallVec::new(), records: &[] },
            Some(index) => Lookup {
                chain: index.prefixes.chain(network).flatten().collect(),
                records: index.addresses.get(network).map_or(&[], SmallVec::as_slice),
            },
        }
    }

    /// Prefixes that cover this one, itself included, the most specific last.
    pub fn chain(&self, table: Table, network: Network) -> impl Iterator<Item = &Arc<Prefix>> {
        self.tables.get(&table).into_iter().flat_map(move |index| index.prefixes.chain(network).flatten())
    }

    /// The lease that covers this network, and the prefix that carries it.
    pub fn covering_lease(&self, table: Table, network: Network) -> Option<(&Arc<Prefix>, &Lease)> {
        let chain: SmallVec<[_; 8]> = self.chain(table, network).collect();
        covering(chain.into_iter().rev())
    }

    /// The prefix with this id.
    pub fn prefix(&self, id: PrefixId) -> Option<&Arc<Prefix>> {
        self.prefixes.get(&id.0)
    }

    /// The records of exactly this prefix: more than one where NetBox holds duplicates.
    pub fn prefixes_at(&self, table: Table, network: Network) -> &[Arc<Prefix>] {
        self.tables.get(&table).and_then(|index| index.prefixes.get(network)).map_or(&[], SmallVec::as_slice)
    }

    /// Prefixes within this one, itself included, in order.
    pub fn prefixes_within(&self, table: Table, network: Network) -> impl Iterator<Item = &Arc<Prefix>> {
        self.tables.get(&table).into_iter().flat_map(move |index| index.prefixes.within(network).flatten())
    }

    /// Every prefix of a table, in order.
    pub fn prefixes_of(&self, table: Table) -> impl Iterator<Item = &Arc<Prefix>> {
        self.tables.get(&table).into_iter().flat_map(|index| index.prefixes.values().flatten())
    }

    /// The tables that hold exactly this prefix, in order.
    pub fn tables_with(&self, network: Network) -> Vec<Table> {
        let mut tables: Vec<Table> =
            self.tables().filter(|table| !self.prefixes_at(*table, network).is_empty()).collect();
        tables.sort_unstable();
        tables
    }

    /// Every table that holds anything.
    pub fn tables(&self) -> impl Iterator<Item = Table> + '_ {
        self.tables.keys().copied()
    }

    /// The records of exactly this address.
    pub fn addresses_at(&self, table: Table, host: IpAddr) -> &[Arc<Address>] {
        self.tables
            .get(&table)
            .and_then(|index| index.addresses.get(Network::host(host)))
            .map_or(&[], SmallVec::as_slice)
    }

    /// Addresses recorded within a network, in order.
    pub fn addresses_within(&self, table: Table, network: Network) -> impl Iterator<Item = &Arc<Address>> {
        self.tables.get(&table).into_iter().flat_map(move |index| index.addresses.within(network).flatten())
    }

    /// IP ranges that share an address with a network.
    pub fn ranges_touching(&self, table: Table, network: Network) -> impl Iterator<Item = &Arc<IpRange>> {
        self.tables
            .get(&table)
            .into_iter()
            .flat_map(move |index| index.ranges.range((network.first(), 0)..))
            .map(|(_, range)| range)
            .filter(move |range| range.start.is_ipv4() == network.is_ipv4() && range.start <= network.last())
    }

    /// The address with this id.
    pub fn address(&self, id: AddressId) -> Option<&Arc<Address>> {
        self.addresses.get(&id.0)
    }

    /// Ids of every prefix.
    pub(super) fn prefix_ids(&self) -> impl Iterator<Item = u64> + '_ {
        self.prefixes.keys().copied()
    }

    /// Ids of every address.
    pub(super) fn address_ids(&self) -> impl Iterator<Item = u64> + '_ {
        self.addresses.keys().copied()
    }

    /// Prefixes that carry a lease, by id, after this one.
    pub fn leased_after(&self, id: PrefixId) -> impl Iterator<Item = &Arc<Prefix>> {
        self.leased
            .range((std::ops::Bound::Excluded(id), std::ops::Bound::Unbounded))
            .map(|(_, prefix)| prefix)
    }

    /// The VRF with this id.
    pub fn vrf(&self, id: VrfId) -> Option<&Arc<Vrf>> {
        self.vrfs.get(&id.0)
    }

    /// Every prefix that carries a lease, by id.
    pub fn leased(&self) -> impl Iterator<Item = &Arc<Prefix>> {
        self.leased.values()
    }

    /// What a request has allocated: addresses in order of their index, and a prefix.
    pub fn allocated(&self, request: &RequestId) -> (Vec<&Arc<Address>>, Option<&Arc<Prefix>>) {
        let Some(allocated) = self.requests.get(request) else { return (Vec::new(), None) };
        let mut addresses: Vec<_> = allocated.addresses.iter().filter_map(|id| self.address(*id)).collect();
        addresses.sort_by_key(|address| address.allocation.as_ref().map(|id| id.index));
        (addresses, allocated.prefix.and_then(|id| self.prefix(id)))
    }

    /// How many of each there are: prefixes, addresses, ranges, VRFs, leases.
    pub fn counts(&self) -> (usize, usize, usize, usize, usize) {
        (self.prefixes.len(), self.addresses.len(), self.ranges.len(), self.vrfs.len(), self.leased.len())
    }

    /// Ids of the prefixes and addresses that mention a tenant, a role or a tag: what to read again when its name
    /// changes. Walks everything.
    pub fn mentioning(&self, mentions: impl Fn(Mention<'_>) -> bool) -> (Vec<u64>, Vec<u64>) {
        let prefixes = self
            .prefixes
            .values()
            .filter(|prefix| {
                prefix.tenant.iter().any(|tenant| mentions(Mention::Tenant(tenant.id)))
                    || prefix.role.iter().any(|role| mentions(Mention::Role(role.id)))
                    || prefix.tags.iter().any(|tag| mentions(Mention::Tag(tag.id, &tag.slug)))
            })
            .map(|prefix| prefix.id.0)
            .collect();
        let addresses = self
            .addresses
            .values()
            .filter(|address| {
                address.tenant.iter().any(|tenant| mentions(Mention::Tenant(tenant.id)))
                    || address.tags.iter().any(|tag| mentions(Mention::Tag(tag.id, &tag.slug)))
            })
            .map(|address| address.id.0)
            .collect();
        (prefixes, addresses)
    }

    /// Applies changes. A record older than the one held is left out: answers may overtake one another.
    pub(super) fn apply(&mut self, batch: &Batch) {
        for vrf in &batch.vrfs {
            self.vrfs.insert(vrf.id.0, Arc::new(vrf.clone()));
        }
        for id in &batch.gone_vrfs {
            self.vrfs.remove(id);
        }
        for prefix in &batch.prefixes {
            self.put_prefix(prefix);
        }
        for address in &batch.addresses {
            self.put_address(address);
        }
        for range in &batch.ranges {
            self.put_range(range);
        }
        for id in &batch.gone_prefixes {
            self.drop_prefix(*id);
        }
        for id in &batch.gone_addresses {
            self.drop_address(*id);
        }
        for id in &batch.gone_ranges {
            self.drop_range(*id);
        }
    }

    fn put_prefix(&mut self, prefix: &Prefix) {
        if self.prefixes.get(&prefix.id.0).is_some_and(|held| held.revision > prefix.revision) {
            return;
        }
        self.drop_prefix(prefix.id.0);
        let prefix = Arc::new(prefix.clone());
        let table = self.tables.entry(prefix.table).or_default();
        table.prefixes.update(prefix.network, |slot| put(slot, &prefix, |held| held.id.0));
        if prefix.lease.is_some() {
            self.leased.insert(prefix.id, prefix.clone());
        }
        if let Some(id) = &prefix.allocation {
            self.requests.entry(id.request.clone()).or_default().prefix = Some(prefix.id);
        }
        self.prefixes.insert(prefix.id.0, prefix);
    }

    fn drop_prefix(&mut self, id: u64) {
        let Some(prefix) = self.prefixes.remove(&id) else { return };
        self.leased.remove(&prefix.id);
        if let Some(table) = self.tables.get_mut(&prefix.table) {
            table.prefixes.update(prefix.network, |slot| take(slot, |held| held.id.0 == id));
        }
        self.forget(prefix.allocation.as_ref().map(|id| &id.request), |allocated| allocated.prefix = None);
    }

    fn put_address(&mut self, address: &Address) {
        if self.addresses.get(&address.id.0).is_some_and(|held| held.revision > address.revision) {
            return;
        }
        self.drop_address(address.id.0);
        let address = Arc::new(address.clone());
        let table = self.tables.entry(address.table).or_default();
        table.addresses.update(Network::host(address.host()), |slot| put(slot, &address, |held| held.id.0));
        if let Some(id) = &address.allocation {
            self.requests.entry(id.request.clone()).or_default().addresses.push(address.id);
        }
        self.addresses.insert(address.id.0, address);
    }

    fn drop_address(&mut self, id: u64) {
        let Some(address) = self.addresses.remove(&id) else { return };
        if let Some(table) = self.tables.get_mut(&address.table) {
            table.addresses.update(Network::host(address.host()), |slot| take(slot, |held| held.id.0 == id));
        }
        self.forget(address.allocation.as_ref().map(|id| &id.request), |allocated| {
            allocated.addresses.retain(|held| held.0 != id);
        });
    }

    fn forget(&mut self, request: Option<&RequestId>, change: impl FnOnce(&mut Allocated)) {
        let Some(request) = request else { return };
        if let Some(allocated) = self.requests.get_mut(request) {
            change(allocated);
            if allocated.addresses.is_empty() && allocated.prefix.is_none() {
                self.requests.remove(request);
            }
        }
    }

    fn put_range(&mut self, range: &IpRange) {
        self.drop_range(range.id.0);
        let range = Arc::new(range.clone());
        let table = self.tables.entry(range.table).or_default();
        table.ranges.insert((range.end, range.id.0), range.clone());
        self.ranges.insert(range.id.0, range);
    }

    fn drop_range(&mut self, id: u64) {
        let Some(range) = self.ranges.remove(&id) else { return };
        if let Some(table) = self.tables.get_mut(&range.table) {
            table.ranges.remove(&(range.end, id));
        }
    }
}

/// What a record may mention.
#[derive(Clone, Copy, Debug)]
pub enum Mention<'a> {
    /// A tenant, by id.
    Tenant(u64),
    /// A role, by id.
    Role(u64),
    /// A tag, by id and slug.
    Tag(u64, &'a str),
}

fn put<T>(slot: &mut Option<Slot<T>>, record: &Arc<T>, id: impl Fn(&T) -> u64) {
    let records = slot.get_or_insert_default();
    let at = records.partition_point(|held| id(held) < id(record));
    records.insert(at, record.clone());
}

fn take<T>(slot: &mut Option<Slot<T>>, gone: impl Fn(&T) -> bool) {
    if let Some(records) = slot {
        records.retain(|held| !gone(held));
        if records.is_empty() {
            *slot = None;
        }
    }
}

#[cfg(test)]
mod tests;
