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
    self, Advanced, Begun, Claim, Detail, Intent, IntentChange, IntentStep, NewIntent, NextStep, Reservation,
    ReservationChange,
};

/// What is added to NetBox's request limit where another server's clock may have taken a time: how far the clocks of servers that
/// share a ledger may differ, and how long a request is on its way to NetBox.
const CLOCK_DIFFERENCE: Duration = Duration::from_mins(1);

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
                let reserve = if step.is_final() { Vec::new() } else { planned.reserve.clone() };
                match self.begin(NewIntent { intent: intent.clone(), reserve }).await? {
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
                    step,
                    parent: planned.parent,
                    detail,
                    unanswered,
                    sweep: None,
                    reservations: if step.is_final() {
                        ReservationChange::Release
                    } else {
                        ReservationChange::Replace(reserve)
                    },
                    ..IntentChange::of(intent, &self.owner)
                };
                let mut next = intent.clone();
                let stored = match self.set(&mut next, &change).await? {
                    Advanced::Set => Stored::Yes,
                    Advanced::Lost(_) => Stored::HeldByAnother,
                    Advanced::Reserved => Stored::Reserved,
                };
                run.intent = Some(next);
                Ok(stored)
            }
        }
    }

    /// Claims an open intent for this process. [`Error::UnderWay`] while another server may still be carrying it out.
    pub(super) async fn take_over(&self, mut intent: Intent) -> Result<Intent, Error> {
        if !self.may_take_over(&intent) {
            return Err(Error::UnderWay { request: intent.request });
        }
        let change = IntentChange::of(&intent, &self.owner);
        match self.set(&mut intent, &change).await? {
            Advanced::Set => Ok(intent),
            Advanced::Lost(_) | Advanced::Reserved => Err(Error::UnderWay { request: intent.request }),
        }
    }

    /// Whether nobody else can be carrying the intent out any more: of another server, once its latest step is older than NetBox's
    /// request limit, however its clock differs from ours.
    pub(super) fn may_take_over(&self, intent: &Intent) -> bool {
        let settled = intent.step.is_final();
        let alone = !self.intents.is_shared() || intent.claim.owner == self.owner;
        let age = self.netbox.request_limit() + CLOCK_DIFFERENCE;
        let stale = intent.updated.checked_add(age).is_ok_and(|then| then <= self.clock.now());
        settled || alone || stale
    }

    /// Stores a new intent, with those that wait in one transaction.
    async fn begin(&self, new: NewIntent) -> Result<Begun, ledger::Error> {
        let intents = self.intents.clone();
        let together = move |new: Vec<NewIntent>| {
            let intents = intents.clone();
            async move { ledger::Error::each(new.len(), intents.begin_all(&new).await) }
        };
        self.begins.call_all(new, together).await.unwrap_or(Err(ledger::Error::TaskLost))
    }

    /// Compare-and-set of a change over the intent that was read, which then is as the ledger has it.
    async fn set(&self, intent: &mut Intent, change: &IntentChange) -> Result<Advanced, ledger::Error> {
        let now = self.clock.now();
        let (request, held) = (intent.request.clone(), intent.claim.clone());
        let step = NextStep { request, held, change: change.clone(), now };
        let intents = self.intents.clone();
        let together = move |steps: Vec<NextStep>| {
            let intents = intents.clone();
            async move { ledger::Error::each(steps.len(), intents.advance_all(&steps).await) }
        };
        let advanced =
            self.advances.call_all(step, together).await.unwrap_or(Err(ledger::Error::TaskLost))?;
        if advanced == Advanced::Set {
            *intent = change.applied_to(intent, now);
        }
        Ok(advanced)
    }

    /// Compare-and-set of the next step. Returns whether this process still held the intent and the ledger took it.
    pub(super) async fn advance(
        &self,
        intent: &mut Intent,
        step: IntentStep,
        progress: Progress,
        reservations: ReservationChange,
    ) -> bool {
        let limit = self.netbox.request_limit();
        let late = progress.unanswered.and_then(|sent| sent.checked_add(limit + CLOCK_DIFFERENCE).ok());
        let change = IntentChange {
            step,
            unanswered: progress.unanswered,
            // A request that was never answered may still arrive. Once it cannot any more, its records are looked for.
            sweep: late.filter(|_| step.is_final()),
            reservations,
            ..IntentChange::of(intent, &self.owner)
        };
        match self.set(intent, &change).await {
            Ok(Advanced::Set) => true,
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
