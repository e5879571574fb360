//! From a request to its outcome: the record is asked, what NetBox does not check is verified, records that lost are withdrawn,
//! and the outcome is stored. Works from the intent alone, so that recovery can do it without the command.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use jiff::Timestamp;

use super::catch_up::Wanted;
use super::error::Error;
use super::executor::Executor;
use super::operation::{Finished, Operation};
use super::plan::{Objection, PlacedSpace, Placement, objections};
use super::ports::{Write, WriteOrigin, WrittenRecords};
use super::protocol::{
    AfterQuestion, AfterVerification, Deletion, End, Found, MaybeWritten, Progress, Repetition, Verification,
    Verified, Withdrawing, Written,
};
use super::run::{Phase, Run};
use super::traces::ids_of;
use crate::cache::Batch;
use crate::ledger::{Detail, Intent, IntentKind, IntentStep, ReservationChange};
use crate::model::{Address, Prefix, VrfScope};
use crate::netbox;

/// How often NetBox is asked for the records of a write that got no answer, while it does not answer the question either.
const QUESTIONS: u32 = 4;
/// Ranges of a settled write count as taken for so long where other servers share the ledger: until their caches have the record.
const RESERVED_AFTERWARDS: Duration = Duration::from_mins(1);

impl Executor {
    /// The state of a withdrawal that an earlier run left open.
    pub(super) fn withdrawal(&self, intent: &Intent) -> Withdrawing {
        Withdrawing::resumed(intent.unanswered, self.clock.now(), self.netbox.request_limit())
    }

    /// Asks NetBox what became of a request.
    pub(super) async fn ask_and_decide<O: Operation>(
        &self,
        run: &mut Run<'_, O>,
        state: MaybeWritten,
        repetition: Repetition,
    ) -> Phase {
        let Some(intent) = &run.intent else { return Phase::End(End::Unsettled(state.progress())) };
        // Before the question: what arrives while it is answered is not in its answer.
        let now = self.clock.now();
        let (found, records) = self.ask(intent).await;
        match (state.asked(found, repetition, now, self.netbox.request_limit()), records) {
            (AfterQuestion::Verify(state), Some(records)) => Phase::Verify(state, records),
            // `All` comes with records.
            (AfterQuestion::Verify(state), None) => Phase::End(End::Unsettled(state.progress())),
            (AfterQuestion::Plan(state), _) => {
                if state.progress().sent > 0 {
                    self.pause(state.progress().sent + 2).await;
                }
                Phase::Plan(state)
            }
            (AfterQuestion::End(end), _) => Phase::End(end),
        }
    }

    /// What NetBox holds of a write, asked several times: what broke the write may break the question too.
    pub(super) async fn ask(&self, intent: &Intent) -> (Found, Option<WrittenRecords>) {
        let mut wait = Duration::from_millis(200);
        for question in 1..=QUESTIONS {
            match self.ask_once(intent).await {
                Ok(Some(records)) => return (Found::All, Some(records)),
                Ok(None) => return (Found::Nothing, None),
                Err(NotTold::Undecided) => return (Found::Unknown, None),
                Err(NotTold::NetBox(error)) => {
                    let passes = error.is_transient() || matches!(error, netbox::Error::Malformed { .. });
                    tracing::warn!(request = %intent.request, %error, "NetBox did not say what became of a write");
                    if !passes || question == QUESTIONS {
                        return (Found::Unknown, None);
                    }
                    tokio::time::sleep(wait).await;
                    wait *= 2;
                }
            }
        }
        (Found::Unknown, None)
    }

