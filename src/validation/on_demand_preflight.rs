//! The preflight on request: asks every source at the same time and has the evidence assessed.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future::join_all;
use jiff::Timestamp;

use super::error::Error;
use super::on_demand::OnDemandChecks;
use super::preflight::{
    AnnouncementReview, Evidence, GeofeedEvidence, PreflightFinding, PreflightSettings, RouteEvidence,
    assess, is_ready,
};
use crate::ledger::{Observation, ObservationKind};
use crate::model::{
    Asn, Check, CouldNotCheck, Network, Prefix, Reputation, Route, SourceFault, Verdict, VerdictState,
    VrfScope,
};

/// A block that somebody wants to announce.
#[derive(Clone, Debug)]
pub struct PreflightRequest {
    pub scope: VrfScope,
    pub block: Network,
    /// The AS that is to announce the block; the origin of the lease if absent.
    pub origin: Option<Asn>,
    /// The prefixes that are to be announced; the block itself if empty.
    pub announce: Vec<Network>,
    /// Days that the lease must have left; the configured number if absent.
    pub min_days_left: Option<i32>,
}

/// The result of a preflight.
#[derive(Clone, Debug)]
pub struct PreflightReport {
    /// Whether no finding blocks the announcement.
    pub ready: bool,
    pub findings: Vec<PreflightFinding>,
    /// The prefix whose lease covers the block.
    pub leased: Option<Arc<Prefix>>,
    /// The AS that the routes were checked with.
    pub origin: Option<Asn>,
}

impl OnDemandChecks {
    /// Checks everything that an announcement needs. A source that does not answer leads to a finding, not to an error.
    pub async fn preflight(&self, request: &PreflightRequest) -> Result<PreflightReport, Error> {
        let index = self.index()?;
        let PreflightRequest { scope, block, .. } = *request;
        let leased = index.covering_lease(scope, block).map(|(prefix, _)| prefix.clone());
        let lease = leased.as_ref().and_then(|prefix| prefix.lease.as_deref());
        let origin = request.origin.or_else(|| lease.and_then(|lease| lease.origin));
        let now = self.clock.now();
        let bgp = async {
            match &self.sources.routes {
                Some(routes) => routes.observe(block).await,
                None => Err(CouldNotCheck::not_configured()),
            }
        };
        let (routes, bgp, reputation, geofeed) = tokio::join!(
            self.route_evidence(request, origin),
            bgp,
            self.reputation_evidence(scope, block, leased.as_deref()),
            self.geofeed_evidence(block, leased.as_deref(), now),
        );
        let evidence = Evidence {
            now,
            today: self.clock.today(),
            origin,
            routes,
            bgp,
            reputation: reputation?,
            geofeed,
        };
        let mut settings: PreflightSettings = self.settings.preflight.clone();
        settings.min_days_left = request.min_days_left.unwrap_or(settings.min_days_left);
        let findings = assess(&AnnouncementReview { block, lease, settings: &settings }, &evidence);
        Ok(PreflightReport { ready: is_ready(&findings), findings, leased, origin })
    }

    /// What the RPKI and the IRR say about each prefix to be announced; nothing without an origin.
    async fn route_evidence(&self, request: &PreflightRequest, origin: Option<Asn>) -> Vec<RouteEvidence> {
        let Some(origin) = origin else { return Vec::new() };
        let announced: BTreeSet<Network> = if request.announce.is_empty() {
            [request.block].into()
        } else {
            request.announce.iter().copied().collect()
        };
        let routes = announced.into_iter().map(|prefix| Route { prefix, origin });
        let evidence = routes.map(|route| async move {
            let (roa, irr) = tokio::join!(self.validate(route), self.irr(route));
            RouteEvidence { route, roa, irr }
        });
        join_all(evidence).await
    }

    /// The reputation verdict of the lease that covers the block. Where only a part of the lease is to be announced and that
    /// part is worse than the whole, the verdict on the part.
    async fn reputation_evidence(
        &self,
        scope: VrfScope,
        block: Network,
        leased: Option<&Prefix>,
    ) -> Result<Result<VerdictState, CouldNotCheck>, Error> {
        if !self.sources.lists.is_configured() {
            return Ok(Err(CouldNotCheck::not_configured()));
        }
        let unknown =
            |why: &str| Err(CouldNotCheck::from_source("blocklists", SourceFault::NotAskedYet.failure(why)));
        let Some(prefix) = leased else { return Ok(unknown("only leased blocks are checked")) };
        let rows = self.observations.load(ObservationKind::Verdict, Some(prefix.id)).await?;
        let row = rows.iter().find(|row| row.subject == Check::Reputation.as_str());
        let state: Option<VerdictState> = row.map(Observation::read).transpose()?;
        if let Some(state) = &state
            && prefix.network == block
        {
            return Ok(Ok(state.clone()));
        }
        let part = self.recorded_reputation(scope, block).await?;
        Ok(match (state, part.verdict) {
            (_, Err(could_not)) => Err(could_not),
            (None, Ok(_)) => unknown("the block has no verdict yet"),
            (Some(state), Ok(of_part)) if is_worse(of_part, state.verdict) => Ok(VerdictState {
                verdict: Verdict::Reputation(of_part),
                reason: part.reason,
                observed: part.observed.unwrap_or(state.observed),
                candidate: None,
                ..state
            }),
            (Some(state), Ok(_)) => Ok(state),
        })
    }

    /// What the block's geofeed says about it. The geofeed is the one recorded in NetBox or, without one, the one that the
    /// registry refers to (RFC 9632).
    async fn geofeed_evidence(
        &self,
        block: Network,
        leased: Option<&Prefix>,
        now: Timestamp,
    ) -> Result<Option<GeofeedEvidence>, CouldNotCheck> {
        let field = &self.settings.preflight.geofeed_field;
        let recorded = leased.and_then(|prefix| prefix.custom_fields.get(field)).and_then(|url| url.as_str());
        let url = match recorded.map(str::trim).filter(|url| !url.is_empty()) {
            Some(url) => Some(url.to_owned()),
            None => self.sources.irr.geofeed(block).await?,
        };
        let Some(url) = url else { return Ok(None) };
        let feed = self.sources.geofeeds.get(&url, now).await?;
        Ok(Some(GeofeedEvidence { url, location: feed.map(|feed| feed.location_of(block)) }))
    }
}

fn is_worse(of_part: Reputation, of_whole: Verdict) -> bool {
    let badness = |reputation| match reputation {
        Reputation::Clean => 0,
        Reputation::Watch => 1,
        Reputation::Listed => 2,
    };
    matches!(of_whole, Verdict::Reputation(of_whole) if badness(of_part) > badness(of_whole))
}
