//! One round of blocklist checks: every zone is asked about every block, as far as the round's budget allows.

use std::collections::BTreeSet;
use std::net::IpAddr;

use futures::future::join_all;

use super::block_selection::{BlockSelection, leased_blocks};
use super::confirmation::VerdictObservation;
use super::coverage_store::CoverageByZone;
use super::error::RoundError;
use super::query_plan;
use super::round_context::RoundContext;
use super::round_failures::RoundFailures;
use super::verdict_subject::verdict_subject;
use super::zone_queries::{self, CheckTarget};
use crate::cache::Index;
use crate::model::{Check, Prefix, Verdict, ZoneCoverage};

/// Checks the selected blocks against the blocklists and returns how many there were. Recorded addresses and earlier listings
/// are asked about first, the rest of each block within the budget. The block that was covered completely the longest time ago
/// comes first, before it the blocks that never were.
pub(super) async fn run(context: &RoundContext, selection: BlockSelection) -> Result<usize, RoundError> {
    let lists = &context.sources.lists;
    let index = context.index().await;
    let skipped = match selection {
        BlockSelection::All => BTreeSet::new(),
        BlockSelection::New => context.coverage.prefixes().await?.into_iter().collect(),
    };
    let wanted =
        |prefix: &Prefix| !lists.zones(prefix.network.first()).is_empty() && !skipped.contains(&prefix.id);
    let mut blocks = Vec::new();
    for prefix in leased_blocks(&index, &*context.clock, wanted) {
        blocks.push((context.coverage.load(lists, &prefix).await?, prefix));
    }
    // Zones in trouble are left out: a zone that never answers would keep its blocks first for ever.
    let working = |coverage: &&Option<ZoneCoverage>| {
        coverage.as_ref().is_none_or(|coverage| coverage.zone_error.is_none())
    };
    blocks.sort_by_key(|(coverage, _)| {
        let zones = coverage.iter().map(|(_, coverage)| coverage).filter(working);
        zones.map(|coverage| coverage.as_ref().and_then(|coverage| coverage.complete)).min()
    });
    if blocks.is_empty() && selection == BlockSelection::New {
        return Ok(0);
    }
    let total = blocks.len();
    let mut budget = context.settings.reputation.max_queries_per_round;
    let mut failures = RoundFailures::default();
    for (mut coverage, prefix) in blocks {
        budget = budget.saturating_sub(advance(context, &index, &prefix, &mut coverage, budget).await);
        let now = context.clock.now();
        context.coverage.save(prefix.id, &coverage, now).await?;
        let baseline = context.coverage.update_baseline(&prefix, &coverage, now).await?;
        let judged = context.coverage.judge(&index, &prefix, &coverage, baseline.as_ref());
        let observed = judged.observed.unwrap_or(now);
        let outcome = judged.verdict.map(|reputation| VerdictObservation {
            about: verdict_subject(Check::Reputation, &prefix),
            verdict: Verdict::Reputation(reputation),
            reason: judged.reason,
            source: coverage.iter().map(|(zone, _)| zone.as_str()).collect::<Vec<_>>().join(", "),
            observed,
        });
        // A block without a verdict only because its first coverage is incomplete is no failure: the next round continues it.
        let has_error =
            |coverage: &ZoneCoverage| coverage.zone_error.is_some() || !coverage.failed.is_empty();
        let failed = coverage.iter().filter_map(|(_, coverage)| coverage.as_ref()).any(has_error);
        failures.note(&prefix, outcome.as_ref().err().filter(|_| failed));
        // Recorded block by block: a long round publishes what it finds at once, and keeps it if the server stops.
        context.recorder.record(Check::Reputation, vec![(prefix, outcome)]).await?;
    }
    context.finish(Check::Reputation).await?;
    failures.into_result(total)
}

/// Asks all zones about the next addresses of a block at the same time. Returns how much of the budget that took.
async fn advance(
    context: &RoundContext,
    index: &Index,
    prefix: &Prefix,
    coverage: &mut CoverageByZone,
    budget: usize,
) -> usize {
    let target = &CheckTarget { block: prefix.network, recorded: recorded_addresses(index, prefix), budget };
    let queries = coverage.iter_mut().map(|(zone, coverage)| async move {
        let coverage = coverage.get_or_insert_default();
        zone_queries::advance(&context.sources.lists, zone, target, coverage, &*context.clock, |_| {}).await
    });
    join_all(queries).await.into_iter().max().unwrap_or(0)
}

/// The recorded addresses of a block; of a large IPv6 block at most as many as the largest fully covered block has.
fn recorded_addresses(index: &Index, prefix: &Prefix) -> Vec<IpAddr> {
    let hosts = index.addresses_within(prefix.scope, prefix.network).map(|address| address.host());
    hosts.take(1 << query_plan::MAX_HOST_BITS).collect()
}
