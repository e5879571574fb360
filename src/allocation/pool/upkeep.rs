//! Upkeep: what was begun is ended, pools are filled, and what is too much is returned.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::plan::{Balance, PoolRule, balance, is_same, is_untouched, pooled};
use super::pools::Pools;
use crate::allocation::commands::{AllocateAddresses, ParentSelector, RecordText};
use crate::allocation::error::Error;
use crate::allocation::operations::FillPool;
use crate::allocation::plan::{Purpose, count_free, taken_addresses};
use crate::allocation::ports::{Write, WriteOrigin};
use crate::cache::{Batch, PrefixKey};
use crate::ledger::{Intent, IntentStep, PoolAddress, PoolUse, StockClaim};
use crate::model::{Address, AddressId, PrefixId, RequestId};
use crate::netbox;

/// What a process owns is taken over by another after so long without a word of it.
const LIVES: Duration = Duration::from_mins(1);
/// Addresses that are reserved at once: about two seconds of NetBox's time, in which nothing is completed.
const FILL_AT_ONCE: u32 = 64;
/// In whose name pools write.
const CALLER: &str = "leasehold";

/// Whether the addresses of a fill are in stock.
enum Stocking {
    Done,
    NotYet,
}

impl Pools {
    /// One round. A job runs it on its timer, and whenever there is work.
    pub async fn round(&self) -> Result<(), Error> {
        let _round = self.round.lock().await;
        self.show_pending().await?;
        let returning = self.load().await?;
        self.complete().await?;
        self.end_return(returning).await?;
        self.balance_all().await
    }

    /// Completes what was handed out, before a server stops.
    pub async fn finish(&self) -> Result<(), Error> {
        self.complete().await
    }

    /// Takes up what the ledger has: fills that are done, and stock. Gives the addresses that were being returned.
    async fn load(&self) -> Result<Vec<PoolAddress>, Error> {
        let now = self.executor.clock.now();
        let until = now.checked_add(LIVES).unwrap_or(now);
        let mut expected: BTreeMap<PrefixId, usize> = BTreeMap::new();
        for fill in self.store.fills().await? {
            // What may still arrive late is looked for first.
            let finished = fill.step == IntentStep::Done && fill.sweep.is_none();
            let outcome = if finished { self.stock_up(&fill).await } else { Ok(Stocking::NotYet) };
            match outcome {
                Ok(Stocking::Done) => {}
                Ok(Stocking::NotYet) => self.expect(&fill, &mut expected),
                Err(error) => {
                    tracing::warn!(request = %fill.request, %error, "what a pool has reserved is not in stock yet");
                    self.expect(&fill, &mut expected);
                }
            }
        }
        let owned = self.store.claim_pools(&self.executor.owner, now, until).await?;
        self.left.store(!owned.is_empty(), Ordering::Relaxed);
        let (mut stock, mut returning) = (Vec::new(), Vec::new());
        for address in owned {
            match address.used {
                PoolUse::Stock => stock.push(address),
                PoolUse::Returning => returning.push(address),
                PoolUse::HandedOut(_) => {}
            }
        }
        self.stock().reload(stock, expected);
        Ok(returning)
    }

    /// Counts the addresses of a fill that is not in stock yet, if they are to be this server's: they are not reserved again.
    fn expect(&self, fill: &Intent, expected: &mut BTreeMap<PrefixId, usize>) {
        let ours = !self.executor.intents.is_shared() || fill.claim.owner == self.executor.owner;
        if let Some(parent) = fill.parent.filter(|_| ours) {
            *expected.entry(parent).or_default() += usize::try_from(fill.detail.wanted).unwrap_or(usize::MAX);
        }
    }

