//! The steps of a write in the ledger: its intent with the space that it reserves, and each step after that, by compare-and-set.

use std::time::Duration;

use ipnet::IpNet;
use jiff::Timestamp;

use super::error::Error;
use super::executor::Executor;
use super::operation::{Operation, Planned};
use super::operations::single_addresses;
use super::protocol::Progress;
use super::run::{Run, Stored};
use crate::ledger::{
    Advanced, Begun, Claim, Detail, Intent, IntentChange, IntentStep, Reservation, ReservationChange,
};

/// What is added to NetBox's request limit where another server's clock may have taken a time: how far the clocks of servers that
/// share a ledger may differ, and how long a request is on its way to NetBox.
pub(super) const CLOCK_DIFFERENCE: Duration = Duration::from_mins(1);

/// The times of requests that were not answered.
#[derive(Clone, Copy, Default)]
pub(super) struct Requests {
    /// Sent before, and still open.
    pub(super) earlier: Option<Timestamp>,
    /// The latest, which is about to be sent.
    pub(super) latest: Option<Timestamp>,
}

impl Executor {
    /// Stores the intent of a plan: a new one, or the next step of the one that is held.
    pub(super) async fn store<O: Operation>(
        &self,
        run: &mut Run<'_, O>,
        planned: &Planned,
        step: IntentStep,
        requests: Requests,
    ) -> Result<Stored, Error> {
        let now = self.clock.now();
        let unanswered = requests.latest;
        let mut detail = planned.detail.clone();
        detail.wanted = run.operation.count();
        detail.caller.clone_from(&run.origin.caller);
        match &run.intent {
            None => {
                let intent = Intent {
                    request: run.operation.request().clone(),
                    kind: run.operation.kind(),
                    fingerprint: run.operation.fingerprint(),
                    step,
                    claim: Claim { owner: self.owner.clone(), attempt: 1 },
                    parent: planned.parent,
                    detail,
                    unanswered,
                    sweep: None,
                    created: now,
                    updated: now,
                };
                let reserve = if step.is_final() { &[][..] } else { &planned.reserve };
                match self.intents.begin(&intent, reserve).await? {
                    Begun::New => {
                        run.intent = Some(intent);
                        Ok(Stored::Yes)
                    }
                    Begun::Before(_) => Ok(Stored::HeldByAnother),
                    Begun::Reserved => Ok(Stored::Reserved),
                }
            }
            Some(intent) => {
                let mut reserve = planned.reserve.clone();
                if requests.earlier.is_some() {
                    // A request that may still arrive keeps its space.
                    keep_attempt(intent, &mut detail, &mut reserve);
                }
                let change = IntentChange {
                    claim: intent.claim.next(&self.owner),
                    step,
                    parent: planned.parent,
                    detail: detail.clone(),
                    unanswered,
                    sweep: None,
                    reservations: if step.is_final() {
                        ReservationChange::Release
                    } else {
                        ReservationChange::Replace(reserve)
                    },
                };
                let next = changed(intent, &change, now);
                match self.intents.advance(&intent.request, &intent.claim, &change, now).await? {
                    Advanced::Set => {
                        run.intent = Some(next);
                        Ok(Stored::Yes)
                    }
                    Advanced::Lost(_) => Ok(Stored::HeldByAnother),
                    Advanced::Reserved => Ok(Stored::Reserved),
                }
            }
        }
    }

    /// Compare-and-set of the next step. Returns whether this process still held the intent and the ledger took it.
    pub(super) async fn advance(
        &self,
        intent: &mut Intent,
        step: IntentStep,
        progress: Progress,
        reservations: ReservationChange,
    ) -> bool {
        let now = self.clock.now();
        let limit = self.netbox.request_limit();
        let late = progress.unanswered.and_then(|sent| sent.checked_add(limit + CLOCK_DIFFERENCE).ok());
        let change = IntentChange {
            claim: intent.claim.next(&self.owner),
            step,
            parent: intent.parent,
            detail: intent.detail.clone(),
            unanswered: progress.unanswered,
            // A request that was never answered may still arrive. Once it cannot any more, its records are looked for.
            sweep: late.filter(|_| step.is_final()),
            reservations,
        };
        match self.intents.advance(&intent.request, &intent.claim, &change, now).await {
            Ok(Advanced::Set) => {
                *intent = changed(intent, &change, now);
                true
            }
            Ok(Advanced::Lost(_) | Advanced::Reserved) => {
                tracing::warn!(request = %intent.request, ?step, "an intent has gone on since it was read");
                false
            }
            Err(error) => {
                tracing::error!(request = %intent.request, ?step, %error, "the step of an intent could not be stored");
                false
            }
        }
    }
}

/// Keeps what an earlier request of the same write has chosen beside what is chosen now.
fn keep_attempt(intent: &Intent, detail: &mut Detail, reserve: &mut Vec<Reservation>) {
    let before = &intent.detail;
    let earlier: Vec<IpNet> =
        before.chosen.iter().filter(|chosen| !detail.chosen.contains(chosen)).copied().collect();
    if let Some(scope) = before.scope {
        reserve.extend(single_addresses(scope, earlier.iter().map(IpNet::addr)));
    }
    detail.chosen.extend(earlier);
    detail.attempted.extend(before.attempted.iter().copied().chain(intent.parent));
    detail.attempted.sort_unstable();
    detail.attempted.dedup();
}

/// The intent after a change.
pub(super) fn changed(intent: &Intent, change: &IntentChange, now: Timestamp) -> Intent {
    Intent {
        claim: change.claim.clone(),
        step: change.step,
        parent: change.parent,
        detail: change.detail.clone(),
        unanswered: change.unanswered,
        sweep: change.sweep,
        updated: now,
        ..intent.clone()
    }
}
