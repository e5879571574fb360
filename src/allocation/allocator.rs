//! The allocator: the one path that every write of an address or child prefix takes.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ipnet::IpNet;
use tokio::sync::Mutex;
use tokio_util::task::TaskTracker;

use super::error::Error;
use super::pick::{self, Limits};
use super::requirement::{self, Need};
use super::wish::{AddressWish, AssignWish, Origin};
use crate::cache::{Batch, Cache, Index};
use crate::clock::Clock;
use crate::ledger::{Begun, Detail, Fingerprint, Intent, IntentKind, IntentState, Ledger};
use crate::model::{Address, Network, Prefix, RequestId, Table};
use crate::netbox::{AddressDraft, Certainty, Client};

/// How often a pick is tried anew after a rival was quicker, or a write sent anew after an outcome stayed unknown.
pub(super) const ATTEMPTS: u32 = 6;

/// Hands out and takes back, one write at a time.
pub struct Allocator {
    pub(super) client: Client,
    pub(super) cache: Arc<Cache>,
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) clock: Arc<dyn Clock>,
    /// Held for the whole of a write. NetBox takes one global lock for them anyway, so parallel writes gain nothing, and
    /// two picks from one snapshot would pick the same.
    pub(super) one_at_a_time: Mutex<()>,
    /// Set once what an earlier server left open is settled. Until then no write is served.
    pub(super) settled: AtomicBool,
    /// Writes run as tasks of their own: a caller that hangs up does not cut one short.
    tasks: TaskTracker,
}

/// Addresses handed out.
#[derive(Clone, Debug)]
pub struct Allocated {
    /// In order of their index.
    pub addresses: Vec<Arc<Address>>,
    /// Where they came from; `None` if it has gone since.
    pub parent: Option<Arc<Prefix>>,
    /// The request had been answered before.
    pub repeated: bool,
}

/// A child prefix handed out.
#[derive(Clone, Debug)]
pub struct AllocatedPrefix {
    /// The new prefix.
    pub prefix: Arc<Prefix>,
    /// Where it came from; `None` if it has gone since.
    pub parent: Option<Arc<Prefix>>,
    /// The request had been answered before.
    pub repeated: bool,
}

/// A named address recorded.
#[derive(Clone, Debug)]
pub struct Assigned {
    /// The record.
    pub address: Arc<Address>,
    /// The request had been answered before.
    pub repeated: bool,
}

/// Where a write stands when it is taken up.
pub(super) enum Start {
    /// Carry it out. `detail` is durable; `uncertain` if an earlier try may still land.
    Proceed { detail: Detail, uncertain: bool },
    /// It was done before.
    Repeat(Box<Intent>),
}

impl Allocator {
    /// An allocator that serves no writes until [`Allocator::settle`] has run.
    pub fn new(client: Client, cache: Arc<Cache>, ledger: Arc<dyn Ledger>, clock: Arc<dyn Clock>) -> Self {
        Self {
            client,
            cache,
            ledger,
            clock,
            one_at_a_time: Mutex::new(()),
            settled: AtomicBool::new(false),
            tasks: TaskTracker::new(),
        }
    }

    /// The ledger, for those who ask about it.
    pub fn ledger(&self) -> &Arc<dyn Ledger> {
        &self.ledger
    }

    /// Whether what an earlier server left open is settled.
    pub fn is_settled(&self) -> bool {
        self.settled.load(Ordering::Acquire)
    }

