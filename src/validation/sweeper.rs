//! Asks a zone what a plan says.

use std::net::IpAddr;

use futures::{StreamExt as _, stream};

use super::sweep::{self, Answer};
use crate::clock::Clock;
use crate::dnsbl::Lists;
use crate::model::{Network, Sweep};

/// Queries to one zone under way at once. The lists bound them over all zones, and pace each.
const AT_ONCE: usize = 28;
/// After so many failures in a row the zone is left until the next run: a thousand time-outs say no more than these.
const FAILURES_IN_A_ROW: usize = 16;

/// What is asked about a block.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) block: Network,
    /// Its recorded addresses.
    pub(super) recorded: Vec<IpAddr>,
    /// Queries that one run may spend on a zone.
    pub(super) budget: usize,
}

/// Carries a zone's sweep of a block on by one run; `asked` hears of every answer. Answers how much of the budget that took.
pub(super) async fn advance(
    lists: &Lists,
    zone: &str,
    target: &Target,
    sweep: &mut Sweep,
    clock: &dyn Clock,
    asked: impl Fn(&Answer),
) -> usize {
    sweep.block = Some(target.block);
    let plan = sweep::plan(target.block, sweep, &target.recorded, target.budget, clock.now());
    if let Err(failure) = lists.self_test(zone).await {
        sweep::give_up(sweep, Vec::new(), failure.to_string(), clock.now());
        return 0;
    }
    let ask = |address: IpAddr| async move {
        let answer = lists.check(zone, address).await.map_err(|failure| failure.to_string());
        (address, answer)
    };
    let mut answering = stream::iter(plan.ask.clone()).map(ask).buffer_unordered(AT_ONCE);
    let (mut answers, mut in_a_row) = (Vec::with_capacity(plan.ask.len()), 0);
    while let Some(answer) = answering.next().await {
        asked(&answer);
        in_a_row = if answer.1.is_err() { in_a_row + 1 } else { 0 };
        let why = answer.1.as_ref().err().cloned();
        answers.push(answer);
        if let (Some(why), true) = (why, in_a_row >= FAILURES_IN_A_ROW) {
            let why = format!("{in_a_row} queries in a row failed: {why}");
            let spent = answers.len().min(plan.charged);
            sweep::give_up(sweep, answers, why, clock.now());
            // If it is the zone and not this block, the blocks that follow need not find out by waiting.
            drop(answering);
            lists.retest(zone).await;
            return spent;
        }
    }
    sweep::record(sweep, &plan, answers, clock.now());
    plan.charged
}
