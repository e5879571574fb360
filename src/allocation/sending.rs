//! From a plan to a request: the plan is made, its intent and its reservation are stored, and the write is sent.

use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::catch_up::Wanted;
use super::creating::{Created, Creation, SENT_WITHIN};
use super::error::Error;
use super::executor::Executor;
use super::operation::{Finished, Operation, Plan, PlanContext, Planned, Preparation, Prepared, repetition};
use super::plan::{Limits, Quarantined};
use super::ports::{CreationPart, Write, WrittenRecords};
use super::protocol::{AfterAnswer, End, Found, MaybeWritten, NetBoxReply, NotSent, Progress};
use super::run::{Phase, Planning, Run, Stored};
use super::storing::Requests;
use super::traces::Prospect;
use crate::cache::Batch;
use crate::ledger::{Detail, Intent, IntentKind, IntentStep, ReservationChange, ReservedRange};
use crate::model::{PrefixId, RequestId};
use crate::netbox::{self, Certainty, NetBoxResult};

/// How often a range is chosen anew because another writer of the ledger has reserved it.
const RESERVATION_TRIES: u32 = 40;
/// After so many lost races a parent that the command does not name is left to the others.
const RACES_PER_PARENT: usize = 2;

/// How often the step of a write is stored before it is sent, since it waited too long each time.
const STAMPS: u32 = 3;

impl Executor {
    /// Plans, stores the intent with its reservation, and sends. An error ends the run: nothing of it is stored or sent.
    pub(super) async fn plan<O: Operation>(
        &self,
        run: &mut Run<'_, O>,
        state: NotSent,
    ) -> Result<Planning, Error> {
        let (planned, write) = match self.planned(run).await {
            Ok(Prospect::Plan(Plan::Write(planned, write))) => (planned, write),
            Ok(Prospect::Plan(Plan::Nothing(planned))) => {
                return self.nothing_to_do(run, state, *planned).await;
            }
            Ok(Prospect::HeldByOthers) => return self.reserved(run, state).await,
            Ok(Prospect::Found(planned, records)) => return self.found(run, state, *planned, records).await,
            // The cache may be behind: what others have freed, or taken from another block, counts.
            Err(error) if error.is_of_free_space() && !run.caught_up => {
                run.caught_up = true;
                self.catch_up.run(Wanted::default()).await?;
                return Ok(Planning::Next(Phase::Plan(state)));
            }
            Err(error) => return self.plan_refused(run, state, error).await,
        };
        // The last moment at which a caller can still withdraw.
        if run.intent.is_none() && run.caller.is_gone() {
            return Err(Error::TaskLost);
        }
        let before = state.progress().unanswered;
        if before.is_some()
            && let Some(intent) = &run.intent
            && is_of_another_version(&intent.detail, &write)
        {
            // Sending a change again is harmless only with the version of the request that is open. The record has another one by
            // now: either that request was carried out after all, or it never can be.
            match self.ask(intent).await {
                (Found::All, Some(records)) => {
                    return Ok(Planning::Next(Phase::Record(state.found(), records)));
                }
                (Found::Nothing, _) => {}
                (Found::All | Found::Unknown, _) => {
                    return Ok(Planning::Next(Phase::End(End::Unsettled(state.progress()))));
                }
            }
        }
        let (sent, stamped) = (state.sent(self.clock.now()), Instant::now());
        let requests = Requests { earlier: before, latest: sent.progress().unanswered };
        match self.store(run, &planned, IntentStep::MaybeWritten, requests).await {
            Ok(Stored::Yes) => {}
            Ok(Stored::Reserved) => return self.reserved(run, state).await,
            Ok(Stored::HeldByAnother) => return Err(run.under_way()),
            Err(error) if run.intent.is_none() => return Err(error),
            Err(error) => {
                run.last = Some(error);
                return Ok(Planning::Next(Phase::End(End::Unsettled(state.progress()))));
            }
        }
        if let Some(intent) = &run.intent
            && intent.kind == IntentKind::Release
            // Before the records are deleted: were it after, a crash in between would leave free addresses without quarantine.
            && let Err(error) = self.quarantine.put(&intent.detail.released, self.clock.now()).await
        {
            run.last = Some(error.into());
            return Ok(Planning::Next(Phase::End(state.refused())));
        }
        if let Err(error) = self.look_again(run).await {
            run.last = Some(error);
            return Ok(Planning::Next(Phase::End(state.refused())));
        }
        let repetition = repetition(&write, self.netbox.refuses_stale_changes());
        let (sent, answer) = match self.send_in_time(run, state, sent, stamped, &write).await {
            Ok(answered) => answered,
            Err(end) => return Ok(Planning::Next(Phase::End(end))),
        };
        let (answer, records) = match answer {
            Ok(records) => {
                // Whatever an earlier run has tried, the records are of this one.
                run.repeated = false;
                (NetBoxReply::Created, Some(records))
            }
            Err(error) => {
                let (answer, error) = (classify(&error, run.operation.kind()), error.without_entries());
                tracing::info!(request = %run.origin.request, method = run.origin.method, %error, ?answer,
                    "a write to NetBox was not answered with its records");
                run.last = Some(error.into());
                (answer, None)
            }
        };
        Ok(Planning::Next(match (sent.answered(answer, before), records) {
            (AfterAnswer::Verify(state), Some(records)) => Phase::Verify(state, records),
            // `Created` comes with records.
            (AfterAnswer::Verify(state), None) => Phase::End(End::Unsettled(state.progress())),
            (AfterAnswer::Ask(state), _) => Phase::Ask(state, repetition),
            (AfterAnswer::PlanAnew(state), _) => {
                self.refresh(&write).await;
                run.lost_race(planned.parent);
                self.pause(state.progress().sent).await;
                Phase::Plan(state)
            }
            (AfterAnswer::End(end), _) => Phase::End(end),
        }))
    }

