//! The event log of this server: publishes events to the ledger, and hands them to watches as the ledger grows.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Notify, broadcast};
use tokio_util::sync::CancellationToken;

use super::error::Error;
use super::resume_token::{ResumeToken, ResumeTokenError};
use crate::cache::{self, CommitHook, Differences};
use crate::clock::Clock;
use crate::ledger::{self, Journal};
use crate::model::{Address, DomainEvent, Event, EventKind, RefusedCompletion, Subject};

/// Recent events that are held in memory. A watch that falls behind by more is closed.
const RING: usize = 8192;
/// How often the journal is read for events that other replicas have published.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Events that are read from the journal at once.
pub(super) const PAGE: u32 = 512;
/// Domain events that are published in one transaction.
const PUBLISHED_PER_TRANSACTION: usize = 2000;

/// The event log of this server.
pub struct EventLog {
    journal: Arc<dyn Journal>,
    clock: Arc<dyn Clock>,
    /// Read once: a log keeps its epoch for as long as it exists.
    epoch: String,
    /// Recent events, in their order. Only [`EventLog::run`] sends to it.
    ring: broadcast::Sender<Arc<Event>>,
    /// The greatest sequence that this server has published or read. It only grows.
    last: AtomicU64,
    /// Wakes [`EventLog::run`] when this server has published.
    appended: Notify,
    stop: CancellationToken,
}

impl EventLog {
    /// The event log that a journal holds.
    pub async fn open(journal: Arc<dyn Journal>, clock: Arc<dyn Clock>) -> Result<Arc<Self>, ledger::Error> {
        let extent = journal.extent().await?;
        let (ring, _) = broadcast::channel(RING);
        Ok(Arc::new(Self {
            journal,
            clock,
            epoch: extent.epoch,
            ring,
            last: AtomicU64::new(extent.last),
            appended: Notify::new(),
            stop: CancellationToken::new(),
        }))
    }

    /// Hands every new event to the watches, whichever replica published it, in the order of the log. Runs until
    /// [`EventLog::stop`]. While the ledger cannot be read it tries again every second.
    pub async fn run(self: Arc<Self>) {
        let mut handed_out = self.last();
        while !self.stop.is_cancelled() {
            match self.journal.read(handed_out, PAGE).await {
                Ok(events) if events.is_empty() => {
                    tokio::select! {
                        () = self.appended.notified() => {}
                        () = tokio::time::sleep(POLL_INTERVAL) => {}
                        () = self.stop.cancelled() => {}
                    }
                }
                Ok(events) => {
                    for event in events {
                        handed_out = event.sequence;
                        self.last.fetch_max(event.sequence, Ordering::AcqRel);
                        // Sending fails only if there is no watch.
                        let _ = self.ring.send(Arc::new(event));
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "the event log cannot be read; it is tried again in a second");
                    tokio::time::sleep(POLL_INTERVAL).await;
                }
            }
        }
    }

    /// Ends [`EventLog::run`], and every watch with its resume token.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Publishes domain events, all or none, and returns the ones that were new (see [`Journal::append`]).
    /// The new events are durable when this returns.
    pub async fn publish(&self, domain_events: &[DomainEvent]) -> Result<Vec<Event>, ledger::Error> {
        let events = self.journal.append(domain_events, self.clock.now()).await?;
        if let Some(last) = events.last() {
            self.last.fetch_max(last.sequence, Ordering::AcqRel);
            self.appended.notify_one();
        }
        Ok(events)
    }

    /// Publishes that the connection to NetBox was lost or regained.
    pub async fn publish_sync(&self, kind: EventKind, reason: String) -> Result<(), ledger::Error> {
        let domain_event = DomainEvent { kind, time: self.clock.now(), subject: Subject::Sync(reason) };
        self.publish(&[domain_event]).await.map(drop)
    }

    /// Publishes that NetBox refuses the record of an address that was handed out of a pool.
    pub async fn publish_refused(&self, address: &Address, reason: &str) -> Result<(), ledger::Error> {
        let refused = RefusedCompletion { address: Arc::new(address.clone()), reason: reason.to_owned() };
        let domain_event = DomainEvent::completion_refused(refused, self.clock.now());
        self.publish(&[domain_event]).await.map(drop)
    }

    /// The journal that holds the log.
    pub fn journal(&self) -> &Arc<dyn Journal> {
        &self.journal
    }

    /// The greatest sequence that this server knows of; 0 if there is no event. Other replicas may have published more.
    pub fn last(&self) -> u64 {
        self.last.load(Ordering::Acquire)
    }

    /// The resume token of a position in this log.
    pub fn token(&self, sequence: u64) -> ResumeToken {
        ResumeToken { epoch: self.epoch.clone(), sequence }
    }

    /// Checks that every event after a token is still kept. Returns the token's sequence.
    pub async fn resume(&self, token: &ResumeToken) -> Result<u64, Error> {
        let extent = self.journal.extent().await?;
        let oldest = self.token(extent.compacted);
        // A token beyond the end is of a ledger that has been restored from a backup since.
        if token.epoch != extent.epoch || token.sequence > extent.last {
            return Err(ResumeTokenError::Foreign { oldest }.into());
        }
        if token.sequence < extent.compacted {
            return Err(ResumeTokenError::Compacted { oldest }.into());
        }
        Ok(token.sequence)
    }

    pub(super) fn subscribe(&self) -> broadcast::Receiver<Arc<Event>> {
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
impl CommitHook for EventLog {
    async fn differences(&self, differences: Differences) -> Result<(), cache::Error> {
        let now = self.clock.now();
        let prefixes =
            differences.prefixes.into_iter().map(|(change, gone)| DomainEvent::prefix(change, gone, now));
        let addresses =
            differences.addresses.into_iter().map(|(change, gone)| DomainEvent::address(change, gone, now));
        let mut domain_events: Vec<DomainEvent> = prefixes.chain(addresses).collect();
        domain_events.sort_by_key(|domain_event| domain_event.time);
        // If a later part fails, the cache makes none of the changes and reports all of them again; the parts that were published
        // are then recognised and not published twice.
        for part in domain_events.chunks(PUBLISHED_PER_TRANSACTION) {
            self.publish(part).await.map_err(|error| cache::Error::CommitHook(error.to_string()))?;
        }
        Ok(())
    }

    async fn baseline(&self) -> Result<(), cache::Error> {
        let began = self.journal.set_continuous_since(self.clock.now()).await;
        began.map_err(|error| cache::Error::CommitHook(error.to_string()))
    }
}
