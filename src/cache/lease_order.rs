//! The orders in which leases can be listed. They are kept with every change, so that no list has to sort.

use std::iter;
use std::ops::Bound;
use std::sync::Arc;

use imbl::OrdMap;
use jiff::civil::Date;

use crate::model::{Network, Prefix, PrefixId, VrfScope};

/// What leases are ordered by. Leases with equal keys are ordered by the id of their prefix, in both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LeaseSortKey {
    /// The last day; leases without one come last in both directions.
    #[default]
    Expiry,
    /// The owner; leases without one come last in both directions.
    Owner,
    /// The scope, then the network.
    Prefix,
}

/// The order of a list of leases: by last day, the earliest first, unless said otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeaseOrder {
    pub key: LeaseSortKey,
    pub descending: bool,
}

/// Where a prefix without the value comes: after every value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place<V> {
    At(V),
    Missing,
}

impl<V> From<Option<V>> for Place<V> {
    fn from(value: Option<V>) -> Self {
        value.map_or(Self::Missing, Self::At)
    }
}

/// The position of a prefix: its value, and its id among those of the same value. NetBox gives no record the id 0.
type Position<V> = (Place<V>, PrefixId);

/// Prefixes in the order of one value.
#[derive(Clone, Debug)]
struct Ordered<V: Ord>(OrdMap<Position<V>, Arc<Prefix>>);

impl<V: Ord> Default for Ordered<V> {
    fn default() -> Self {
        Self(OrdMap::default())
    }
}

impl<V: Ord + Clone> Ordered<V> {
    fn ascending(&self, after: Option<Position<V>>) -> impl Iterator<Item = &Arc<Prefix>> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.0.range((from, Bound::Unbounded)).map(|(_, prefix)| prefix)
    }

    /// The greatest value first; prefixes of one value by id, and those without it last.
    fn descending(&self, after: Option<Position<V>>) -> impl Iterator<Item = &Arc<Prefix>> {
        let missing = (Place::Missing, PrefixId(0));
        let (missing_from, before, resumed) = match after {
            None => (missing.clone(), missing, None),
            Some((Place::Missing, id)) => {
                let smallest = self.0.get_min().map_or(missing, |(first, _)| first.clone());
                ((Place::Missing, id), smallest, None)
            }
            Some((value, id)) => {
                let first = (value.clone(), PrefixId(0));
                let rest =
                    (Bound::Excluded((value.clone(), id)), Bound::Included((value, PrefixId(u64::MAX))));
                (missing, first, Some(self.0.range(rest)))
            }
        };
        let without = self.0.range((Bound::Excluded(missing_from), Bound::Unbounded));
        let mut same_value = resumed;
        let mut back = self.0.range(..before).rev().peekable();
        let with = iter::from_fn(move || {
            if let Some(found) = same_value.as_mut().and_then(Iterator::next) {
                return Some(found);
            }
            let found = back.next()?;
            let ((value, _), _) = found;
            if back.peek().is_none_or(|((other, _), _)| other != value) {
                return Some(found);
            }
            // Several prefixes have this value. They are walked forward, and the walk back goes on before them.
            let first = (value.clone(), PrefixId(0));
            back = self.0.range(..first.clone()).rev().peekable();
            let mut forward = self.0.range(first..=(value.clone(), PrefixId(u64::MAX)));
            let found = forward.next();
            same_value = Some(forward);
            found
        });
        with.chain(without).map(|(_, prefix)| prefix)
    }

    fn list<'a>(
        &'a self,
        descending: bool,
        after: Option<Position<V>>,
    ) -> Box<dyn Iterator<Item = &'a Arc<Prefix>> + 'a> {
        if descending { Box::new(self.descending(after)) } else { Box::new(self.ascending(after)) }
    }
}

