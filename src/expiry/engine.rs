//! Looks at every lease, and tells.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use tokio::sync::Mutex;

use super::policy::Schedule;
use crate::cache::Cache;
use crate::clock::Clock;
use crate::events::EventLog;
use crate::ledger::{self, MarkKey};
use crate::model::{Happening, TermReached, Threshold};

/// Events of one transaction.
const AT_ONCE: usize = 1000;

/// Looks at every lease, and tells.
pub struct Engine {
    cache: Arc<Cache>,
    log: Arc<EventLog>,
    clock: Arc<dyn Clock>,
    schedule: Schedule,
    /// What was told of, as the ledger has it; `None` until it was read. The ledger has the last word: what another
    /// replica told meanwhile is no news to it.
    told: Mutex<Option<HashMap<MarkKey, Threshold>>>,
}

impl Engine {
    /// An engine over the leases of a cache.
    pub fn new(cache: Arc<Cache>, log: Arc<EventLog>, clock: Arc<dyn Clock>, schedule: Schedule) -> Self {
        Self { cache, log, clock, schedule, told: Mutex::new(None) }
    }

    /// Looks once; how many events that gave. Does nothing while there is nothing to look at.
    pub async fn look(&self) -> Result<usize, ledger::Error> {
        if !self.cache.is_ready() {
            return Ok(0);
        }
        let mut told = self.told.lock().await;
        if told.is_none() {
            *told = Some(self.log.journal().marks().await?);
        }
        let Some(told) = told.as_mut() else { return Ok(0) };
        let index = self.cache.snapshot();
        let (today, now) = (self.clock.today(), self.clock.now());
        let mut due = Vec::new();
        for prefix in index.leased() {
            let Some(lease) = &prefix.lease else { continue };
            let before = |which, date| told.get(&(prefix.id.0, which, date)).copied();
            for (which, date, threshold, days_left) in self.schedule.due(lease, today, before) {
                due.push(TermReached { prefix: prefix.clone(), which, date, threshold, days_left });
            }
        }
        let mut count = 0;
        for part in due.chunks(AT_ONCE) {
            let happenings: Vec<Happening> =
                part.iter().cloned().map(|reached| Happening::term(reached, now)).collect();
            count += self.log.tell(&happenings).await?.len();
            // Only what is durable counts as told.
            told.extend(
                part.iter()
                    .map(|reached| ((reached.prefix.id.0, reached.which, reached.date), reached.threshold)),
            );
        }
        let leased: BTreeSet<u64> = index.leased().map(|prefix| prefix.id.0).collect();
        let ended: BTreeSet<u64> =
            told.keys().map(|(prefix, ..)| *prefix).filter(|prefix| !leased.contains(prefix)).collect();
        if !ended.is_empty() {
            self.log.journal().forget_marks(&ended.iter().copied().collect::<Vec<_>>()).await?;
            told.retain(|(prefix, ..), _| !ended.contains(prefix));
        }
        Ok(count)
    }
}
