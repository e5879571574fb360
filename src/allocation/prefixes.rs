//! AllocatePrefix: a free child prefix of a parent.

use std::sync::Arc;

use super::allocator::{ATTEMPTS, Allocator};
use super::commands::AllocatePrefix;
use super::error::Error;
use super::fingerprint::Fingerprinted as _;
use super::intents::Start;
use super::plan::requirement::SpaceNeeded;
use super::plan::{self as pick, Limits, Quarantined};
use crate::cache::{Batch, Index};
use crate::ledger::{Detail, Intent, IntentKind, IntentState};
use crate::model::{Address, Network, Prefix};
use crate::netbox::{self, Certainty};

/// The child prefix that a command allocated.
#[derive(Clone, Debug)]
pub struct AllocatedPrefix {
    pub prefix: Arc<Prefix>,
    /// `None` if the parent has been deleted since.
    pub parent: Option<Arc<Prefix>>,
    /// Whether an earlier call with the same request id allocated it.
    pub repeated: bool,
}

impl Allocator {
    /// Allocates a child prefix that overlaps no other child, no recorded address and no range.
    pub async fn allocate_prefix(
        self: &Arc<Self>,
        command: AllocatePrefix,
    ) -> Result<AllocatedPrefix, Error> {
        self.detached(|this| async move { this.allocate_prefix_now(&command).await }).await
    }

    /// The network that [`Allocator::allocate_prefix`] would choose now. It is not reserved.
    pub async fn preview_prefix(&self, command: &AllocatePrefix) -> Result<(Network, Arc<Prefix>), Error> {
        let quarantined = self.quarantined(false).await?;
        let limits = self.limits(&command.exclude, &quarantined, false);
        let index = self.cache.ready_snapshot()?;
        let parent = self.block_parent(&index, command, limits)?;
        Ok((free_block(&index, &parent, command.length, limits)?, parent))
    }

    fn block_parent(
        &self,
        index: &Index,
        command: &AllocatePrefix,
        limits: Limits<'_>,
    ) -> Result<Arc<Prefix>, Error> {
        let needed = SpaceNeeded::Block(command.length);
        let parent = self.parent(index, &command.parent, needed, limits, command.purpose)?;
        if command.length <= parent.network.length() || command.length > parent.network.max_length() {
            return Err(Error::Length { network: parent.network, length: command.length });
        }
        Ok(parent)
    }

    async fn allocate_prefix_now(&self, command: &AllocatePrefix) -> Result<AllocatedPrefix, Error> {
        let _turn = self.one_at_a_time.lock().await;
        let fingerprint = command.fingerprint();
        let known = self.known(&command.request, IntentKind::Prefix, &fingerprint).await?;
        if let Some(Start::Repeat(intent)) = known {
            return self.repeat_prefix(&intent).await;
        }
        let found = async {
            let quarantined = self.quarantined(false).await?;
            let limits = self.limits(&command.exclude, &quarantined, false);
            let parent = self.block_parent(&*self.cache.ready_snapshot()?, command, limits)?;
            Ok((quarantined, parent))
        };
        let (quarantined, parent) = match found.await {
            Ok(found) => found,
            Err(error) => return Err(self.refused(known, &command.request, error).await),
        };
        let detail = Detail { wanted: 1, ..Detail::default() };
        let start = match known {
            Some(start) => start,
            None => {
                self.begin(&command.request, IntentKind::Prefix, fingerprint, Some(&parent), detail).await?
            }
        };
        let (mut detail, uncertain) = match start {
            Start::Repeat(intent) => return self.repeat_prefix(&intent).await,
            Start::Proceed { detail, uncertain } => (detail, uncertain),
        };
        match self.write_prefix(&parent, command, &quarantined, uncertain).await {
            Ok(prefix) => {
                detail.made = vec![prefix.id.0];
                self.publish(Batch::from(vec![prefix.clone()])).await;
                self.intents.set(&command.request, IntentState::Done, &detail, self.clock.now()).await?;
                Ok(AllocatedPrefix { prefix: Arc::new(prefix), parent: Some(parent), repeated: false })
            }
            Err(error) => Err(self.give_up(&command.request, &detail, error).await),
        }
    }

