//! Brings the cache up to date with NetBox's change log, between two polls of the sync.
//!
//! The log is read from a little before the newest entry that is known, since ids of entries can commit out of order. What was
//! covered before is not read again. The position of the sync is not moved. Writes that wait for it at the same time share one read,
//! which begins after each of them has asked.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::Mutex;

use super::error::Error;
use super::joined::{GroupLost, Joined, Member};
use super::ports::{ChangesWanted, NetBoxPort, RecordCache};
use crate::cache::{self, Batch};
use crate::model::VrfScope;
use crate::netbox::{self, ObjectKind};

/// How far back the log is read. An entry that commits later than this many others is seen by the next poll only.
const OVERLAP: u64 = 100;
/// Writes that share one read.
const MOST_TOGETHER: usize = 256;

/// What a write wants to know of.
#[derive(Default)]
pub(super) struct Wanted {
    /// The kinds of records that have changed.
    pub(super) kinds: Vec<ObjectKind>,
    /// Records that the write has just written itself; they are not read again.
    pub(super) own: Vec<(ObjectKind, u64)>,
    /// Addresses whose records are read whatever the log says.
    pub(super) hosts: Option<(VrfScope, Vec<IpAddr>)>,
}

impl Wanted {
    /// Every record of these kinds that has changed.
    pub(super) fn changes(kinds: &[ObjectKind]) -> Self {
        Self { kinds: kinds.to_vec(), ..Self::default() }
    }
}

/// Why the cache could not be brought up to date. Each of those that wait is told.
#[derive(Clone)]
enum Failed {
    NetBox(netbox::Error),
    Cache(Arc<cache::Error>),
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
#[derive(Default)]
struct Covered {
    entries: BTreeSet<u64>,
    latest: u64,
}

impl CatchUp {
    pub(super) fn new(netbox: Arc<dyn NetBoxPort>, cache: Arc<dyn RecordCache>) -> Self {
        let read = Arc::new(Read { netbox, cache, covered: Mutex::default() });
        Self { read, joined: Joined::of(MOST_TOGETHER) }
    }

    /// Reads what changed since the last time into the cache.
    pub(super) async fn run(&self, wanted: Wanted) -> Result<(), Error> {
        let together = |members| self.read.clone().together(members);
        let done = self.joined.call(wanted, together).await.map_err(|GroupLost| Error::TaskLost)?;
        Ok(done?)
    }
}

impl Read {
    async fn together(self: Arc<Self>, members: Vec<Member<Wanted, Result<(), Failed>>>) {
        let wanted: Vec<&Wanted> = members.iter().map(|member| &member.item).collect();
        let done = self.read(&wanted).await;
        for member in members {
            member.answer(done.clone());
        }
    }

    async fn read(&self, wanted: &[&Wanted]) -> Result<(), Failed> {
        let mut hosts: BTreeMap<VrfScope, Vec<IpAddr>> = BTreeMap::new();
        for (scope, of_scope) in wanted.iter().filter_map(|wanted| wanted.hosts.as_ref()) {
            hosts.entry(*scope).or_default().extend(of_scope);
        }
        let reading = self.cache.begin_reading();
        let recorded = async {
            let mut found = Vec::new();
            for (scope, hosts) in hosts {
                found.extend(self.netbox.addresses_at(scope, &hosts).await?);
            }
            Ok(found)
        };
        let (changed, recorded) = tokio::join!(self.changes(wanted), recorded);
        changed?;
        let recorded: Result<_, netbox::Error> = recorded;
        Ok(self.cache.apply(Batch::from(recorded?).read_during(reading)).await?)
    }

    async fn changes(&self, wanted: &[&Wanted]) -> Result<(), Failed> {
        let mut kinds: Vec<ObjectKind> =
            wanted.iter().flat_map(|wanted| wanted.kinds.iter().copied()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        let own: Vec<(ObjectKind, u64)> =
            wanted.iter().flat_map(|wanted| wanted.own.iter().copied()).collect();
        let mut state = self.covered.lock().await;
        let from = state.latest.max(self.cache.position().await).saturating_sub(OVERLAP);
        state.entries = state.entries.split_off(&from);
        let wanted = ChangesWanted { from, covered: &state.entries, kinds: &kinds, own: &own };
        let reading = self.cache.begin_reading();
        let changed = self.netbox.changed(wanted).await?;
        if !changed.batch.is_empty() {
            self.cache.apply(changed.batch.read_during(reading)).await?;
        }
        state.entries.extend(changed.entries);
        state.latest = state.latest.max(changed.latest);
        Ok(())
    }
}
