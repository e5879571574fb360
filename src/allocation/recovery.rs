//! Recovery: settles what a server that is gone left open, and looks once more for records that arrived late. Each intent is
//! settled on its own; one that cannot be settled holds up no other.

use super::error::Error;
use super::executor::Executor;
use super::operation::repetition_of;
use super::ports::{Write, WriteOrigin, WrittenRecords};
use super::protocol::{
    AfterQuestion, AfterVerification, AfterWithdrawal, Deletion, End, Found, MaybeWritten, Progress,
    Withdrawing, Written,
};
use super::traces::ids_of;
use crate::cache::Batch;
use crate::ledger::{Intent, IntentKind, IntentStep, ReservationChange};

/// Intents that one pass reads at once.
const AT_ONCE: u32 = 500;

/// What one pass of recovery has come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Intents that were open and have an outcome now.
    pub settled: usize,
    /// Intents that are still open.
    pub open: usize,
    /// Records that arrived late, that nobody owned, and that were deleted.
    pub strays: usize,
}

impl Executor {
    /// One pass over the open intents and over those whose late records have to be looked for.
    pub async fn recover(&self) -> Result<Recovered, Error> {
        self.check_unique_ids().await?;
        let mut recovered = Recovered::default();
        for intent in self.intents.open_intents(AT_ONCE).await? {
            let request = intent.request.clone();
            // A request that is being carried out is not recovered: whoever holds it settles it.
            let Some(_held) = self.try_hold(&request) else {
                recovered.open += 1;
                continue;
            };
            if self.settle(&request).await { recovered.settled += 1 } else { recovered.open += 1 }
        }
        for intent in self.intents.due_sweeps(self.clock.now(), AT_ONCE).await? {
            let Some(_held) = self.try_hold(&intent.request) else { continue };
            match self.sweep(intent).await {
                Ok(strays) => recovered.strays += strays,
                Err(error) => tracing::warn!(%error, "records that arrived late could not be looked for"),
            }
        }
        Ok(recovered)
    }

    /// Settles one open intent, if nobody else may be carrying it out. Returns whether it has an outcome now.
    async fn settle(&self, request: &crate::model::RequestId) -> bool {
        // Read again: it may have been settled since the list was read.
        let intent = match self.intents.get(request).await {
            Ok(Some(intent)) if intent.step.is_final() => return true,
            Ok(Some(intent)) if self.may_take_over(&intent) => intent,
            Ok(_) => return false,
            Err(error) => {
                tracing::warn!(%request, %error, "an open intent could not be read");
                return false;
            }
        };
        let mut intent = match self.take_over(intent).await {
            Ok(intent) => intent,
            Err(error) => {
                tracing::info!(%request, %error, "an open intent was not taken over");
                return false;
            }
        };
        let step = self.settle_held(&mut intent).await;
        tracing::info!(%request, ?step, "recovery has looked at an open intent");
        step.is_final()
    }

    async fn settle_held(&self, intent: &mut Intent) -> IntentStep {
        if intent.step == IntentStep::Withdrawing {
            let state = self.withdrawal(intent);
            return match self.ask(intent).await {
                (Found::All, Some(records)) => self.withdraw_held(intent, state, &records).await,
                (Found::Nothing, _) => self.withdrawn_held(intent, state, Deletion::Proven).await,
                (Found::All | Found::Unknown, _) => {
                    self.close(intent, End::Unsettled(state.progress())).await
                }
            };
        }
        let state = MaybeWritten::resumed(intent.unanswered);
        // Before the question: what arrives while it is answered is not in its answer.
        let now = self.clock.now();
        let (found, records) = self.ask(intent).await;
        let stale = self.netbox.refuses_stale_changes();
        let repetition = repetition_of(intent.kind, &intent.detail, stale);
        let after = state.asked(found, repetition, now, self.netbox.request_limit());
        match (after, records) {
            (AfterQuestion::Verify(state), Some(records)) => self.finish(intent, state, &records).await,
            // Nothing is sent again without its caller; while a request may be under way, nothing is said either.
            (AfterQuestion::Plan(state), _) => self.close(intent, state.refused()).await,
            (AfterQuestion::End(end), _) => self.close(intent, end).await,
            (AfterQuestion::Verify(state), None) => {
                self.close(intent, End::Unsettled(state.progress())).await
            }
        }
    }