    /// Puts the records of a fill into stock.
    async fn stock_up(&self, fill: &Intent) -> Result<Stocking, Error> {
        let executor = &self.executor;
        let made = &fill.detail.made;
        let index = executor.cache.snapshot()?;
        let mut records: Vec<Address> = made
            .iter()
            .filter_map(|id| index.address(AddressId(*id)).map(|record| Address::clone(record)))
            .collect();
        if records.len() != made.len() {
            records = executor.netbox.addresses_by_id(made).await?;
        }
        let claim = StockClaim { owner: executor.owner.clone(), epoch: 1 };
        // If the prefix is not known any more, no rule is about it, and the addresses are returned.
        let parent = fill.parent.unwrap_or(PrefixId(0));
        let addresses: Vec<PoolAddress> = records
            .into_iter()
            // What somebody else has changed is his.
            .filter(Address::is_in_pool)
            .map(|record| PoolAddress { record, parent, claim: claim.clone(), used: PoolUse::Stock })
            .collect();
        self.store.stock(&fill.request, &addresses, executor.clock.now()).await?;
        Ok(Stocking::Done)
    }

    /// Fills what lacks and returns what is too much, a part of each pool in a round.
    async fn balance_all(&self) -> Result<(), Error> {
        let executor = &self.executor;
        let index = executor.cache.snapshot()?;
        let (now, today) = (executor.clock.now(), executor.clock.today());
        let rules = pooled(&index, &self.settings.rules);
        // What belongs to no pool any more, and what somebody has taken for himself or deleted, is in stock no more.
        let unwanted = self
            .stock()
            .select(|parent, record| !rules.contains_key(&parent) || !is_untouched(&index, record));
        self.give_back(unwanted).await?;
        let (current, quarantined) = (executor.cache.snapshot()?, executor.quarantined().await?);
        let limits = executor.limits(&quarantined);
        let (mut filled, mut failed) = (false, None);
        for (parent, rule) in rules {
            let Some(prefix) = index.prefix(parent) else { continue };
            if self.stock().is_closed(parent) {
                continue;
            }
            let allowed = executor.policy.refusals(&index, prefix, Purpose::General, today).is_empty();
            let (demand, stock, expected) = {
                let mut stock = self.stock();
                (stock.demand(parent, now, self.settings.idle), stock.of(parent), stock.expected(parent))
            };
            let rule = if allowed { rule.clone() } else { PoolRule { size: 0, ..rule.clone() } };
            let free = count_free(prefix, &taken_addresses(&current, prefix, limits));
            match balance(&rule, demand, stock.len(), expected, free) {
                Balance::Even => {}
                Balance::Return(count) => {
                    let highest = stock.into_iter().rev().take(count).collect();
                    self.give_back(highest).await?;
                }
                Balance::Fill(count) => match self.fill(parent, count.min(FILL_AT_ONCE)).await {
                    Ok(done) => filled |= done,
                    Err(error) => {
                        tracing::warn!(prefix = %prefix.network, %error, "a pool could not be filled");
                        failed = Some(error);
                    }
                },
            }
        }
        if filled {
            // There may be more to do.
            self.work.notify_one();
        }
        failed.map_or(Ok(()), Err)
    }

