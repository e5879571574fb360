//! Sends the queries of a plan to one zone and records the answers.

use std::net::IpAddr;

use futures::{StreamExt as _, stream};

use super::query_plan::{self, AddressAnswer};
use crate::clock::Clock;
use crate::dnsbl::Blocklists;
use crate::model::{Network, ZoneCoverage};

/// Queries to one zone that wait for an answer at the same time. [`Blocklists`] limits them over all zones and paces each zone.
const QUERIES_AT_ONCE: usize = 28;
/// After this many failures in a row the run is abandoned: waiting for a thousand time-outs would show nothing more.
const MAX_FAILURES_IN_A_ROW: usize = 16;

/// A block to ask a zone about.
#[derive(Clone, Debug)]
pub(super) struct CheckTarget {
    pub(super) block: Network,
    /// Addresses of the block that are recorded in NetBox.
    pub(super) recorded: Vec<IpAddr>,
    /// Queries that this run may send to a zone, recorded addresses not counted.
    pub(super) budget: usize,
}

/// Continues the coverage of a block by one zone with one run. Calls `on_answer` for every answer, and returns how many queries
/// were charged to the budget.
pub(super) async fn advance(
    lists: &Blocklists,
    zone: &str,
    target: &CheckTarget,
    coverage: &mut ZoneCoverage,
    clock: &dyn Clock,
    on_answer: impl Fn(&AddressAnswer),
) -> usize {
    coverage.block = Some(target.block);
    let plan = query_plan::plan(target.block, coverage, &target.recorded, target.budget, clock.now());
    if let Err(failure) = lists.self_test(zone).await {
        query_plan::abandon(coverage, Vec::new(), failure.to_string(), clock.now());
        return 0;
    }
    let query = |address: IpAddr| async move {
        let answer = lists.check(zone, address).await.map_err(|failure| failure.to_string());
        (address, answer)
    };
    let mut answering = stream::iter(plan.addresses.clone()).map(query).buffer_unordered(QUERIES_AT_ONCE);
    let (mut answers, mut failures_in_a_row) = (Vec::with_capacity(plan.addresses.len()), 0);
    while let Some(answer) = answering.next().await {
        on_answer(&answer);
        failures_in_a_row = if answer.1.is_err() { failures_in_a_row + 1 } else { 0 };
        let failure = answer.1.as_ref().err().cloned();
        answers.push(answer);
        if let (Some(failure), true) = (failure, failures_in_a_row >= MAX_FAILURES_IN_A_ROW) {
            let reason = format!("{failures_in_a_row} queries in a row failed: {failure}");
            let spent = answers.len().min(plan.charged);
            query_plan::abandon(coverage, answers, reason, clock.now());
            // If the zone itself is down, the self-test fails at once for the blocks that follow, and they need not wait.
            drop(answering);
            lists.retest(zone).await;
            return spent;
        }
    }
    query_plan::record(coverage, &plan, answers, clock.now());
    plan.charged
}
