//! Completion: NetBox's records of addresses that were handed out come to say whose they are.
//!
//! A record is written again and again until NetBox has taken it; writing it twice does no harm. What NetBox refuses for good is told
//! once and tried again rarely: the address stays with whom it was handed out to.

use std::collections::BTreeMap;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::pools::Pools;
use crate::allocation::commands::ReleaseAddresses;
use crate::allocation::error::Error;
use crate::allocation::ports::{Completion, WriteOrigin};
use crate::cache::{Batch, Index};
use crate::ledger::{HandedTo, PoolAddress, PoolUse};
use crate::model::{Address, RecordState};
use crate::netbox;

/// Records in one list. NetBox takes some milliseconds for each.
const MOST_TOGETHER: usize = 128;
/// What NetBox has refused is tried again after so long.
const REFUSED_AGAIN: Duration = Duration::from_mins(10);
/// What NetBox has failed on is tried again after so long.
const FAILED_AGAIN: Duration = Duration::from_secs(10);
/// So long a read of NetBox may last that began before a record was complete.
const READS_LAST: Duration = Duration::from_mins(2);

/// An address that was handed out, and whom to.
struct Pending {
    address: PoolAddress,
    to: HandedTo,
}

impl Pools {
    /// Completes what this process has handed out, and shows what others have.
    pub(super) async fn complete(&self) -> Result<(), Error> {
        let _completing = self.completing.lock().await;
        let now = self.executor.clock.now();
        self.executor.cache.handed_out().forget(now.checked_sub(READS_LAST).unwrap_or(Timestamp::MIN));
        let incomplete = pending(self.store.incomplete().await?);
        let own = |pending: &Pending| pending.address.claim.owner == self.executor.owner;
        let due: Vec<Pending> =
            incomplete.into_iter().filter(|pending| own(pending) && self.is_due(pending, now)).collect();
        self.complete_all(due).await?;
        let left = self.store.incomplete().await?;
        let pending =
            pending(left).into_iter().filter(|pending| own(pending) && pending.to.refusal.is_none());
        self.stock().oldest_pending = pending.map(|pending| pending.to.at).min();
        self.try_again().retain(|_, again| *again > now);
        Ok(())
    }

    /// Completes what a release is about to delete: a record is not deleted while a request is under way that changes it.
    pub(in crate::allocation) async fn complete_before(
        &self,
        selection: &ReleaseAddresses,
        index: &Index,
    ) -> Result<(), Error> {
        let is_pending = |record: &Address| record.record_state == RecordState::Pending;
        let any = match selection {
            ReleaseAddresses::Allocation(target) => {
                index.allocated(target).0.into_iter().any(|record| is_pending(record))
            }
            ReleaseAddresses::Addresses { scope, addresses, .. } => addresses
                .iter()
                .any(|host| index.addresses_at(*scope, *host).iter().any(|record| is_pending(record))),
        };
        if !any {
            return Ok(());
        }
        let selected = |pending: &Pending| match selection {
            ReleaseAddresses::Allocation(target) => pending.to.request == *target,
            ReleaseAddresses::Addresses { scope, addresses, .. } => {
                let record = &pending.address.record;
                record.scope == *scope && addresses.contains(&record.host())
            }
        };
        let _completing = self.completing.lock().await;
        let incomplete = pending(self.store.incomplete().await?);
        self.complete_all(incomplete.into_iter().filter(selected).collect()).await
    }

    /// Shows every address that was handed out, by whichever server, as its record is to be.
    pub(in crate::allocation) async fn show_pending(&self) -> Result<(), Error> {
        let incomplete = pending(self.store.incomplete().await?);
        let cache = &self.executor.cache;
        let wanted = incomplete.iter().map(|pending| pending.to.wanted.clone()).collect();
        cache.handed_out().replace(wanted, self.executor.clock.now());
        if let Ok(index) = cache.snapshot() {
            let unseen = |pending: &&Pending| {
                index.address(pending.to.wanted.id).is_some_and(|record| record.is_in_pool())
            };
            let shown: Vec<Address> =
                incomplete.iter().filter(unseen).map(|pending| pending.to.wanted.clone()).collect();
            if !shown.is_empty() {
                self.executor.publish(Batch::from(shown)).await;
            }
        }
        Ok(())
    }