    /// Verifies the records of a write, and stores it as done or withdraws it.
    async fn finish(&self, intent: &mut Intent, state: Written, records: &WrittenRecords) -> IntentStep {
        self.attribute(intent, records);
        match state.verified(self.verify(intent, records).await) {
            AfterVerification::Record(state) => {
                if self.conclude(intent, state.progress(), records).await {
                    IntentStep::Done
                } else {
                    IntentStep::Unsettled
                }
            }
            AfterVerification::Withdraw(state) => self.withdraw_held(intent, state, records).await,
            AfterVerification::End(end) => self.close(intent, end).await,
        }
    }

    async fn withdraw_held(
        &self,
        intent: &mut Intent,
        state: Withdrawing,
        records: &WrittenRecords,
    ) -> IntentStep {
        let origin = recovery_origin(intent);
        let deletion = self.withdraw(intent, state, records, &origin).await;
        self.withdrawn_held(intent, state, deletion).await
    }

    async fn withdrawn_held(
        &self,
        intent: &mut Intent,
        state: Withdrawing,
        deletion: Deletion,
    ) -> IntentStep {
        match state.deleted(deletion) {
            AfterWithdrawal::PlanAnew(state) => self.close(intent, state.given_up()).await,
            AfterWithdrawal::End(end) => self.close(intent, end).await,
        }
    }

    /// Looks once more for records of a settled write that arrived late: records with its allocation ids that it does not own
    /// are deleted.
    async fn sweep(&self, intent: Intent) -> Result<usize, Error> {
        let found = match intent.kind {
            IntentKind::Addresses | IntentKind::Assignment | IntentKind::PoolFill => {
                WrittenRecords::Addresses(
                    self.netbox.addresses_of(&intent.request, intent.detail.wanted).await?,
                )
            }
            IntentKind::Prefix | IntentKind::RegisterLease => {
                let found = self.netbox.prefix_of(&intent.request).await?;
                found.map_or(WrittenRecords::Deleted, |prefix| WrittenRecords::Prefix(Box::new(prefix)))
            }
            IntentKind::Release | IntentKind::UpdateLease | IntentKind::RenewLease | IntentKind::EndLease => {
                WrittenRecords::Deleted
            }
        };
        let owned: &[u64] = if intent.step == IntentStep::Done { &intent.detail.made } else { &[] };
        let strays: Vec<u64> =
            ids_of(&found).into_iter().map(|(_, id)| id).filter(|id| !owned.contains(id)).collect();
        let mut intent = self.take_over(intent).await?;
        if !strays.is_empty() {
            tracing::warn!(request = %intent.request, ?strays, "records of a settled write arrived late and are deleted");
            self.delete_strays(&intent, found, &strays).await?;
        }
        let step = intent.step;
        // Without an unanswered request there is no further sweep.
        self.advance(&mut intent, step, Progress::default(), ReservationChange::Keep).await;
        Ok(strays.len())
    }

    async fn delete_strays(
        &self,
        intent: &Intent,
        found: WrittenRecords,
        strays: &[u64],
    ) -> Result<Deletion, Error> {
        let (write, batch) = match found {
            WrittenRecords::Addresses(list) => {
                let ids: Vec<_> =
                    list.iter().map(|record| record.id).filter(|id| strays.contains(&id.0)).collect();
                let batch = Batch { deleted_addresses: strays.to_vec(), ..Batch::default() };
                (Write::DeleteAddresses { ids }, batch)
            }
            WrittenRecords::Prefix(prefix) => {
                let batch = Batch { deleted_prefixes: strays.to_vec(), ..Batch::default() };
                (Write::DeletePrefix { id: prefix.id, read: prefix.revision }, batch)
            }
            WrittenRecords::Deleted => return Ok(Deletion::Proven),
        };
        self.netbox.send(&write, &recovery_origin(intent)).await?;
        self.publish(batch).await;
        Ok(Deletion::Proven)
    }
}

/// In whose name recovery writes.
fn recovery_origin(intent: &Intent) -> WriteOrigin {
    WriteOrigin { method: "Recovery", request: intent.request.clone(), caller: "leasehold".to_owned() }
}