    /// The records of a write, or that NetBox holds nothing of it.
    async fn ask_once(&self, intent: &Intent) -> Result<Option<WrittenRecords>, NotTold> {
        let (request, detail) = (&intent.request, &intent.detail);
        match intent.kind {
            IntentKind::Addresses | IntentKind::Assignment | IntentKind::PoolFill => {
                let found = self.netbox.addresses_of(request, detail.wanted).await?;
                Ok((!found.is_empty()).then_some(WrittenRecords::Addresses(found)))
            }
            IntentKind::Prefix => self.created_prefix(intent).await,
            IntentKind::RegisterLease if detail.before.is_none() => self.created_prefix(intent).await,
            IntentKind::Release => {
                let ids: Vec<u64> = detail.released.iter().map(|record| record.id.0).collect();
                let left = self.netbox.addresses_by_id(&ids).await?;
                Ok(left.is_empty().then_some(WrittenRecords::Deleted))
            }
            IntentKind::RegisterLease
            | IntentKind::UpdateLease
            | IntentKind::RenewLease
            | IntentKind::EndLease => self.changed_prefix(intent).await,
        }
    }

    async fn created_prefix(&self, intent: &Intent) -> Result<Option<WrittenRecords>, NotTold> {
        let found = self.netbox.prefix_of(&intent.request).await?;
        Ok(found.map(|prefix| WrittenRecords::Prefix(Box::new(prefix))))
    }

    /// Whether the change of a lease was carried out: the change log says so, or else the record, if it decides.
    async fn changed_prefix(&self, intent: &Intent) -> Result<Option<WrittenRecords>, NotTold> {
        let Some(before) = &intent.detail.before else { return Err(NotTold::Undecided) };
        if let Some(logged) = self.netbox.logged(&intent.request).await? {
            return Ok(logged.prefixes.into_iter().next_back().map(|(_, after)| match after {
                Some(prefix) => WrittenRecords::Prefix(Box::new(prefix)),
                None => WrittenRecords::Deleted,
            }));
        }
        let current = self.netbox.prefixes_by_id(&[before.id.0]).await?.into_iter().next();
        match current {
            Some(current) if current.revision == before.revision => Ok(None),
            Some(current) => match &intent.detail.after {
                Some(wanted) if same_contract(wanted, &current) => {
                    Ok(Some(WrittenRecords::Prefix(Box::new(current))))
                }
                _ => Err(NotTold::Undecided),
            },
            None if intent.detail.deleted_prefix => Ok(Some(WrittenRecords::Deleted)),
            None => Err(NotTold::Undecided),
        }
    }

    /// Verifies what NetBox does not check itself.
    pub(super) async fn verdict<O: Operation>(
        &self,
        run: &mut Run<'_, O>,
        state: Written,
        records: &WrittenRecords,
    ) -> AfterVerification {
        let Some(intent) = &mut run.intent else {
            return AfterVerification::End(End::Unsettled(state.progress()));
        };
        self.attribute(intent, records);
        let (verdict, parent) = (self.verify(intent, records).await, intent.parent);
        if verdict == Verification::Objection {
            run.lost_race(parent);
        }
        state.verified(verdict)
    }

    /// Finds the prefix that addresses came from, if several requests of the write were sent: of the prefixes that were chosen
    /// from, the most specific one that contains them.
    pub(super) fn attribute(&self, intent: &mut Intent, records: &WrittenRecords) {
        let (WrittenRecords::Addresses(list), Ok(index)) = (records, self.cache.snapshot()) else { return };
        if intent.detail.attempted.is_empty() {
            return;
        }
        let holds_all =
            |parent: &&Arc<Prefix>| list.iter().all(|record| parent.network.contains_address(record.host()));
        let chosen_from = intent.detail.attempted.iter().chain(&intent.parent);
        let parents = chosen_from.filter_map(|id| index.prefix(*id)).filter(holds_all);
        if let Some(parent) = parents.max_by_key(|parent| parent.network.length()) {
            intent.parent = Some(parent.id);
        }
    }

