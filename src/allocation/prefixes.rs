//! Child prefixes.

use std::sync::Arc;

use super::allocator::{ATTEMPTS, AllocatedPrefix, Allocator};
use super::error::Error;
use super::intents::Start;
use super::pick::{self, Limits, Resting};
use super::requirement::Need;
use super::wish::PrefixWish;
use crate::cache::{Batch, Index};
use crate::ledger::{Detail, Fingerprint, Intent, IntentKind, IntentState};
use crate::model::{Address, Network, Prefix};
use crate::netbox::Certainty;

impl Allocator {
    /// Allocates a child prefix that overlaps no other child, no recorded address and no range.
    pub async fn allocate_prefix(self: &Arc<Self>, wish: PrefixWish) -> Result<AllocatedPrefix, Error> {
        self.detached(|this| async move { this.allocate_prefix_now(&wish).await }).await
    }

    /// What [`Allocator::allocate_prefix`] would hand out now. Binds nobody.
    pub async fn preview_prefix(&self, wish: &PrefixWish) -> Result<(Network, Arc<Prefix>), Error> {
        let resting = self.resting(false).await?;
        let limits = self.limits(&wish.exclude, &resting, false);
        let index = self.index()?;
        let parent = self.block_parent(&index, wish, limits)?;
        Ok((free_block(&index, &parent, wish.length, limits)?, parent))
    }

    fn block_parent(
        &self,
        index: &Index,
        wish: &PrefixWish,
        limits: Limits<'_>,
    ) -> Result<Arc<Prefix>, Error> {
        let parent = self.parent(index, &wish.origin, Need::Block(wish.length), limits, wish.purpose)?;
        if wish.length <= parent.network.length() || wish.length > parent.network.max_length() {
            return Err(Error::Length { network: parent.network, length: wish.length });
        }
        Ok(parent)
    }

    async fn allocate_prefix_now(&self, wish: &PrefixWish) -> Result<AllocatedPrefix, Error> {
        let _turn = self.one_at_a_time.lock().await;
        let fingerprint = Fingerprint::of(wish);
        let known = self.known(&wish.request, IntentKind::Prefix, &fingerprint).await?;
        if let Some(Start::Repeat(intent)) = known {
            return self.prefix_again(&intent).await;
        }
        let found = async {
            let resting = self.resting(false).await?;
            let parent =
                self.block_parent(&*self.index()?, wish, self.limits(&wish.exclude, &resting, false))?;
            Ok((resting, parent))
        };
        let (resting, parent) = match found.await {
            Ok(found) => found,
            Err(error) => return Err(self.refused(known, &wish.request, error).await),
        };
        let detail = Detail { wanted: 1, ..Detail::default() };
        let start = match known {
            Some(start) => start,
            None => self.begin(&wish.request, IntentKind::Prefix, fingerprint, Some(&parent), detail).await?,
        };
        let (mut detail, uncertain) = match start {
            Start::Repeat(intent) => return self.prefix_again(&intent).await,
            Start::Proceed { detail, uncertain } => (detail, uncertain),
        };
        match self.write_prefix(&parent, wish, &resting, uncertain).await {
            Ok(prefix) => {
                detail.made = vec![prefix.id.0];
                self.publish(Batch::from(vec![prefix.clone()])).await;
                self.ledger.set(&wish.request, IntentState::Done, &detail, self.clock.now()).await?;
                Ok(AllocatedPrefix { prefix: Arc::new(prefix), parent: Some(parent), repeated: false })
            }
            Err(error) => Err(self.give_up(&wish.request, &detail, error).await),
        }
    }

    async fn write_prefix(
        &self,
        parent: &Prefix,
        wish: &PrefixWish,
        resting: &Resting,
        mut uncertain: bool,
    ) -> Result<Prefix, Error> {
        let draft = wish.text.prefix_draft(&wish.request);
        let limits = self.limits(&wish.exclude, resting, false);
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let block = match free_block(&*self.index()?, parent, wish.length, limits) {
                Ok(block) => block,
                Err(error) => return Err(Self::unless_uncertain(uncertain, &wish.request, error)),
            };
            let error = match self.client.create_prefix(block, parent.table, &draft).await {
                Ok(prefix) => match self.yield_block(prefix).await? {
                    Some(prefix) => return Ok(prefix),
                    None => continue,
                },
                Err(error) => error,
            };
            if error.is_duplicate() {
                if let Some(prefix) = self.recorded_prefix(&wish.request).await? {
                    return Ok(prefix);
                }
                self.rivals(parent, block).await?;
                last = Some(error);
                continue;
            }
            if error.certainty() == Certainty::NotDone {
                return Err(Self::unless_uncertain(uncertain, &wish.request, error.into()));
            }
            uncertain = true;
            match self.ask(|| self.recorded_prefix(&wish.request)).await {
                Ok(Some(prefix)) => return Ok(prefix),
                Ok(None) => last = Some(error),
                Err(_) => return Err(Error::Unsettled { request: wish.request.clone() }),
            }
        }
        let error = last.map_or(Error::Outrun, Error::from);
        Err(Self::unless_uncertain(uncertain, &wish.request, error))
    }

    /// NetBox lets prefixes overlap. If somebody recorded a prefix or an address in the block before us, we give ours back.
    async fn yield_block(&self, ours: Prefix) -> Result<Option<Prefix>, Error> {
        let (prefixes, addresses) = self.rivals(&ours, ours.network).await?;
        let lost = !addresses.is_empty() || prefixes.iter().any(|rival| rival.id < ours.id);
        if !lost {
            return Ok(Some(ours));
        }
        self.client.delete_prefix(ours.id, &ours.revision).await?;
        Ok(None)
    }

    /// What stands in a block besides ours, read from NetBox and put into the cache.
    async fn rivals(&self, like: &Prefix, block: Network) -> Result<(Vec<Prefix>, Vec<Address>), Error> {
        let table = like.table;
        let vrf = ("vrf_id", table.vrf().map_or("null".to_owned(), |id| id.to_string()));
        let prefixes: Vec<Prefix> =
            self.client.find(&[("within_include", block.to_string()), vrf.clone()]).await?;
        let prefixes: Vec<Prefix> = prefixes
            .into_iter()
            .filter(|row| row.table == table && block.contains(row.network) && row.id != like.id)
            .collect();
        let addresses: Vec<Address> = self.client.find(&[("parent", block.to_string()), vrf]).await?;
        let addresses: Vec<Address> = addresses
            .into_iter()
            .filter(|row| row.table == table && block.contains_address(row.host()))
            .collect();
        self.publish(Batch { prefixes: prefixes.clone(), addresses: addresses.clone(), ..Batch::default() })
            .await;
        Ok((prefixes, addresses))
    }

    async fn prefix_again(&self, intent: &Intent) -> Result<AllocatedPrefix, Error> {
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
