//! The cache of one NetBox: a snapshot for readers, and one writer that replaces it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::{ArcSwap, Guard};
use jiff::Timestamp;
use tokio::sync::Mutex;

use super::batch::Batch;
use super::building::Building;
use super::commit_hook::{CommitHook, NoHook};
use super::deletions::{Deletions, Reading};
use super::differences::Differences;
use super::error::Error;
use super::freshness::Freshness;
use super::handed_out::HandedOut;
use super::index::{Counts, Index};
use super::position::Position;
use super::store::{Opened, Store, StoreIdentity, StoredCache};
use crate::clock::Clock;

/// The cache of one NetBox. Readers take snapshots and never wait; changes are made one after another.
pub struct Cache {
    /// The snapshot that readers see. It is replaced as a whole by whoever holds `writer`, and never changed in place.
    current: ArcSwap<Index>,
    freshness: Freshness,
    /// Held while a change is made. Under this lock, the commit hook and writes to the cache file are awaited; NetBox is not.
    writer: Mutex<Writer>,
    /// Whether there is a generation to serve. Before that, an empty answer would look like an empty NetBox. Set at most once, by
    /// whoever holds `writer`, after `current`.
    ready: AtomicBool,
    commit_hook: Arc<dyn CommitHook>,
    deletions: Deletions,
    handed_out: HandedOut,
}

struct Writer {
    store: Store,
    /// The generation in service; `None` before the first full pass has finished.
    generation: Option<u64>,
    /// The position in the change log up to which the generation in service is complete.
    position: Option<Position>,
    /// The next generation; `None` while no full pass is running.
    building: Option<Building>,
}

impl Cache {
    /// Opens the cache file and loads its content. The clock dates the new name of a file that has to be set aside.
    pub async fn open(
        path: &Path,
        identity: &StoreIdentity,
        clock: &dyn Clock,
    ) -> Result<(Self, Opened), Error> {
        let (store, stored, opened) = Store::open(path, identity, clock).await?;
        Ok((Self::new(store, stored), opened))
    }

    /// An empty cache without a file: a restart needs a full pass.
    pub async fn in_memory() -> Result<Self, Error> {
        let (store, stored) = Store::in_memory().await?;
        Ok(Self::new(store, stored))
    }

    fn new(store: Store, stored: StoredCache) -> Self {
        let freshness = Freshness::default();
        freshness.restore(stored.synced_at);
        let ready = stored.generation.is_some();
        let writer =
            Writer { store, generation: stored.generation, position: stored.position, building: None };
        Self {
            current: ArcSwap::from_pointee(stored.index),
            freshness,
            writer: Mutex::new(writer),
            ready: AtomicBool::new(ready),
            commit_hook: Arc::new(NoHook),
            deletions: Deletions::default(),
            handed_out: HandedOut::default(),
        }
    }

    /// The same cache with a hook that receives every change from now on.
    #[must_use]
    pub fn with_commit_hook(self, commit_hook: Arc<dyn CommitHook>) -> Self {
        Self { commit_hook, ..self }
    }

    /// A snapshot together with what `read` returns for it. Waits until no change is being made: whatever the commit hook has
    /// stored when `read` runs is in the snapshot, and nothing else is. Example: a snapshot and its exact log position.
    pub async fn snapshot_with<T>(&self, read: impl FnOnce() -> T) -> (Arc<Index>, T) {
        let _no_change = self.writer.lock().await;
        (self.snapshot(), read())
    }

    /// The current snapshot, without a lock or a wait. Do not hold it across an await; use [`Cache::snapshot`] there.
    pub fn read(&self) -> Guard<Arc<Index>> {
        self.current.load()
    }

    /// The current snapshot, to be kept as long as needed.
    pub fn snapshot(&self) -> Arc<Index> {
        self.current.load_full()
    }

    /// The age of the cache, and the latest error of the sync.
    pub fn freshness(&self) -> &Freshness {
        &self.freshness
    }

    /// Whether there is a generation to serve. It stays so once it is so.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// The number of records of each kind in the current snapshot.
    pub fn counts(&self) -> Counts {
        self.read().counts()
    }

    /// The generation in service and its position in the change log. Waits while a change is being made.
    pub async fn position(&self) -> (Option<u64>, Option<Position>) {
        let writer = self.writer.lock().await;
        (writer.generation, writer.position.clone())
    }

    /// Begins a read of NetBox. Its records are applied as [`Batch::read_during`] it.
    pub fn begin_reading(&self) -> Reading {
        self.deletions.begin_reading()
    }

    /// The addresses that were handed out of pools. What is applied after a change of it shows them so.
    pub fn handed_out(&self) -> &HandedOut {
        &self.handed_out
    }

