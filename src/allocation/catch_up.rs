//! Brings the cache up to date with NetBox's change log, between two polls of the sync.
//!
//! Ids of entries can commit out of order, so the log is read from the first id that was never seen, a little before the newest one at
//! the most. What was covered before is not read again. The position of the sync is not moved. Writes that wait for it at the same time
//! share one read, which begins after each of them has asked.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::Mutex;

use super::error::Error;
use super::joined::{GroupLost, Joined};
use super::ports::{ChangesWanted, NetBoxPort, RecordCache};
use crate::cache::{self, Batch, NotReady};
use crate::model::{Address, VrfScope};
use crate::netbox::{self, ObjectKind};

/// How far back the log is read. An entry that commits later than this many others is seen by the next poll only.
const OVERLAP: u64 = 100;
/// Writes that share one read.
const MOST_TOGETHER: usize = 256;

/// What a write wants to know of, besides everything that has changed.
#[derive(Default)]
pub(super) struct Wanted {
    /// Records that the write has just written itself; they are not read again.
    pub(super) own: Vec<(ObjectKind, u64)>,
    /// Addresses whose records are read whatever the log says.
    pub(super) hosts: Option<(VrfScope, Vec<IpAddr>)>,
}

/// Why the cache could not be brought up to date. Each of those that wait is told.
#[derive(Clone)]
enum Failed {
    NetBox(netbox::Error),
    Cache(Arc<cache::Error>),
    NotReady(NotReady),
}

impl From<NotReady> for Failed {
    fn from(error: NotReady) -> Self {
        Self::NotReady(error)
    }
}

impl From<netbox::Error> for Failed {
    fn from(error: netbox::Error) -> Self {
        Self::NetBox(error)
    }
}

impl From<cache::Error> for Failed {
    fn from(error: cache::Error) -> Self {
        Self::Cache(Arc::new(error))
    }
}

impl From<Failed> for Error {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::NetBox(error) => Self::NetBox(error),
            Failed::Cache(error) => Self::Cache(error),
            Failed::NotReady(error) => Self::NotReady(error),
        }
    }
}

/// Brings the cache up to date, for those that wait together at once.
pub(super) struct CatchUp {
    read: Arc<Read>,
    joined: Joined<Wanted, Result<(), Failed>>,
}

/// What a read needs.
struct Read {
    netbox: Arc<dyn NetBoxPort>,
    cache: Arc<dyn RecordCache>,
    covered: Mutex<Covered>,
}

/// The entries of the change log that this server has covered besides its polls.
#[derive(Debug, Default)]
struct Covered {
    /// Those of the last [`OVERLAP`] ids.
    entries: BTreeSet<u64>,
    latest: u64,
}

impl Covered {
    /// The first id that may have been missed: one that has not appeared among the last ids before `known`, or the next one. `known` is
    /// an id that exists.
    fn first_missing(&self, known: u64) -> u64 {
        let latest = self.latest.max(known);
        let first = latest.saturating_sub(OVERLAP);
        (first..=latest).find(|id| !self.entries.contains(id)).unwrap_or_else(|| latest.saturating_add(1))
    }

    /// These entries are covered, and nothing is kept of those before the last ids.
    fn add(&mut self, entries: BTreeSet<u64>) {
        self.latest = entries.last().copied().unwrap_or_default().max(self.latest);
        self.entries.extend(entries);
        self.entries = self.entries.split_off(&self.latest.saturating_sub(OVERLAP));
    }
}

impl CatchUp {
    pub(super) fn new(netbox: Arc<dyn NetBoxPort>, cache: Arc<dyn RecordCache>) -> Self {
        let read = Arc::new(Read { netbox, cache, covered: Mutex::default() });
        Self { read, joined: Joined::of(MOST_TOGETHER) }
    }

    /// Reads what changed since the last time into the cache.
    pub(super) async fn run(&self, wanted: Wanted) -> Result<(), Error> {
        let together = |wanted| self.read.clone().together(wanted);
        let done = self.joined.call_all(wanted, together).await.map_err(|GroupLost| Error::TaskLost)?;
        Ok(done?)
    }
}

impl Read {
    async fn together(self: Arc<Self>, wanted: Vec<Wanted>) -> Vec<Result<(), Failed>> {
        let done = self.read(&wanted).await;
        vec![done; wanted.len()]
    }

    async fn read(&self, wanted: &[Wanted]) -> Result<(), Failed> {
        let own: Vec<(ObjectKind, u64)> =
            wanted.iter().flat_map(|wanted| wanted.own.iter().copied()).collect();
        let mut covered = self.covered.lock().await;
        let from = covered.first_missing(self.cache.position().await);
        let (reading, index) = (self.cache.begin_reading(), self.cache.snapshot()?);
        let changes = ChangesWanted { from, covered: &covered.entries, index: &index, own: &own };
        let (changed, recorded) = tokio::try_join!(self.netbox.changed(changes), self.recorded(wanted))?;
        let batch = changed.batch.and(Batch::from(recorded));
        if !batch.is_empty() {
            self.cache.apply(batch.read_during(reading)).await?;
        }
        covered.add(changed.entries);
        Ok(())
    }

    /// The records of the hosts that are wanted, each scope asked once.
    async fn recorded(&self, wanted: &[Wanted]) -> netbox::NetBoxResult<Vec<Address>> {
        let mut hosts: BTreeMap<VrfScope, Vec<IpAddr>> = BTreeMap::new();
        for (scope, of_scope) in wanted.iter().filter_map(|wanted| wanted.hosts.as_ref()) {
            hosts.entry(*scope).or_default().extend(of_scope);
        }
        let mut found = Vec::new();
        for (scope, hosts) in hosts {
            found.extend(self.netbox.addresses_at(scope, &hosts).await?);
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_read_from_the_first_id_that_was_never_seen() {
        let mut covered = Covered::default();
        assert_eq!(covered.first_missing(500), 400);
        covered.add((400..=501).collect());
        assert_eq!(covered.first_missing(500), 502);
        // An entry that commits late, or never.
        covered.add([502, 504, 505].into());
        assert_eq!(covered.first_missing(505), 503);
        covered.add([503].into());
        assert_eq!(covered.first_missing(505), 506);
        covered.add((507..=700).collect());
        // The gap at 506 is farther back than late entries are waited for.
        assert_eq!(covered.first_missing(700), 701);
        assert_eq!(covered.entries.len(), 101);
        // The sync has gone on; what it has read is read once more.
        assert_eq!(covered.first_missing(703), 701);
    }
}