    /// Sends a write whose step was stored at `stamped`. If that is too long ago by the time it can be sent, since the ledger or
    /// NetBox was slow or this process was suspended, another server may have taken the intent over: the step is stored anew first.
    async fn send_in_time<O: Operation>(
        &self,
        run: &mut Run<'_, O>,
        state: NotSent,
        mut sent: MaybeWritten,
        mut stamped: Instant,
        write: &Write,
    ) -> Result<(MaybeWritten, NetBoxResult<WrittenRecords>), End> {
        for _ in 0..STAMPS {
            if stamped.elapsed() <= SENT_WITHIN {
                match self.send(run, state, write, stamped).await {
                    Created::Answer(answer) => return Ok((sent, answer)),
                    Created::TooLate => {}
                    Created::NotWanted => {
                        run.last = Some(Error::TaskLost);
                        return Err(state.refused());
                    }
                }
            }
            stamped = Instant::now();
            sent = state.sent(self.clock.now());
            if !self.stamp_again(run, sent.progress()).await {
                break;
            }
        }
        tracing::warn!(request = %run.origin.request, "a write took too long to be prepared and is not sent");
        Err(End::Unsettled(state.progress()))
    }

    /// Sends a write: new addresses together with those that wait, anything else by itself.
    async fn send<O: Operation>(
        &self,
        run: &Run<'_, O>,
        state: NotSent,
        write: &Write,
        stamped: Instant,
    ) -> Created<WrittenRecords> {
        match write {
            Write::CreateAddresses { scope, list } => {
                let origin = run.origin.clone();
                let part = CreationPart { origin, scope: *scope, list: list.clone() };
                let intent = run.intent.as_ref().filter(|intent| intent.kind.picks_addresses());
                let chosen_from = intent.and_then(|intent| intent.parent);
                let begun = state.progress() != Progress::default();
                let caller = (!begun).then(|| run.caller.clone());
                let created = self.creations.create(Creation { part, chosen_from, stamped, caller }).await;
                created.map(WrittenRecords::Addresses)
            }
            alone => Created::Answer(self.netbox.send(alone, &run.origin).await),
        }
    }

