//! The allocator: what the commands share. Each command is a file of its own that adds methods to it.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ipnet::IpNet;
use jiff::Timestamp;
use tokio::sync::Mutex;
use tokio_util::task::TaskTracker;

use super::commands::ParentSelector;
use super::error::Error;
use super::plan::policy::{Policy, Purpose};
use super::plan::requirement::{self, PolicyContext, SpaceNeeded};
use super::plan::{Limits, Quarantined};
use super::plan::{Utilization, utilization};
use crate::cache::{Batch, Cache, Index, PrefixKey};
use crate::clock::Clock;
use crate::ledger::{IntentStore, QuarantineStore};
use crate::model::{Address, Network, Prefix, VrfScope};
use crate::netbox::Client;

/// How often a command chooses again after another writer took its choice, or sends a write again whose outcome is unknown.
pub(super) const ATTEMPTS: u32 = 6;

/// Allocates and releases addresses and child prefixes, one command at a time.
pub struct Allocator {
    pub(super) client: Client,
    pub(super) cache: Arc<Cache>,
    pub(super) intents: Arc<dyn IntentStore>,
    pub(super) quarantine: Arc<dyn QuarantineStore>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) policy: Policy,
    /// Held while a command runs. NetBox serialises allocations itself, so parallel writes gain nothing, and two commands that
    /// choose from one snapshot would choose the same addresses.
    pub(super) one_at_a_time: Mutex<()>,
    /// Set once the intents that an earlier server left pending are settled. No command is served before.
    pub(super) settled: AtomicBool,
    /// A command runs as a task of its own, so that a caller who hangs up does not cancel it between two writes.
    tasks: TaskTracker,
}

impl Allocator {
    /// An allocator that refuses commands until [`Allocator::settle`] has run once.
    pub fn new(
        client: Client,
        cache: Arc<Cache>,
        intents: Arc<dyn IntentStore>,
        quarantine: Arc<dyn QuarantineStore>,
        clock: Arc<dyn Clock>,
        policy: Policy,
    ) -> Self {
        Self {
            client,
            cache,
            intents,
            quarantine,
            clock,
            policy,
            one_at_a_time: Mutex::new(()),
            settled: AtomicBool::new(false),
            tasks: TaskTracker::new(),
        }
    }

    /// The intents in the ledger, for methods that show them.
    pub fn intents(&self) -> &Arc<dyn IntentStore> {
        &self.intents
    }

    /// Whether the intents that an earlier server left pending are settled.
    pub fn is_settled(&self) -> bool {
        self.settled.load(Ordering::Acquire)
    }

