//! Requests that are answered from the stock.

use std::sync::Arc;

use ipnet::IpNet;

use super::plan::{fits, served};
use super::pools::Pools;
use super::stock::Item;
use crate::allocation::commands::AllocateAddresses;
use crate::allocation::error::Error;
use crate::allocation::operation::Operation as _;
use crate::allocation::operations::Allocated;
use crate::cache::{Batch, Index};
use crate::ledger::{self, Claim, Detail, HandOut, Intent, IntentStep, Stocked};
use crate::model::{Address, Prefix, RecordState};

/// How often other addresses are tried, since those in memory were no longer this process's.
const TRIES: u32 = 3;

/// Addresses of a pool's stock with their masks, and the prefix that they came from.
type FromStock = (Vec<IpNet>, Arc<Prefix>);

impl Pools {
    /// Hands addresses of a pool out to a request. `None` if no pool serves it now, or if the ledger knows the request: it is then
    /// carried out as any other.
    pub(in crate::allocation) async fn hand_out(
        self: &Arc<Self>,
        command: &AllocateAddresses,
        caller: &str,
    ) -> Result<Option<Allocated>, Error> {
        if self.settings.rules.is_empty() || served(command).is_none() {
            return Ok(None);
        }
        let (this, command, caller) = (self.clone(), command.clone(), caller.to_owned());
        // A task of its own: what was begun for a caller that goes away is carried to its end.
        let handing_out = tokio::spawn(async move { this.hand_out_held(&command, &caller).await });
        handing_out.await.unwrap_or(Err(Error::TaskLost))
    }

    async fn hand_out_held(
        &self,
        command: &AllocateAddresses,
        caller: &str,
    ) -> Result<Option<Allocated>, Error> {
        let executor = &self.executor;
        let _held = executor.hold(&command.request).await;
        for _ in 0..TRIES {
            let index = executor.cache.snapshot()?;
            let Some((parent, items)) = self.lend(&index, command) else { return Ok(None) };
            let hand_out = self.prepared(command, caller, &parent, &items);
            let wanted: Vec<Address> = hand_out.addresses.iter().map(|(_, wanted)| wanted.clone()).collect();
            match self.store_hand_out(hand_out).await {
                Ok(Stocked::HandedOut) => {
                    executor.cache.handed_out().add(wanted.clone());
                    self.stock().drop_lent(&items);
                    self.note_pending();
                    executor.publish(Batch::from(wanted.clone())).await;
                    self.work.notify_one();
                    let addresses = wanted.into_iter().map(Arc::new).collect();
                    return Ok(Some(Allocated { addresses, parent: Some(parent), repeated: false }));
                }
                Ok(Stocked::Before) => {
                    self.stock().put_back(parent.id, items);
                    return Ok(None);
                }
                // Another process has taken them over, or they are being returned. The next round finds what is left.
                Ok(Stocked::Gone) => self.stock().drop_lent(&items),
                Err(error) => {
                    // They may be handed out all the same: only the ledger knows.
                    self.stock().drop_lent(&items);
                    return Err(error.into());
                }
            }
        }
        Ok(None)
    }

    /// The addresses that a request would be handed out now; `None` if no pool serves it now.
    pub(in crate::allocation) fn preview(
        &self,
        command: &AllocateAddresses,
    ) -> Result<Option<FromStock>, Error> {
        let index = self.executor.cache.snapshot()?;
        let Some(parent) = self.serving(&index, command) else { return Ok(None) };
        let fits = |record: &Address| fits(&index, parent.id, record, command);
        let stock = self.stock();
        let shown = stock.lowest(parent.id, command.count, fits);
        let shown: Option<Vec<IpNet>> =
            shown.map(|records| records.iter().map(|record| record.interface).collect());
        drop(stock);
        Ok(shown.map(|shown| (shown, parent)))
    }

    /// The prefix that a request names, and addresses of its stock, if the request may have them.
    fn lend(&self, index: &Index, command: &AllocateAddresses) -> Option<(Arc<Prefix>, Vec<Item>)> {
        let parent = self.serving(index, command)?;
        let fits = |record: &Address| fits(index, parent.id, record, command);
        let items = self.stock().lend(parent.id, command.count, self.executor.clock.now(), fits)?;
        Some((parent, items))
    }

    /// The prefix that a request names, if a pool of it may serve the request now.
    fn serving(&self, index: &Index, command: &AllocateAddresses) -> Option<Arc<Prefix>> {
        if self.settings.rules.is_empty() {
            return None;
        }
        let parent = index.resolve(served(command)?).ok()?.clone();
        let executor = &self.executor;
        let (now, today) = (executor.clock.now(), executor.clock.today());
        let refused = executor.policy.refusals(index, &parent, command.purpose, today);
        // A request that has left traces is settled by them.
        let (traces, prefix) = index.allocated(&command.request);
        if !refused.is_empty() || !traces.is_empty() || prefix.is_some() {
            return None;
        }
        let oldest = self.stock().oldest_pending;
        let late = oldest.and_then(|since| since.checked_add(self.settings.completion / 2).ok());
        late.is_none_or(|late| late > now).then_some(parent)
    }

    /// What the ledger is to store: the intent, done, and each record as it is to be.
    fn prepared(
        &self,
        command: &AllocateAddresses,
        caller: &str,
        parent: &Prefix,
        items: &[Item],
    ) -> HandOut {
        let now = self.executor.clock.now();
        let addresses: Vec<_> = (0..)
            .zip(items)
            .map(|(index, Item { claim, record })| {
                let wanted = Address {
                    status: command.text.status.clone(),
                    dns_name: command.text.stored_dns_name(),
                    description: command.text.description.clone(),
                    allocation: Some(command.request.allocation(index)),
                    record_state: RecordState::Pending,
                    ..record.clone()
                };
                (claim.clone(), wanted)
            })
            .collect();
        let chosen: Vec<IpNet> = addresses.iter().map(|(_, wanted)| wanted.interface).collect();
        let intent = Intent {
            request: command.request.clone(),
            kind: command.kind(),
            fingerprint: command.fingerprint(),
            step: IntentStep::Done,
            claim: Claim { owner: self.executor.owner.clone(), attempt: 1 },
            parent: Some(parent.id),
            detail: Detail {
                wanted: command.count,
                made: addresses.iter().map(|(_, wanted)| wanted.id.0).collect(),
                scope: Some(parent.scope),
                network: Some(parent.network),
                chosen,
                include_children: command.include_children,
                caller: caller.to_owned(),
                ..Detail::default()
            },
            unanswered: None,
            sweep: None,
            created: now,
            updated: now,
        };
        HandOut { intent, addresses }
    }

    /// Stores a hand-out, with those that wait in one transaction.
    async fn store_hand_out(&self, hand_out: HandOut) -> Result<Stocked, ledger::Error> {
        let store = self.store.clone();
        let together = move |hand_outs: Vec<HandOut>| {
            let store = store.clone();
            async move { ledger::Error::each(hand_outs.len(), store.hand_out_all(&hand_outs).await) }
        };
        self.hand_outs.call_all(hand_out, together).await.unwrap_or(Err(ledger::Error::TaskLost))
    }

    fn note_pending(&self) {
        let now = self.executor.clock.now();
        self.stock().oldest_pending.get_or_insert(now);
    }
}
