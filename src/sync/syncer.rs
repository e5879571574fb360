//! The syncer: full passes and polls, and what is known of them.

use std::sync::Arc;
use std::sync::Mutex as StateMutex;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::Mutex;

use super::position::{Gap, Seen, check, position_of, read_from};
use super::state::{PassProgress, SyncPhase, SyncState};
use super::{full, tail};
use crate::cache::{self, Cache, Position};
use crate::netbox::{self, Client};

/// A round of the sync did not end well.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// NetBox did not give what was asked.
    #[error(transparent)]
    NetBox(#[from] netbox::Error),
    /// A part of a full pass was lost inside the server: a defect, told rather than hidden.
    #[error("a part of the full pass was lost inside the server")]
    Lost,
    /// The file could not be written.
    #[error(transparent)]
    Cache(#[from] cache::Error),
}

/// Keeps one cache in step with one NetBox.
pub struct Syncer {
    client: Client,
    cache: Arc<Cache>,
    progress: PassProgress,
    /// Held by the poll that runs: what it has seen of the log and where it stands.
    follower: Mutex<Follower>,
    /// Held by the full pass that runs: there is one at a time.
    pass: Mutex<()>,
    told: StateMutex<Told>,
}

#[derive(Default)]
struct Follower {
    seen: Seen,
    /// Where the next poll starts. `None` while a gap waits for a full pass.
    position: Option<Position>,
    /// Whether `position` speaks of the generation in service, so that the file may record it. While a full pass mends a
    /// gap it does not.
    trusted: bool,
}

#[derive(Default)]
struct Told {
    last_full_pass: Option<Timestamp>,
    last_full_pass_took: Option<Duration>,
    last_full_pass_reason: String,
    last_error: String,
    pass_running: bool,
    reachable: bool,
}

impl Syncer {
    /// A syncer that starts from where the cache's file stands.
    pub async fn new(client: Client, cache: Arc<Cache>) -> Self {
        let (generation, position) = cache.position().await;
        let position = position.filter(|_| generation.is_some());
        let follower = Follower { seen: Seen::default(), trusted: position.is_some(), position };
        Self {
            client,
            cache,
            progress: PassProgress::default(),
            follower: Mutex::new(follower),
            pass: Mutex::new(()),
            told: StateMutex::default(),
        }
    }

    /// One round: follows the change log; where it cannot be followed, makes a full pass.
    pub async fn poll(&self) -> Result<(), Error> {
        match self.follow().await {
            Ok(None) => Ok(()),
            Ok(Some(gap)) => {
                tracing::warn!(%gap, "the change log cannot be followed: reading everything");
                self.full_pass(&gap.to_string()).await
            }
            Err(error) => Err(self.failed(error)),
        }
    }

    async fn follow(&self) -> Result<Option<Gap>, Error> {
        let mut follower = self.follower.lock().await;
        if self.client.version().is_none() {
            self.client.connect().await?;
        }
        let Some(mut position) = follower.position.clone() else {
            return Ok((!self.pass_is_running()).then_some(Gap::NoPosition));
        };
        let asked_at = Timestamp::now();
        let mut entries = self.client.changes_from(read_from(&position)).await?;
        while let Some(last) = entries.last().map(|entry| entry.id) {
            let more = self.client.changes_from(last + 1).await?;
            if more.is_empty() {
                break;
            }
            entries.extend(more);
        }
        if let Err(gap) = check(&position, &entries) {
            follower.position = None;
            follower.trusted = false;
            self.cache.freshness().lose(&gap.to_string());
            return Ok(Some(gap));
        }
        if let Some(last) = entries.last() {
            position = position_of(Some(last));
        }
        let fresh = follower.seen.fresh(entries);
        if let Err(error) = self.act(&follower, &fresh, &position, asked_at).await {
            follower.seen.forget(&fresh);
            return Err(error);
        }
        follower.position = Some(position);
        self.well();
        Ok(None)
    }

    async fn act(
        &self,
        follower: &Follower,
        fresh: &[netbox::Change],
        position: &Position,
        asked_at: Timestamp,
    ) -> Result<(), Error> {
        let touched = tail::touched(fresh, &self.cache.snapshot());
        let batch = tail::read_again(&self.client, &touched).await?;
        if !batch.is_empty() {
            tracing::debug!(
                entries = fresh.len(),
                records = batch.len(),
                position = position.id,
                "followed the change log"
            );
        }
        let moved = follower.position.as_ref() != Some(position);
        let recorded = (follower.trusted && moved).then(|| position.clone());
        let agreed = follower.trusted.then_some(asked_at);
        self.cache.advance(batch, recorded, agreed).await?;
        Ok(())
    }

    /// Reads everything into a new generation and puts it into service.
    pub async fn full_pass(&self, reason: &str) -> Result<(), Error> {
        let _one = self.pass.lock().await;
        self.tell(|told| told.pass_running = true);
        let outcome = self.pass(reason).await;
        self.progress.start(0);
        self.tell(|told| told.pass_running = false);
        if let Err(error) = outcome {
            self.cache.abandon_pass().await;
            return Err(self.failed(error));
        }
        self.well();
        // What is left of the generation before is of no use to anybody, and of no hurry.
        self.cache.sweep().await?;
        Ok(())
    }

    async fn pass(&self, reason: &str) -> Result<(), Error> {
        let started = Instant::now();
        let began_at = Timestamp::now();
        self.client.connect().await?;
        self.cache.begin_pass().await;
        // What changes from here on is followed into both generations, so this is where the new one starts from.
        let start = position_of(self.client.latest_change().await?.as_ref());
        {
            let mut follower = self.follower.lock().await;
            if follower.position.is_none() {
                follower.position = Some(start.clone());
                follower.seen = Seen::default();
                follower.trusted = false;
            }
        }
        let rows = full::run(&self.client, &self.cache, &self.progress).await?;
        let mut follower = self.follower.lock().await;
        // A poll that found another gap meanwhile has taken the position away: then this pass stands where it began.
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
        self.tell(|told| {
            told.last_full_pass = Some(Timestamp::now());
            told.last_full_pass_took = Some(took);
            reason.clone_into(&mut told.last_full_pass_reason);
        });
        Ok(())
    }

    /// A picture of the sync as it is now.
    pub async fn state(&self) -> SyncState {
        let (generation, position) = self.cache.position().await;
        let told = self.told.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let phase = match (told.pass_running, self.cache.is_ready(), self.cache.freshness().is_live()) {
            (true, _, _) => SyncPhase::FullPass,
            (false, false, _) => SyncPhase::Empty,
            (false, true, true) => SyncPhase::Live,
            (false, true, false) => SyncPhase::Stale,
        };
        SyncState {
            phase,
            change_log_id: position.map_or(0, |position| position.id),
            generation: generation.unwrap_or(0),
            last_full_pass: told.last_full_pass,
            last_full_pass_took: told.last_full_pass_took,
            last_full_pass_reason: told.last_full_pass_reason.clone(),
            progress: self.progress.rows(),
            last_error: told.last_error.clone(),
            reachable: told.reachable,
        }
    }

    /// NetBox, for those who ask about it.
    pub fn client(&self) -> &Client {
        &self.client
    }

    fn pass_is_running(&self) -> bool {
        self.told.lock().unwrap_or_else(std::sync::PoisonError::into_inner).pass_running
    }

    fn well(&self) {
        self.tell(|told| {
            if !told.reachable {
                tracing::info!("in step with NetBox");
            }
            told.reachable = true;
            told.last_error.clear();
        });
    }

    fn failed(&self, error: Error) -> Error {
        self.cache.freshness().lose(&error.to_string());
        self.tell(|told| {
            told.reachable = !matches!(&error, Error::NetBox(error) if error.is_transient());
            told.last_error = error.to_string();
        });
        error
    }

    fn tell(&self, change: impl FnOnce(&mut Told)) {
        change(&mut self.told.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    }
}
