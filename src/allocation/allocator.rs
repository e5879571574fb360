//! The allocator: what other rooms call. Each command is carried out by the executor; previews and reads are answered from the
//! cache and the ledger.

use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use jiff::Timestamp;

use super::commands::{
    AllocateAddresses, AllocatePrefix, AssignAddress, LeaseCommand, ParentSelector, ReleaseAddresses,
    ReleaseCommand,
};
use super::error::Error;
use super::executor::Executor;
use super::operation::{Preparation, Prepared};
use super::operations::change_lease::current;
use super::operations::register_lease::recorded;
use super::operations::{
    Allocated, AllocatedPrefix, Assigned, Ended, Registered, Released, Renewed, Updated,
};
use super::plan::release::selected;
use super::plan::{Utilization, utilization};
use super::pool::{PoolSettings, Pools};
use super::ports::{PoolEvents, UniqueIds};
use super::recovery::Recovered;
use crate::cache::{Index, PrefixKey};
use crate::lease::{EndLease, RegisterLease, RenewLease, UpdateLease};
use crate::ledger::{IntentStore, PoolStore};
use crate::model::{Address, Network, Prefix, RequestId};

/// Carries out every write to NetBox that a caller asks for, and says what would be written and what was.
pub struct Allocator {
    executor: Arc<Executor>,
    /// `None` if this allocator keeps no pools.
    pools: Option<Arc<Pools>>,
}

impl Allocator {
    /// An allocator over an executor, without pools.
    pub fn new(executor: Executor) -> Self {
        Self { executor: Arc::new(executor), pools: None }
    }

    /// The same allocator with pools, which the store keeps.
    #[must_use]
    pub fn with_pools(
        self,
        store: Arc<dyn PoolStore>,
        events: Arc<dyn PoolEvents>,
        settings: PoolSettings,
    ) -> Self {
        let pools = Pools::new(self.executor.clone(), store, events, settings);
        Self { pools: Some(Arc::new(pools)), ..self }
    }

    /// The pools of this allocator; `None` if it keeps none.
    pub fn pools(&self) -> Option<&Arc<Pools>> {
        self.pools.as_ref()
    }

    /// Allocates addresses, all of them or none: from a pool, if one serves the request. `caller` is who called, as far as it is known.
    pub async fn allocate(&self, command: AllocateAddresses, caller: String) -> Result<Allocated, Error> {
        if let Some(pools) = &self.pools
            && let Some(done) = pools.hand_out(&command, &caller).await?
        {
            return Ok(done);
        }
        let parent = command.parent.clone();
        let attempt = || self.executor.execute(command.clone(), caller.clone());
        self.with_pooled_space(&parent, attempt).await
    }

