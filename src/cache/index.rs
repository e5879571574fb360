//! The index of a snapshot: every record, found by scope and network, by id, and by the request that allocated it.

mod update;

use std::net::IpAddr;
use std::sync::Arc;

use imbl::{HashMap, OrdMap};
use jiff::Timestamp;
use smallvec::SmallVec;

use super::lease_order::{LeaseOrder, LeaseOrders};
use super::trie::Trie;
use super::vrf_names::VrfNames;
use crate::model::{
    Address, AddressId, IpRange, Lease, Network, Prefix, PrefixId, RequestId, Vrf, VrfId, VrfScope,
};

/// The records of one network or host in one scope, ordered by id. There is mostly one; NetBox may hold duplicates.
type Slot<T> = SmallVec<[Arc<T>; 1]>;

/// The records of one scope.
#[derive(Clone, Debug, Default)]
struct ScopeIndex {
    prefixes: Trie<Slot<Prefix>>,
    addresses: Trie<Slot<Address>>,
    /// Keyed by last address and id. A search that begins at the first address of a network then finds every range that can
    /// reach into the network.
    ranges: OrdMap<(IpAddr, u64), Arc<IpRange>>,
}

/// The records that carry the allocation id of one request.
#[derive(Clone, Debug, Default)]
struct Allocated {
    addresses: SmallVec<[AddressId; 2]>,
    prefix: Option<PrefixId>,
}

/// A snapshot of NetBox's records. A clone is cheap, because it shares all records and tree nodes with the original.
#[derive(Clone, Debug, Default)]
pub struct Index {
    scopes: OrdMap<VrfScope, ScopeIndex>,
    prefixes: HashMap<u64, Arc<Prefix>>,
    addresses: HashMap<u64, Arc<Address>>,
    ranges: HashMap<u64, Arc<IpRange>>,
    vrfs: OrdMap<u64, Arc<Vrf>>,
    vrf_names: VrfNames,
    /// The prefixes that carry a lease.
    leased: OrdMap<PrefixId, Arc<Prefix>>,
    /// The same prefixes, in the orders of lists.
    lease_orders: LeaseOrders,
    requests: HashMap<RequestId, Allocated>,
}

/// The number of records of each kind in a snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub prefixes: u64,
    pub addresses: u64,
    pub ranges: u64,
    pub vrfs: u64,
    /// The number of prefixes that carry a lease.
    pub leases: u64,
}

/// A tenant, role or tag that a record refers to, by id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mention {
    Tenant(u64),
    Role(u64),
    Tag(u64),
}

/// The answer to "who's on this address?", borrowed from a snapshot.
#[derive(Clone, Debug)]
pub struct Lookup<'a> {
    /// The prefixes that contain the address, the most specific one last.
    pub chain: SmallVec<[&'a Arc<Prefix>; 8]>,
    /// The records of the address itself; more than one if NetBox holds duplicates.
    pub records: &'a [Arc<Address>],
}

impl<'a> Lookup<'a> {
    /// The covering lease with its prefix: the most specific prefix of the chain that carries a lease.
    pub fn covering(&self) -> Option<(&'a Arc<Prefix>, &'a Lease)> {
        covering(self.chain.iter().rev().copied())
    }
}

fn covering<'a>(mut chain: impl Iterator<Item = &'a Arc<Prefix>>) -> Option<(&'a Arc<Prefix>, &'a Lease)> {
    chain.find_map(|prefix| prefix.lease.as_deref().map(|lease| (prefix, lease)))
}

