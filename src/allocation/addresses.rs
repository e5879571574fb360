//! AllocateAddresses: free addresses of one prefix, all of them or none.

use std::sync::Arc;

use ipnet::IpNet;

use super::allocator::{ATTEMPTS, Allocator, with_mask};
use super::commands::AllocateAddresses;
use super::error::Error;
use super::fingerprint::Fingerprinted as _;
use super::intents::Start;
use super::plan::requirement::SpaceNeeded;
use super::plan::{self as pick, Quarantined};
use crate::cache::{Batch, Index};
use crate::ledger::{Detail, Intent, IntentKind};
use crate::model::{Address, Prefix};
use crate::netbox::{self, AddressDraft, Certainty};

/// The addresses that a command allocated.
#[derive(Clone, Debug)]
pub struct Allocated {
    /// In the order of their index in the request.
    pub addresses: Vec<Arc<Address>>,
    /// `None` if the prefix has been deleted since.
    pub parent: Option<Arc<Prefix>>,
    /// Whether an earlier call with the same request id allocated them.
    pub repeated: bool,
}

impl Allocator {
    /// Allocates addresses, all of them or none.
    pub async fn allocate(self: &Arc<Self>, command: AllocateAddresses) -> Result<Allocated, Error> {
        self.detached(|this| async move { this.allocate_now(&command).await }).await
    }

    /// The addresses that [`Allocator::allocate`] would choose now. They are not reserved.
    pub async fn preview(&self, command: &AllocateAddresses) -> Result<(Vec<IpNet>, Arc<Prefix>), Error> {
        let quarantined = self.quarantined(command.include_quarantined).await?;
        let index = self.cache.ready_snapshot()?;
        let parent = self.addresses_parent(&index, command, &quarantined)?;
        let chosen = self.choose(&index, &parent, command, &quarantined)?;
        Ok((chosen, parent))
    }

    async fn allocate_now(&self, command: &AllocateAddresses) -> Result<Allocated, Error> {
        let _turn = self.one_at_a_time.lock().await;
        let fingerprint = command.fingerprint();
        let known = self.known(&command.request, IntentKind::Addresses, &fingerprint).await?;
        if let Some(Start::Repeat(intent)) = known {
            return self.repeat(&intent).await;
        }
        let found = async {
            let quarantined = self.quarantined(command.include_quarantined).await?;
            let parent = self.addresses_parent(&*self.cache.ready_snapshot()?, command, &quarantined)?;
            Ok((quarantined, parent))
        };
        let (quarantined, parent) = match found.await {
            Ok(found) => found,
            Err(error) => return Err(self.refused(known, &command.request, error).await),
        };
        let detail = Detail { wanted: command.count, ..Detail::default() };
        let start = match known {
            Some(start) => start,
            None => {
                self.begin(&command.request, IntentKind::Addresses, fingerprint, Some(&parent), detail)
                    .await?
            }
        };
        let (detail, uncertain) = match start {
            Start::Repeat(intent) => return self.repeat(&intent).await,
            Start::Proceed { detail, uncertain } => (detail, uncertain),
        };
        let drafts = command.text.address_drafts(&command.request, command.count);
        let written = self.write_addresses(&parent, command, &quarantined, &drafts, uncertain).await;
        let addresses = self.conclude(&command.request, detail, written).await?;
        Ok(Allocated { addresses, parent: Some(parent), repeated: false })
    }

