//! The cache as its users see it: snapshots for readers, one writer, generations.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use jiff::Timestamp;
use tokio::sync::Mutex;

use super::batch::Batch;
use super::freshness::Freshness;
use super::index::Index;
use super::store::{Error, Opened, Position, Store, StoreIdentity};
use super::witness::{Differences, Nobody, Witness};

/// How many of each record the snapshot holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Prefixes.
    pub prefixes: u64,
    /// Addresses.
    pub addresses: u64,
    /// IP ranges.
    pub ranges: u64,
    /// VRFs.
    pub vrfs: u64,
    /// Prefixes that carry a lease.
    pub leases: u64,
}

/// The cache of one NetBox.
pub struct Cache {
    /// What readers see. Replaced whole; never changed in place.
    current: ArcSwap<Index>,
    freshness: Freshness,
    /// Held while a change is made, in memory and in the file: there is one writer.
    writer: Mutex<Writer>,
    /// Whether there is a generation to serve: an empty answer before would be a lie.
    ready: std::sync::atomic::AtomicBool,
    witness: Arc<dyn Witness>,
}

struct Writer {
    store: Store,
    /// The generation in service, `None` until a first full pass has ended.
    generation: Option<u64>,
    /// Position up to which the generation in service is right.
    position: Option<Position>,
    building: Option<Building>,
}

/// The next generation, while a full pass builds it.
struct Building {
    generation: u64,
    index: Index,
    /// What was deleted since the pass began: a page read before must not bring it back.
    gone: Gone,
}

#[derive(Default)]
struct Gone {
    prefixes: HashSet<u64>,
    addresses: HashSet<u64>,
    ranges: HashSet<u64>,
    vrfs: HashSet<u64>,
}

impl Gone {
    fn note(&mut self, batch: &Batch) {
        self.prefixes.extend(&batch.gone_prefixes);
        self.addresses.extend(&batch.gone_addresses);
        self.ranges.extend(&batch.gone_ranges);
        self.vrfs.extend(&batch.gone_vrfs);
    }

    fn strike(&self, page: &mut Batch) {
        page.prefixes.retain(|row| !self.prefixes.contains(&row.id.0));
        page.addresses.retain(|row| !self.addresses.contains(&row.id.0));
        page.ranges.retain(|row| !self.ranges.contains(&row.id.0));
        page.vrfs.retain(|row| !self.vrfs.contains(&row.id.0));
    }
}

impl Cache {
    /// Opens the file, or memory alone without one, and loads what it holds.
    pub async fn open(path: Option<&Path>, identity: &StoreIdentity) -> Result<(Self, Opened), Error> {
        let (store, held, opened) = Store::open(path, identity).await?;
        let freshness = Freshness::default();
        freshness.restore(held.synced_at);
        let cache = Self {
            current: ArcSwap::from_pointee(held.index),
            freshness,
            ready: held.generation.is_some().into(),
            witness: Arc::new(Nobody),
            writer: Mutex::new(Writer {
                store,
                generation: held.generation,
                position: held.position,
                building: None,
            }),
        };
        Ok((cache, opened))
    }

    /// Tells this witness of every change from here on.
    #[must_use]
    pub fn witnessed_by(self, witness: Arc<dyn Witness>) -> Self {
        Self { witness, ..self }
    }

    /// The snapshot and, taken while no change is between its witness and its readers, what `look` sees: what is told from
    /// then on is not in the snapshot, and what was told before is.
    pub async fn with_witness<T>(&self, look: impl FnOnce() -> T) -> (Arc<Index>, T) {
        let _still = self.writer.lock().await;
        (self.snapshot(), look())
    }

    /// The snapshot as of now: no lock, no wait. Not to be held across an await; use [`Cache::snapshot`] for that.
    pub fn read(&self) -> Guard<Arc<Index>> {
        self.current.load()
    }

    /// The snapshot as of now, to keep for a while.
    pub fn snapshot(&self) -> Arc<Index> {
        self.current.load_full()
    }

    /// How old it is.
    pub fn freshness(&self) -> &Freshness {
        &self.freshness
    }

    /// Whether there is a generation to serve.
    pub fn is_ready(&self) -> bool {
        self.ready.load(std::sync::atomic::Ordering::Acquire)
    }