/// The prefixes that carry a lease, in each order. All maps hold the same prefixes.
#[derive(Clone, Debug, Default)]
pub(super) struct LeaseOrders {
    expiries: Ordered<Date>,
    /// The prefixes of one owner share its text.
    owners: Ordered<Arc<str>>,
    prefixes: Ordered<(VrfScope, Network)>,
}

fn expiry_position(prefix: &Prefix) -> Position<Date> {
    (prefix.lease.as_ref().and_then(|lease| lease.term.expiry).into(), prefix.id)
}

fn owner_position(prefix: &Prefix) -> Position<Arc<str>> {
    (prefix.lease.as_ref().and_then(|lease| lease.owner.as_deref()).map(Arc::from).into(), prefix.id)
}

fn prefix_position(prefix: &Prefix) -> Position<(VrfScope, Network)> {
    (Place::At((prefix.scope, prefix.network)), prefix.id)
}

impl LeaseOrders {
    /// Adds a prefix that carries a lease.
    pub(super) fn insert(&mut self, prefix: &Arc<Prefix>) {
        self.expiries.0.insert(expiry_position(prefix), prefix.clone());
        let owner = self.shared_owner(owner_position(prefix));
        self.owners.0.insert(owner, prefix.clone());
        self.prefixes.0.insert(prefix_position(prefix), prefix.clone());
    }

    /// Removes a prefix exactly as it was inserted.
    pub(super) fn remove(&mut self, prefix: &Prefix) {
        self.expiries.0.remove(&expiry_position(prefix));
        self.owners.0.remove(&owner_position(prefix));
        self.prefixes.0.remove(&prefix_position(prefix));
    }

    /// The same position with the text that other prefixes of the owner hold already.
    fn shared_owner(&self, (owner, id): Position<Arc<str>>) -> Position<Arc<str>> {
        let first = self.owners.0.range((owner.clone(), PrefixId(0))..).next();
        let held = first.map(|((held, _), _)| held).filter(|held| **held == owner).cloned();
        (held.unwrap_or(owner), id)
    }