    /// Brings the cache up to date with what others wrote since the plan, and looks for objections to our records.
    pub(super) async fn verify(&self, intent: &Intent, records: &WrittenRecords) -> Verification {
        let (IntentKind::Addresses
        | IntentKind::Assignment
        | IntentKind::PoolFill
        | IntentKind::Prefix
        | IntentKind::RegisterLease) = intent.kind
        else {
            return Verification::Clean;
        };
        if intent.detail.before.is_some() {
            return Verification::Clean;
        }
        let own = ids_of(records);
        let read = async {
            let hosts = self.hosts_to_read(records)?;
            self.catch_up.run(Wanted { own: own.clone(), hosts }).await?;
            if let WrittenRecords::Prefix(prefix) = records {
                // What the change log may not tell: other records of the same network.
                let reading = self.cache.begin_reading();
                let found = self.netbox.prefixes_at(prefix.scope, prefix.network).await?;
                self.cache.apply(Batch::from(found).read_during(reading)).await?;
            }
            Ok::<_, Error>((self.cache.snapshot()?, self.quarantine.at(self.clock.now()).await?))
        };
        let (index, quarantined) = match read.await {
            Ok(read) => read,
            Err(error) => {
                tracing::warn!(request = %intent.request, %error, "a write could not be verified");
                return Verification::Unread;
            }
        };
        let ids: Vec<u64> = own.iter().map(|(_, id)| *id).collect();
        let mut found = placement(intent, records).map_or_else(Vec::new, |placement| {
            objections(&index, &self.policy, self.clock.today(), &placement, &ids)
        });
        found.extend(
            quarantined.among(unplanned(intent, records)).map(|address| Objection::Quarantined { address }),
        );
        if found.is_empty() {
            return Verification::Clean;
        }
        let text = found.iter().map(Objection::to_string).collect::<Vec<_>>().join("; ");
        tracing::info!(request = %intent.request, objections = text, "a write lost to another writer");
        Verification::Objection
    }

    /// The addresses whose records are read again, since the change log may not tell all: where NetBox does not enforce unique
    /// records.
    fn hosts_to_read(&self, records: &WrittenRecords) -> Result<Option<(VrfScope, Vec<IpAddr>)>, Error> {
        let WrittenRecords::Addresses(list) = records else { return Ok(None) };
        let Some(first) = list.first() else { return Ok(None) };
        if self.enforces_unique(first.scope)? {
            return Ok(None);
        }
        Ok(Some((first.scope, list.iter().map(Address::host).collect())))
    }

    fn enforces_unique(&self, scope: VrfScope) -> Result<bool, Error> {
        let index = self.cache.snapshot()?;
        let vrf = scope.vrf().and_then(|id| index.vrf(id).map(|vrf| vrf.enforce_unique));
        Ok(vrf.unwrap_or(false))
    }

    /// Deletes our records, and proves that they are gone. Before that the ledger is told, so that nobody who has taken the intent
    /// over meanwhile loses records that it has answered with.
    pub(super) async fn withdraw(
        &self,
        intent: &mut Intent,
        state: Withdrawing,
        records: &WrittenRecords,
        origin: &WriteOrigin,
    ) -> Deletion {
        if !self.advance(intent, IntentStep::Withdrawing, state.progress(), ReservationChange::Keep).await {
            return Deletion::Unproven;
        }
        let write = match records {
            WrittenRecords::Addresses(list) => {
                Write::DeleteAddresses { ids: list.iter().map(|record| record.id).collect() }
            }
            WrittenRecords::Prefix(prefix) => {
                Write::DeletePrefix { id: prefix.id, read: prefix.revision.clone() }
            }
            WrittenRecords::Deleted => return Deletion::Unproven,
        };
        if let Err(error) = self.netbox.send(&write, origin).await {
            tracing::warn!(request = %intent.request, %error, "records that lost could not be deleted");
        }
        let ids: Vec<u64> = ids_of(records).into_iter().map(|(_, id)| id).collect();
        let (left, batch) = match records {
            WrittenRecords::Prefix(_) => {
                let left = self.netbox.prefixes_by_id(&ids).await.map(|left| left.len());
                (left, Batch { deleted_prefixes: ids, ..Batch::default() })
            }
            _ => {
                let left = self.netbox.addresses_by_id(&ids).await.map(|left| left.len());
                (left, Batch { deleted_addresses: ids, ..Batch::default() })
            }
        };
        match left {
            Ok(0) => {
                self.publish(batch).await;
                Deletion::Proven
            }
            Ok(_) | Err(_) => Deletion::Unproven,
        }
    }