    /// How many of each record the snapshot holds.
    pub fn counts(&self) -> Counts {
        let (prefixes, addresses, ranges, vrfs, leases) = self.read().counts();
        Counts {
            prefixes: prefixes as u64,
            addresses: addresses as u64,
            ranges: ranges as u64,
            vrfs: vrfs as u64,
            leases: leases as u64,
        }
    }

    /// The generation in service and its position in the change log.
    pub async fn position(&self) -> (Option<u64>, Option<Position>) {
        let writer = self.writer.lock().await;
        (writer.generation, writer.position.clone())
    }

    /// Applies changes: readers see them when this returns, whether or not the file could be written. If the witness cannot
    /// take them up, nothing is changed.
    pub async fn apply(&self, batch: Batch) -> Result<(), Error> {
        self.advance(batch, None, None).await
    }

    /// Applies changes and moves the position of the generation in service with them.
    pub async fn advance(
        &self,
        batch: Batch,
        position: Option<Position>,
        synced_at: Option<Timestamp>,
    ) -> Result<(), Error> {
        let mut writer = self.writer.lock().await;
        if !batch.is_empty() {
            let mut next = Index::clone(&self.current.load());
            next.apply(&batch);
            // A cache that serves nothing yet has nothing that could change.
            if self.is_ready() {
                let differences = Differences::of_batch(&self.current.load(), &next, &batch);
                if !differences.is_empty() {
                    self.witness.differences(differences).await?;
                }
            }
            self.current.store(Arc::new(next));
            if let Some(building) = &mut writer.building {
                building.gone.note(&batch);
                building.index.apply(&batch);
            }
        }
        if let Some(at) = synced_at {
            self.freshness.agree(at);
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

    /// Starts to build the next generation. A pass that was under way is given up.
    pub async fn begin_pass(&self) -> u64 {
        let mut writer = self.writer.lock().await;
        let above = writer.building.as_ref().map(|building| building.generation).max(writer.generation);
        let generation = above.unwrap_or(0) + 1;
        writer.building = Some(Building { generation, index: Index::default(), gone: Gone::default() });
        generation
    }

    /// Adds a page to the generation that is being built.
    pub async fn add_page(&self, mut page: Batch) -> Result<(), Error> {
        let mut writer = self.writer.lock().await;
        let Writer { store, building: Some(building), .. } = &mut *writer else { return Ok(()) };
        building.gone.strike(&mut page);
        building.index.apply(&page);
        store.write(&[building.generation], &page, None, None).await
    }

    /// Puts the generation that was built into service. `position` is where the change log stood when the pass began,
    /// or later if it was followed meanwhile.
    pub async fn finish_pass(&self, position: Position, synced_at: Timestamp) -> Result<(), Error> {
        let mut writer = self.writer.lock().await;
        let Some(built) = writer.building.take() else { return Ok(()) };
        if self.is_ready() {
            let (old, new) = (self.snapshot(), built.index.clone());
            // A million records take a while to compare: not on a thread that answers.
            let found = tokio::task::spawn_blocking(move || Differences::between(&old, &new)).await;
            let differences = found.map_err(|_| Error::Witness("the comparison was cut short".to_owned()))?;
            if !differences.is_empty() {
                self.witness.differences(differences).await?;
            }
        } else {
            self.witness.baseline().await?;
        }
        writer.store.switch(built.generation, &position, synced_at).await?;
        writer.generation = Some(built.generation);
        writer.position = Some(position);
        let old = self.current.swap(Arc::new(built.index));
        self.ready.store(true, std::sync::atomic::Ordering::Release);
        self.freshness.agree(synced_at);
        // A million nodes take a while to free: not on a thread that answers.
        tokio::task::spawn_blocking(move || drop(old));
        Ok(())
    }

    /// Gives up the generation that is being built; its rows go with the next sweep.
    pub async fn abandon_pass(&self) {
        self.writer.lock().await.building = None;
    }

    /// Deletes what is left of other generations, a part at a time.
    pub async fn sweep(&self) -> Result<(), Error> {
        loop {
            let writer = self.writer.lock().await;
            let building = writer.building.as_ref().map(|building| building.generation);
            let keep: Vec<u64> = writer.generation.into_iter().chain(building).collect();
            if writer.store.sweep(&keep).await? {
                return Ok(());
            }
        }
    }
}