    /// Prepares and plans; before that, looks for traces of a command that the ledger does not know.
    async fn planned<O: Operation>(&self, run: &mut Run<'_, O>) -> Result<Prospect, Error> {
        if run.intent.is_none()
            && let Some(found) = self.traces_at_once(run).await?
        {
            return self.adopt(run, found);
        }
        let stored = run.intent.as_ref().filter(|intent| intent.kind == IntentKind::Release);
        let prepared = match stored {
            Some(intent) => self.read_released(intent).await?,
            None => self.prepare(run.operation.preparation()).await?,
        };
        let mut reserved = self.reserved_by_others(Some(run.operation.request())).await?;
        let quarantined = self.quarantined().await?;
        // From here on nobody else chooses, until what is chosen here is known to all.
        let _planning = self.planning.lock().await;
        // Before the cache is looked at: a write that ends in between is in one of the two.
        reserved.extend(self.in_flight.planned_by_others(run.operation.request()));
        let index = self.cache.snapshot()?;
        let context = PlanContext {
            index: &index,
            quarantined: &quarantined,
            reserved: &reserved,
            policy: &self.policy,
            today: self.clock.today(),
            only_populated_ranges: self.netbox.only_populated_ranges(),
            stored: stored.map(|intent| &intent.detail),
            exhausted: &run.exhausted,
            prepared: &prepared,
        };
        match run.operation.plan(&context) {
            // Space that only open writes hold may be free in a moment.
            Err(error) if error.is_of_free_space() && !reserved.is_empty() => {
                let without = PlanContext { reserved: &[], ..context };
                if run.operation.plan(&without).is_ok() {
                    return Ok(Prospect::HeldByOthers);
                }
                Err(error)
            }
            plan => {
                if let Ok(Plan::Write(planned, _)) = &plan {
                    run.flight.plan(&planned.reserve);
                }
                plan.map(Prospect::Plan)
            }
        }
    }

    /// Stores the step of a request that is about to be sent once more, with its new time. Returns whether that was done soon
    /// enough, and nobody else has gone on with the intent.
    async fn stamp_again<O: Operation>(&self, run: &mut Run<'_, O>, progress: Progress) -> bool {
        let began = Instant::now();
        let Some(intent) = &mut run.intent else { return false };
        let kept = ReservationChange::Keep;
        self.advance(intent, IntentStep::MaybeWritten, progress, kept).await && began.elapsed() <= SENT_WITHIN
    }

    /// Looks once more, now that no other writer of this ledger takes what is reserved: does the plan still hold?
    async fn look_again<O: Operation>(&self, run: &Run<'_, O>) -> Result<(), Error> {
        let preparation = run.operation.second_look();
        if preparation == Preparation::None {
            return Ok(());
        }
        let prepared = self.prepare(preparation).await?;
        self.with_context(&prepared, |context| run.operation.plan(context)).await.map(drop)
    }

