//! The log: takes up, and hands out as it grows.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Notify, broadcast};
use tokio_util::sync::CancellationToken;

use super::token::{Token, TokenError};
use crate::cache::{self, Differences, Witness};
use crate::clock::Clock;
use crate::ledger::{self, Journal};
use crate::model::{Event, EventKind, Happening, Subject};

/// How many recent events the ring holds: a watcher that is further behind is too slow.
const RING: usize = 8192;
/// How often the journal is looked at for events of other replicas.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Events read from the journal at once.
pub(super) const PAGE: u32 = 512;

/// The log cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    /// The token.
    #[error(transparent)]
    Token(#[from] TokenError),
}

/// The event log of this server.
pub struct EventLog {
    journal: Arc<dyn Journal>,
    clock: Arc<dyn Clock>,
    epoch: String,
    ring: broadcast::Sender<Arc<Event>>,
    /// The last event that this server has taken up or handed out.
    last: AtomicU64,
    grown: Notify,
    stop: CancellationToken,
}

impl EventLog {
    /// The log in this journal.
    pub async fn open(journal: Arc<dyn Journal>, clock: Arc<dyn Clock>) -> Result<Arc<Self>, ledger::Error> {
        let extent = journal.extent().await?;
        let (ring, _) = broadcast::channel(RING);
        Ok(Arc::new(Self {
            journal,
            clock,
            epoch: extent.epoch,
            ring,
            last: AtomicU64::new(extent.last),
            grown: Notify::new(),
            stop: CancellationToken::new(),
        }))
    }

    /// Hands out what is taken up, here or by another replica, in its order, until [`EventLog::stop`].
    pub async fn run(self: Arc<Self>) {
        let mut handed_out = self.last();
        while !self.stop.is_cancelled() {
            match self.journal.read(handed_out, PAGE).await {
                Ok(events) if events.is_empty() => {
                    tokio::select! {
                        () = self.grown.notified() => {}
                        () = tokio::time::sleep(LOOK_AGAIN) => {}
                        () = self.stop.cancelled() => {}
                    }
                }
                Ok(events) => {
                    for event in events {
                        handed_out = event.sequence;
                        self.last.fetch_max(event.sequence, Ordering::AcqRel);
                        // Nobody listening is no error.
                        let _ = self.ring.send(Arc::new(event));
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "the event log cannot be read");
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
            }
        }
    }

    /// Ends every watch with its token, and [`EventLog::run`].
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Takes up what happened. Durable when this returns.
    pub async fn tell(&self, happenings: &[Happening]) -> Result<Vec<Event>, ledger::Error> {
        let events = self.journal.append(happenings, self.clock.now()).await?;
        if let Some(last) = events.last() {
            self.last.fetch_max(last.sequence, Ordering::AcqRel);
            self.grown.notify_one();
        }
        Ok(events)
    }

    /// Tells that the sync was lost or regained.
    pub async fn tell_sync(&self, kind: EventKind, reason: String) -> Result<(), ledger::Error> {
        let happening = Happening { kind, time: self.clock.now(), subject: Subject::Sync(reason) };
        self.tell(&[happening]).await.map(drop)
    }

    /// The journal below.
    pub fn journal(&self) -> &Arc<dyn Journal> {
        &self.journal
    }

    /// The last event that this server knows of; 0 if there is none.
    pub fn last(&self) -> u64 {
        self.last.load(Ordering::Acquire)
    }

    /// A place in this log as a token.
    pub fn token(&self, sequence: u64) -> Token {
        Token { epoch: self.epoch.clone(), sequence }
    }

    /// Checks that a token can be resumed from; its sequence.
    pub async fn resume(&self, token: &Token) -> Result<u64, Error> {
        let extent = self.journal.extent().await?;
        let oldest = self.token(extent.compacted);
        // A token from the future is of a ledger that was restored from a backup since.
        if token.epoch != extent.epoch || token.sequence > extent.last {
            return Err(TokenError::Foreign { oldest }.into());
        }
        if token.sequence < extent.compacted {
            return Err(TokenError::Compacted { oldest }.into());
        }
        Ok(token.sequence)
    }

    pub(super) fn listen(&self) -> broadcast::Receiver<Arc<Event>> {
        self.ring.subscribe()
    }

    pub(super) fn stopped(&self) -> CancellationToken {
        self.stop.clone()
    }

    pub(super) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }
}

#[async_trait]
impl Witness for EventLog {
    async fn differences(&self, differences: Differences) -> Result<(), cache::Error> {
        let now = self.clock.now();
        let prefixes =
            differences.prefixes.into_iter().map(|(change, gone)| Happening::prefix(change, gone, now));
        let addresses =
            differences.addresses.into_iter().map(|(change, gone)| Happening::address(change, gone, now));
        let mut happenings: Vec<Happening> = prefixes.chain(addresses).collect();
        happenings.sort_by_key(|happening| happening.time);
        // Parts of a size that one transaction takes well; a part that was taken up is recognised when it comes again.
        for part in happenings.chunks(2000) {
            self.tell(part).await.map_err(|error| cache::Error::Witness(error.to_string()))?;
        }
        Ok(())
    }

    async fn baseline(&self) -> Result<(), cache::Error> {
        let began = self.journal.begin_continuity(self.clock.now()).await;
        began.map_err(|error| cache::Error::Witness(error.to_string()))
    }
}