    /// Applies changes. Readers see them when this returns, even if it returns an error because the file could not be written.
    /// After [`Error::CommitHook`], nothing has changed.
    pub async fn apply(&self, batch: Batch) -> Result<(), Error> {
        self.advance(batch, None, None).await
    }

    /// Applies changes as [`Cache::apply`] does, and moves the position and the synchronisation time of the generation in
    /// service. The file gets all of it in one transaction.
    pub async fn advance(
        &self,
        mut batch: Batch,
        position: Option<Position>,
        synced_at: Option<Timestamp>,
    ) -> Result<(), Error> {
        let mut writer = self.writer.lock().await;
        batch.pass(&self.deletions);
        self.handed_out.amend(&mut batch.addresses);
        if !batch.is_empty() {
            let mut next = Index::clone(&self.current.load());
            next.apply(&batch);
            // Before the first generation is served, there is nothing that a change could be compared with.
            if self.is_ready() {
                let differences = Differences::of_batch(&self.current.load(), &next, &batch);
                if !differences.is_empty() {
                    self.commit_hook.differences(differences).await?;
                }
            }
            self.current.store(Arc::new(next));
            if let Some(building) = &mut writer.building {
                building.apply(&batch);
            }
        }
        if let Some(at) = synced_at {
            self.freshness.mark_synced(at);
        }
        if batch.is_empty() && position.is_none() && synced_at.is_none() {
            return Ok(());
        }
        let building = writer.building.as_ref().map(|building| building.generation);
        let generations: Vec<u64> = writer.generation.into_iter().chain(building).collect();
        writer.store.write(&generations, &batch, position.as_ref(), synced_at).await?;
        if position.is_some() {
            writer.position = position;
        }
        Ok(())
    }

    /// Begins the next generation and returns its number. A pass that was still running is abandoned.
    pub async fn begin_pass(&self) -> u64 {
        let mut writer = self.writer.lock().await;
        let latest = writer.building.as_ref().map(|building| building.generation).max(writer.generation);
        let generation = latest.unwrap_or(0) + 1;
        writer.building = Some(Building::new(generation, self.begin_reading()));
        generation
    }

    /// Adds a page of records to the generation that is being built. Without one, it does nothing.
    pub async fn add_page(&self, mut page: Batch) -> Result<(), Error> {
        let mut writer = self.writer.lock().await;
        let Writer { store, building: Some(building), .. } = &mut *writer else { return Ok(()) };
        self.handed_out.amend(&mut page.addresses);
        building.add_page(&mut page);
        store.write(&[building.generation], &page, None, None).await
    }

    /// Puts the generation that was built into service. `position` is the position of the change log when the pass began, or a
    /// later one up to which the changes were applied meanwhile.
    pub async fn finish_pass(&self, position: Position, synced_at: Timestamp) -> Result<(), Error> {
        let mut writer = self.writer.lock().await;
        let Some(building) = writer.building.take() else { return Ok(()) };
        let generation = building.generation;
        let next = building.into_index();
        if self.is_ready() {
            let (old, new) = (self.snapshot(), next.clone());
            // Comparing a million records takes long, so it must not block a thread that serves requests.
            let compared = tokio::task::spawn_blocking(move || Differences::between(&old, &new)).await;
            let differences = compared
                .map_err(|_| Error::CommitHook("the comparison of generations was lost".to_owned()))?;
            if !differences.is_empty() {
                self.commit_hook.differences(differences).await?;
            }
        } else {
            self.commit_hook.baseline().await?;
        }
        writer.store.switch(generation, &position, synced_at).await?;
        writer.generation = Some(generation);
        writer.position = Some(position);
        let old = self.current.swap(Arc::new(next));
        self.ready.store(true, Ordering::Release);
        self.freshness.mark_synced(synced_at);
        // Freeing a million nodes takes long, too.
        tokio::task::spawn_blocking(move || drop(old));
        Ok(())
    }

    /// Abandons the generation that is being built. Its rows stay in the file, and the next pass adds to them under the same
    /// number: a record that NetBox deletes between the two passes is read again from the file at the next start, until a
    /// later pass has replaced the generation.
    pub async fn abandon_pass(&self) {
        self.writer.lock().await.building = None;
    }

    /// Deletes the rows of generations that are neither in service nor being built. Between two parts it releases the lock, so
    /// that changes do not wait long.
    pub async fn delete_old_generations(&self) -> Result<(), Error> {
        loop {
            let writer = self.writer.lock().await;
            let building = writer.building.as_ref().map(|building| building.generation);
            let keep: Vec<u64> = writer.generation.into_iter().chain(building).collect();
            if writer.store.delete_other_generations(&keep).await? {
                return Ok(());
            }
        }
    }
}
