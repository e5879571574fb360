//! Checks every lease against its thresholds, and publishes those that are due.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use tokio::sync::Mutex;

use super::policy::Schedule;
use crate::cache::Cache;
use crate::clock::Clock;
use crate::events::EventLog;
use crate::ledger::{self, TermMarkKey};
use crate::model::{DomainEvent, TermReached, Threshold};

/// Events that are published in one transaction.
const PUBLISHED_PER_TRANSACTION: usize = 1000;

/// Checks every lease against its thresholds, and publishes those that are due.
pub struct ExpiryEngine {
    cache: Arc<Cache>,
    log: Arc<EventLog>,
    clock: Arc<dyn Clock>,
    schedule: Schedule,
    /// The tightest threshold that was published for each lease and date: a copy of the ledger's marks, `None` until it was read.
    /// Another replica may have published more since; the ledger then rejects what this copy takes to be due. Locked during
    /// [`ExpiryEngine::check`], so that two checks never overlap.
    published: Mutex<Option<HashMap<TermMarkKey, Threshold>>>,
}

impl ExpiryEngine {
    /// An engine that checks the leases in a cache.
    pub fn new(cache: Arc<Cache>, log: Arc<EventLog>, clock: Arc<dyn Clock>, schedule: Schedule) -> Self {
        Self { cache, log, clock, schedule, published: Mutex::new(None) }
    }

    /// Checks every lease once, and returns how many events were published. Does nothing while the cache has not been filled.
    /// After an error the events that were not published are due again at the next check.
    pub async fn check(&self) -> Result<usize, ledger::Error> {
        if !self.cache.is_ready() {
            return Ok(0);
        }
        let mut published = self.published.lock().await;
        if published.is_none() {
            *published = Some(self.log.journal().term_marks().await?);
        }
        let Some(published) = published.as_mut() else { return Ok(0) };
        let index = self.cache.snapshot();
        let (today, now) = (self.clock.today(), self.clock.now());
        let mut due = Vec::new();
        for prefix in index.leased() {
            let Some(lease) = &prefix.lease else { continue };
            let before = |which, date| published.get(&(prefix.id.0, which, date)).copied();
            for (which, date, threshold, days_left) in self.schedule.due(lease, today, before) {
                due.push(TermReached { prefix: prefix.clone(), which, date, threshold, days_left });
            }
        }
        let mut count = 0;
        for part in due.chunks(PUBLISHED_PER_TRANSACTION) {
            let domain_events: Vec<DomainEvent> =
                part.iter().cloned().map(|reached| DomainEvent::term(reached, now)).collect();
            count += self.log.publish(&domain_events).await?.len();
            // Only after the events are durable, so that an error leaves them due.
            published.extend(
                part.iter()
                    .map(|reached| ((reached.prefix.id.0, reached.which, reached.date), reached.threshold)),
            );
        }
        let leased: BTreeSet<u64> = index.leased().map(|prefix| prefix.id.0).collect();
        let ended: BTreeSet<u64> =
            published.keys().map(|(prefix, ..)| *prefix).filter(|prefix| !leased.contains(prefix)).collect();
        if !ended.is_empty() {
            self.log.journal().forget_term_marks(&ended.iter().copied().collect::<Vec<_>>()).await?;
            published.retain(|(prefix, ..), _| !ended.contains(prefix));
        }
        Ok(count)
    }
}