    /// Waits for the commands that are running. New commands are still accepted: stop the edge first.
    pub async fn drain(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// The addresses in quarantine; none if the caller accepts quarantined addresses.
    pub(super) async fn quarantined(&self, included: bool) -> Result<Quarantined, Error> {
        if included || self.policy.quarantine.is_zero() {
            return Ok(Quarantined::default());
        }
        Ok(self.quarantine.quarantined(self.quarantine_cutoff()).await?.into_iter().collect())
    }

    /// The quarantine of an address is over if it was released by this instant.
    fn quarantine_cutoff(&self) -> Timestamp {
        self.clock.now().checked_sub(self.policy.quarantine).unwrap_or(Timestamp::MIN)
    }

    /// How the addresses of a prefix are used, with the prefix and the snapshot that was counted. No policy is asked.
    pub async fn utilization(&self, key: PrefixKey) -> Result<(Arc<Prefix>, Utilization, Arc<Index>), Error> {
        let quarantined = self.quarantined(false).await?;
        let index = self.cache.ready_snapshot()?;
        let prefix = index.resolve(key)?.clone();
        let used = utilization(&index, &prefix, self.limits(&[], &quarantined, false));
        Ok((prefix, used, index))
    }

    /// Deletes the addresses from the ledger whose quarantine is over.
    pub async fn end_quarantine(&self) -> Result<(), Error> {
        Ok(self.quarantine.end_quarantine(self.quarantine_cutoff()).await?)
    }

    /// Runs a command as a task that outlives its caller.
    pub(super) async fn detached<T, F>(
        self: &Arc<Self>,
        work: impl FnOnce(Arc<Self>) -> F,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        self.tasks.spawn(work(self.clone())).await.map_err(|_| Error::TaskLost)?
    }

    /// What must not be allocated, given a command and what this version of NetBox makes of IP ranges.
    pub(super) fn limits<'a>(
        &self,
        exclude: &'a [Network],
        quarantined: &'a Quarantined,
        include_children: bool,
    ) -> Limits<'a> {
        let only_populated_ranges = self.client.capabilities().only_populated_ranges_count;
        Limits { exclude, quarantined, include_children, only_populated_ranges }
    }

    /// The prefix that a command selects, if the policy allows to allocate from it.
    pub(super) fn parent(
        &self,
        index: &Index,
        selector: &ParentSelector,
        needed: SpaceNeeded,
        limits: Limits<'_>,
        purpose: Purpose,
    ) -> Result<Arc<Prefix>, Error> {
        let context = PolicyContext { policy: &self.policy, purpose, today: self.clock.today() };
        let key = match selector {
            ParentSelector::Any(requirement) => {
                return requirement::choose(index, requirement, needed, limits, context)
                    .map_err(|why| Error::NothingFits { why });
            }
            ParentSelector::Id(id) => PrefixKey::Id(*id),
            ParentSelector::Prefix(scope, network) => PrefixKey::Network(*scope, *network),
        };
        let parent = index.resolve(key)?.clone();
        let refused = self.policy.refusals(index, &parent, purpose, context.today);
        if refused.is_empty() { Ok(parent) } else { Err(Error::Refused { network: parent.network, refused }) }
    }

    /// Checks after a write, where NetBox does not enforce unique addresses, whether another writer recorded one of the same
    /// addresses with a lower id. Then that writer was first: all our records are deleted and the answer is `None`.
    pub(super) async fn yield_to_rivals(
        &self,
        scope: VrfScope,
        records: Vec<Address>,
    ) -> Result<Option<Vec<Address>>, Error> {
        let enforced = scope
            .vrf()
            .and_then(|id| self.cache.read().vrf(id).map(|vrf| vrf.enforce_unique))
            .unwrap_or(false);
        if enforced {
            return Ok(Some(records));
        }
        let hosts: Vec<IpAddr> = records.iter().map(Address::host).collect();
        let recorded = self.client.addresses_at(scope, &hosts).await?;
        let lost = recorded
            .iter()
            .any(|rival| records.iter().any(|ours| ours.host() == rival.host() && rival.id < ours.id));
        if !lost {
            return Ok(Some(records));
        }
        let ids: Vec<_> = records.iter().map(|record| record.id).collect();
        self.client.delete_addresses(&ids).await?;
        let rivals: Vec<Address> = recorded.into_iter().filter(|found| !ids.contains(&found.id)).collect();
        self.cache.apply(Batch::from(rivals)).await?;
        Ok(None)
    }

    /// Reads addresses from NetBox into the cache that the cache took to be free.
    pub(super) async fn refresh(&self, scope: VrfScope, chosen: &[IpNet]) -> Result<(), Error> {
        let hosts: Vec<IpAddr> = chosen.iter().map(IpNet::addr).collect();
        let recorded = self.client.addresses_at(scope, &hosts).await?;
        Ok(self.cache.apply(Batch::from(recorded)).await?)
    }
}

/// An address with the mask of its prefix, as NetBox's `available-ips` gives it.
pub(super) fn with_mask(address: IpAddr, network: Network) -> IpNet {
    // The length belongs to a network of the same family, so it always fits.
    IpNet::new(address, network.length()).unwrap_or_else(|_| IpNet::from(address))
}