impl Index {
    /// Looks up a host address in a scope.
    pub fn lookup(&self, scope: VrfScope, host: IpAddr) -> Lookup<'_> {
        let network = Network::host(host);
        match self.scopes.get(&scope) {
            None => Lookup { chain: SmallVec::new(), records: &[] },
            Some(index) => Lookup {
                chain: index.prefixes.chain(network).flatten().collect(),
                records: index.addresses.get(network).map_or(&[], SmallVec::as_slice),
            },
        }
    }

    /// The prefixes that contain a network, the most specific one last. The network itself is included if it is recorded.
    pub fn chain(&self, scope: VrfScope, network: Network) -> impl Iterator<Item = &Arc<Prefix>> {
        self.scopes.get(&scope).into_iter().flat_map(move |index| index.prefixes.chain(network).flatten())
    }

    /// The covering lease of a network with its prefix: the most specific prefix of the chain that carries a lease.
    pub fn covering_lease(&self, scope: VrfScope, network: Network) -> Option<(&Arc<Prefix>, &Lease)> {
        let chain: SmallVec<[_; 8]> = self.chain(scope, network).collect();
        covering(chain.into_iter().rev())
    }

    /// The prefix with this id in NetBox.
    pub fn prefix(&self, id: PrefixId) -> Option<&Arc<Prefix>> {
        self.prefixes.get(&id.0)
    }

    /// Every prefix, in no order.
    pub fn prefixes(&self) -> impl Iterator<Item = &Arc<Prefix>> {
        self.prefixes.values()
    }

    /// The records of exactly this network, by id; more than one if NetBox holds duplicates.
    pub fn prefixes_at(&self, scope: VrfScope, network: Network) -> &[Arc<Prefix>] {
        self.scopes.get(&scope).and_then(|index| index.prefixes.get(network)).map_or(&[], SmallVec::as_slice)
    }

    /// The prefixes inside a network, in order of network. The network itself is included if it is recorded.
    pub fn prefixes_within(&self, scope: VrfScope, network: Network) -> impl Iterator<Item = &Arc<Prefix>> {
        self.scopes.get(&scope).into_iter().flat_map(move |index| index.prefixes.within(network).flatten())
    }

    /// The prefixes of a scope that are inside `within`, if it is given, and that sort after a network and an id. They are in order
    /// of network and then of id. Visits no prefix before them.
    pub(super) fn prefixes_after(
        &self,
        scope: VrfScope,
        within: Option<Network>,
        (network, id): (Network, PrefixId),
    ) -> impl Iterator<Item = &Arc<Prefix>> {
        let tries = self.scopes.get(&scope).map(|index| &index.prefixes);
        tries.into_iter().flat_map(move |trie| trie.values_from(within, network)).flat_map(move |slot| {
            let here = slot.first().is_some_and(|prefix| prefix.network == network);
            let after = if here { slot.partition_point(|prefix| prefix.id <= id) } else { 0 };
            slot.get(after..).unwrap_or_default()
        })
    }

    /// The scopes that contain exactly this network, in order.
    pub fn scopes_with(&self, network: Network) -> Vec<VrfScope> {
        self.scopes().filter(|scope| !self.prefixes_at(*scope, network).is_empty()).collect()
    }

    /// Every scope that contains a record, in order.
    pub fn scopes(&self) -> impl Iterator<Item = VrfScope> + '_ {
        self.scopes.keys().copied()
    }

    /// The scopes that contain a record, in order, from one on.
    pub(super) fn scopes_from(&self, first: VrfScope) -> impl Iterator<Item = VrfScope> + '_ {
        self.scopes.range(first..).map(|(scope, _)| *scope)
    }

    /// The records of exactly this host address, by id; more than one if NetBox holds duplicates.
    pub fn addresses_at(&self, scope: VrfScope, host: IpAddr) -> &[Arc<Address>] {
        self.scopes
            .get(&scope)
            .and_then(|index| index.addresses.get(Network::host(host)))
            .map_or(&[], SmallVec::as_slice)
    }

    /// The addresses recorded inside a network, in order of address.
    pub fn addresses_within(&self, scope: VrfScope, network: Network) -> impl Iterator<Item = &Arc<Address>> {
        self.scopes.get(&scope).into_iter().flat_map(move |index| index.addresses.within(network).flatten())
    }

    /// The lowest host from `first` to `last` without a record in a scope; `None` if each has one. It takes no longer where more
    /// are recorded.
    pub fn first_unrecorded(&self, scope: VrfScope, first: IpAddr, last: IpAddr) -> Option<IpAddr> {
        match self.scopes.get(&scope) {
            Some(index) => index.addresses.first_missing_host(first, last),
            None => (first <= last).then_some(first),
        }
    }

    /// The IP ranges that have an address in common with a network.
    pub fn ranges_touching(&self, scope: VrfScope, network: Network) -> impl Iterator<Item = &Arc<IpRange>> {
        self.scopes
            .get(&scope)
            .into_iter()
            .flat_map(move |index| index.ranges.range((network.first(), 0)..))
            .map(|(_, range)| range)
            .filter(move |range| range.start.is_ipv4() == network.is_ipv4() && range.start <= network.last())
    }

    /// The address with this id in NetBox.
    pub fn address(&self, id: AddressId) -> Option<&Arc<Address>> {
        self.addresses.get(&id.0)
    }

    /// Whether this prefix is known as it was at this time, or later.
    pub fn knows_prefix(&self, id: PrefixId, at: Timestamp) -> bool {
        self.prefix(id).is_some_and(|prefix| prefix.revision.instant() >= Some(at))
    }

    /// Whether this address is known as it was at this time, or later.
    pub fn knows_address(&self, id: AddressId, at: Timestamp) -> bool {
        self.address(id).is_some_and(|address| address.revision.instant() >= Some(at))
    }

    /// The ids of all prefixes.
    pub(super) fn prefix_ids(&self) -> impl Iterator<Item = u64> + '_ {
        self.prefixes.keys().copied()
    }

    /// The ids of all addresses.
    pub(super) fn address_ids(&self) -> impl Iterator<Item = u64> + '_ {
        self.addresses.keys().copied()
    }

    /// The prefixes that carry a lease and have a greater id, by id.
    pub fn leased_after(&self, id: PrefixId) -> impl Iterator<Item = &Arc<Prefix>> {
        self.leased
            .range((std::ops::Bound::Excluded(id), std::ops::Bound::Unbounded))
            .map(|(_, prefix)| prefix)
    }

    /// The prefixes that carry a lease, in an order: all of them, or those that come after where `after` is or would be. Visits no
    /// prefix before them.
    pub fn leases<'a>(
        &'a self,
        order: LeaseOrder,
        after: Option<&Prefix>,
    ) -> impl Iterator<Item = &'a Arc<Prefix>> + use<'a> {
        self.lease_orders.list(order, after)
    }

    /// The VRF with this id in NetBox.
    pub fn vrf(&self, id: VrfId) -> Option<&Arc<Vrf>> {
        self.vrfs.get(&id.0)
    }

    /// Every VRF, by id.
    pub fn vrfs(&self) -> impl Iterator<Item = &Arc<Vrf>> {
        self.vrfs.values()
    }

    /// The ids of the VRFs with this name, in order; NetBox allows several.
    pub(super) fn vrfs_named(&self, name: &str) -> &[VrfId] {
        self.vrf_names.named(name)
    }

    /// The ids of the VRFs with this route distinguisher, in order.
    pub(super) fn vrfs_with_rd(&self, rd: &str) -> &[VrfId] {
        self.vrf_names.with_rd(rd)
    }

    /// The VRFs with a greater id, by id.
    pub fn vrfs_after(&self, id: VrfId) -> impl Iterator<Item = &Arc<Vrf>> {
        self.vrfs.range((std::ops::Bound::Excluded(id.0), std::ops::Bound::Unbounded)).map(|(_, vrf)| vrf)
    }

    /// Whether a record belongs to this scope.
    pub fn holds(&self, scope: VrfScope) -> bool {
        self.scopes.get(&scope).is_some_and(|index| {
            !(index.prefixes.is_empty() && index.addresses.is_empty() && index.ranges.is_empty())
        })
    }

    /// The prefixes that carry a lease, by id.
    pub fn leased(&self) -> impl Iterator<Item = &Arc<Prefix>> {
        self.leased.values()
    }

    /// The records that carry the allocation id of a request: the addresses in order of their index, and the prefix.
    pub fn allocated(&self, request: &RequestId) -> (Vec<&Arc<Address>>, Option<&Arc<Prefix>>) {
        let Some(allocated) = self.requests.get(request) else { return (Vec::new(), None) };
        let mut addresses: Vec<_> = allocated.addresses.iter().filter_map(|id| self.address(*id)).collect();
        addresses.sort_by_key(|address| address.allocation.as_ref().map(|id| id.index));
        (addresses, allocated.prefix.and_then(|id| self.prefix(id)))
    }

    /// The number of records of each kind.
    pub fn counts(&self) -> Counts {
        Counts {
            prefixes: self.prefixes.len() as u64,
            addresses: self.addresses.len() as u64,
            ranges: self.ranges.len() as u64,
            vrfs: self.vrfs.len() as u64,
            leases: self.leased.len() as u64,
        }
    }

    /// The ids of the prefixes and of the addresses that mention one of the tenants, roles or tags for which `wanted` is true.
    /// They have to be read again when its name changes. Visits every record.
    pub fn mentioning(&self, wanted: impl Fn(Mention) -> bool) -> (Vec<u64>, Vec<u64>) {
        let prefixes = self
            .prefixes
            .values()
            .filter(|prefix| {
                prefix.tenant.iter().any(|tenant| wanted(Mention::Tenant(tenant.id)))
                    || prefix.role.iter().any(|role| wanted(Mention::Role(role.id)))
                    || prefix.tags.iter().any(|tag| wanted(Mention::Tag(tag.id)))
            })
            .map(|prefix| prefix.id.0)
            .collect();
        let addresses = self
            .addresses
            .values()
            .filter(|address| {
                address.tenant.iter().any(|tenant| wanted(Mention::Tenant(tenant.id)))
                    || address.tags.iter().any(|tag| wanted(Mention::Tag(tag.id)))
            })
            .map(|address| address.id.0)
            .collect();
        (prefixes, addresses)
    }
}

#[cfg(test)]
mod tests;
