//! One round of origin validation or IRR checks: every block with an origin is checked, and a changed verdict is confirmed.

use std::sync::Arc;

use futures::{StreamExt as _, stream};

use super::block_selection::{BlockSelection, leased_blocks};
use super::error::RoundError;
use super::reasons;
use super::round_context::RoundContext;
use super::round_failures::RoundFailures;
use super::verdict_recorder::CheckOutcome;
use super::verdict_store::VerdictStates;
use super::verdict_subject::verdict_subject;
use crate::model::{Check, Prefix, Route};

/// Routes that are checked at the same time. A source that is asked over the network has its own, lower limit.
const ROUTES_AT_ONCE: usize = 32;

/// Who is asked about a route.
#[derive(Clone, Copy, Debug)]
pub(super) enum RouteSource {
    Rpki,
    Irr,
}

impl RouteSource {
    fn check(self) -> Check {
        match self {
            Self::Rpki => Check::Roa,
            Self::Irr => Check::Irr,
        }
    }
}

/// Checks the routes of all selected blocks. Blocks with a candidate verdict are checked again after a pause, until the
/// candidate is confirmed or gone. Returns how many blocks were checked.
pub(super) async fn run(
    context: &RoundContext,
    source: RouteSource,
    selection: BlockSelection,
) -> Result<usize, RoundError> {
    let check = source.check();
    let index = context.index().await;
    let known = match selection {
        BlockSelection::All => VerdictStates::new(),
        BlockSelection::New => context.verdicts.load(check, None).await?,
    };
    // A verdict on another origin or lease says nothing about this one.
    let is_known = |prefix: &Prefix| {
        known.get(&prefix.id).is_some_and(|state| state.about == verdict_subject(check, prefix))
    };
    let mut blocks =
        leased_blocks(&index, &*context.clock, |prefix| leased_route(prefix).is_some() && !is_known(prefix));
    if blocks.is_empty() && selection == BlockSelection::New {
        return Ok(0);
    }
    let total = blocks.len();
    let mut failures = RoundFailures::default();
    for attempt in 0..context.settings.confirmations.get() {
        if attempt > 0 {
            tokio::time::sleep(context.settings.confirm_after).await;
        }
        let routes = blocks.into_iter().filter_map(|prefix| Some((leased_route(&prefix)?, prefix)));
        let outcomes: Vec<(Arc<Prefix>, CheckOutcome)> = stream::iter(routes)
            .map(|(route, prefix)| check_route(context, source, route, prefix))
            .buffer_unordered(ROUTES_AT_ONCE)
            .collect()
            .await;
        for (prefix, outcome) in &outcomes {
            failures.note(prefix, outcome.as_ref().err());
        }
        blocks = context.recorder.record(check, outcomes).await?;
        if blocks.is_empty() {
            break;
        }
    }
    context.finish(check).await?;
    failures.into_result(total)
}

async fn check_route(
    context: &RoundContext,
    source: RouteSource,
    route: Route,
    prefix: Arc<Prefix>,
) -> (Arc<Prefix>, CheckOutcome) {
    let about = verdict_subject(source.check(), &prefix);
    let outcome = match source {
        RouteSource::Rpki => {
            let answer = context.sources.validator.validate(route).await;
            answer.map(|answer| reasons::roa(route, &answer, about))
        }
        RouteSource::Irr => {
            let answer = context.sources.irr.check(route, context.clock.now()).await;
            answer.map(|answer| reasons::irr(route, &answer, about))
        }
    };
    (prefix, outcome)
}

/// The route that a lease is for: the whole block, announced by the recorded origin.
fn leased_route(prefix: &Prefix) -> Option<Route> {
    let origin = prefix.lease.as_ref()?.origin?;
    Some(Route { prefix: prefix.network, origin })
}