    /// Reads something of what a plan would be made from now, for calls that only look.
    pub(super) async fn with_context<T>(
        &self,
        prepared: &Prepared,
        read: impl FnOnce(&PlanContext<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let reserved = self.reserved_by_others(None).await?;
        let (index, quarantined) = (self.cache.snapshot()?, self.quarantined().await?);
        read(&PlanContext {
            index: &index,
            quarantined: &quarantined,
            reserved: &reserved,
            policy: &self.policy,
            today: self.clock.today(),
            only_populated_ranges: self.netbox.only_populated_ranges(),
            stored: None,
            exhausted: &[],
            prepared,
        })
    }

    /// What counts as used in a prefix, whoever asks. What others are about to take does not.
    pub(super) fn limits<'a>(&self, quarantined: &'a Quarantined) -> Limits<'a> {
        Limits::of_everybody(quarantined, self.netbox.only_populated_ranges())
    }

    /// What is in quarantine now.
    pub(super) async fn quarantined(&self) -> Result<Quarantined, Error> {
        Ok(self.quarantine.at(self.clock.now()).await?)
    }

    async fn reserved_by_others(&self, own: Option<&RequestId>) -> Result<Vec<ReservedRange>, Error> {
        let mut reserved = self.intents.reservations(self.clock.now()).await?;
        reserved.retain(|range| Some(&range.request) != own);
        Ok(reserved)
    }

    /// Reads which addresses a release that was begun before has still to delete.
    async fn read_released(&self, intent: &Intent) -> Result<Prepared, Error> {
        let ids: Vec<u64> = intent.detail.released.iter().map(|record| record.id.0).collect();
        let target_records = self.netbox.addresses_by_id(&ids).await?;
        Ok(Prepared { target: None, target_records })
    }

    pub(super) async fn prepare(&self, preparation: Preparation<'_>) -> Result<Prepared, Error> {
        match preparation {
            Preparation::None => Ok(Prepared::default()),
            Preparation::CatchUp => {
                self.catch_up.run(Wanted::default()).await?;
                Ok(Prepared::default())
            }
            Preparation::ReadNetwork(scope, network) => {
                self.catch_up.run(Wanted::default()).await?;
                let reading = self.cache.begin_reading();
                let found = self.netbox.prefixes_at(scope, network).await?;
                self.cache.apply(Batch::from(found).read_during(reading)).await?;
                Ok(Prepared::default())
            }
            Preparation::ReadAddresses(scope, hosts) => {
                let reading = self.cache.begin_reading();
                let found = self.netbox.addresses_at(scope, hosts).await?;
                self.cache.apply(Batch::from(found).read_during(reading)).await?;
                Ok(Prepared::default())
            }
            Preparation::ReadAllocation(target) => self.read_allocation(target).await,
        }
    }

    async fn read_allocation(&self, target: &RequestId) -> Result<Prepared, Error> {
        if target.is_of_pool() {
            return Err(Error::AllocationNotFound { request: target.clone() });
        }
        let intent = self.intents.get(target).await?;
        if intent.as_ref().is_some_and(|intent| !intent.step.is_final()) {
            return Err(Error::Unsettled { request: target.clone() });
        }
        let index = self.cache.snapshot()?;
        let mut ids: Vec<u64> = index.allocated(target).0.into_iter().map(|address| address.id.0).collect();
        let made = intent.iter().flat_map(|intent| intent.detail.made.iter().copied());
        ids.extend(made);
        ids.sort_unstable();
        ids.dedup();
        let mut target_records =
            if ids.is_empty() { Vec::new() } else { self.netbox.addresses_by_id(&ids).await? };
        self.cache.handed_out().amend(&mut target_records);
        Ok(Prepared { target: intent, target_records })
    }

    /// A plan of which nothing has to be written: the record is as the command wants it.
    async fn nothing_to_do<O: Operation>(
        &self,
        run: &mut Run<'_, O>,
        state: NotSent,
        planned: Planned,
    ) -> Result<Planning, Error> {
        // An earlier request that is unanswered could still change the record.
        if state.progress().unanswered.is_some() {
            return Ok(Planning::Next(Phase::End(End::Unsettled(state.progress()))));
        }
        match self.store(run, &planned, IntentStep::Done, Requests::default()).await? {
            Stored::Yes => Ok(Planning::Done(Box::new(Finished {
                parent: planned.parent,
                detail: planned.detail,
                records: WrittenRecords::Deleted,
                repeated: run.repeated,
            }))),
            Stored::Reserved | Stored::HeldByAnother => Err(run.under_way()),
        }
    }

    /// Records of this request stand although the ledger did not know it.
    async fn found<O: Operation>(
        &self,
        run: &mut Run<'_, O>,
        state: NotSent,
        planned: Planned,
        records: WrittenRecords,
    ) -> Result<Planning, Error> {
        match self.store(run, &planned, IntentStep::Verified, Requests::default()).await? {
            Stored::Yes => {
                run.repeated = true;
                Ok(Planning::Next(Phase::Record(state.found(), records)))
            }
            Stored::Reserved | Stored::HeldByAnother => Err(run.under_way()),
        }
    }

    /// The plan was refused. Of a request that the ledger does not know, NetBox is asked first: its own record may be what
    /// stands in the way.
    async fn plan_refused<O: Operation>(
        &self,
        run: &mut Run<'_, O>,
        state: NotSent,
        error: Error,
    ) -> Result<Planning, Error> {
        if run.intent.is_none() {
            // Another server may have carried out this very request since the ledger was read.
            if self.intents.get(run.operation.request()).await?.is_some() {
                return Err(run.under_way());
            }
            if error.is_of_free_space()
                && let Some(traces) = self.traces_in_netbox(run).await?
                && let Prospect::Found(planned, records) = self.adopt(run, traces)?
            {
                return self.found(run, state, *planned, records).await;
            }
            return Err(error);
        }
        run.last = Some(error);
        Ok(Planning::Next(Phase::End(state.refused())))
    }

    async fn reserved<O: Operation>(&self, run: &mut Run<'_, O>, state: NotSent) -> Result<Planning, Error> {
        run.reservation_tries += 1;
        run.last = Some(Error::Contended);
        if run.reservation_tries < RESERVATION_TRIES {
            self.pause(run.reservation_tries.min(4)).await;
            return Ok(Planning::Next(Phase::Plan(state)));
        }
        if run.intent.is_none() {
            Err(Error::Contended)
        } else {
            Ok(Planning::Next(Phase::End(state.refused())))
        }
    }

    /// Reads what stood in the way of a write into the cache. A failure is no matter: the next attempt meets the same refusal.
    async fn refresh(&self, write: &Write) {
        let read = async {
            self.catch_up.run(Wanted::default()).await?;
            let reading = self.cache.begin_reading();
            let batch = match write {
                Write::CreateAddresses { scope, list } => {
                    let hosts: Vec<IpAddr> = list.iter().map(|(interface, _)| interface.addr()).collect();
                    Batch::from(self.netbox.addresses_at(*scope, &hosts).await?)
                }
                Write::CreatePrefix { scope, network, .. } => {
                    Batch::from(self.netbox.prefixes_at(*scope, *network).await?)
                }
                Write::PatchPrefix { id, .. } | Write::DeletePrefix { id, .. } => {
                    let found = self.netbox.prefixes_by_id(&[id.0]).await?;
                    let deleted_prefixes = if found.is_empty() { vec![id.0] } else { Vec::new() };
                    Batch { prefixes: found, deleted_prefixes, ..Batch::default() }
                }
                Write::DeleteAddresses { .. } => Batch::default(),
            };
            Ok::<_, Error>(self.cache.apply(batch.read_during(reading)).await?)
        };
        if let Err(error) = read.await {
            tracing::warn!(%error, "what stood in the way of a write could not be read");
        }
    }

    /// Waits before the next attempt, longer each time and by a random part, so that two writers do not meet again.
    pub(super) async fn pause(&self, attempt: u32) {
        let base = Duration::from_millis(20) * 2u32.saturating_pow(attempt.min(6));
        tokio::time::sleep(base.mul_f64(0.5 + self.jitter.fraction())).await;
    }
}