    /// Reserves addresses. Returns whether that was done.
    async fn fill(&self, parent: PrefixId, count: u32) -> Result<bool, Error> {
        let text = RecordText {
            status: "reserved".to_owned(),
            description: "Reserved ahead by Leasehold".to_owned(),
            ..RecordText::default()
        };
        let fill = FillPool(AllocateAddresses {
            parent: ParentSelector::Id(parent),
            count,
            text,
            exclude: Vec::new(),
            include_children: false,
            purpose: Purpose::General,
            include_quarantined: false,
            request: self.next_id(),
        });
        match self.executor.execute(fill, CALLER.to_owned()).await {
            Ok(_) => {
                self.load().await?;
                Ok(true)
            }
            // Others have taken what was free.
            Err(Error::Full { .. } | Error::Refused { .. } | Error::Contended | Error::Busy) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Returns addresses of the stock to NetBox, whoever holds them. Returns how many are free now.
    pub(super) async fn give_back(&self, addresses: Vec<Address>) -> Result<usize, Error> {
        if addresses.is_empty() {
            return Ok(0);
        }
        self.stock().remove(&addresses);
        let taken = self.store.take_back(&addresses, self.executor.clock.now()).await?;
        self.end_return(taken).await
    }

    /// Returns the whole stock of a prefix, whoever holds it. Returns how many addresses are free now.
    pub(in crate::allocation) async fn give_back_all(&self, parent: PrefixId) -> Result<usize, Error> {
        let stock = self.store.stock_within(parent).await?;
        self.give_back(stock.into_iter().map(|address| address.record).collect()).await
    }

    /// Returns one address to NetBox, if it is in stock.
    pub(in crate::allocation) async fn give_back_address(&self, record: &Address) -> Result<usize, Error> {
        self.give_back(vec![record.clone()]).await
    }

    /// Deletes the records of addresses that nobody can get any more, if they are as the pool left them. Returns how many are free now.
    async fn end_return(&self, returning: Vec<PoolAddress>) -> Result<usize, Error> {
        let mut lists = vec![returning.into_iter().map(|address| address.record).collect::<Vec<_>>()];
        let mut free = 0;
        while let Some(mut list) = lists.pop() {
            match self.delete_untouched(&list).await {
                Ok(deleted) => free += deleted,
                Err(Error::NetBox(error)) if refuses_one(&error) && list.len() > 1 => {
                    let second = list.split_off(list.len() / 2);
                    lists.extend([second, list]);
                }
                Err(Error::NetBox(error)) if refuses_one(&error) => {
                    tracing::warn!(?list, %error, "what a pool had reserved is left to whoever uses it");
                    self.store.forget(&list).await?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(free)
    }

    async fn delete_untouched(&self, list: &[Address]) -> Result<usize, Error> {
        let Some(first) = list.first() else { return Ok(0) };
        let executor = &self.executor;
        let ids: Vec<u64> = list.iter().map(|record| record.id.0).collect();
        let found = executor.netbox.addresses_by_id(&ids).await?;
        let (ours, others): (Vec<&Address>, Vec<&Address>) =
            found.iter().partition(|record| list.iter().any(|left| is_same(left, record)));
        if !ours.is_empty() {
            let request = first
                .allocation
                .as_ref()
                .map_or_else(|| self.next_id(), |allocation| allocation.request.clone());
            let origin = WriteOrigin { method: "ReturnToPrefix", request, caller: CALLER.to_owned() };
            let ids = ours.iter().map(|record| record.id).collect();
            executor.netbox.send(&Write::DeleteAddresses { ids }, &origin).await?;
        }
        let gone: Vec<u64> =
            ids.into_iter().filter(|id| others.iter().all(|record| record.id.0 != *id)).collect();
        executor.publish(Batch { deleted_addresses: gone.clone(), ..Batch::default() }).await;
        self.store.forget(list).await?;
        Ok(gone.len())
    }

    /// An id that no fill has had.
    fn next_id(&self) -> RequestId {
        let nth = self.fills.fetch_add(1, Ordering::Relaxed);
        RequestId::of_pool(self.executor.owner.as_str(), nth)
    }

    /// The prefix that a key names, if this server keeps a pool of it, or the ledger has stock of it.
    pub(in crate::allocation) async fn pool_of(&self, key: PrefixKey) -> Result<Option<PrefixId>, Error> {
        let index = self.executor.cache.snapshot()?;
        // Whoever asks goes on without a pool, and says what is wrong with the key.
        let Ok(prefix) = index.resolve(key) else { return Ok(None) };
        let known = pooled(&index, &self.settings.rules).contains_key(&prefix.id)
            || !self.store.stock_within(prefix.id).await?.is_empty();
        Ok(known.then_some(prefix.id))
    }
}

/// Whether NetBox refuses to delete one record of a list, and might delete the others.
fn refuses_one(error: &netbox::Error) -> bool {
    error.is_content_refused() || matches!(error, netbox::Error::HasDependents { .. })
}