    /// The prefixes in an order: all of them, or those that come after where `after` is or would be.
    pub(super) fn list<'a>(
        &'a self,
        order: LeaseOrder,
        after: Option<&Prefix>,
    ) -> Box<dyn Iterator<Item = &'a Arc<Prefix>> + 'a> {
        let LeaseOrder { key, descending } = order;
        match key {
            LeaseSortKey::Expiry => self.expiries.list(descending, after.map(expiry_position)),
            LeaseSortKey::Owner => self.owners.list(descending, after.map(owner_position)),
            LeaseSortKey::Prefix => self.prefixes.list(descending, after.map(prefix_position)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use super::*;
    use crate::cache::batch::Batch;
    use crate::cache::index::Index;
    use crate::model::{Lease, Term, VrfId};
    use jiff::civil::date;
    use proptest::prelude::*;

    /// The order by its definition: which of two leases comes first.
    fn compare(a: &Prefix, b: &Prefix, order: LeaseOrder) -> Ordering {
        fn missing_last<V: Ord>(a: Option<V>, b: Option<V>, descending: bool) -> Ordering {
            match (a, b) {
                (Some(a), Some(b)) if descending => b.cmp(&a),
                (Some(a), Some(b)) => a.cmp(&b),
                (a, b) => a.is_none().cmp(&b.is_none()),
            }
        }
        let lease = |prefix: &Prefix| prefix.lease.as_deref().unwrap().clone();
        let by_key = match order.key {
            LeaseSortKey::Expiry => {
                missing_last(lease(a).term.expiry, lease(b).term.expiry, order.descending)
            }
            LeaseSortKey::Owner => missing_last(lease(a).owner, lease(b).owner, order.descending),
            LeaseSortKey::Prefix => {
                missing_last(Some((a.scope, a.network)), Some((b.scope, b.network)), order.descending)
            }
        };
        by_key.then(a.id.cmp(&b.id))
    }

    fn orders() -> impl Iterator<Item = LeaseOrder> {
        let keys = [LeaseSortKey::Expiry, LeaseSortKey::Owner, LeaseSortKey::Prefix];
        let both = |key| [false, true].map(|descending| LeaseOrder { key, descending });
        keys.into_iter().flat_map(both)
    }

    /// A prefix out of few, so that records are replaced, lose their lease and have values in common.
    fn record() -> impl Strategy<Value = Prefix> {
        let owner = prop::option::of(prop::sample::select(vec!["ACME-LIR", "OTHER-LIR", "Ä-LIR"]));
        let expiry = prop::option::of(1i8..4);
        let vrf = prop::option::of(1u64..3);
        let network =
            prop::sample::select(vec!["203.0.113.0/24", "203.0.113.0/25", "2001:db8::/32", "10.0.0.0/8"]);
        (1u64..12, owner, expiry, vrf, network, any::<bool>()).prop_map(
            |(id, owner, day, vrf, network, leased)| {
                let term = Term { expiry: day.map(|day| date(2027, 6, day)), ..Term::default() };
                let lease = Lease { owner: owner.map(str::to_owned), term, ..Lease::default() };
                let scope = vrf.map_or(VrfScope::Global, |id| VrfScope::Vrf(VrfId(id)));
                Prefix {
                    lease: leased.then(|| Box::new(lease)),
                    ..Prefix::bare(PrefixId(id), network.parse().unwrap(), scope)
                }
            },
        )
    }

    fn change() -> impl Strategy<Value = Batch> {
        prop_oneof![
            3 => prop::collection::vec(record(), 1..6).prop_map(Batch::from),
            1 => (1u64..12).prop_map(|id| Batch { deleted_prefixes: vec![id], ..Batch::default() }),
        ]
    }

    fn ids<'a>(rows: impl IntoIterator<Item = &'a Arc<Prefix>>) -> Vec<u64> {
        rows.into_iter().map(|row| row.id.0).collect()
    }

    proptest! {
        #[test]
        fn after_any_changes_a_list_is_in_its_order_and_goes_on_from_every_place(
            changes in prop::collection::vec(change(), 0..12),
            place in record(),
        ) {
            let mut index = Index::default();
            for change in &changes {
                index.apply(change);
            }
            let place = Prefix { lease: Some(place.lease.clone().unwrap_or_default()), ..place };
            for order in orders() {
                let mut expected: Vec<Arc<Prefix>> = index.leased().cloned().collect();
                expected.sort_by(|a, b| compare(a, b, order));
                prop_assert_eq!(ids(index.leases(order, None)), ids(&expected), "{:?}", order);
                // From a row of the list, and from a place where there need not be one.
                for after in expected.iter().map(|row| &**row).chain([&place]) {
                    let rest = expected.iter().filter(|row| compare(row, after, order) == Ordering::Greater);
                    prop_assert_eq!(ids(index.leases(order, Some(after))), ids(rest), "{:?} after {:?}", order, after);
                }
            }
        }
    }

    #[test]
    fn the_prefixes_of_one_owner_share_its_text() {
        let leased = |id, owner: &str| Prefix {
            lease: Some(Box::new(Lease { owner: Some(owner.to_owned()), ..Lease::default() })),
            ..Prefix::bare(PrefixId(id), "203.0.113.0/24".parse().unwrap(), VrfScope::Global)
        };
        let mut orders = LeaseOrders::default();
        for (id, owner) in [(5, "ACME-LIR"), (2, "OTHER-LIR"), (3, "ACME-LIR"), (9, "ACME-LIR")] {
            orders.insert(&Arc::new(leased(id, owner)));
        }
        let mut texts: Vec<*const u8> = Vec::new();
        for (place, _) in orders.owners.0.keys() {
            let Place::At(owner) = place else { panic!("every prefix has an owner") };
            texts.push(owner.as_ptr());
        }
        texts.dedup();
        assert_eq!(texts.len(), 2);
    }
}
