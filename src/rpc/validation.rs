//! ValidationService: is a block fit to announce and fit to use?

use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, StreamExt as _, stream};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::parse::Violations;
use super::proto::v1;
use super::proto::v1::validation_service_server::ValidationService;
use super::status::Problem;
use super::{convert, validation_convert as render};
use crate::clock::Clock;
use crate::model::{Asn, Network, Route, Table};
use crate::validation::{Inspector, PreflightWish, ReputationProgress};

/// Announcements that one preflight looks at.
const ANNOUNCED: usize = 256;

/// Answers through the inspector.
#[derive(Clone)]
pub struct Validations {
    inspector: Arc<Inspector>,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
}

impl Validations {
    /// Answers through this inspector, until it is to stop: a large block takes longer than a stop may.
    pub fn new(inspector: Arc<Inspector>, clock: Arc<dyn Clock>, stop: CancellationToken) -> Self {
        Self { inspector, clock, stop }
    }

    /// The route that a request names; with the lease's own origin where it names none.
    fn route(&self, prefix: &str, origin: u32, vrf_id: u64) -> Result<Route, Problem> {
        let mut violations = Violations::default();
        let network = violations.network("prefix", prefix);
        let network = violations.finish_with(network)?;
        Ok(self.inspector.route(Table::from_number(vrf_id), network, Asn::try_from(origin).ok())?)
    }
}

fn wish(request: &v1::PreflightRequest) -> Result<PreflightWish, Problem> {
    let mut violations = Violations::default();
    let block = violations.network("prefix", &request.prefix);
    if request.announce.len() > ANNOUNCED {
        violations
            .add("announce", format!("{} given, at most {ANNOUNCED} are allowed", request.announce.len()));
    }
    let announce: Vec<Network> = request
        .announce
        .iter()
        .enumerate()
        .filter_map(|(nth, text)| {
            let field = format!("announce[{nth}]");
            let network = violations.network(&field, text)?;
            if let Some(block) = block.filter(|block| !block.contains(network)) {
                violations.add(field, format!("{network} does not lie in {block}"));
            }
            Some(network)
        })
        .collect();
    if request.min_days_left.is_some_and(|days| days < 0) {
        violations.add("min_days_left", "is negative");
    }
    let wish = block.map(|block| PreflightWish {
        table: Table::from_number(request.vrf_id),
        block,
        origin: Asn::try_from(request.origin_asn).ok(),
        announce,
        min_days_left: request.min_days_left,
    });
    violations.finish_with(wish)
}

fn target(request: &v1::CheckReputationRequest) -> Result<Network, Problem> {
    use v1::check_reputation_request::Target;
    let mut violations = Violations::default();
    let network = match &request.target {
        Some(Target::Address(text)) => violations.host("address", text).map(Network::host),
        Some(Target::Prefix(text)) => violations.network("prefix", text),
        None => {
            violations.add("target", "address or prefix is required");
            None
        }
    };
    violations.finish_with(network)
}

#[tonic::async_trait]
impl ValidationService for Validations {
    async fn validate_route(
        &self,
        request: Request<v1::ValidateRouteRequest>,
    ) -> Result<Response<v1::ValidateRouteResponse>, Status> {
        let request = request.get_ref();
        let route = self.route(&request.prefix, request.origin_asn, request.vrf_id)?;
        let seen = self.inspector.validate(route).await;
        Ok(Response::new(render::route(route, seen)))
    }

    async fn check_irr(
        &self,
        request: Request<v1::CheckIrrRequest>,
    ) -> Result<Response<v1::CheckIrrResponse>, Status> {
        let request = request.get_ref();
        let route = self.route(&request.prefix, request.origin_asn, request.vrf_id)?;
        let seen = self.inspector.irr(route).await;
        Ok(Response::new(render::irr(route, seen)))
    }

    type CheckReputationStream =
        Pin<Box<dyn Stream<Item = Result<v1::CheckReputationResponse, Status>> + Send>>;

    async fn check_reputation(
        &self,
        request: Request<v1::CheckReputationRequest>,
    ) -> Result<Response<Self::CheckReputationStream>, Status> {
        use v1::check_reputation_response::Item;
        let request = request.get_ref();
        let (block, table) = (target(request)?, Table::from_number(request.vrf_id));
        let now = self.clock.now();
        if request.recorded {
            let judged = self.inspector.recorded_reputation(table, block).await.map_err(Problem::from)?;
            let item = Some(Item::Result(render::reputation(block, judged, now)));
            let only = stream::once(std::future::ready(Ok(v1::CheckReputationResponse { item })));
            return Ok(Response::new(only.boxed()));
        }
        let told = self.inspector.reputation(table, block).await.map_err(Problem::from)?;
        let stop = self.stop.clone();
        let items = stream::unfold(Some(told), move |told| {
            let stop = stop.clone();
            async move {
                let mut told = told?;
                tokio::select! {
                    () = stop.cancelled() => Some((Err(Problem::stopping()), None)),
                    item = told.recv() => Some((Ok(item?), Some(told))),
                }
            }
        });
        let clock = self.clock.clone();
        let messages = items.map(move |item| {
            let item = match item? {
                ReputationProgress::Asked { done, of, listed } => {
                    Item::Progress(v1::ReputationProgress { done, total: of, listed })
                }
                ReputationProgress::Judged(judged) => {
                    Item::Result(render::reputation(block, *judged, clock.now()))
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
        let wish = wish(request.get_ref())?;
        let found = self.inspector.preflight(&wish).await.map_err(Problem::from)?;
        let state = if found.ready { v1::PreflightState::Ready } else { v1::PreflightState::Blocked };
        Ok(Response::new(v1::PreflightResponse {
            state: state.into(),
            findings: found.findings.into_iter().map(render::finding).collect(),
            lease: found.leased.as_ref().and_then(|prefix| convert::own_lease(prefix, self.clock.today())),
            origin_asn: found.origin.map_or(0, Asn::number),
        }))
    }
}
