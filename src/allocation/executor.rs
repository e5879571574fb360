//! The executor: carries commands out by the write protocol. It observes (ledger, NetBox, cache, clock) and does what the state
//! of the protocol asks for; which state follows is decided in `protocol`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::OwnedMutexGuard;

use super::catch_up::CatchUp;
use super::creating::Creations;
use super::error::Error;
use super::in_flight::InFlight;
use super::joined::Joined;
use super::operation::{Operation, repetition_of};
use super::plan::{Policy, QuarantineView};
use super::ports::{NetBoxPort, RecordCache, UniqueIds, WriteOrigin};
use super::protocol::{
    AfterVerification, AfterWithdrawal, Deletion, End, Found, MaybeWritten, NotSent, Withdrawing,
};
use super::queue::{Caller, Queue};
use super::run::{Phase, Planning, Run, TakenUp};
use crate::cache::Batch;
use crate::clock::Clock;
use crate::ledger::{
    self, Advanced, Begun, IntentStep, IntentStore, NewIntent, NextStep, Owner, QuarantineStore,
};
use crate::model::RequestId;

/// Steps that are stored in one transaction, and records that are published at once.
const MOST_TOGETHER: usize = 256;

/// Carries out commands and settles what earlier servers left open.
pub struct Executor {
    pub(super) netbox: Arc<dyn NetBoxPort>,
    pub(super) cache: Arc<dyn RecordCache>,
    pub(super) intents: Arc<dyn IntentStore>,
    pub(super) quarantine: QuarantineView,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) policy: Policy,
    /// This process: intents that it carries out are claimed in its name.
    pub(super) owner: Owner,
    pub(super) jitter: Jitter,
    pub(super) catch_up: CatchUp,
    pub(super) creations: Arc<Creations>,
    /// The space that the writes of this process are about to take.
    pub(super) in_flight: Arc<InFlight>,
    /// Held while a write chooses its space.
    pub(super) planning: tokio::sync::Mutex<()>,
    /// New intents, steps of intents and records for the cache: those that wait at the same time are stored at once.
    pub(super) begins: Joined<NewIntent, Result<Begun, ledger::Error>>,
    pub(super) advances: Joined<NextStep, Result<Advanced, ledger::Error>>,
    pub(super) publications: Joined<Batch, ()>,
    queue: Queue,
    /// A lock for each request that is being carried out, so that a retry waits for the first call.
    requests: Mutex<BTreeMap<RequestId, Weak<tokio::sync::Mutex<()>>>>,
    /// What NetBox said last of its custom field, and when.
    unique_ids: Mutex<Option<UniqueIds>>,
}

/// What an executor is made of.
pub struct ExecutorParts {
    pub netbox: Arc<dyn NetBoxPort>,
    pub cache: Arc<dyn RecordCache>,
    pub intents: Arc<dyn IntentStore>,
    pub quarantine: Arc<dyn QuarantineStore>,
    pub clock: Arc<dyn Clock>,
    pub policy: Policy,
    /// A name that no other process has had.
    pub owner: Owner,
    /// Spreads the attempts of writers that met.
    pub jitter: Jitter,
}

/// Gives numbers from 0 to 1, at random.
#[derive(Clone)]
pub struct Jitter(Arc<dyn Fn() -> f64 + Send + Sync>);

impl Jitter {
    /// Numbers from this source.
    pub fn new(source: impl Fn() -> f64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(source))
    }

    /// Numbers that nobody can foretell.
    pub fn random() -> Self {
        Self::new(|| {
            let drawn = uuid::Uuid::new_v4().as_u128() % 1000;
            f64::from(u16::try_from(drawn).unwrap_or(0)) / 1000.0
        })
    }

    pub(super) fn fraction(&self) -> f64 {
        (self.0)()
    }
}