    /// Waits for the writes under way. New ones are still taken: stop the edge first.
    pub async fn drain(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Allocates addresses, all or none.
    pub async fn allocate(self: &Arc<Self>, wish: AddressWish) -> Result<Allocated, Error> {
        self.detached(|this| async move { this.allocate_now(&wish).await }).await
    }

    /// Records one named address.
    pub async fn assign(self: &Arc<Self>, wish: AssignWish) -> Result<Assigned, Error> {
        self.detached(|this| async move { this.assign_now(&wish).await }).await
    }

    /// What [`Allocator::allocate`] would hand out now. Binds nobody.
    pub fn preview(&self, wish: &AddressWish) -> Result<(Vec<IpNet>, Arc<Prefix>), Error> {
        let index = self.index()?;
        let parent = self.addresses_parent(&index, wish)?;
        let chosen = self.choose(&index, &parent, wish)?;
        Ok((chosen, parent))
    }

    /// Whether [`Allocator::assign`] would succeed now.
    pub fn preview_assign(&self, wish: &AssignWish) -> Result<IpNet, Error> {
        Self::assignable(&*self.index()?, wish)
    }

    pub(super) async fn detached<T, F>(
        self: &Arc<Self>,
        work: impl FnOnce(Arc<Self>) -> F,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        self.tasks.spawn(work(self.clone())).await.map_err(|_| Error::CutShort)?
    }

    pub(super) fn index(&self) -> Result<Arc<Index>, Error> {
        if self.cache.is_ready() {
            Ok(self.cache.snapshot())
        } else {
            Err(Error::NotReady { trouble: self.cache.freshness().trouble().to_string() })
        }
    }

    /// Limits of a wish, with what this NetBox version makes of ranges.
    pub(super) fn limits<'a>(&self, exclude: &'a [Network], include_children: bool) -> Limits<'a> {
        let only_populated_ranges = self.client.capabilities().only_populated_ranges_count;
        Limits { exclude, include_children, only_populated_ranges }
    }

    async fn allocate_now(&self, wish: &AddressWish) -> Result<Allocated, Error> {
        let _turn = self.one_at_a_time.lock().await;
        let fingerprint = Fingerprint::of(wish);
        let known = self.known(&wish.request, IntentKind::Addresses, &fingerprint).await?;
        if let Some(Start::Repeat(intent)) = known {
            return self.again(&intent).await;
        }
        let index = self.index()?;
        let parent = self.addresses_parent(&index, wish)?;
        let detail = Detail { wanted: wish.count, ..Detail::default() };
        let start = match known {
            Some(start) => start,
            None => {
                self.begin(&wish.request, IntentKind::Addresses, fingerprint, Some(&parent), detail).await?
            }
        };
        let (detail, uncertain) = match start {
            Start::Repeat(intent) => return self.again(&intent).await,
            Start::Proceed { detail, uncertain } => (detail, uncertain),
        };
        let drafts = wish.text.address_drafts(&wish.request, wish.count);
        let written = self.write_addresses(&parent, wish, &drafts, uncertain).await;
        let addresses = self.conclude(&wish.request, detail, written).await?;
        Ok(Allocated { addresses, parent: Some(parent), repeated: false })
    }

    /// Writes until the records stand, or until it is known that they do not.
    async fn write_addresses(
        &self,
        parent: &Arc<Prefix>,
        wish: &AddressWish,
        drafts: &[AddressDraft],
        mut uncertain: bool,
    ) -> Result<Vec<Address>, Error> {
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let index = self.index()?;
            // NetBox's own choice knows nothing of children and excludes; with neither it is the freshest there is.
            let theirs =
                wish.exclude.is_empty() && (wish.include_children || !pick::has_children(&index, parent));
            let (chosen, answer) = if theirs {
                (Vec::new(), self.client.allocate_available(parent.id, drafts).await)
            } else {
                let chosen = match self.choose(&index, parent, wish) {
                    Ok(chosen) => chosen,
                    Err(error) => return Err(Self::unless_uncertain(uncertain, &wish.request, error)),
                };
                let list: Vec<_> = chosen.iter().copied().zip(drafts.iter().cloned()).collect();
                (chosen, self.client.create_addresses(parent.table, &list).await)
            };
            let error = match answer {
                Ok(records) if theirs => return Ok(records),
                Ok(records) => match self.yield_to_rivals(parent.table, records).await? {
                    Some(records) => return Ok(records),
                    None => continue,
                },
                Err(error) => error,
            };
            if error.is_duplicate() {
                // Either an earlier try of this very request landed, or a rival has one of the addresses.
                if let Some(records) = self.recorded(&wish.request, wish.count).await? {
                    return Ok(records);
                }
                self.look_again(parent.table, &chosen).await?;
                last = Some(error);
                continue;
            }
            match error.certainty() {
                Certainty::NotDone => {
                    let error = match error {
                        crate::netbox::Error::Full { .. } => self.full(parent, wish),
                        other => other.into(),
                    };
                    return Err(Self::unless_uncertain(uncertain, &wish.request, error));
                }
                Certainty::Unknown => {
                    tracing::warn!(request = %wish.request, %error, "asking the record what became of a write");
                    uncertain = true;
                    match self.ask_record(&wish.request, wish.count).await {
                        Ok(Some(records)) => return Ok(records),
                        // Sent again under the same identities: if the first one lands late, one of the two is refused.
                        Ok(None) => last = Some(error),
                        Err(_) => return Err(Error::Unsettled { request: wish.request.clone() }),
                    }
                }
            }
        }
        let error = last.map_or(Error::Outrun, Error::from);
        Err(Self::unless_uncertain(uncertain, &wish.request, error))
    }

    async fn assign_now(&self, wish: &AssignWish) -> Result<Assigned, Error> {
        let _turn = self.one_at_a_time.lock().await;
        let fingerprint = Fingerprint::of(wish);
        let known = self.known(&wish.request, IntentKind::Assignment, &fingerprint).await?;
        let first = |allocated: Allocated| {
            let address = allocated.addresses.into_iter().next();
            address.ok_or_else(|| Error::ReleasedSince { request: wish.request.clone() })
        };
        if let Some(Start::Repeat(intent)) = known {
            return Ok(Assigned { address: first(self.again(&intent).await?)?, repeated: true });
        }
        let index = self.index()?;
        let interface = Self::assignable(&index, wish)?;
        let parent = index.chain(wish.table, Network::host(wish.address)).last().cloned();
        let detail = Detail { wanted: 1, ..Detail::default() };
        let start = match known {
            Some(start) => start,
            None => {
                self.begin(&wish.request, IntentKind::Assignment, fingerprint, parent.as_ref(), detail)
                    .await?
            }
        };
        let (detail, uncertain) = match start {
            Start::Repeat(intent) => {
                return Ok(Assigned { address: first(self.again(&intent).await?)?, repeated: true });
            }
            Start::Proceed { detail, uncertain } => (detail, uncertain),
        };
        let written = self.write_assignment(wish, interface, uncertain).await;
        let addresses = self.conclude(&wish.request, detail, written).await?;
        let address = addresses.into_iter().next().ok_or(Error::CutShort)?;
        Ok(Assigned { address, repeated: false })
    }

    async fn write_assignment(
        &self,
        wish: &AssignWish,
        interface: IpNet,
        mut uncertain: bool,
    ) -> Result<Vec<Address>, Error> {
        let taken = || Error::Taken { address: wish.address, table: wish.table };
        for _ in 0..ATTEMPTS {
            let draft = wish.text.address_drafts(&wish.request, 1).into_iter().next().unwrap_or_default();
            let error = match self.client.create_addresses(wish.table, &[(interface, draft)]).await {
                Ok(records) => {
                    return match self.yield_to_rivals(wish.table, records).await? {
                        Some(records) => Ok(records),
                        None => Err(taken()),
                    };
                }
                Err(error) => error,
            };
            if error.is_duplicate() {
                if let Some(records) = self.recorded(&wish.request, 1).await? {
                    return Ok(records);
                }
                self.look_again(wish.table, &[interface]).await?;
                return Err(Self::unless_uncertain(uncertain, &wish.request, taken()));
            }
            if error.certainty() == Certainty::NotDone {
                return Err(Self::unless_uncertain(uncertain, &wish.request, error.into()));
            }
            uncertain = true;
            match self.ask_record(&wish.request, 1).await {
                Ok(Some(records)) => return Ok(records),
                Ok(None) => {}
                Err(_) => break,
            }
        }
        Err(Error::Unsettled { request: wish.request.clone() })
    }

    /// The address with the mask it gets, if it can be recorded: a prefix holds it and nobody has it.
    fn assignable(index: &Index, wish: &AssignWish) -> Result<IpNet, Error> {
        let lookup = index.lookup(wish.table, wish.address);
        let homeless = Error::Homeless { address: wish.address, table: wish.table };
        let parent = lookup.chain.last().ok_or(homeless)?;
        if !lookup.records.is_empty() {
            return Err(Error::Taken { address: wish.address, table: wish.table });
        }
        let (first, last) = pick::usable(parent);
        let as_number = match wish.address {
            IpAddr::V4(v4) => u128::from(v4.to_bits()),
            IpAddr::V6(v6) => v6.to_bits(),
        };
        if as_number < first || as_number > last {
            return Err(Error::NotAssignable { address: wish.address, network: parent.network });
        }
        Ok(with_mask(wish.address, parent.network))
    }

    fn addresses_parent(&self, index: &Index, wish: &AddressWish) -> Result<Arc<Prefix>, Error> {
        let limits = self.limits(&wish.exclude, wish.include_children);
        self.parent(index, &wish.origin, Need::Addresses(wish.count), limits)
    }

    /// The prefix that a wish names or that fits it best.
    pub(super) fn parent(
        &self,
        index: &Index,
        origin: &Origin,
        need: Need,
        limits: Limits<'_>,
    ) -> Result<Arc<Prefix>, Error> {
        match origin {
            Origin::Id(id) => index.prefix(*id).cloned().ok_or(Error::PrefixIdNotFound { id: *id }),
            Origin::Prefix(table, network) => match index.prefixes_at(*table, *network) {
                [] => Err(Error::PrefixNotFound {
                    network: *network,
                    table: *table,
                    elsewhere: index.tables_with(*network),
                }),
                [only] => Ok(only.clone()),
                several => Err(Error::PrefixAmbiguous {
                    network: *network,
                    table: *table,
                    ids: several.iter().map(|prefix| prefix.id).collect(),
                }),
            },
            Origin::Any(requirement) => {
                requirement::choose(index, requirement, need, limits, self.clock.today())
                    .map_err(|why| Error::NothingFits { why })
            }
        }
    }

    /// Picks the addresses here.
    fn choose(&self, index: &Index, parent: &Prefix, wish: &AddressWish) -> Result<Vec<IpNet>, Error> {
        let taken = pick::taken_addresses(index, parent, self.limits(&wish.exclude, wish.include_children));
        let picked = pick::lowest_free(parent, &taken, wish.count);
        if picked.len() < usize::try_from(wish.count).unwrap_or(usize::MAX) {
            let free = pick::count_free(parent, &taken);
            return Err(Error::Full { network: parent.network, wanted: wish.count, free });
        }
        Ok(picked.into_iter().map(|address| with_mask(address, parent.network)).collect())
    }

    fn full(&self, parent: &Prefix, wish: &AddressWish) -> Error {
        let index = self.cache.snapshot();
        let taken = pick::taken_addresses(&index, parent, self.limits(&wish.exclude, wish.include_children));
        let free = pick::count_free(parent, &taken).min(u128::from(wish.count.saturating_sub(1)));
        Error::Full { network: parent.network, wanted: wish.count, free }
    }

    /// Where NetBox does not enforce uniqueness, somebody may have recorded the same address at the same moment. The lower
    /// id was first; whoever lost gives everything back. `None` if that was us.
    async fn yield_to_rivals(
        &self,
        table: Table,
        records: Vec<Address>,
    ) -> Result<Option<Vec<Address>>, Error> {
        let enforced = table
            .vrf()
            .and_then(|id| self.cache.read().vrf(id).map(|vrf| vrf.enforce_unique))
            .unwrap_or(false);
        if enforced {
            return Ok(Some(records));
        }
        let hosts: Vec<IpAddr> = records.iter().map(Address::host).collect();
        let standing = self.at_hosts(table, &hosts).await?;
        let lost = standing
            .iter()
            .any(|rival| records.iter().any(|ours| ours.host() == rival.host() && rival.id < ours.id));
        if !lost {
            return Ok(Some(records));
        }
        let ids: Vec<_> = records.iter().map(|record| record.id).collect();
        self.client.delete_addresses(&ids).await?;
        let rivals: Vec<Address> = standing.into_iter().filter(|found| !ids.contains(&found.id)).collect();
        self.cache.apply(Batch::from(rivals)).await?;
        Ok(None)
    }

    /// Brings the cache up to date about addresses that it held to be free.
    async fn look_again(&self, table: Table, chosen: &[IpNet]) -> Result<(), Error> {
        let hosts: Vec<IpAddr> = chosen.iter().map(IpNet::addr).collect();
        let standing = self.at_hosts(table, &hosts).await?;
        self.cache.apply(Batch::from(standing)).await?;
        Ok(())
    }

    async fn at_hosts(&self, table: Table, hosts: &[IpAddr]) -> Result<Vec<Address>, Error> {
        let mut found = Vec::new();
        for chunk in hosts.chunks(50) {
            let mut filter: Vec<_> = chunk.iter().map(|host| ("address", host.to_string())).collect();
            filter.push(("vrf_id", table.vrf().map_or("null".to_owned(), |id| id.to_string())));
            let rows: Vec<Address> = self.client.find(&filter).await?;
            found.extend(rows.into_iter().filter(|row| row.table == table && chunk.contains(&row.host())));
        }
        Ok(found)
    }

    /// Where a request stands that was seen before; `None` for a new one.
    pub(super) async fn known(
        &self,
        request: &RequestId,
        kind: IntentKind,
        fingerprint: &Fingerprint,
    ) -> Result<Option<Start>, Error> {
        if !self.is_settled() {
            return Err(Error::Settling);
        }
        match self.ledger.get(request).await? {
            None => Ok(None),
            Some(intent) => self.resume(intent, kind, fingerprint).await.map(Some),
        }
    }

    /// Makes the intent durable.
    pub(super) async fn begin(
        &self,
        request: &RequestId,
        kind: IntentKind,
        fingerprint: Fingerprint,
        parent: Option<&Arc<Prefix>>,
        detail: Detail,
    ) -> Result<Start, Error> {
        let now = self.clock.now();
        let intent = Intent {
            request: request.clone(),
            kind,
            fingerprint,
            state: IntentState::Pending,
            parent: parent.map(|parent| parent.id),
            detail,
            created: now,
            updated: now,
        };
        match self.ledger.begin(&intent).await? {
            Begun::New => Ok(Start::Proceed { detail: intent.detail, uncertain: false }),
            // Another replica was quicker by a moment.
            Begun::Before(before) => self.resume(*before, kind, &intent.fingerprint).await,
        }
    }

    async fn resume(
        &self,
        intent: Intent,
        kind: IntentKind,
        fingerprint: &Fingerprint,
    ) -> Result<Start, Error> {
        if intent.kind != kind || intent.fingerprint != *fingerprint {
            return Err(Error::RequestIdReused { request: intent.request });
        }
        match intent.state {
            IntentState::Done => Ok(Start::Repeat(Box::new(intent))),
            IntentState::Failed => {
                self.ledger
                    .set(&intent.request, IntentState::Pending, &intent.detail, self.clock.now())
                    .await?;
                Ok(Start::Proceed { detail: intent.detail, uncertain: false })
            }
            IntentState::Pending => match self.settle_one(intent).await? {
                intent if intent.state == IntentState::Done => Ok(Start::Repeat(Box::new(intent))),
                intent => {
                    self.ledger
                        .set(&intent.request, IntentState::Pending, &intent.detail, self.clock.now())
                        .await?;
                    Ok(Start::Proceed { detail: intent.detail, uncertain: true })
                }
            },
        }
    }

    /// Puts what was written into the cache and settles the intent: after this the answer may leave.
    async fn conclude(
        &self,
        request: &RequestId,
        mut detail: Detail,
        written: Result<Vec<Address>, Error>,
    ) -> Result<Vec<Arc<Address>>, Error> {
        match written {
            Ok(mut records) => {
                records.sort_by_key(|record| record.allocation.as_ref().map(|id| id.index));
                detail.made = records.iter().map(|record| record.id.0).collect();
                self.publish(Batch::from(records.clone())).await;
                self.ledger.set(request, IntentState::Done, &detail, self.clock.now()).await?;
                Ok(records.into_iter().map(Arc::new).collect())
            }
            Err(error) => Err(self.give_up(request, &detail, error).await),
        }
    }

    /// Readers see it when this returns; a cache file that cannot be written is told and does not undo an allocation.
    pub(super) async fn publish(&self, batch: Batch) {
        if let Err(error) = self.cache.apply(batch).await {
            tracing::error!(%error, "the cache file is behind; memory is not");
        }
    }

    /// Settles an intent that came to nothing, unless its outcome is not known.
    pub(super) async fn give_up(&self, request: &RequestId, detail: &Detail, error: Error) -> Error {
        if matches!(error, Error::Unsettled { .. }) {
            return error;
        }
        match self.ledger.set(request, IntentState::Failed, detail, self.clock.now()).await {
            Ok(()) => error,
            Err(ledger) => {
                tracing::error!(%request, %ledger, "an intent stays pending");
                error
            }
        }
    }

    pub(super) fn unless_uncertain(uncertain: bool, request: &RequestId, error: Error) -> Error {
        if uncertain { Error::Unsettled { request: request.clone() } } else { error }
    }

    /// What a request that was done before has handed out, as it stands now.
    async fn again(&self, intent: &Intent) -> Result<Allocated, Error> {
        let index = self.cache.snapshot();
        let (held, _) = index.allocated(&intent.request);
        let mut addresses: Vec<Arc<Address>> = held.into_iter().cloned().collect();
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

/// An address with the mask of its prefix, as NetBox's own available-ips gives it.
fn with_mask(address: IpAddr, network: Network) -> IpNet {
    // The length is that of a network of the same family, so it always fits.
    IpNet::new(address, network.length()).unwrap_or_else(|_| IpNet::from(address))
}