    /// Puts the records into the cache and stores the outcome.
    pub(super) async fn record<O: Operation>(
        &self,
        run: &mut Run<'_, O>,
        state: Verified,
        records: &WrittenRecords,
    ) -> Result<Box<Finished>, End> {
        let Some(intent) = run.intent.as_mut() else { return Err(state.not_recorded()) };
        if !self.conclude(intent, state.progress(), records).await {
            return Err(state.not_recorded());
        }
        Ok(Box::new(Finished {
            parent: intent.parent,
            detail: intent.detail.clone(),
            records: records.clone(),
            repeated: run.repeated,
        }))
    }

    /// Publishes verified records and stores the intent as done. Returns whether the ledger took it.
    pub(super) async fn conclude(
        &self,
        intent: &mut Intent,
        progress: Progress,
        records: &WrittenRecords,
    ) -> bool {
        let detail = &mut intent.detail;
        let batch = match records {
            WrittenRecords::Addresses(list) => {
                detail.made = list.iter().map(|record| record.id.0).collect();
                Batch::from(list.clone())
            }
            WrittenRecords::Prefix(prefix) => {
                detail.made = vec![prefix.id.0];
                if intent.kind != IntentKind::Prefix {
                    detail.after = Some(prefix.clone());
                }
                Batch::from(vec![Prefix::clone(prefix)])
            }
            WrittenRecords::Deleted => Batch {
                deleted_addresses: detail.released.iter().map(|record| record.id.0).collect(),
                deleted_prefixes: deleted_prefix(detail).into_iter().collect(),
                ..Batch::default()
            },
        };
        self.publish(batch).await;
        let reservations = if self.intents.is_shared() {
            let until = self.clock.now().checked_add(RESERVED_AFTERWARDS).unwrap_or(Timestamp::MAX);
            ReservationChange::Settle { until }
        } else {
            ReservationChange::Release
        };
        self.advance(intent, IntentStep::Done, progress, reservations).await
    }

    /// Stores where a run ended, and says why.
    pub(super) async fn end<O: Operation>(&self, mut run: Run<'_, O>, end: End) -> Error {
        let request = run.operation.request().clone();
        if let Some(intent) = &mut run.intent {
            self.close(intent, end).await;
        }
        match end {
            End::Unsettled(_) => {
                if let Some(error) = &run.last {
                    tracing::warn!(%request, %error, "the outcome of a write is not known");
                }
                match run.last {
                    // Sending it again under the same id goes on; but only a person can make it succeed.
                    Some(error @ Error::NetBox(netbox::Error::PartlyDeleted { .. })) => error,
                    _ => Error::Unsettled { request },
                }
            }
            End::Withdrawn(_) => match run.last {
                // The range is not in our cache, so it cannot be avoided: the token may not see it.
                Some(error @ Error::NetBox(netbox::Error::AddressInRange { .. })) => error,
                _ => Error::Contended,
            },
            End::Refused(_) => run.last.unwrap_or(Error::Contended),
        }
    }

    /// Stores the end of an intent. Returns the step at which it is then.
    pub(super) async fn close(&self, intent: &mut Intent, end: End) -> IntentStep {
        let (step, reservations) = match end {
            End::Withdrawn(_) => (IntentStep::Withdrawn, ReservationChange::Release),
            End::Refused(_) => (IntentStep::Refused, ReservationChange::Release),
            // A withdrawal stays one.
            End::Unsettled(_) if intent.step == IntentStep::Withdrawing => {
                (IntentStep::Withdrawing, ReservationChange::Keep)
            }
            End::Unsettled(_) => (IntentStep::Unsettled, ReservationChange::Keep),
        };
        if step.is_final() && intent.kind == IntentKind::Release {
            self.lift_standing(intent).await;
        }
        if self.advance(intent, step, end.progress(), reservations).await {
            step
        } else {
            IntentStep::Unsettled
        }
    }

