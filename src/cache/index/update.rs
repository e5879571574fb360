//! Changing an index: inserting, replacing and deleting records in every map that contains them.

use std::sync::Arc;

use super::{Allocated, Index, Slot};
use crate::cache::batch::Batch;
use crate::model::{Address, IpRange, Network, Prefix, RequestId};

impl Index {
    /// Applies a batch. A prefix or address with an earlier revision than the one in the index is ignored, because NetBox's answers may
    /// arrive in another order than the questions were asked.
    pub fn apply(&mut self, batch: &Batch) {
        for vrf in &batch.vrfs {
            self.drop_vrf(vrf.id.0);
            self.vrf_names.insert(vrf);
            self.vrfs.insert(vrf.id.0, Arc::new(vrf.clone()));
        }
        for id in &batch.deleted_vrfs {
            self.drop_vrf(*id);
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
        for id in &batch.deleted_prefixes {
            self.drop_prefix(*id);
        }
        for id in &batch.deleted_addresses {
            self.drop_address(*id);
        }
        for id in &batch.deleted_ranges {
            self.drop_range(*id);
        }
    }

    fn drop_vrf(&mut self, id: u64) {
        if let Some(vrf) = self.vrfs.remove(&id) {
            self.vrf_names.remove(&vrf);
        }
    }

    fn put_prefix(&mut self, prefix: &Prefix) {
        if self.prefixes.get(&prefix.id.0).is_some_and(|held| held.revision > prefix.revision) {
            return;
        }
        self.drop_prefix(prefix.id.0);
        let prefix = Arc::new(prefix.clone());
        let scope = self.scopes.entry(prefix.scope).or_default();
        scope.prefixes.update(prefix.network, |slot| insert(slot, &prefix, |held| held.id.0));
        if prefix.lease.is_some() {
            self.leased.insert(prefix.id, prefix.clone());
            self.lease_orders.insert(&prefix);
        }
        if let Some(id) = &prefix.allocation {
            self.requests.entry(id.request.clone()).or_default().prefix = Some(prefix.id);
        }
        self.prefixes.insert(prefix.id.0, prefix);
    }

    fn drop_prefix(&mut self, id: u64) {
        let Some(prefix) = self.prefixes.remove(&id) else { return };
        if self.leased.remove(&prefix.id).is_some() {
            self.lease_orders.remove(&prefix);
        }
        if let Some(scope) = self.scopes.get_mut(&prefix.scope) {
            scope.prefixes.update(prefix.network, |slot| remove(slot, |held| held.id.0 == id));
        }
        self.forget(prefix.allocation.as_ref().map(|id| &id.request), |allocated| allocated.prefix = None);
    }

    fn put_address(&mut self, address: &Address) {
        if self.addresses.get(&address.id.0).is_some_and(|held| held.revision > address.revision) {
            return;
        }
        self.drop_address(address.id.0);
        let address = Arc::new(address.clone());
        let scope = self.scopes.entry(address.scope).or_default();
        scope
            .addresses
            .update(Network::host(address.host()), |slot| insert(slot, &address, |held| held.id.0));
        if let Some(id) = &address.allocation {
            self.requests.entry(id.request.clone()).or_default().addresses.push(address.id);
        }
        self.addresses.insert(address.id.0, address);
    }

    fn drop_address(&mut self, id: u64) {
        let Some(address) = self.addresses.remove(&id) else { return };
        if let Some(scope) = self.scopes.get_mut(&address.scope) {
            scope
                .addresses
                .update(Network::host(address.host()), |slot| remove(slot, |held| held.id.0 == id));
        }
        self.forget(address.allocation.as_ref().map(|id| &id.request), |allocated| {
            allocated.addresses.retain(|held| held.0 != id);
        });
    }

    /// Removes a record from those that a request has allocated.
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
        let scope = self.scopes.entry(range.scope).or_default();
        scope.ranges.insert((range.end, range.id.0), range.clone());
        self.ranges.insert(range.id.0, range);
    }

    fn drop_range(&mut self, id: u64) {
        let Some(range) = self.ranges.remove(&id) else { return };
        if let Some(scope) = self.scopes.get_mut(&range.scope) {
            scope.ranges.remove(&(range.end, id));
        }
    }
}

/// Inserts a record and keeps the order by id.
fn insert<T>(slot: &mut Option<Slot<T>>, record: &Arc<T>, id: impl Fn(&T) -> u64) {
    let records = slot.get_or_insert_default();
    let at = records.partition_point(|held| id(held) < id(record));
    records.insert(at, record.clone());
}

/// Removes a record, and the slot with its last record.
fn remove<T>(slot: &mut Option<Slot<T>>, deleted: impl Fn(&T) -> bool) {
    if let Some(records) = slot {
        records.retain(|held| !deleted(held));
        if records.is_empty() {
            *slot = None;
        }
    }
}
