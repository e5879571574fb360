//! ValidationService: checks on demand, and the preflight before an announcement.

use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, StreamExt as _, stream};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::problem::Problem;
use super::proto::v1;
use super::proto::v1::validation_service_server::ValidationService;
use super::{convert, validation_convert as render, validation_parse as parse};
use crate::cache::Cache;
use crate::clock::Clock;
use crate::model::{Asn, Route};
use crate::validation::{OnDemandChecks, ReputationProgress};

/// Handles ValidationService: each call asks the sources of checks, or reads what the timed rounds have found.
#[derive(Clone)]
pub struct ValidationHandler {
    on_demand: Arc<OnDemandChecks>,
    cache: Arc<Cache>,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
}

impl ValidationHandler {
    /// A handler over these checks. When `stop` is cancelled it ends the checks of blocks, which can take longer than the server
    /// may take to stop.
    pub fn new(
        on_demand: Arc<OnDemandChecks>,
        cache: Arc<Cache>,
        clock: Arc<dyn Clock>,
        stop: CancellationToken,
    ) -> Self {
        Self { on_demand, cache, clock, stop }
    }

    /// The route that a request names. If the origin is 0, it is the one that the covering lease records.
    fn route(&self, prefix: &str, origin: u32, vrf: Option<&v1::VrfRef>) -> Result<Route, Problem> {
        let (scope, network, origin) = parse::route(&self.cache, prefix, origin, vrf)?;
        Ok(self.on_demand.route(scope, network, origin)?)
    }
}

#[tonic::async_trait]
impl ValidationService for ValidationHandler {
    async fn validate_route(
        &self,
        request: Request<v1::ValidateRouteRequest>,
    ) -> Result<Response<v1::ValidateRouteResponse>, Status> {
        let request = request.get_ref();
        let route = self.route(&request.prefix, request.origin_asn, request.vrf.as_ref())?;
        let checked = self.on_demand.validate(route).await;
        Ok(Response::new(render::route(route, checked)))
    }

    async fn check_irr(
        &self,
        request: Request<v1::CheckIrrRequest>,
    ) -> Result<Response<v1::CheckIrrResponse>, Status> {
        let request = request.get_ref();
        let route = self.route(&request.prefix, request.origin_asn, request.vrf.as_ref())?;
        let checked = self.on_demand.irr(route).await;
        Ok(Response::new(render::irr(route, checked)))
    }

    type CheckReputationStream =
        Pin<Box<dyn Stream<Item = Result<v1::CheckReputationResponse, Status>> + Send>>;

    async fn check_reputation(
        &self,
        request: Request<v1::CheckReputationRequest>,
    ) -> Result<Response<Self::CheckReputationStream>, Status> {
        use v1::check_reputation_response::Item;
        let request = request.get_ref();
        let (scope, block) = parse::target(&self.cache, request)?;
        let now = self.clock.now();
        if request.recorded {
            let reputation = self.on_demand.recorded_reputation(scope, block).await.map_err(Problem::from)?;
            let item = Some(Item::Result(render::reputation(block, reputation, now)));
            let only = stream::once(std::future::ready(Ok(v1::CheckReputationResponse { item })));
            return Ok(Response::new(only.boxed()));
        }
        let progress = self.on_demand.reputation(scope, block).await.map_err(Problem::from)?;
        let stop = self.stop.clone();
        let items = stream::unfold(Some(progress), move |progress| {
            let stop = stop.clone();
            async move {
                let mut progress = progress?;
                tokio::select! {
                    () = stop.cancelled() => Some((Err(Problem::stopping("the server is stopping: ask again")), None)),
                    item = progress.recv() => Some((Ok(item?), Some(progress))),
                }
            }
        });
        let clock = self.clock.clone();
        let messages = items.map(move |item| {
            let item = match item? {
                ReputationProgress::Running { done, total, listed } => {
                    Item::Progress(v1::ReputationProgress {
                        answered_query_count: done,
                        total_query_count: total,
                        listing_count: listed,
                    })
                }
                ReputationProgress::Finished(reputation) => {
                    Item::Result(render::reputation(block, *reputation, clock.now()))
                }
            };
            Ok(v1::CheckReputationResponse { item: Some(item) })
        });
        Ok(Response::new(messages.boxed()))
    }

    async fn preflight(
        &self,
        request: Request<v1::PreflightRequest>,
    ) -> Result<Response<v1::PreflightResponse>, Status> {
        let command = parse::preflight(&self.cache, request.get_ref())?;
        let found = self.on_demand.preflight(&command).await.map_err(Problem::from)?;
        let (index, today) = (self.cache.snapshot(), self.clock.today());
        let state = if found.ready { v1::PreflightState::Ready } else { v1::PreflightState::Blocked };
        let (findings, finding_count) = render::findings(found.findings);
        Ok(Response::new(v1::PreflightResponse {
            state: state.into(),
            findings,
            finding_count,
            lease: found.leased.as_ref().and_then(|prefix| convert::own_lease(&index, prefix, today)),
            origin_asn: found.origin.map_or(0, Asn::number),
        }))
    }
}
