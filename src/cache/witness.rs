//! Who is told of every change, before readers see it.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use super::batch::Batch;
use super::index::Index;
use super::store::Error;
use crate::model::{Address, AddressId, Change, Prefix, PrefixId};

/// How one snapshot differs from the next.
#[derive(Clone, Debug, Default)]
pub struct Differences {
    /// Prefixes that came, changed or went; with when they went, if that is known.
    pub prefixes: Vec<(Change<Prefix>, Option<Timestamp>)>,
    /// The same of addresses.
    pub addresses: Vec<(Change<Address>, Option<Timestamp>)>,
}

/// Is told of every change before readers see it. If it cannot take a change up, the change is not made, and is found
/// again by the next poll: nothing is ever served that the log does not hold.
#[async_trait]
pub trait Witness: Send + Sync {
    /// Takes changes up.
    async fn differences(&self, differences: Differences) -> Result<(), Error>;

    /// The first generation is about to be served: what changed before is not known.
    async fn baseline(&self) -> Result<(), Error>;
}

/// A witness that looks away: for a cache whose changes nobody asks about.
#[derive(Clone, Copy, Debug)]
pub struct Nobody;

#[async_trait]
impl Witness for Nobody {
    async fn differences(&self, _: Differences) -> Result<(), Error> {
        Ok(())
    }

    async fn baseline(&self) -> Result<(), Error> {
        Ok(())
    }
}

impl Differences {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.prefixes.is_empty() && self.addresses.is_empty()
    }

    /// What a batch changes.
    pub(super) fn of_batch(old: &Index, new: &Index, batch: &Batch) -> Self {
        let prefixes: BTreeSet<u64> =
            batch.prefixes.iter().map(|row| row.id.0).chain(batch.gone_prefixes.iter().copied()).collect();
        let addresses: BTreeSet<u64> =
            batch.addresses.iter().map(|row| row.id.0).chain(batch.gone_addresses.iter().copied()).collect();
        let mut found = Self::default();
        for id in prefixes {
            found.prefix(old, new, id, batch.prefix_gone_at.get(&id).copied());
        }
        for id in addresses {
            found.address(old, new, id, batch.address_gone_at.get(&id).copied());
        }
        found
    }

    /// What one generation has that another has not, and the other way round.
    pub(super) fn between(old: &Index, new: &Index) -> Self {
        let mut found = Self::default();
        let prefixes: BTreeSet<u64> = old.prefix_ids().chain(new.prefix_ids()).collect();
        for id in prefixes {
            found.prefix(old, new, id, None);
        }
        let addresses: BTreeSet<u64> = old.address_ids().chain(new.address_ids()).collect();
        for id in addresses {
            found.address(old, new, id, None);
        }
        found
    }

    fn prefix(&mut self, old: &Index, new: &Index, id: u64, gone: Option<Timestamp>) {
        let (before, after) = (old.prefix(PrefixId(id)), new.prefix(PrefixId(id)));
        if let Some(change) = change(before, after) {
            self.prefixes.push((change, gone));
        }
    }

    fn address(&mut self, old: &Index, new: &Index, id: u64, gone: Option<Timestamp>) {
        let (before, after) = (old.address(AddressId(id)), new.address(AddressId(id)));
        if let Some(change) = change(before, after) {
            self.addresses.push((change, gone));
        }
    }
}

fn change<T: PartialEq>(before: Option<&Arc<T>>, after: Option<&Arc<T>>) -> Option<Change<T>> {
    let same = match (before, after) {
        (Some(before), Some(after)) => Arc::ptr_eq(before, after) || before == after,
        (None, None) => true,
        _ => false,
    };
    (!same).then(|| Change { before: before.cloned(), after: after.cloned() })
}
