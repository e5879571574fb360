//! Blocklist checks on request: the recorded result of the timed rounds, or every list asked now.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::future::join_all;
use tokio::sync::mpsc;

use super::coverage_store::CoverageByZone;
use super::error::Error;
use super::on_demand::OnDemandChecks;
use super::query_plan::{self, AddressAnswer};
use super::reputation::{self, BlockReputation};
use super::zone_queries::{self, CheckTarget};
use crate::model::{Network, VrfScope, ZoneCoverage};

/// A message about a running blocklist check.
#[derive(Clone, Debug)]
pub enum ReputationProgress {
    /// `done` of `total` queries are answered; `listed` of the answers are listings.
    Running { done: u64, total: u64, listed: u64 },
    /// The check is complete. This is the last message.
    Finished(Box<BlockReputation>),
}

/// How many answers lie between two progress messages.
const ANSWERS_PER_MESSAGE: u64 = 64;

impl OnDemandChecks {
    /// What the timed rounds found about a leased block, or a part of one, so far. Asks no list.
    pub async fn recorded_reputation(
        &self,
        scope: VrfScope,
        block: Network,
    ) -> Result<BlockReputation, Error> {
        let index = self.index()?;
        let policy = &self.settings.reputation;
        let Some((prefix, _)) = index.covering_lease(scope, block) else {
            return Ok(reputation::judge(query_plan::address_count(block, 0), &[], None, policy));
        };
        let mut coverage = self.coverage.load(&self.sources.lists, prefix).await?;
        let baseline = self.coverage.baseline(prefix).await?;
        // A part of a leased block is judged only by what is known about that part.
        for zone in coverage.iter_mut().filter_map(|(_, coverage)| coverage.as_mut()) {
            zone.listed.retain(|address, _| block.contains_address(*address));
            zone.failed.retain(|address, _| block.contains_address(*address));
        }
        let recorded = index.addresses_within(scope, block).count();
        let addresses = query_plan::address_count(block, recorded);
        Ok(reputation::judge(addresses, &coverage, baseline.as_ref(), policy))
    }

    /// Asks every list about every address of a block, recorded addresses first, and reports on the way. The check ends when
    /// the receiver is dropped.
    pub async fn reputation(
        self: &Arc<Self>,
        scope: VrfScope,
        block: Network,
    ) -> Result<mpsc::Receiver<ReputationProgress>, Error> {
        let index = self.index()?;
        if !query_plan::is_fully_covered(block) {
            let shortest = block.max_length() - query_plan::MAX_HOST_BITS;
            return Err(Error::TooLarge { network: block, shortest });
        }
        // A single address is one query to each list and needs no permit.
        let permit = if block.host_bits() == 0 {
            None
        } else {
            Some(self.block_permits.clone().try_acquire_owned().map_err(|_| Error::Busy)?)
        };
        let covering = index.covering_lease(scope, block).map(|(prefix, _)| prefix.clone());
        let baseline = match &covering {
            Some(prefix) => self.coverage.baseline(prefix).await?,
            None => None,
        };
        let recorded = index.addresses_within(scope, block).map(|address| address.host()).collect();
        let (sender, receiver) = mpsc::channel(16);
        let this = self.clone();
        tokio::spawn(async move {
            // Held until the check is complete or given up.
            let _permit = permit;
            let coverage = tokio::select! {
                coverage = this.ask_every_list(block, recorded, &sender) => coverage,
                () = sender.closed() => return,
            };
            let addresses = query_plan::address_count(block, 0);
            let policy = &this.settings.reputation;
            let judged = reputation::judge(addresses, &coverage, baseline.as_ref(), policy);
            let _ = sender.send(ReputationProgress::Finished(Box::new(judged))).await;
        });
        Ok(receiver)
    }

    async fn ask_every_list(
        &self,
        block: Network,
        recorded: Vec<IpAddr>,
        sender: &mpsc::Sender<ReputationProgress>,
    ) -> CoverageByZone {
        let zones = self.sources.lists.zones(block.first());
        let total = query_plan::address_count(block, 0) * zones.len() as u64;
        let (done, listed) = (AtomicU64::new(0), AtomicU64::new(0));
        let on_answer = |answer: &AddressAnswer| {
            let is_listed = u64::from(matches!(answer.1, Ok(Some(_))));
            let listed = listed.fetch_add(is_listed, Ordering::Relaxed) + is_listed;
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            if done.is_multiple_of(ANSWERS_PER_MESSAGE) {
                // A slow reader misses progress messages; the result is sent with `send` and never missed.
                let _ = sender.try_send(ReputationProgress::Running { done, total, listed });
            }
        };
        let target = CheckTarget { block, recorded, budget: usize::MAX };
        let queries = zones.iter().map(|zone| async {
            let mut coverage = ZoneCoverage::default();
            let lists = &self.sources.lists;
            zone_queries::advance(lists, &zone.name, &target, &mut coverage, &*self.clock, &on_answer).await;
            (zone.name.clone(), Some(coverage))
        });
        join_all(queries).await
    }
}
