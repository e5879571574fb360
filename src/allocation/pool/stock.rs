//! The stock of this process, in memory. The ledger decides who gets what; this says what is worth asking it for.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;

use super::plan::Demand;
use crate::ledger::{PoolAddress, StockClaim};
use crate::model::{Address, PrefixId};

/// So long after a request a pool counts as being asked.
const JUST_NOW: Duration = Duration::from_secs(3);

/// An address that can be handed out.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) claim: StockClaim,
    pub(super) record: Address,
}

/// The stock of all pools of this process.
#[derive(Debug, Default)]
pub(super) struct Stock {
    free: BTreeMap<PrefixId, BTreeMap<IpAddr, Item>>,
    /// How many addresses fills have reserved, or may have, that are not in stock yet.
    expected: BTreeMap<PrefixId, usize>,
    /// The ids of addresses that are being handed out.
    lent: BTreeSet<u64>,
    /// When somebody asked last.
    asked: BTreeMap<PrefixId, Timestamp>,
    /// Pools that hand nothing out and are not filled, and how many have closed them.
    closed: BTreeMap<PrefixId, usize>,
    /// When the oldest address was handed out of those that NetBox has not refused and that are not complete.
    pub(super) oldest_pending: Option<Timestamp>,
}

impl Stock {
    /// Lends the lowest addresses of a pool that fit, as many as are wanted or none.
    pub(super) fn lend(
        &mut self,
        parent: PrefixId,
        count: u32,
        now: Timestamp,
        fits: impl Fn(&Address) -> bool,
    ) -> Option<Vec<Item>> {
        self.asked.insert(parent, now);
        let hosts: Vec<IpAddr> =
            self.lowest(parent, count, fits)?.iter().map(|record| record.host()).collect();
        let free = self.free.get_mut(&parent)?;
        let lent: Vec<Item> = hosts.iter().filter_map(|host| free.remove(host)).collect();
        self.lent.extend(lent.iter().map(|item| item.record.id.0));
        Some(lent)
    }

    /// The lowest addresses of a pool that fit, as many as are wanted or none.
    pub(super) fn lowest(
        &self,
        parent: PrefixId,
        count: u32,
        fits: impl Fn(&Address) -> bool,
    ) -> Option<Vec<&Address>> {
        if self.closed.contains_key(&parent) {
            return None;
        }
        let count = usize::try_from(count).ok()?;
        let all = self.free.get(&parent)?.values().map(|item| &item.record);
        let fitting: Vec<&Address> = all.filter(|record| fits(record)).take(count).collect();
        (fitting.len() == count).then_some(fitting)
    }

    /// What was lent is in stock again.
    pub(super) fn put_back(&mut self, parent: PrefixId, items: Vec<Item>) {
        for item in items {
            self.lent.remove(&item.record.id.0);
            self.free.entry(parent).or_default().insert(item.record.host(), item);
        }
    }

    /// What was lent is gone.
    pub(super) fn drop_lent(&mut self, items: &[Item]) {
        for item in items {
            self.lent.remove(&item.record.id.0);
        }
    }

    /// The stock as the ledger has it, and what each pool expects. What is being handed out is left out.
    pub(super) fn reload(&mut self, stock: Vec<PoolAddress>, expected: BTreeMap<PrefixId, usize>) {
        self.expected = expected;
        self.free.clear();
        for PoolAddress { record, parent, claim, .. } in stock {
            if !self.lent.contains(&record.id.0) {
                self.free.entry(parent).or_default().insert(record.host(), Item { claim, record });
            }
        }
    }

    /// The addresses of a pool that can be handed out, the lowest first.
    pub(super) fn of(&self, parent: PrefixId) -> Vec<Address> {
        let items = self.free.get(&parent).into_iter().flat_map(BTreeMap::values);
        items.map(|item| item.record.clone()).collect()
    }

    /// The addresses that can be handed out and are wanted.
    pub(super) fn select(&self, wanted: impl Fn(PrefixId, &Address) -> bool) -> Vec<Address> {
        let all =
            self.free.iter().flat_map(|(parent, items)| items.values().map(move |item| (*parent, item)));
        all.filter(|(parent, item)| wanted(*parent, &item.record))
            .map(|(_, item)| item.record.clone())
            .collect()
    }

    /// How many addresses a pool has reserved, or may have, that are not in stock yet.
    pub(super) fn expected(&self, parent: PrefixId) -> usize {
        self.expected.get(&parent).copied().unwrap_or(0)
    }

    /// How many addresses of a pool can be handed out.
    pub(super) fn count(&self, parent: PrefixId) -> usize {
        self.free.get(&parent).map_or(0, BTreeMap::len)
    }

    /// The pools that have stock.
    pub(super) fn parents(&self) -> Vec<PrefixId> {
        self.free.iter().filter(|(_, items)| !items.is_empty()).map(|(parent, _)| *parent).collect()
    }

    /// These addresses cannot be handed out any more.
    pub(super) fn remove(&mut self, addresses: &[Address]) {
        for items in self.free.values_mut() {
            items.retain(|_, item| !addresses.iter().any(|address| address.id == item.record.id));
        }
    }

    /// Whether somebody has asked a pool lately. One that was never asked counts from now.
    pub(super) fn demand(&mut self, parent: PrefixId, now: Timestamp, idle: Duration) -> Demand {
        let asked = *self.asked.entry(parent).or_insert(now);
        let since = Duration::try_from(now.duration_since(asked)).unwrap_or_default();
        if since < JUST_NOW {
            Demand::Now
        } else if since < idle {
            Demand::Lately
        } else {
            Demand::Idle
        }
    }

    pub(super) fn close(&mut self, parent: PrefixId) {
        *self.closed.entry(parent).or_default() += 1;
    }

    pub(super) fn reopen(&mut self, parent: PrefixId) {
        if let Some(count) = self.closed.get_mut(&parent) {
            *count -= 1;
            if *count == 0 {
                self.closed.remove(&parent);
            }
        }
    }

    pub(super) fn is_closed(&self, parent: PrefixId) -> bool {
        self.closed.contains_key(&parent)
    }
}