    /// Makes an attempt, and another one if it finds no space while a pool holds some of the prefix that it names. A pool never keeps
    /// space from a request that it does not serve.
    async fn with_pooled_space<T, F>(
        &self,
        parent: &ParentSelector,
        attempt: impl Fn() -> F + Send + Sync,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>> + Send,
    {
        let refused = match attempt().await {
            Err(error) if error.is_of_free_space() => error,
            outcome => return outcome,
        };
        let key = match parent {
            ParentSelector::Prefix(scope, network) => PrefixKey::Network(*scope, *network),
            ParentSelector::Id(id) => PrefixKey::Id(*id),
            ParentSelector::Any(_) => return Err(refused),
        };
        let Some(pools) = &self.pools else { return Err(refused) };
        let Some(parent) = pools.pool_of(key).await? else { return Err(refused) };
        let _closed = pools.close(parent).await;
        if pools.give_back_all(parent).await? == 0 { Err(refused) } else { attempt().await }
    }

    /// Allocates a child prefix that overlaps no other child, no recorded address and no range.
    pub async fn allocate_prefix(
        &self,
        command: AllocatePrefix,
        caller: String,
    ) -> Result<AllocatedPrefix, Error> {
        let parent = command.parent.clone();
        let attempt = || self.executor.execute(command.clone(), caller.clone());
        self.with_pooled_space(&parent, attempt).await
    }

    /// Records one address that the caller names. A pool that has reserved it gives it back.
    pub async fn assign(&self, command: AssignAddress, caller: String) -> Result<Assigned, Error> {
        let taken = match self.executor.execute(command.clone(), caller.clone()).await {
            Err(error @ Error::AddressTaken { .. }) => error,
            outcome => return outcome,
        };
        let index = self.executor.cache.snapshot()?;
        let pooled =
            index.addresses_at(command.scope, command.address).iter().find(|record| record.is_in_pool());
        let (Some(pools), Some(pooled)) = (&self.pools, pooled) else { return Err(taken) };
        if pools.give_back_address(pooled).await? == 0 {
            return Err(taken);
        }
        self.executor.execute(command, caller).await
    }

    /// Releases addresses, all of them or none.
    pub async fn release(&self, command: ReleaseCommand, caller: String) -> Result<Released, Error> {
        if let Some(pools) = &self.pools {
            pools.complete_before(&command.selection, &*self.executor.cache.snapshot()?).await?;
        }
        self.executor.execute(command, caller).await
    }

    /// Registers the lease of a prefix, which is created if NetBox does not have it.
    pub async fn register(&self, command: RegisterLease, caller: String) -> Result<Registered, Error> {
        self.executor.execute(command, caller).await
    }

    /// Changes agreed values of a lease.
    pub async fn update(&self, command: LeaseCommand<UpdateLease>, caller: String) -> Result<Updated, Error> {
        self.executor.execute(command, caller).await
    }

    /// Moves the last day of a lease.
    pub async fn renew(&self, command: LeaseCommand<RenewLease>, caller: String) -> Result<Renewed, Error> {
        self.executor.execute(command, caller).await
    }

    /// Ends a lease. Its pool is returned first.
    pub async fn end_lease(&self, command: LeaseCommand<EndLease>, caller: String) -> Result<Ended, Error> {
        let Some(pools) = &self.pools else { return self.executor.execute(command, caller).await };
        let Some(parent) = pools.pool_of(command.key).await? else {
            return self.executor.execute(command, caller).await;
        };
        let known = self.executor.intents.get(&command.request).await?.is_some();
        if known || self.preview_end(&command).is_err() {
            // It is repeated or refused, and the pool goes on.
            return self.executor.execute(command, caller).await;
        }
        let _closed = pools.close(parent).await;
        pools.give_back_all(parent).await?;
        self.executor.execute(command, caller).await
    }

    /// The addresses that [`Allocator::allocate`] would choose now. They are not reserved.
    pub async fn preview(&self, command: &AllocateAddresses) -> Result<(Vec<IpNet>, Arc<Prefix>), Error> {
        if let Some(pools) = &self.pools
            && let Some(from_stock) = pools.preview(command)?
        {
            return Ok(from_stock);
        }
        let (parent, chosen) =
            self.executor.with_context(&Prepared::default(), |context| command.choose(context)).await?;
        Ok((chosen, parent))
    }

    /// The network that [`Allocator::allocate_prefix`] would choose now. It is not reserved.
    pub async fn preview_prefix(&self, command: &AllocatePrefix) -> Result<(Network, Arc<Prefix>), Error> {
        let (parent, block) =
            self.executor.with_context(&Prepared::default(), |context| command.choose(context)).await?;
        Ok((block, parent))
    }

    /// The address and mask that [`Allocator::assign`] would record now.
    pub fn preview_assign(&self, command: &AssignAddress) -> Result<IpNet, Error> {
        let executor = &self.executor;
        let index = executor.cache.snapshot()?;
        Ok(command.choose(&index, &executor.policy, executor.clock.today())?.1)
    }

    /// The records that [`Allocator::release`] would delete now.
    pub async fn preview_release(&self, selection: &ReleaseAddresses) -> Result<Vec<Address>, Error> {
        let prepared = match selection {
            ReleaseAddresses::Allocation(target) => {
                self.executor.prepare(Preparation::ReadAllocation(target)).await?
            }
            ReleaseAddresses::Addresses { .. } => Prepared::default(),
        };
        let index = self.executor.cache.snapshot()?;
        selected(&index, selection, prepared.target.as_ref(), &prepared.target_records)
    }

    /// The lease that [`Allocator::register`] would record now.
    pub fn preview_register(&self, command: &RegisterLease) -> Result<Registered, Error> {
        let recorded = recorded(&*self.executor.cache.snapshot()?, command)?;
        command.plan(recorded.as_deref())?;
        let prefix = Arc::new(command.preview(recorded.as_deref()));
        Ok(Registered { prefix, adopted: recorded.is_some() })
    }

    /// The lease that [`Allocator::update`] would record now.
    pub fn preview_update(&self, command: &LeaseCommand<UpdateLease>) -> Result<Updated, Error> {
        let index = self.executor.cache.snapshot()?;
        let (prefix, lease) = current(&index, command)?;
        command.change.draft(prefix, lease)?;
        Ok(Updated { prefix: Arc::new(command.change.preview(prefix, lease)) })
    }

    /// The lease that [`Allocator::renew`] would record now.
    pub fn preview_renew(&self, command: &LeaseCommand<RenewLease>) -> Result<Renewed, Error> {
        let index = self.executor.cache.snapshot()?;
        let (prefix, lease) = current(&index, command)?;
        let after = Prefix { lease: Some(Box::new(command.change.apply(lease)?)), ..Prefix::clone(prefix) };
        Ok(Renewed { prefix: Arc::new(after), previous_expiry: lease.term.expiry })
    }

    /// The lease that [`Allocator::end_lease`] would end now.
    pub fn preview_end(&self, command: &LeaseCommand<EndLease>) -> Result<Ended, Error> {
        let (before, addresses_in_use) =
            command.check(&*self.executor.cache.snapshot()?, |record| !record.is_in_pool())?;
        Ok(Ended { before, addresses_in_use })
    }

    /// How the addresses of a prefix are used, with the prefix and the snapshot that was counted. No policy is asked.
    pub async fn utilization(&self, key: PrefixKey) -> Result<(Arc<Prefix>, Utilization, Arc<Index>), Error> {
        let index = self.executor.cache.snapshot()?;
        let prefix = index.resolve(key)?.clone();
        let quarantined = self.executor.quarantined().await?;
        let used = utilization(&index, &prefix, self.executor.limits(&quarantined));
        Ok((prefix, used, index))
    }

    /// How the addresses of prefixes of this snapshot are used, in their order. No policy is asked.
    pub async fn utilizations(
        &self,
        index: &Index,
        prefixes: &[Arc<Prefix>],
    ) -> Result<Vec<Utilization>, Error> {
        let quarantined = self.executor.quarantined().await?;
        let mut used = Vec::with_capacity(prefixes.len());
        for prefix in prefixes {
            used.push(utilization(index, prefix, self.executor.limits(&quarantined)));
            // A large prefix takes milliseconds to count. Others have their turn in between.
            tokio::task::yield_now().await;
        }
        Ok(used)
    }

    /// The intents in the ledger, for methods that show them.
    pub fn intents(&self) -> &Arc<dyn IntentStore> {
        &self.executor.intents
    }

    /// A snapshot of the cache, for methods that show records.
    pub(super) fn snapshot(&self) -> Result<Arc<Index>, Error> {
        Ok(self.executor.cache.snapshot()?)
    }

    /// The id of a request, for logs of this room.
    pub(super) fn not_found(request: &RequestId) -> Error {
        Error::AllocationNotFound { request: request.clone() }
    }

    /// Settles what servers that are gone left open. A job runs it.
    pub async fn recover(&self) -> Result<Recovered, Error> {
        let recovered = self.executor.recover().await?;
        if recovered.settled > 0
            && let Some(pools) = &self.pools
        {
            // A fill of a pool may be among them.
            pools.call_round();
        }
        Ok(recovered)
    }

    /// Whether NetBox was found to refuse a second record with the same allocation id. Nothing is written before.
    pub fn serves_writes(&self) -> bool {
        self.executor.serves()
    }

    /// Asks NetBox whether it refuses a second record with the same allocation id; an error if it does not. A job runs it.
    pub async fn check_served(&self) -> Result<(), Error> {
        match self.executor.check_unique_ids().await? {
            UniqueIds::Enforced => Ok(()),
            found => Err(Error::IdsNotUnique { found }),
        }
    }

    /// Why no write is served, if NetBox has been asked.
    pub fn unserved(&self) -> Option<UniqueIds> {
        self.executor.unserved()
    }

    /// Deletes the addresses from the ledger whose quarantine is over. A job runs it.
    pub async fn end_quarantine(&self) -> Result<(), Error> {
        Ok(self.executor.quarantine.end(self.executor.clock.now()).await?)
    }

    /// Deletes settled intents that are older than `keep` from the ledger: from then on NetBox's records answer a retry. A job runs
    /// it. Returns how many were deleted.
    pub async fn prune(&self, keep: Duration) -> Result<u64, Error> {
        let now = self.executor.clock.now();
        let before = now.checked_sub(keep).unwrap_or(Timestamp::MIN);
        Ok(self.executor.intents.prune(before, now).await?)
    }

    /// One round of the upkeep of the pools. A job runs it.
    pub async fn keep_pools(&self) -> Result<(), Error> {
        match &self.pools {
            Some(pools) if pools.has_any() => match pools.round().await {
                // The first full pass is running. Until it is done there is nothing to allocate from.
                Err(Error::NotReady(_)) => Ok(()),
                outcome => outcome,
            },
            // Other servers may hand out what this one shows.
            Some(pools) if self.executor.intents.is_shared() => pools.show_pending().await,
            _ => Ok(()),
        }
    }

    /// Shows what an earlier server has handed out of pools, before anything is answered.
    pub async fn show_pools(&self) {
        if let Some(pools) = &self.pools
            && let Err(error) = pools.show_pending().await
        {
            tracing::warn!(%error, "what pools have handed out is not shown yet");
        }
    }

    /// Completes what the pools have handed out, before a server stops. What is left is completed by the next start.
    pub async fn finish_pools(&self) {
        if let Some(pools) = self.pools.as_ref().filter(|pools| pools.has_any())
            && let Err(error) = pools.finish().await
        {
            tracing::warn!(%error, "records of addresses that pools have handed out are left to the next start");
        }
    }

    /// Waits for the commands that are queued or running. New ones are refused: stop the edge first.
    pub async fn drain(&self) {
        self.executor.drain().await;
    }
}