    /// Takes the addresses of a release that came to nothing out of quarantine, as far as NetBox still has their records: another
    /// release may have deleted them, or this one some of them.
    async fn lift_standing(&self, intent: &Intent) {
        let ids: Vec<u64> = intent.detail.released.iter().map(|record| record.id.0).collect();
        match self.netbox.addresses_by_id(&ids).await {
            Ok(standing) => self.quarantine.lift(&standing).await,
            Err(error) => tracing::warn!(request = %intent.request, %error, "addresses stay in quarantine"),
        }
    }

    /// Puts records that NetBox holds into the cache. If that fails the error is logged only: the allocation is in NetBox, and
    /// the cache gets the records with the next poll of NetBox's change log.
    pub(super) async fn publish(&self, batch: Batch) {
        let cache = self.cache.clone();
        let together = move |batches: Vec<Batch>| {
            let cache = cache.clone();
            async move {
                let count = batches.len();
                if let Err(error) = cache.apply(batches.into_iter().fold(Batch::default(), Batch::and)).await
                {
                    tracing::error!(%error, "records that NetBox holds could not be put into the cache");
                }
                vec![(); count]
            }
        };
        if self.publications.call_all(batch, together).await.is_err() {
            tracing::error!("records that NetBox holds were not put into the cache: the task was lost");
        }
    }
}

/// Why NetBox's answer to a question does not tell what became of a write.
enum NotTold {
    NetBox(netbox::Error),
    /// The record was changed by somebody else, and this NetBox keeps no messages in its log.
    Undecided,
}

impl From<netbox::Error> for NotTold {
    fn from(error: netbox::Error) -> Self {
        Self::NetBox(error)
    }
}

/// What verification checks, rebuilt from the intent and its records.
fn placement(intent: &Intent, records: &WrittenRecords) -> Option<Placement> {
    let space = match (intent.kind, records) {
        (IntentKind::Addresses | IntentKind::PoolFill, WrittenRecords::Addresses(list)) => {
            PlacedSpace::Addresses(list.iter().map(Address::host).collect())
        }
        (IntentKind::Assignment, WrittenRecords::Addresses(list)) => PlacedSpace::Named(list.first()?.host()),
        (IntentKind::Prefix, WrittenRecords::Prefix(prefix)) => PlacedSpace::Block(prefix.network),
        (IntentKind::RegisterLease, WrittenRecords::Prefix(prefix)) => {
            PlacedSpace::Registered(prefix.network)
        }
        _ => return None,
    };
    let scope = match records {
        WrittenRecords::Addresses(list) => list.first()?.scope,
        WrittenRecords::Prefix(prefix) => prefix.scope,
        WrittenRecords::Deleted => return None,
    };
    Some(Placement { scope, parent: intent.parent, space, include_children: intent.detail.include_children })
}

/// The addresses that NetBox has recorded instead of those that were chosen. Nobody has looked yet whether they may be given out.
fn unplanned(intent: &Intent, records: &WrittenRecords) -> Vec<(VrfScope, IpAddr)> {
    let WrittenRecords::Addresses(list) = records else { return Vec::new() };
    let planned: BTreeSet<IpAddr> = intent.detail.chosen.iter().map(IpNet::addr).collect();
    let places = list.iter().map(|record| (record.scope, record.host()));
    places.filter(|(_, host)| !planned.contains(host)).collect()
}

/// The id of the prefix that an EndLease deleted.
fn deleted_prefix(detail: &Detail) -> Option<u64> {
    detail.before.as_ref().filter(|_| detail.deleted_prefix).map(|before| before.id.0)
}

/// Whether two versions of a prefix agree in what Leasehold writes.
fn same_contract(wanted: &Prefix, found: &Prefix) -> bool {
    wanted.status == found.status && wanted.lease == found.lease && wanted.description == found.description
}