    /// Writes until the records are in NetBox, or until it is known that they are not.
    async fn write_addresses(
        &self,
        parent: &Arc<Prefix>,
        command: &AllocateAddresses,
        quarantined: &Quarantined,
        drafts: &[AddressDraft],
        mut uncertain: bool,
    ) -> Result<Vec<Address>, Error> {
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let index = self.cache.ready_snapshot()?;
            // NetBox's own choice knows the newest records, but neither child prefixes nor exclusions nor the quarantine. It
            // is used where none of them matters.
            let netbox_chooses = command.exclude.is_empty()
                && (command.include_children || !pick::has_children(&index, parent))
                && quarantined.within(parent).next().is_none();
            let (chosen, answer) = if netbox_chooses {
                (Vec::new(), self.client.allocate_available(parent.id, drafts).await)
            } else {
                let chosen = match self.choose(&index, parent, command, quarantined) {
                    Ok(chosen) => chosen,
                    Err(error) => return Err(Self::unless_uncertain(uncertain, &command.request, error)),
                };
                let list: Vec<_> = chosen.iter().copied().zip(drafts.iter().cloned()).collect();
                (chosen, self.client.create_addresses(parent.scope, &list).await)
            };
            let error = match answer {
                Ok(records) if netbox_chooses => return Ok(records),
                Ok(records) => match self.yield_to_rivals(parent.scope, records).await? {
                    Some(records) => return Ok(records),
                    None => continue,
                },
                Err(error) => error,
            };
            if matches!(error, netbox::Error::Duplicate { .. }) {
                // Either an earlier attempt of this request succeeded, or another writer has one of the addresses.
                if let Some(records) = self.recorded(&command.request, command.count).await? {
                    return Ok(records);
                }
                self.refresh(parent.scope, &chosen).await?;
                last = Some(error);
                continue;
            }
            match error.certainty() {
                Certainty::NotDone => {
                    let error = match error {
                        netbox::Error::InsufficientSpace { .. } => {
                            self.full(&index, parent, command, quarantined)
                        }
                        other => other.into(),
                    };
                    return Err(Self::unless_uncertain(uncertain, &command.request, error));
                }
                Certainty::Unknown => {
                    tracing::warn!(request = %command.request, %error,
                        "the outcome of a write is unknown; reading its records from NetBox");
                    uncertain = true;
                    match self.ask_record(&command.request, command.count).await {
                        Ok(Some(records)) => return Ok(records),
                        // The write is sent again with the same allocation ids: if the first one arrives late, NetBox refuses
                        // one of the two.
                        Ok(None) => last = Some(error),
                        Err(_) => return Err(Error::Unsettled { request: command.request.clone() }),
                    }
                }
            }
        }
        let error = last.map_or(Error::Contended, Error::from);
        Err(Self::unless_uncertain(uncertain, &command.request, error))
    }

    fn addresses_parent(
        &self,
        index: &Index,
        command: &AllocateAddresses,
        quarantined: &Quarantined,
    ) -> Result<Arc<Prefix>, Error> {
        let limits = self.limits(&command.exclude, quarantined, command.include_children);
        let needed = SpaceNeeded::Addresses(command.count);
        self.parent(index, &command.parent, needed, limits, command.purpose)
    }

    /// The lowest free addresses of the parent.
    fn choose(
        &self,
        index: &Index,
        parent: &Prefix,
        command: &AllocateAddresses,
        quarantined: &Quarantined,
    ) -> Result<Vec<IpNet>, Error> {
        let limits = self.limits(&command.exclude, quarantined, command.include_children);
        let taken = pick::taken_addresses(index, parent, limits);
        let picked = pick::lowest_free(parent, &taken, command.count);
        if picked.len() < usize::try_from(command.count).unwrap_or(usize::MAX) {
            return Err(self.full(index, parent, command, quarantined));
        }
        Ok(picked.into_iter().map(|address| with_mask(address, parent.network)).collect())
    }

    /// The error of a parent with too few free addresses. NetBox may know of fewer than the cache does, so the number of free
    /// addresses is shown as less than what is needed.
    fn full(
        &self,
        index: &Index,
        parent: &Prefix,
        command: &AllocateAddresses,
        quarantined: &Quarantined,
    ) -> Error {
        let limits = self.limits(&command.exclude, quarantined, command.include_children);
        let taken = pick::taken_addresses(index, parent, limits);
        let free = pick::count_free(parent, &taken).min(u128::from(command.count.saturating_sub(1)));
        let quarantined = quarantined.within(parent).count();
        Error::Full { network: parent.network, wanted: command.count, free, quarantined }
    }

    /// The answer to a request that was answered before: its records as they are now.
    pub(super) async fn repeat(&self, intent: &Intent) -> Result<Allocated, Error> {
        let index = self.cache.snapshot();
        let (cached, _) = index.allocated(&intent.request);
        let mut addresses: Vec<Arc<Address>> = cached.into_iter().cloned().collect();
        if addresses.len() != intent.detail.made.len() {
            let records: Vec<Address> = self.client.by_ids(&intent.detail.made).await?;
            if records.len() != intent.detail.made.len() {
                return Err(Error::ReleasedSince { request: intent.request.clone() });
            }
            self.publish(Batch::from(records.clone())).await;
            addresses = records.into_iter().map(Arc::new).collect();
            addresses.sort_by_key(|record| record.allocation.as_ref().map(|id| id.index));
        }
        let parent = intent.parent.and_then(|id| index.prefix(id).cloned());
        Ok(Allocated { addresses, parent, repeated: true })
    }
}
