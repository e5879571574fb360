//! The pools of this process, and what they share.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::Notify;

use super::plan::{PoolSettings, pooled};
use super::stock::Stock;
use crate::allocation::error::Error;
use crate::allocation::executor::Executor;
use crate::allocation::joined::Joined;
use crate::allocation::ports::PoolEvents;
use crate::ledger::{self, HandOut, PoolStore, Stocked};
use crate::model::{Network, PrefixId, VrfScope};

/// Hand-outs that are stored in one transaction.
const MOST_TOGETHER: usize = 256;

/// The pools of a server.
pub struct Pools {
    pub(super) executor: Arc<Executor>,
    pub(super) store: Arc<dyn PoolStore>,
    pub(super) events: Arc<dyn PoolEvents>,
    pub(super) settings: PoolSettings,
    /// The lock is never held across an await.
    stock: Mutex<Stock>,
    pub(super) hand_outs: Joined<HandOut, Result<Stocked, ledger::Error>>,
    /// Held by a round of upkeep.
    pub(super) round: tokio::sync::Mutex<()>,
    /// Held while records are completed.
    pub(super) completing: tokio::sync::Mutex<()>,
    /// How many fills were begun.
    pub(super) fills: AtomicU64,
    /// Whether the ledger had anything of a pool when a round looked last.
    pub(super) left: AtomicBool,
    /// Told when a round has something to do before its time.
    pub(super) work: Notify,
    /// When the records are tried again that NetBox has refused or failed on, by the id of their address.
    pub(super) try_again: Mutex<BTreeMap<u64, Timestamp>>,
}

/// How a pool stands, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolState {
    pub parent: PrefixId,
    pub scope: VrfScope,
    pub network: Network,
    /// How many addresses it is to hold ahead while it is asked.
    pub size: u32,
    /// How many it can hand out now.
    pub stock: u64,
    /// How many were handed out and have a record in NetBox that does not say so yet, and since when the oldest.
    pub pending: u64,
    pub oldest_pending: Option<Timestamp>,
    /// Why NetBox refuses the record of one that was handed out.
    pub refusal: Option<String>,
}

impl Pools {
    /// Pools without stock: a round finds what the ledger has.
    pub fn new(
        executor: Arc<Executor>,
        store: Arc<dyn PoolStore>,
        events: Arc<dyn PoolEvents>,
        settings: PoolSettings,
    ) -> Self {
        Self {
            executor,
            store,
            events,
            settings,
            stock: Mutex::default(),
            hand_outs: Joined::of(MOST_TOGETHER),
            round: tokio::sync::Mutex::default(),
            completing: tokio::sync::Mutex::default(),
            fills: AtomicU64::new(0),
            left: AtomicBool::new(true),
            work: Notify::new(),
            try_again: Mutex::default(),
        }
    }

    pub(super) fn stock(&self) -> MutexGuard<'_, Stock> {
        self.stock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is a pool, or something that is left of one. Until a round has looked, there may be.
    pub fn has_any(&self) -> bool {
        !self.settings.rules.is_empty() || self.left.load(Ordering::Relaxed)
    }

    /// Has a round look before its time.
    pub(in crate::allocation) fn call_round(&self) {
        self.work.notify_one();
    }

    /// Waits until a round has something to do before its time.
    pub async fn has_work(&self) {
        self.work.notified().await;
    }

    /// How the pools stand that this server has, or has stock of.
    pub async fn states(&self) -> Result<Vec<PoolState>, Error> {
        let index = self.executor.cache.snapshot()?;
        let rules = pooled(&index, &self.settings.rules);
        let incomplete = if self.settings.rules.is_empty() && self.stock().parents().is_empty() {
            Vec::new()
        } else {
            self.store.incomplete().await?
        };
        let mut parents: Vec<PrefixId> = rules.keys().copied().chain(self.stock().parents()).collect();
        parents.extend(incomplete.iter().map(|address| address.parent));
        parents.sort_unstable();
        parents.dedup();
        let state = |parent: PrefixId| {
            let prefix = index.prefix(parent)?;
            let handed_out = || {
                incomplete.iter().filter(move |address| address.parent == parent).filter_map(|address| {
                    match &address.used {
                        ledger::PoolUse::HandedOut(to) => Some(to),
                        ledger::PoolUse::Stock | ledger::PoolUse::Returning => None,
                    }
                })
            };
            Some(PoolState {
                parent,
                scope: prefix.scope,
                network: prefix.network,
                size: rules.get(&parent).map_or(0, |rule| rule.size),
                stock: self.stock().count(parent) as u64,
                pending: handed_out().count() as u64,
                oldest_pending: handed_out().map(|to| to.at).min(),
                refusal: handed_out().find_map(|to| to.refusal.clone()),
            })
        };
        Ok(parents.into_iter().filter_map(state).collect())
    }
}

/// A pool that hands nothing out and is not filled, until this is dropped.
pub(in crate::allocation) struct ClosedPool<'a> {
    pools: &'a Pools,
    parent: PrefixId,
}

impl Pools {
    /// Closes the pool of a prefix, and waits until nothing is filled any more.
    pub(in crate::allocation) async fn close(&self, parent: PrefixId) -> ClosedPool<'_> {
        self.stock().close(parent);
        let closed = ClosedPool { pools: self, parent };
        drop(self.round.lock().await);
        closed
    }
}

impl Drop for ClosedPool<'_> {
    fn drop(&mut self) {
        self.pools.stock().reopen(self.parent);
    }
}