impl Executor {
    /// An executor that has carried out nothing yet.
    pub fn new(parts: ExecutorParts) -> Self {
        let ExecutorParts { netbox, cache, intents, quarantine, clock, policy, owner, jitter } = parts;
        let creations = Creations::new(netbox.clone(), cache.clone());
        Self {
            catch_up: CatchUp::new(netbox.clone(), cache.clone()),
            creations: Arc::new(creations),
            in_flight: Arc::new(InFlight::default()),
            planning: tokio::sync::Mutex::default(),
            begins: Joined::of(MOST_TOGETHER),
            advances: Joined::of(MOST_TOGETHER),
            publications: Joined::of(MOST_TOGETHER),
            netbox,
            cache,
            intents,
            quarantine: QuarantineView::new(quarantine, policy.quarantine),
            clock,
            policy,
            owner,
            jitter,
            queue: Queue::new(),
            requests: Mutex::default(),
            unique_ids: Mutex::default(),
        }
    }

    /// Carries a command out as soon as its lane is free. `caller` is who called, as far as it is known.
    pub(super) async fn execute<O: Operation>(
        self: &Arc<Self>,
        operation: O,
        caller: String,
    ) -> Result<O::Done, Error> {
        let (lane, turn) = (operation.lane(&*self.cache.snapshot()?), operation.turn());
        let this = self.clone();
        let work = move |waiting: Arc<Caller<()>>| async move {
            let origin =
                WriteOrigin { method: operation.method(), request: operation.request().clone(), caller };
            this.carry_out(&operation, origin, waiting).await
        };
        self.queue.run(lane, turn, work).await
    }

    /// Waits for the commands that are queued or running. New ones are refused.
    pub async fn drain(&self) {
        self.queue.drain().await;
    }

    /// Why no write is served: NetBox does not refuse a second record with the same allocation id, or has not been asked yet.
    pub fn unserved(&self) -> Option<UniqueIds> {
        let known = *self.unique_ids.lock().unwrap_or_else(PoisonError::into_inner);
        known.filter(|ids| *ids != UniqueIds::Enforced)
    }

    /// Whether NetBox was found to refuse a second record with the same allocation id.
    pub fn serves(&self) -> bool {
        *self.unique_ids.lock().unwrap_or_else(PoisonError::into_inner) == Some(UniqueIds::Enforced)
    }

    /// Asks NetBox whether it refuses a second record with the same allocation id.
    pub(super) async fn check_unique_ids(&self) -> Result<UniqueIds, Error> {
        let found = self.netbox.unique_ids().await?;
        *self.unique_ids.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
        Ok(found)
    }

    async fn require_unique_ids(&self) -> Result<(), Error> {
        if self.serves() {
            return Ok(());
        }
        match self.check_unique_ids().await? {
            UniqueIds::Enforced => Ok(()),
            found => Err(Error::IdsNotUnique { found }),
        }
    }

    /// Holds the request id: of two calls with the same one, the second waits.
    pub(super) async fn hold(&self, request: &RequestId) -> OwnedMutexGuard<()> {
        self.lock_of(request).lock_owned().await
    }

    /// Holds the request id, unless somebody else does.
    pub(super) fn try_hold(&self, request: &RequestId) -> Option<OwnedMutexGuard<()>> {
        self.lock_of(request).try_lock_owned().ok()
    }

    fn lock_of(&self, request: &RequestId) -> Arc<tokio::sync::Mutex<()>> {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.retain(|_, lock| lock.strong_count() > 0);
        let held = requests.get(request).and_then(Weak::upgrade);
        held.unwrap_or_else(|| {
            let lock = Arc::new(tokio::sync::Mutex::new(()));
            requests.insert(request.clone(), Arc::downgrade(&lock));
            lock
        })
    }

