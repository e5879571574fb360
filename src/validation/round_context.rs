//! What every round needs: the sources, the records, and the steps that begin and end a round.

use std::sync::Arc;
use std::time::Duration;

use super::coverage_store::CoverageStore;
use super::error::RoundError;
use super::settings::ValidationSettings;
use super::sources::CheckSources;
use super::verdict_recorder::VerdictRecorder;
use super::verdict_store::VerdictStore;
use super::write_back::WriteBack;
use crate::cache::{Cache, Index};
use crate::clock::Clock;
use crate::model::Check;

/// Pause before the cache is asked again whether it holds records yet.
const CACHE_POLL: Duration = Duration::from_millis(100);

/// What every round needs. Shared by all rounds; holds no state of a single one.
pub(super) struct RoundContext {
    pub(super) sources: CheckSources,
    pub(super) cache: Arc<Cache>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) settings: ValidationSettings,
    pub(super) verdicts: VerdictStore,
    pub(super) coverage: CoverageStore,
    pub(super) recorder: VerdictRecorder,
    pub(super) write_back: WriteBack,
}

impl RoundContext {
    /// A snapshot of the records. Waits for the first full pass, since rounds are due when the server starts.
    pub(super) async fn index(&self) -> Arc<Index> {
        while !self.cache.is_ready() {
            tokio::time::sleep(CACHE_POLL).await;
        }
        self.cache.snapshot()
    }

    /// Ends a round: forgets leases that have ended and writes the verdicts back to NetBox.
    pub(super) async fn finish(&self, check: Check) -> Result<(), RoundError> {
        self.verdicts.forget_ended_leases(&self.cache).await?;
        self.write_back.run(check).await?;
        Ok(())
    }
}