    fn is_due(&self, pending: &Pending, now: Timestamp) -> bool {
        let again = self.try_again().get(&pending.address.record.id.0).copied();
        again.is_none_or(|again| again <= now)
    }

    fn try_again(&self) -> MutexGuard<'_, BTreeMap<u64, Timestamp>> {
        self.try_again.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn complete_all(&self, pending: Vec<Pending>) -> Result<(), Error> {
        let mut pending = pending.into_iter().peekable();
        while pending.peek().is_some() {
            self.complete_list(pending.by_ref().take(MOST_TOGETHER).collect()).await?;
        }
        Ok(())
    }

    /// Completes a list, all of it or none; what NetBox refuses because of a record is halved until the record is found.
    async fn complete_list(&self, list: Vec<Pending>) -> Result<(), Error> {
        let mut lists = vec![list];
        while let Some(mut list) = lists.pop() {
            let completions: Vec<Completion> = list.iter().map(completion).collect();
            match self.executor.netbox.complete(&completions).await {
                Ok(records) => self.completed(records).await?,
                Err(error) if !error.is_of_records() => return Err(error.into()),
                Err(_) if list.len() > 1 => {
                    let second = list.split_off(list.len() / 2);
                    lists.extend([second, list]);
                }
                Err(error) => {
                    for pending in list {
                        self.refused(&pending, &error).await?;
                    }
                }
            }
        }
        Ok(())
    }

    /// NetBox holds records that say whose they are.
    async fn completed(&self, records: Vec<Address>) -> Result<(), Error> {
        let executor = &self.executor;
        executor.publish(Batch::from(records.clone())).await;
        executor.cache.handed_out().complete(records.iter().map(|record| record.id.0), executor.clock.now());
        Ok(self.store.forget(&records).await?)
    }

    /// NetBox refuses one record: somebody has deleted it, or it may not be as it is to be.
    async fn refused(&self, pending: &Pending, error: &netbox::Error) -> Result<(), Error> {
        let (executor, wanted) = (&self.executor, &pending.to.wanted);
        let id = wanted.id.0;
        if executor.netbox.addresses_by_id(&[id]).await?.is_empty() {
            tracing::info!(address = %wanted.host(), request = %pending.to.request,
                "the record of an address that was handed out has been deleted");
            executor.publish(Batch { deleted_addresses: vec![id], ..Batch::default() }).await;
            executor.cache.handed_out().complete([id], executor.clock.now());
            return Ok(self.store.forget(std::slice::from_ref(wanted)).await?);
        }
        let (now, reason) = (executor.clock.now(), error.to_string());
        let wait = if error.is_transient() { FAILED_AGAIN } else { REFUSED_AGAIN };
        self.try_again().insert(id, now.checked_add(wait).unwrap_or(now));
        let late = pending.to.at.checked_add(self.settings.completion).is_ok_and(|late| late <= now);
        // A failure may pass, until it has lasted too long.
        if pending.to.refusal.as_ref() == Some(&reason) || error.is_transient() && !late {
            return Ok(());
        }
        tracing::error!(address = %wanted.host(), request = %pending.to.request, %reason,
            "NetBox refuses the record of an address that was handed out");
        match self.events.completion_refused(wanted, &reason).await {
            // Only after it was told: what could not be told is told by the next attempt.
            Ok(()) => self.store.refuse(wanted, &reason).await?,
            Err(error) => tracing::error!(%error, "the refusal of a record could not be told"),
        }
        Ok(())
    }
}

/// The addresses that were handed out.
fn pending(addresses: Vec<PoolAddress>) -> Vec<Pending> {
    let of = |address: PoolAddress| match address.used.clone() {
        PoolUse::HandedOut(to) => Some(Pending { address, to: *to }),
        PoolUse::Stock | PoolUse::Returning => None,
    };
    addresses.into_iter().filter_map(of).collect()
}

fn completion(pending: &Pending) -> Completion {
    let HandedTo { request, caller, wanted, .. } = &pending.to;
    let origin =
        WriteOrigin { method: "AllocateAddresses", request: request.clone(), caller: caller.clone() };
    Completion { origin, wanted: wanted.clone() }
}
