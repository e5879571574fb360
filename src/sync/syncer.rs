//! The syncer: polls and full passes, and the record of how they went.

use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::Mutex;

use super::error::Error;
use super::position::{AppliedEntries, Gap, check_continuity, position_of, read_from};
use super::state::{PassProgress, SyncPhase, SyncState};
use super::{full_pass, touched};
use crate::cache::{Cache, Position};
use crate::clock::Clock;
use crate::netbox::{Client, ObjectChange};

/// Keeps one cache in step with one NetBox. [`Syncer::poll`] and [`Syncer::full_pass`] may be called at any time and from any
/// task; a poll also works while a full pass is running.
pub struct Syncer {
    client: Client,
    cache: Arc<Cache>,
    clock: Arc<dyn Clock>,
    progress: PassProgress,
    /// Held by a poll from beginning to end, while it awaits NetBox and the cache, so that polls follow one another. A full pass
    /// holds it only to read or set the position, and while it puts its generation into service.
    follower: Mutex<Follower>,
    /// Held by the full pass that is running, so that there is one at a time.
    pass: Mutex<()>,
    /// Written by polls and full passes, never locked across an await.
    report: StdMutex<Report>,
}

/// How far the change log was followed.
#[derive(Default)]
struct Follower {
    applied: AppliedEntries,
    /// The position from which the next poll continues. `None` while a gap waits for a full pass.
    position: Option<Position>,
    /// Whether `position` belongs to the generation in service, so that the cache file may store it. It does not while a full
    /// pass closes a gap: then the generation in service lacks the changes in the gap.
    trusted: bool,
}

/// How the latest rounds went.
#[derive(Default)]
struct Report {
    last_full_pass: Option<Timestamp>,
    last_full_pass_took: Option<Duration>,
    last_full_pass_reason: String,
    last_failure: Option<(Arc<Error>, Timestamp)>,
    pass_running: bool,
    reachable: bool,
}

/// A full pass that is running, as [`Syncer::state`] reports it. The report ends when this is dropped, so also when the pass is
/// cancelled at its deadline or panics.
struct RunningPass<'a>(&'a Syncer);

impl Drop for RunningPass<'_> {
    fn drop(&mut self) {
        self.0.progress.start(0);
        self.0.report().pass_running = false;
    }
}

impl Syncer {
    /// A syncer that continues from the position that the cache has. The clock dates what is read.
    pub async fn new(client: Client, cache: Arc<Cache>, clock: Arc<dyn Clock>) -> Self {
        let (generation, position) = cache.position().await;
        let position = position.filter(|_| generation.is_some());
        let follower = Follower { applied: AppliedEntries::default(), trusted: position.is_some(), position };
        Self {
            client,
            cache,
            clock,
            progress: PassProgress::default(),
            follower: Mutex::new(follower),
            pass: Mutex::new(()),
            report: StdMutex::default(),
        }
    }

    /// Follows the change log once. If the log does not continue from the stored position, makes a full pass.
    pub async fn poll(&self) -> Result<(), Arc<Error>> {
        match self.follow().await {
            Ok(None) => Ok(()),
            Ok(Some(gap)) => {
                tracing::warn!(%gap, "the change log cannot be followed: reading everything");
                self.full_pass(&gap.to_string()).await
            }
            Err(error) => Err(self.round_failed(error)),
        }
    }

    /// Applies the entries of the change log since the stored position. Returns the gap if they do not continue it.
    async fn follow(&self) -> Result<Option<Gap>, Error> {
        let mut follower = self.follower.lock().await;
        if self.client.version().is_none() {
            self.client.connect().await?;
        }
        let Some(mut position) = follower.position.clone() else {
            return Ok((!self.pass_is_running()).then_some(Gap::NoPosition));
        };
        let asked_at = self.clock.now();
        let entries = self.client.object_changes_from(read_from(&position)).await?;
        if let Err(gap) = check_continuity(&position, &entries) {
            follower.position = None;
            follower.trusted = false;
            self.cache.freshness().mark_stale(&gap.to_string());
            return Ok(Some(gap));
        }
        if let Some(last) = entries.last() {
            position = position_of(Some(last));
        }
        let new_entries = follower.applied.take_new(entries);
        if let Err(error) = self.apply(&follower, &new_entries, &position, asked_at).await {
            follower.applied.forget(&new_entries);
            return Err(error);
        }
        follower.position = Some(position);
        self.round_succeeded();
        Ok(None)
    }

