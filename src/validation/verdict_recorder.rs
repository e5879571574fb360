//! Records the outcomes of checks: confirms changes, saves verdicts and publishes changes as events.

use std::sync::Arc;

use metrics::counter;

use super::confirmation::{self, VerdictObservation};
use super::verdict_store::{VerdictStates, VerdictStore};
use crate::clock::Clock;
use crate::events::EventLog;
use crate::ledger;
use crate::model::{Check, CouldNotCheck, DomainEvent, Prefix};

/// The outcome of one check of one block.
pub(super) type CheckOutcome = Result<VerdictObservation, CouldNotCheck>;

/// Records the outcomes of checks.
pub(super) struct VerdictRecorder {
    pub(super) store: VerdictStore,
    pub(super) log: Arc<EventLog>,
    pub(super) clock: Arc<dyn Clock>,
    /// How many times in a row a different verdict must be observed before it replaces the current one.
    pub(super) confirmations: u32,
}

impl VerdictRecorder {
    /// Records outcomes and returns the blocks with a candidate verdict, which should be checked again soon.
    ///
    /// A change goes through three durable steps: the state is saved with the change as `unpublished`, the event is appended
    /// to the log, the state is saved without it. If the server dies in between, the next call finds the unpublished change
    /// and appends it first; the log recognises an event that it has already.
    pub(super) async fn record(
        &self,
        check: Check,
        outcomes: Vec<(Arc<Prefix>, CheckOutcome)>,
    ) -> Result<Vec<Arc<Prefix>>, ledger::Error> {
        let only = match outcomes.as_slice() {
            [(prefix, _)] => Some(prefix.id),
            _ => None,
        };
        let mut current = self.store.load(check, only).await?;
        self.publish_changes(check, &mut current).await?;
        let now = self.clock.now();
        let (mut changed, mut unconfirmed) = (VerdictStates::new(), Vec::new());
        for (prefix, outcome) in outcomes {
            let before = current.get(&prefix.id);
            let label = if outcome.is_ok() { "answered" } else { "failed" };
            counter!("leasehold_checks_total", "check" => check.as_str(), "outcome" => label).increment(1);
            let state = match (outcome, before) {
                (Ok(observation), _) => {
                    confirmation::observe(before, &prefix, observation, self.confirmations)
                }
                (Err(could_not), Some(before)) => {
                    confirmation::record_failure(before, could_not.to_string(), now)
                }
                // Without any earlier verdict there is no state that could note the failure.
                (Err(_), None) => continue,
            };
            if state.candidate.is_some() {
                unconfirmed.push(prefix.clone());
            }
            if before != Some(&state) {
                changed.insert(prefix.id, state);
            }
        }
        self.store.save(check, &changed).await?;
        self.publish_changes(check, &mut changed).await?;
        Ok(unconfirmed)
    }

    /// Appends the unpublished changes of these states to the event log, then saves the states as published.
    async fn publish_changes(&self, check: Check, states: &mut VerdictStates) -> Result<(), ledger::Error> {
        let (mut published, mut events) = (VerdictStates::new(), Vec::new());
        for (id, state) in states.iter_mut() {
            if let Some(change) = state.unpublished.take() {
                tracing::info!(prefix = %change.prefix.network, before = change.before.as_str(),
                    after = change.after.as_str(), reason = change.reason, "a verdict changed");
                events.push(DomainEvent::verdict(change, self.clock.now()));
                published.insert(*id, state.clone());
            }
        }
        if events.is_empty() {
            return Ok(());
        }
        self.log.publish(&events).await?;
        self.store.save(check, &published).await
    }
}