/// Whether a write names another version of its record than the request before it.
fn is_of_another_version(before: &Detail, write: &Write) -> bool {
    match write {
        Write::PatchPrefix { read, .. } | Write::DeletePrefix { read, .. } => {
            before.before.as_ref().is_some_and(|before| before.revision != *read)
        }
        Write::CreateAddresses { .. } | Write::CreatePrefix { .. } | Write::DeleteAddresses { .. } => false,
    }
}

/// What an error of NetBox says about the request that it answers.
fn classify(error: &netbox::Error, kind: IntentKind) -> NetBoxReply {
    use netbox::Error as E;
    match error {
        // The range was made, or marked as populated, a moment ago. An address that the caller named stays in it.
        E::AddressInRange { .. } if kind.picks_addresses() => NetBoxReply::Contended,
        E::DuplicateAddress { .. } | E::DuplicatePrefix { .. } | E::Changed | E::NotFound { .. } => {
            NetBoxReply::Contended
        }
        E::AllocationIdTaken { .. } => NetBoxReply::Exists,
        other => match other.certainty() {
            Certainty::NotDone => NetBoxReply::Refused,
            Certainty::Ended => NetBoxReply::Failed,
            Certainty::Unknown => NetBoxReply::Unclear,
        },
    }
}

impl<O: Operation> Run<'_, O> {
    pub(super) fn under_way(&self) -> Error {
        Error::UnderWay { request: self.operation.request().clone() }
    }

    /// Another writer took what was chosen. A parent that the command did not name is given up after some lost races.
    pub(super) fn lost_race(&mut self, parent: Option<PrefixId>) {
        let Some(parent) = parent else { return };
        self.races.push(parent);
        if self.races.iter().filter(|lost| **lost == parent).count() >= RACES_PER_PARENT {
            self.exhausted.push(parent);
        }
    }
}