    async fn carry_out<O: Operation>(
        &self,
        operation: &O,
        origin: WriteOrigin,
        caller: Arc<Caller<()>>,
    ) -> Result<O::Done, Error> {
        let _held = self.hold(operation.request()).await;
        let intent = match self.look_up(operation).await? {
            // Nothing is written, so NetBox need not be in reach.
            TakenUp::Done(intent) => return self.repeat(operation, *intent).await,
            TakenUp::New => None,
            TakenUp::Resumed(intent) => Some(*intent),
        };
        self.require_unique_ids().await?;
        let phase = match &intent {
            None => Phase::Plan(NotSent::new()),
            Some(intent) if intent.step == IntentStep::Withdrawing => {
                Phase::ResumeWithdrawal(self.withdrawal(intent))
            }
            Some(intent) => {
                let stale = self.netbox.refuses_stale_changes();
                let repetition = repetition_of(intent.kind, &intent.detail, stale);
                Phase::Ask(MaybeWritten::resumed(intent.unanswered), repetition)
            }
        };
        let repeated = intent.is_some();
        let run = Run {
            flight: self.in_flight.begin(operation.request().clone()),
            operation,
            origin,
            caller,
            intent,
            exhausted: Vec::new(),
            races: Vec::new(),
            last: None,
            reservation_tries: 0,
            caught_up: false,
            repeated,
        };
        self.drive(run, phase).await
    }

    /// What the ledger knows of the request id. An open intent is taken over by compare-and-set.
    async fn look_up<O: Operation>(&self, operation: &O) -> Result<TakenUp, Error> {
        let Some(intent) = self.intents.get(operation.request()).await? else { return Ok(TakenUp::New) };
        let fingerprint = operation.fingerprint();
        let version = intent.fingerprint.version();
        if intent.kind == operation.kind() && version != fingerprint.version() {
            return Err(Error::FingerprintVersion { request: intent.request, version });
        }
        if intent.kind != operation.kind() || intent.fingerprint != fingerprint {
            return Err(Error::RequestIdReused { request: intent.request });
        }
        if intent.step == IntentStep::Done {
            return Ok(TakenUp::Done(Box::new(intent)));
        }
        Ok(TakenUp::Resumed(Box::new(self.take_over(intent).await?)))
    }

    /// Drives a run from state to state until its end.
    async fn drive<O: Operation>(&self, mut run: Run<'_, O>, mut phase: Phase) -> Result<O::Done, Error> {
        loop {
            phase = match phase {
                Phase::Plan(state) => match self.plan(&mut run, state).await? {
                    Planning::Next(next) => next,
                    Planning::Done(finished) => {
                        return run.operation.outcome(&*self.cache.snapshot()?, *finished);
                    }
                },
                Phase::Ask(state, repetition) => self.ask_and_decide(&mut run, state, repetition).await,
                Phase::Verify(state, records) => match self.verdict(&mut run, state, &records).await {
                    AfterVerification::Record(state) => Phase::Record(state, records),
                    AfterVerification::Withdraw(state) => Phase::Withdraw(state, records),
                    AfterVerification::End(end) => Phase::End(end),
                },
                Phase::Withdraw(state, records) => {
                    let deletion = match run.intent.as_mut() {
                        Some(intent) => self.withdraw(intent, state, &records, &run.origin).await,
                        None => Deletion::Unproven,
                    };
                    self.withdrawn(&mut run, state, deletion).await
                }
                Phase::ResumeWithdrawal(state) => {
                    let asked = match &run.intent {
                        Some(intent) => self.ask(intent).await,
                        None => (Found::Unknown, None),
                    };
                    match asked {
                        (Found::All, Some(records)) => Phase::Withdraw(state, records),
                        (Found::Nothing, _) => self.withdrawn(&mut run, state, Deletion::Proven).await,
                        (Found::All | Found::Unknown, _) => Phase::End(End::Unsettled(state.progress())),
                    }
                }
                Phase::Record(state, records) => match self.record(&mut run, state, &records).await {
                    Ok(finished) => return run.operation.outcome(&*self.cache.snapshot()?, *finished),
                    Err(end) => Phase::End(end),
                },
                Phase::End(end) => return Err(self.end(run, end).await),
            };
        }
    }

    /// What follows the deletion of records that lost.
    async fn withdrawn<O: Operation>(
        &self,
        run: &mut Run<'_, O>,
        state: Withdrawing,
        deletion: Deletion,
    ) -> Phase {
        match state.deleted(deletion) {
            AfterWithdrawal::PlanAnew(state) => {
                run.last = Some(Error::Contended);
                self.pause(state.progress().sent).await;
                Phase::Plan(state)
            }
            AfterWithdrawal::End(end) => Phase::End(end),
        }
    }
}
