//! The allocator: the one path that every write of an address or child prefix takes.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ipnet::IpNet;
use jiff::Timestamp;
use tokio::sync::Mutex;
use tokio_util::task::TaskTracker;

use super::error::Error;
use super::intents::Start;
use super::pick::{self, Limits, Resting};
use super::policy::{Policy, Purpose};
use super::requirement::{self, House, Need};
use super::wish::{AddressWish, Origin};
use crate::cache::{Batch, Cache, Index};
use crate::clock::Clock;
use crate::ledger::{Detail, Fingerprint, Intent, IntentKind, Ledger};
use crate::model::{Address, Network, Prefix, Table};
use crate::netbox::{AddressDraft, Certainty, Client};

/// How often a pick is tried anew after a rival was quicker, or a write sent anew after an outcome stayed unknown.
pub(super) const ATTEMPTS: u32 = 6;

/// Hands out and takes back, one write at a time.
pub struct Allocator {
    pub(super) client: Client,
    pub(super) cache: Arc<Cache>,
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) policy: Policy,
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

impl Allocator {
    /// An allocator that serves no writes until [`Allocator::settle`] has run.
    pub fn new(
        client: Client,
        cache: Arc<Cache>,
        ledger: Arc<dyn Ledger>,
        clock: Arc<dyn Clock>,
        policy: Policy,
    ) -> Self {
        Self {
            client,
            cache,
            ledger,
            clock,
            policy,
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

    /// What [`Allocator::allocate`] would hand out now. Binds nobody.
    pub async fn preview(&self, wish: &AddressWish) -> Result<(Vec<IpNet>, Arc<Prefix>), Error> {
        let resting = self.resting(wish.include_resting).await?;
        let index = self.index()?;
        let parent = self.addresses_parent(&index, wish, &resting)?;
        let chosen = self.choose(&index, &parent, wish, &resting)?;
        Ok((chosen, parent))
    }

    /// What rests now; nothing if the caller takes it all the same.
    pub(super) async fn resting(&self, included: bool) -> Result<Resting, Error> {
        if included || self.policy.quarantine.is_zero() {
            return Ok(Resting::default());
        }
        Ok(self.ledger.resting(self.rested()).await?.into_iter().collect())
    }

    /// What was given back before this instant has rested.
    fn rested(&self) -> Timestamp {
        self.clock.now().checked_sub(self.policy.quarantine).unwrap_or(Timestamp::MIN)
    }

    /// Forgets what has rested.
    pub async fn wake(&self) -> Result<(), Error> {
        Ok(self.ledger.wake(self.rested()).await?)
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
    pub(super) fn limits<'a>(
        &self,
        exclude: &'a [Network],
        resting: &'a Resting,
        include_children: bool,
    ) -> Limits<'a> {
        let only_populated_ranges = self.client.capabilities().only_populated_ranges_count;
        Limits { exclude, resting, include_children, only_populated_ranges }
    }

    async fn allocate_now(&self, wish: &AddressWish) -> Result<Allocated, Error> {
        let _turn = self.one_at_a_time.lock().await;
        let fingerprint = Fingerprint::of(wish);
        let known = self.known(&wish.request, IntentKind::Addresses, &fingerprint).await?;
        if let Some(Start::Repeat(intent)) = known {
            return self.again(&intent).await;
        }
        let found = async {
            let resting = self.resting(wish.include_resting).await?;
            let parent = self.addresses_parent(&*self.index()?, wish, &resting)?;
            Ok((resting, parent))
        };
        let (resting, parent) = match found.await {
            Ok(found) => found,
            Err(error) => return Err(self.refused(known, &wish.request, error).await),
        };
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
        let written = self.write_addresses(&parent, wish, &resting, &drafts, uncertain).await;
        let addresses = self.conclude(&wish.request, detail, written).await?;
        Ok(Allocated { addresses, parent: Some(parent), repeated: false })
    }

    /// Writes until the records stand, or until it is known that they do not.
    async fn write_addresses(
        &self,
        parent: &Arc<Prefix>,
        wish: &AddressWish,
        resting: &Resting,
        drafts: &[AddressDraft],
        mut uncertain: bool,
    ) -> Result<Vec<Address>, Error> {
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let index = self.index()?;
            // NetBox's own choice knows nothing of children, excludes and rest; with none of them it is the freshest there is.
            let theirs = wish.exclude.is_empty()
                && (wish.include_children || !pick::has_children(&index, parent))
                && resting.within(parent).next().is_none();
            let (chosen, answer) = if theirs {
                (Vec::new(), self.client.allocate_available(parent.id, drafts).await)
            } else {
                let chosen = match self.choose(&index, parent, wish, resting) {
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
                        crate::netbox::Error::Full { .. } => self.full(parent, wish, resting),
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

    fn addresses_parent(
        &self,
        index: &Index,
        wish: &AddressWish,
        resting: &Resting,
    ) -> Result<Arc<Prefix>, Error> {
        let limits = self.limits(&wish.exclude, resting, wish.include_children);
        self.parent(index, &wish.origin, Need::Addresses(wish.count), limits, wish.purpose)
    }

    /// The prefix that a wish names or that fits it best, if policy lets anything be handed out of it.
    pub(super) fn parent(
        &self,
        index: &Index,
        origin: &Origin,
        need: Need,
        limits: Limits<'_>,
        purpose: Purpose,
    ) -> Result<Arc<Prefix>, Error> {
        let house = House { policy: &self.policy, purpose, today: self.clock.today() };
        let named = match origin {
            Origin::Any(requirement) => {
                return requirement::choose(index, requirement, need, limits, house)
                    .map_err(|why| Error::NothingFits { why });
            }
            Origin::Id(id) => index.prefix(*id).cloned().ok_or(Error::PrefixIdNotFound { id: *id })?,
            Origin::Prefix(table, network) => match index.prefixes_at(*table, *network) {
                [] => {
                    return Err(Error::PrefixNotFound {
                        network: *network,
                        table: *table,
                        elsewhere: index.tables_with(*network),
                    });
                }
                [only] => only.clone(),
                several => {
                    return Err(Error::PrefixAmbiguous {
                        network: *network,
                        table: *table,
                        ids: several.iter().map(|prefix| prefix.id).collect(),
                    });
                }
            },
        };
        let refused = self.policy.refusals(index, &named, purpose, house.today);
        if refused.is_empty() { Ok(named) } else { Err(Error::Refused { network: named.network, refused }) }
    }

    /// Picks the addresses here.
    fn choose(
        &self,
        index: &Index,
        parent: &Prefix,
        wish: &AddressWish,
        resting: &Resting,
    ) -> Result<Vec<IpNet>, Error> {
        let limits = self.limits(&wish.exclude, resting, wish.include_children);
        let taken = pick::taken_addresses(index, parent, limits);
        let picked = pick::lowest_free(parent, &taken, wish.count);
        if picked.len() < usize::try_from(wish.count).unwrap_or(usize::MAX) {
            let free = pick::count_free(parent, &taken);
            let resting = resting.within(parent).count();
            return Err(Error::Full { network: parent.network, wanted: wish.count, free, resting });
        }
        Ok(picked.into_iter().map(|address| with_mask(address, parent.network)).collect())
    }

    fn full(&self, parent: &Prefix, wish: &AddressWish, resting: &Resting) -> Error {
        let index = self.cache.snapshot();
        let limits = self.limits(&wish.exclude, resting, wish.include_children);
        let taken = pick::taken_addresses(&index, parent, limits);
        let free = pick::count_free(parent, &taken).min(u128::from(wish.count.saturating_sub(1)));
        Error::Full {
            network: parent.network,
            wanted: wish.count,
            free,
            resting: resting.within(parent).count(),
        }
    }

    /// Where NetBox does not enforce uniqueness, somebody may have recorded the same address at the same moment. The lower
    /// id was first; whoever lost gives everything back. `None` if that was us.
    pub(super) async fn yield_to_rivals(
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
    pub(super) async fn look_again(&self, table: Table, chosen: &[IpNet]) -> Result<(), Error> {
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

    /// What a request that was done before has handed out, as it stands now.
    pub(super) async fn again(&self, intent: &Intent) -> Result<Allocated, Error> {
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
pub(super) fn with_mask(address: IpAddr, network: Network) -> IpNet {
    // The length is that of a network of the same family, so it always fits.
    IpNet::new(address, network.length()).unwrap_or_else(|_| IpNet::from(address))
}
