//! The timed rounds that check every leased block.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use super::block_selection::BlockSelection;
use super::blocklist_round;
use super::coverage_store::CoverageStore;
use super::error::RoundError;
use super::round_context::RoundContext;
use super::route_round::{self, RouteSource};
use super::settings::ValidationSettings;
use super::sources::CheckSources;
use super::verdict_recorder::VerdictRecorder;
use super::verdict_store::VerdictStore;
use super::write_back::WriteBack;
use crate::cache::Cache;
use crate::clock::Clock;
use crate::events::EventLog;
use crate::ledger::Observations;
use crate::netbox::Client;

/// How long a round of origin validation waits for the first VRPs after the server started.
const FIRST_VRPS: Duration = Duration::from_secs(20);

/// Runs rounds of checks over the leased blocks.
pub struct CheckRounds {
    context: RoundContext,
    /// Each of these is held for a whole round. Two rounds of the same check at the same time would observe the same answer
    /// twice and so confirm a verdict that was seen only once.
    roa_round: Mutex<()>,
    irr_round: Mutex<()>,
    reputation_round: Mutex<()>,
}

impl CheckRounds {
    /// Asks these sources, keeps verdicts in `observations`, publishes changes to `log` and writes verdicts back with `client`.
    pub fn new(
        sources: CheckSources,
        client: Client,
        cache: Arc<Cache>,
        log: Arc<EventLog>,
        observations: Arc<dyn Observations>,
        clock: Arc<dyn Clock>,
        settings: ValidationSettings,
    ) -> Self {
        let verdicts = VerdictStore { observations: observations.clone(), clock: clock.clone() };
        let context = RoundContext {
            sources,
            coverage: CoverageStore::new(observations, settings.reputation.clone()),
            recorder: VerdictRecorder {
                store: verdicts.clone(),
                log,
                clock: clock.clone(),
                confirmations: settings.confirmations.get(),
            },
            write_back: WriteBack::new(
                client,
                cache.clone(),
                verdicts.clone(),
                settings.rewrite_unchanged_after,
            ),
            verdicts,
            cache,
            clock,
            settings,
        };
        Self {
            context,
            roa_round: Mutex::default(),
            irr_round: Mutex::default(),
            reputation_round: Mutex::default(),
        }
    }

    /// Runs one round of origin validation. Returns how many blocks were checked; 0 if no source is configured.
    pub async fn roa(&self, selection: BlockSelection) -> Result<usize, RoundError> {
        let _round = self.roa_round.lock().await;
        let validator = &self.context.sources.validator;
        if !validator.is_configured() {
            return Ok(0);
        }
        validator.ready(FIRST_VRPS).await;
        route_round::run(&self.context, RouteSource::Rpki, selection).await
    }

    /// Runs one round of IRR checks. Returns how many blocks were checked; 0 if no server is configured.
    pub async fn irr(&self, selection: BlockSelection) -> Result<usize, RoundError> {
        let _round = self.irr_round.lock().await;
        if !self.context.sources.irr.is_configured() {
            return Ok(0);
        }
        route_round::run(&self.context, RouteSource::Irr, selection).await
    }

    /// Runs one round of blocklist checks. Returns how many blocks were checked; 0 if no zone is configured.
    pub async fn reputation(&self, selection: BlockSelection) -> Result<usize, RoundError> {
        let _round = self.reputation_round.lock().await;
        if !self.context.sources.lists.is_configured() {
            return Ok(0);
        }
        blocklist_round::run(&self.context, selection).await
    }

    /// Writes the verdicts to NetBox that could not be written at the end of their round. Returns how many were written.
    pub async fn write_back(&self) -> Result<usize, RoundError> {
        self.context.write_back.run_pending().await
    }
}