    /// Writes until the record is in NetBox, or until it is known that it is not.
    async fn write_prefix(
        &self,
        parent: &Prefix,
        command: &AllocatePrefix,
        quarantined: &Quarantined,
        mut uncertain: bool,
    ) -> Result<Prefix, Error> {
        let draft = command.text.prefix_draft(&command.request);
        let limits = self.limits(&command.exclude, quarantined, false);
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let index = self.cache.ready_snapshot()?;
            let block = match free_block(&index, parent, command.length, limits) {
                Ok(block) => block,
                Err(error) => return Err(Self::unless_uncertain(uncertain, &command.request, error)),
            };
            let error = match self.client.create_prefix(block, parent.scope, &draft).await {
                Ok(prefix) => match self.yield_block(prefix).await? {
                    Some(prefix) => return Ok(prefix),
                    None => continue,
                },
                Err(error) => error,
            };
            if matches!(error, netbox::Error::Duplicate { .. }) {
                // Either an earlier attempt of this request succeeded, or another writer has the block.
                if let Some(prefix) = self.client.prefix_by_allocation(&command.request).await? {
                    return Ok(prefix);
                }
                self.rivals(parent, block).await?;
                last = Some(error);
                continue;
            }
            if error.certainty() == Certainty::NotDone {
                return Err(Self::unless_uncertain(uncertain, &command.request, error.into()));
            }
            uncertain = true;
            match self.ask(|| async { Ok(self.client.prefix_by_allocation(&command.request).await?) }).await {
                Ok(Some(prefix)) => return Ok(prefix),
                Ok(None) => last = Some(error),
                Err(_) => return Err(Error::Unsettled { request: command.request.clone() }),
            }
        }
        let error = last.map_or(Error::Contended, Error::from);
        Err(Self::unless_uncertain(uncertain, &command.request, error))
    }

    /// Checks after a write whether another writer recorded an address in the block, or a prefix with a lower id: NetBox allows
    /// both. Then our record is deleted and the answer is `None`.
    async fn yield_block(&self, ours: Prefix) -> Result<Option<Prefix>, Error> {
        let (prefixes, addresses) = self.rivals(&ours, ours.network).await?;
        let lost = !addresses.is_empty() || prefixes.iter().any(|rival| rival.id < ours.id);
        if !lost {
            return Ok(Some(ours));
        }
        self.client.delete_prefix(ours.id, &ours.revision).await?;
        Ok(None)
    }

    /// Reads what NetBox holds inside a block, in the scope of `own` and without `own` itself, and puts it into the cache.
    async fn rivals(&self, own: &Prefix, block: Network) -> Result<(Vec<Prefix>, Vec<Address>), Error> {
        let mut prefixes = self.client.prefixes_within(own.scope, block).await?;
        prefixes.retain(|prefix| prefix.id != own.id);
        let addresses = self.client.addresses_within(own.scope, block).await?;
        self.publish(Batch { prefixes: prefixes.clone(), addresses: addresses.clone(), ..Batch::default() })
            .await;
        Ok((prefixes, addresses))
    }

    /// The answer to a request that was answered before: its record as it is now.
    async fn repeat_prefix(&self, intent: &Intent) -> Result<AllocatedPrefix, Error> {
        let index = self.cache.snapshot();
        let parent = intent.parent.and_then(|id| index.prefix(id).cloned());
        if let (_, Some(prefix)) = index.allocated(&intent.request) {
            return Ok(AllocatedPrefix { prefix: prefix.clone(), parent, repeated: true });
        }
        let found: Vec<Prefix> = self.client.by_ids(&intent.detail.made).await?;
        let prefix = found
            .into_iter()
            .next()
            .ok_or_else(|| Error::ReleasedSince { request: intent.request.clone() })?;
        self.publish(Batch::from(vec![prefix.clone()])).await;
        Ok(AllocatedPrefix { prefix: Arc::new(prefix), parent, repeated: true })
    }
}

fn free_block(index: &Index, parent: &Prefix, length: u8, limits: Limits<'_>) -> Result<Network, Error> {
    let taken = pick::taken_blocks(index, parent, limits);
    pick::lowest_block(parent, &taken, length).ok_or_else(|| Error::NoBlock {
        network: parent.network,
        length,
        largest: pick::largest_block(parent, &taken),
    })
}