    /// Reads the touched records again and puts them into the cache, together with the position after the entries.
    async fn apply(
        &self,
        follower: &Follower,
        entries: &[ObjectChange],
        position: &Position,
        asked_at: Timestamp,
    ) -> Result<(), Error> {
        let touched = touched::touched(entries, &self.cache.snapshot());
        let reading = self.cache.begin_reading();
        let batch = touched::read_again(&self.client, &touched).await?.read_during(reading);
        if !batch.is_empty() {
            tracing::debug!(
                entries = entries.len(),
                records = batch.len(),
                position = position.id,
                "followed the change log"
            );
        }
        let moved = follower.position.as_ref() != Some(position);
        let stored_position = (follower.trusted && moved).then(|| position.clone());
        let synced_at = follower.trusted.then_some(asked_at);
        self.cache.advance(batch, stored_position, synced_at).await?;
        Ok(())
    }

    /// Reads everything into a new generation and puts it into service. Waits for a full pass that is already running. The
    /// reason is reported by [`Syncer::state`].
    pub async fn full_pass(&self, reason: &str) -> Result<(), Arc<Error>> {
        let _only_pass = self.pass.lock().await;
        self.report().pass_running = true;
        let running = RunningPass(self);
        let outcome = self.run_pass(reason).await;
        drop(running);
        if let Err(error) = outcome {
            self.cache.abandon_pass().await;
            return Err(self.round_failed(error));
        }
        self.round_succeeded();
        self.cache.delete_old_generations().await.map_err(Error::from)?;
        Ok(())
    }

    async fn run_pass(&self, reason: &str) -> Result<(), Error> {
        let started = Instant::now();
        let began_at = self.clock.now();
        self.client.connect().await?;
        self.cache.begin_pass().await;
        // Polls apply later changes to both generations, so the new one is complete from this position on.
        let start = position_of(self.client.latest_object_change().await?.as_ref());
        {
            let mut follower = self.follower.lock().await;
            if follower.position.is_none() {
                follower.position = Some(start.clone());
                follower.applied = AppliedEntries::default();
                follower.trusted = false;
            }
        }
        let rows = full_pass::run(&self.client, &self.cache, &self.progress).await?;
        let mut follower = self.follower.lock().await;
        // A poll that found another gap meanwhile has removed the position. Then the new generation is complete up to `start`.
        let position = follower.position.clone().unwrap_or_else(|| start.clone());
        self.cache.finish_pass(position.clone(), began_at).await?;
        follower.trusted = follower.position.is_some();
        let took = started.elapsed();
        tracing::info!(
            rows,
            reason,
            took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            position = position.id,
            "full pass done"
        );
        let mut report = self.report();
        report.last_full_pass = Some(self.clock.now());
        report.last_full_pass_took = Some(took);
        reason.clone_into(&mut report.last_full_pass_reason);
        Ok(())
    }

    /// The state of the sync now. Waits while the cache is being changed.
    pub async fn state(&self) -> SyncState {
        let (generation, position) = self.cache.position().await;
        let report = self.report();
        let phase = match (report.pass_running, self.cache.is_ready(), self.cache.freshness().is_live()) {
            (true, _, _) => SyncPhase::FullPass,
            (false, false, _) => SyncPhase::Empty,
            (false, true, true) => SyncPhase::Live,
            (false, true, false) => SyncPhase::Stale,
        };
        SyncState {
            phase,
            change_log_id: position.map_or(0, |position| position.id),
            generation: generation.unwrap_or(0),
            last_full_pass: report.last_full_pass,
            last_full_pass_took: report.last_full_pass_took,
            last_full_pass_reason: report.last_full_pass_reason.clone(),
            progress: self.progress.rows(),
            last_failure: report.last_failure.clone(),
            reachable: report.reachable,
        }
    }

    /// The client of the NetBox that is followed.
    pub fn client(&self) -> &Client {
        &self.client
    }

    fn pass_is_running(&self) -> bool {
        self.report().pass_running
    }

    fn round_succeeded(&self) {
        let mut report = self.report();
        if !report.reachable {
            tracing::info!("in step with NetBox");
        }
        report.reachable = true;
        report.last_failure = None;
    }

    fn round_failed(&self, error: Error) -> Arc<Error> {
        self.cache.freshness().mark_stale(&error.summary());
        let mut report = self.report();
        report.reachable = !matches!(&error, Error::NetBox(error) if error.is_transient());
        let error = Arc::new(error);
        report.last_failure = Some((error.clone(), self.clock.now()));
        error
    }

    fn report(&self) -> MutexGuard<'_, Report> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
