//! Other people, who write to NetBox themselves. They look before they write, as NetBox's own checks make them, and so never take
//! what somebody holds at that moment.

use ipnet::IpNet;
use leasehold::model::{Network, Prefix, PrefixId, RequestId, VrfScope};

use super::world::World;

impl World {
    /// Records an address, if it is free at that moment.
    pub fn others_record(&self, scope: VrfScope, interface: IpNet) {
        let now = self.millis();
        let mut records = self.lock();
        let host = interface.addr();
        let free = !records.addresses.values().any(|a| a.scope == scope && a.host() == host);
        let allocated = records
            .prefixes
            .values()
            .any(|p| p.scope == scope && p.allocation.is_some() && p.network.contains_address(host));
        if free && !allocated && !records.in_range(scope, host, host) {
            records.put_address(interface, scope, None, None, now);
        }
    }

    /// Makes a child prefix, if its space is free at that moment.
    pub fn others_make_prefix(&self, scope: VrfScope, network: Network, parent: Network) {
        let now = self.millis();
        let mut records = self.lock();
        if records.is_free(scope, network, parent) {
            let id = records.next_id();
            records.put_prefix(None, Prefix::bare(PrefixId(id), network, scope), None, now);
        }
    }

    /// Makes an IP range that counts as populated, if its space is free at that moment.
    pub fn others_make_range(&self, scope: VrfScope, network: Network, parent: Network) {
        let now = self.millis();
        let mut records = self.lock();
        if records.is_free(scope, network, parent) {
            records.put_range(scope, network.first(), network.last(), now);
        }
    }

    /// Deletes an address, a child prefix or a range, whoever made it.
    pub fn others_delete(&self, nth: u64, parent: Network) {
        let now = self.millis();
        let mut records = self.lock();
        let children = records.prefixes.values().filter(|prefix| parent.contains(prefix.network));
        let children = children.filter(|prefix| prefix.network != parent).map(|prefix| prefix.id.0);
        let ids: Vec<u64> =
            records.addresses.keys().chain(records.ranges.keys()).copied().chain(children).collect();
        let Some(id) = ids.get(usize::try_from(nth).unwrap() % ids.len().max(1)).copied() else { return };
        let of_address = records.addresses.get(&id).and_then(|address| address.allocation.clone());
        let of_prefix = records.prefixes.get(&id).and_then(|prefix| prefix.allocation.clone());
        let requests = of_address.into_iter().chain(of_prefix).map(|allocation| allocation.request);
        records.requests_cut_by_others.extend(requests);
        records.drop_address(id, None, now);
        records.drop_prefix(id, None, now);
        records.drop_range(id, now);
        records.deleted_by_others.push(id);
    }

    /// Edits the block, so that whoever has read it before has an old version.
    pub fn others_edit_block(&self, network: Network, nth: u64) {
        let now = self.millis();
        let mut records = self.lock();
        let Some(before) = records.prefixes.values().find(|prefix| prefix.network == network).cloned() else {
            return;
        };
        let after = Prefix { description: format!("edited {nth}"), ..before.clone() };
        records.put_prefix(Some(before), after, None, now);
    }

    /// Removes the allocation id of an address whose caller has been answered.
    pub fn others_forget_allocation(&self, answered: &[RequestId]) {
        let now = self.millis();
        let mut records = self.lock();
        let known = |allocation: &leasehold::model::AllocationId| answered.contains(&allocation.request);
        let mut held = records.addresses.values().filter(|a| a.allocation.as_ref().is_some_and(known));
        if let Some(id) = held.next().map(|address| address.id.0) {
            records.edit_address(id, |address| address.allocation = None, now);
        }
    }

    /// Ends the lease of the block by hand, if nothing stands in it at that moment.
    pub fn others_end(&self, network: Network) {
        let now = self.millis();
        let mut records = self.lock();
        let Some(before) = records.prefixes.values().find(|prefix| prefix.network == network).cloned() else {
            return;
        };
        let scope = before.scope;
        let addresses = records.addresses.values().any(|address| address.scope == scope);
        let inside = |prefix: &&Prefix| network.contains(prefix.network) && prefix.network != network;
        if before.lease.is_some() && !addresses && !records.prefixes.values().any(|prefix| inside(&prefix)) {
            let after = Prefix { status: "deprecated".to_owned(), lease: None, ..before.clone() };
            records.put_prefix(Some(before), after, None, now);
            records.ended_by_others = Some(now);
        }
    }
}

impl super::world::Records {
    /// Whether nothing stands in a network inside a parent, nor around it below the parent.
    fn is_free(&self, scope: VrfScope, network: Network, parent: Network) -> bool {
        let used = self
            .addresses
            .values()
            .any(|address| address.scope == scope && network.contains_address(address.host()));
        let overlaps = self.prefixes.values().any(|prefix| {
            prefix.scope == scope && prefix.network != parent && prefix.network.overlaps(network)
        });
        !used && !overlaps && !self.in_range(scope, network.first(), network.last())
    }
}
