//! Checks on request. They ask the same sources as the timed rounds and change nothing.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::coverage_store::CoverageStore;
use super::error::Error;
use super::settings::ValidationSettings;
use super::sources::CheckSources;
use crate::cache::{Cache, Index};
use crate::clock::Clock;
use crate::irr::IrrVerdict;
use crate::ledger::Observations;
use crate::model::{Asn, CouldNotCheck, Network, Observed, Route, RouteVerdict, VrfScope};

/// Blocks that are checked against the blocklists at the same time. It is low because a list limits the queries of this server
/// as a whole, and the timed rounds need their share of them.
const BLOCKS_AT_ONCE: usize = 2;

/// Answers requests for checks. The requests for blocklist checks and for a preflight are in files of their own.
pub struct OnDemandChecks {
    pub(super) sources: CheckSources,
    pub(super) cache: Arc<Cache>,
    pub(super) observations: Arc<dyn Observations>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) settings: ValidationSettings,
    pub(super) coverage: CoverageStore,
    /// One permit for each block that is being checked against the blocklists.
    pub(super) block_permits: Arc<Semaphore>,
}

impl OnDemandChecks {
    /// Asks these sources, and reads `observations` for what the timed rounds found.
    pub fn new(
        sources: CheckSources,
        cache: Arc<Cache>,
        observations: Arc<dyn Observations>,
        clock: Arc<dyn Clock>,
        settings: ValidationSettings,
    ) -> Self {
        let coverage = CoverageStore::new(observations.clone(), settings.reputation.clone());
        let block_permits = Arc::new(Semaphore::new(BLOCKS_AT_ONCE));
        Self { sources, cache, observations, clock, settings, coverage, block_permits }
    }

    /// The sources, for status reports.
    pub fn sources(&self) -> &CheckSources {
        &self.sources
    }

    /// A snapshot of the records, or [`Error::NotReady`] before the first full pass.
    pub(super) fn index(&self) -> Result<Arc<Index>, Error> {
        Ok(self.cache.ready_snapshot()?)
    }

    /// The route for a prefix: with the origin given or, without one, the origin of the lease that covers the prefix.
    pub fn route(&self, scope: VrfScope, prefix: Network, origin: Option<Asn>) -> Result<Route, Error> {
        let origin = match origin {
            Some(origin) => Some(origin),
            None => self.index()?.covering_lease(scope, prefix).and_then(|(_, lease)| lease.origin),
        };
        Ok(Route { prefix, origin: origin.ok_or(Error::NoOrigin { network: prefix })? })
    }

    /// Validates a route (RFC 6811).
    pub async fn validate(&self, route: Route) -> Result<Observed<RouteVerdict>, CouldNotCheck> {
        self.sources.validator.validate(route).await
    }

    /// Asks the IRR for the objects of a route.
    pub async fn irr(&self, route: Route) -> Result<Observed<IrrVerdict>, CouldNotCheck> {
        self.sources.irr.check(route, self.clock.now()).await
    }
}
