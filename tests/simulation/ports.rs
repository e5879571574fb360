//! How a replica sees the world. Whatever it has asked for goes on when it crashes; what it would do next does not.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use leasehold::allocation::ports::{
    ChangedRecords, ChangesWanted, Completion, CreationPart, ListRefusal, LoggedWrite, NetBoxPort, Placing,
    RecordCache, UniqueIds, Write, WriteOrigin, WrittenRecords,
};
use leasehold::cache::{self, Batch, Deletions, HandedOut, Index, NotReady, Reading};
use leasehold::clock::Clock;
use leasehold::model::{Address, AddressId, Network, Prefix, PrefixId, RequestId, VrfScope};
use leasehold::netbox::{Error, NetBoxResult, ObjectKind};

use super::mutants::Mutant;
use super::random::Random;
use super::world::{EPOCH, World};

/// How long NetBox may work on a request whose client is gone.
pub const REQUEST_LIMIT: Duration = Duration::from_secs(20);
/// How long a replica waits for an answer.
const TIME_LIMIT: Duration = Duration::from_secs(5);

/// Whether a replica runs. Once it is cut, every call of it waits for ever: it has crashed. While it is stalled, its calls wait.
#[derive(Clone, Default)]
pub struct Power(Arc<Mutex<Supply>>);

#[derive(Clone, Copy, Default)]
enum Supply {
    #[default]
    On,
    Stalled(tokio::time::Instant),
    Off,
}

impl Power {
    pub fn cut(&self) {
        *self.0.lock().unwrap() = Supply::Off;
    }

    /// Nothing of the replica runs for a while, as on a machine that is suspended.
    pub fn stall(&self, lasts: Duration) {
        *self.0.lock().unwrap() = Supply::Stalled(tokio::time::Instant::now() + lasts);
    }

    pub async fn gate(&self) {
        let supply = *self.0.lock().unwrap();
        match supply {
            Supply::On => {}
            Supply::Stalled(until) => tokio::time::sleep_until(until).await,
            Supply::Off => std::future::pending().await,
        }
    }
}

/// A clock that may be wrong by some seconds.
pub struct SimulatedClock {
    pub world: World,
    pub offset: Arc<Mutex<i64>>,
}

impl Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        let offset = *self.offset.lock().unwrap();
        Timestamp::from_second(EPOCH + offset).unwrap() + self.world.millis().milliseconds()
    }

    fn day_of(&self, at: Timestamp) -> Date {
        at.to_zoned(TimeZone::UTC).date()
    }
}

pub struct SimulatedNetBox {
    pub world: World,
    pub random: Random,
    pub power: Power,
}

impl SimulatedNetBox {
    fn is(&self, mutant: Mutant) -> bool {
        self.world.mutant == mutant
    }

    fn interrupted() -> Error {
        Error::Interrupted { cause: "the simulated connection broke".to_owned() }
    }

    /// A read: takes time, and may get no answer.
    async fn read<T>(&self, read: impl FnOnce(&World) -> T) -> NetBoxResult<T> {
        self.power.gate().await;
        self.random.pause(20).await;
        if self.world.is_faulty() && self.random.percent(3) {
            return Err(Self::interrupted());
        }
        let found = read(&self.world);
        self.random.pause(10).await;
        self.power.gate().await;
        Ok(found)
    }

    /// What NetBox does with a write, whether or not its client waits.
    async fn carry_out(
        world: World,
        random: Random,
        write: Write,
        origin: WriteOrigin,
        wait: u64,
    ) -> NetBoxResult<WrittenRecords> {
        tokio::time::sleep(Duration::from_millis(wait)).await;
        if let Write::CreatePrefix { .. } = write {
            // No lock is held from the check to the commit.
            world.check(&write)?;
            let given = world.give_entries(1);
            random.pause(30).await;
            return Ok(world.with_entries(given, |world| world.commit(&write, Some(&origin))));
        }
        let mut given = Vec::new();
        if random.percent(30) {
            given = world.give_entries(entries_of(&write));
            random.pause(30).await;
        }
        world.check(&write)?;
        Ok(world.with_entries(given, |world| world.commit(&write, Some(&origin))))
    }

    /// What NetBox does with a list: it checks all of it, and then writes all of it.
    async fn carry_out_list(
        world: World,
        random: Random,
        placing: Placing,
        parts: Vec<CreationPart>,
        wait: u64,
    ) -> NetBoxResult<Result<Vec<Vec<Address>>, ListRefusal>> {
        tokio::time::sleep(Duration::from_millis(wait)).await;
        let mut given = Vec::new();
        if random.percent(30) {
            given = world.give_entries(parts.iter().map(|part| part.list.len()).sum());
            random.pause(30).await;
        }
        let refusal = |error: Error, blamed| Ok(Err(ListRefusal { error, blamed }));
        let Some(parts) = world.place(placing, parts) else {
            let detail = "Insufficient resources are available to satisfy the request".to_owned();
            return refusal(Error::InsufficientSpace { detail }, BTreeMap::new());
        };
        let refused = |part: &CreationPart| {
            world.check(&Write::CreateAddresses { scope: part.scope, list: part.list.clone() }).err()
        };
        let blamed: BTreeMap<usize, Error> =
            parts.iter().enumerate().filter_map(|(nth, part)| Some((nth, refused(part)?))).collect();
        if let Some(error) = blamed.values().next().cloned() {
            // Not every refusal names the entry that it is about.
            return refusal(error, if random.percent(60) { blamed } else { BTreeMap::new() });
        }
        let commit = |world: &World| {
            let one = |part: &CreationPart| {
                let write = Write::CreateAddresses { scope: part.scope, list: part.list.clone() };
                match world.commit(&write, Some(&part.origin)) {
                    WrittenRecords::Addresses(made) => made,
                    WrittenRecords::Prefix(_) | WrittenRecords::Deleted => Vec::new(),
                }
            };
            parts.iter().map(one).collect()
        };
        Ok(Ok(world.with_entries(given, commit)))
    }

    /// Sends a write: it is carried out, or late, or not at all; and its answer may be lost.
    async fn transmit<T: Send + 'static, F>(&self, carry_out: impl FnOnce(u64) -> F + Send) -> NetBoxResult<T>
    where
        F: Future<Output = NetBoxResult<T>> + Send + 'static,
    {
        let asked = tokio::time::Instant::now();
        self.power.gate().await;
        if asked.elapsed() > TIME_LIMIT {
            // The client's time limit has run out while its process was suspended; it is looked at before anything is sent.
            return Err(Error::TimedOut { after: TIME_LIMIT });
        }
        self.random.pause(10).await;
        let faulty = self.world.is_faulty();
        let draw = if faulty { self.random.below(100) } else { 99 };
        let (wait, answered) = match draw {
            0..3 => {
                return Err(Error::Unreachable { url: "simulated".to_owned(), cause: "refused".to_owned() });
            }
            3..6 => return Err(Self::interrupted()),
            6..8 => {
                let detail = "a simulated exception".to_owned();
                return Err(Error::Crashed { exception: "ValueError".to_owned(), detail });
            }
            // Carried out late, while nobody waits any more.
            8..14 => (self.random.below(14_000), false),
            // Carried out, and the answer is lost.
            14..20 => (self.random.below(30), false),
            _ => (self.random.below(30), true),
        };
        let working = tokio::spawn(carry_out(wait));
        if !answered {
            // The connection breaks at some moment, before or after the commit.
            self.random.pause(60).await;
            self.power.gate().await;
            return Err(Self::interrupted());
        }
        let answer = tokio::time::timeout(TIME_LIMIT, working).await;
        self.random.pause(5).await;
        self.power.gate().await;
        match answer {
            Ok(answer) => answer.unwrap(),
            Err(_) => Err(Error::TimedOut { after: TIME_LIMIT }),
        }
    }
}

#[async_trait]
impl NetBoxPort for SimulatedNetBox {
    async fn send(&self, write: &Write, origin: &WriteOrigin) -> NetBoxResult<WrittenRecords> {
        let (world, random) = (self.world.clone(), self.random.clone());
        let (write, origin) = (write.clone(), origin.clone());
        self.transmit(move |wait| Self::carry_out(world, random, write, origin, wait)).await
    }

    async fn create(
        &self,
        placing: Placing,
        parts: &[&CreationPart],
    ) -> Result<Vec<Vec<Address>>, ListRefusal> {
        let parts: Vec<CreationPart> = parts.iter().map(|part| (*part).clone()).collect();
        let (world, random) = (self.world.clone(), self.random.clone());
        let sent = self.transmit(move |wait| Self::carry_out_list(world, random, placing, parts, wait));
        sent.await.unwrap_or_else(|error| Err(ListRefusal { error, blamed: BTreeMap::new() }))
    }

    async fn complete(&self, list: &[Completion]) -> NetBoxResult<Vec<Address>> {
        let (world, random, list) = (self.world.clone(), self.random.clone(), list.to_vec());
        let carry_out = move |wait| async move {
            tokio::time::sleep(Duration::from_millis(wait)).await;
            let mut given = Vec::new();
            if random.percent(30) {
                given = world.give_entries(list.len());
                random.pause(30).await;
            }
            world.check_completion(&list)?;
            Ok(world.with_entries(given, |world| world.complete(&list)))
        };
        self.transmit(carry_out).await
    }

    async fn addresses_of(&self, request: &RequestId, _: u32) -> NetBoxResult<Vec<Address>> {
        if self.is(Mutant::NoQuestion) {
            return Ok(Vec::new());
        }
        let of = |address: &Address| address.allocation.as_ref().is_some_and(|id| id.request == *request);
        let mut found = self
            .read(|world| world.lock().addresses.values().filter(|a| of(a)).cloned().collect::<Vec<_>>())
            .await?;
        found.sort_by_key(|address| (address.allocation.as_ref().map(|id| id.index), address.id));
        Ok(found)
    }

    async fn prefix_of(&self, request: &RequestId) -> NetBoxResult<Option<Prefix>> {
        if self.is(Mutant::NoQuestion) {
            return Ok(None);
        }
        let of = |prefix: &Prefix| prefix.allocation.as_ref().is_some_and(|id| id.request == *request);
        self.read(|world| world.lock().prefixes.values().find(|p| of(p)).cloned()).await
    }

    async fn addresses_by_id(&self, ids: &[u64]) -> NetBoxResult<Vec<Address>> {
        self.read(|world| {
            let records = world.lock();
            ids.iter().filter_map(|id| records.addresses.get(id).cloned()).collect()
        })
        .await
    }

    async fn prefixes_by_id(&self, ids: &[u64]) -> NetBoxResult<Vec<Prefix>> {
        self.read(|world| {
            let records = world.lock();
            ids.iter().filter_map(|id| records.prefixes.get(id).cloned()).collect()
        })
        .await
    }

    async fn addresses_at(&self, scope: VrfScope, hosts: &[IpAddr]) -> NetBoxResult<Vec<Address>> {
        let at = |address: &Address| address.scope == scope && hosts.contains(&address.host());
        let blind = self.is(Mutant::NoVerification);
        self.read(|world| {
            world.lock().addresses.values().filter(|a| at(a) && !blind).cloned().collect::<Vec<_>>()
        })
        .await
    }

    async fn prefixes_at(&self, scope: VrfScope, network: Network) -> NetBoxResult<Vec<Prefix>> {
        let at = |prefix: &Prefix| prefix.scope == scope && prefix.network == network;
        let blind = self.is(Mutant::NoVerification);
        self.read(|world| {
            world.lock().prefixes.values().filter(|p| at(p) && !blind).cloned().collect::<Vec<_>>()
        })
        .await
    }

    async fn logged(&self, request: &RequestId) -> NetBoxResult<Option<LoggedWrite>> {
        if self.is(Mutant::NoLogQuestion) {
            return Ok(Some(LoggedWrite::default()));
        }
        self.read(|world| {
            let mut logged = LoggedWrite::default();
            for entry in world.lock().log.values().filter(|entry| entry.request.as_ref() == Some(request)) {
                match entry.kind {
                    ObjectKind::Prefix => logged.prefixes.push(entry.prefix.clone()),
                    _ => logged.addresses.push(entry.address.clone()),
                }
            }
            Some(logged)
        })
        .await
    }

    async fn changed(&self, wanted: ChangesWanted<'_>) -> NetBoxResult<ChangedRecords> {
        if self.is(Mutant::NoVerification) {
            return Ok(ChangedRecords::default());
        }
        self.read(|world| {
            let records = world.lock();
            let mut changed = ChangedRecords::default();
            let mut objects: BTreeSet<(ObjectKind, u64)> = BTreeSet::new();
            for (id, entry) in records.log.range(wanted.from..) {
                changed.entries.insert(*id);
                let (created, object) = (entry.is_creation(), entry.object);
                let known = match entry.kind {
                    ObjectKind::Prefix => created && wanted.index.prefix(PrefixId(object)).is_some(),
                    ObjectKind::Address => created && wanted.index.address(AddressId(object)).is_some(),
                    _ => false,
                };
                if known || wanted.covered.contains(id) {
                    continue;
                }
                if !wanted.own.contains(&(entry.kind, entry.object)) {
                    objects.insert((entry.kind, entry.object));
                }
            }
            for (kind, id) in objects {
                let batch = &mut changed.batch;
                match kind {
                    ObjectKind::Prefix => match records.prefixes.get(&id) {
                        Some(prefix) => batch.prefixes.push(prefix.clone()),
                        None => batch.deleted_prefixes.push(id),
                    },
                    ObjectKind::IpRange => match records.ranges.get(&id) {
                        Some(range) => batch.ranges.push(range.clone()),
                        None => batch.deleted_ranges.push(id),
                    },
                    _ => match records.addresses.get(&id) {
                        Some(address) => batch.addresses.push(address.clone()),
                        None => batch.deleted_addresses.push(id),
                    },
                }
            }
            changed
        })
        .await
    }

    async fn unique_ids(&self) -> NetBoxResult<UniqueIds> {
        self.read(|_| UniqueIds::Enforced).await
    }

    fn refuses_stale_changes(&self) -> bool {
        true
    }

    fn only_populated_ranges(&self) -> bool {
        true
    }

    fn request_limit(&self) -> Duration {
        if self.is(Mutant::NoRequestLimit) { Duration::ZERO } else { REQUEST_LIMIT }
    }
}

/// How many entries of the change log a write makes.
fn entries_of(write: &Write) -> usize {
    match write {
        Write::CreateAddresses { list, .. } => list.len(),
        Write::DeleteAddresses { ids } => ids.len(),
        Write::CreatePrefix { .. } | Write::PatchPrefix { .. } | Write::DeletePrefix { .. } => 1,
    }
}

/// The records of a cache, and the entry of the change log up to which a poll has followed it.
type Cached = (Arc<Index>, u64);

/// A cache that follows the change log some seconds late.
pub struct SimulatedCache {
    /// `None` while it is empty.
    state: Mutex<Option<Cached>>,
    /// What its last poll left: all that a file keeps for certain.
    stored: Mutex<Option<Cached>>,
    deletions: Deletions,
    handed_out: HandedOut,
    power: Power,
}

impl SimulatedCache {
    /// A cache that begins with this.
    pub fn new(begin: Option<Cached>, power: Power) -> Self {
        Self {
            state: Mutex::new(begin.clone()),
            stored: Mutex::new(begin),
            deletions: Deletions::default(),
            handed_out: HandedOut::default(),
            power,
        }
    }

    /// Everything that NetBox holds.
    pub fn everything(world: &World) -> Cached {
        Self::shown(world, &HandedOut::default())
    }

    /// Everything that NetBox holds, with what was handed out as it is to be.
    fn shown(world: &World, handed_out: &HandedOut) -> Cached {
        let (mut batch, position) = world.everything();
        handed_out.amend(&mut batch.addresses);
        let mut index = Index::default();
        index.apply(&batch);
        (Arc::new(index), position)
    }

    /// Follows the change log up to now.
    pub fn poll(&self, world: &World) {
        let cached = Self::shown(world, &self.handed_out);
        *self.state.lock().unwrap() = Some(cached.clone());
        *self.stored.lock().unwrap() = Some(cached);
    }

    /// What the file of the cache holds.
    pub fn stored(&self) -> Option<Cached> {
        self.stored.lock().unwrap().clone()
    }
}

#[async_trait]
impl RecordCache for SimulatedCache {
    fn snapshot(&self) -> Result<Arc<Index>, NotReady> {
        let state = self.state.lock().unwrap();
        state.as_ref().map(|(index, _)| index.clone()).ok_or_else(|| NotReady { last_error: String::new() })
    }

    async fn position(&self) -> u64 {
        self.state.lock().unwrap().as_ref().map_or(0, |(_, position)| *position)
    }

    fn handed_out(&self) -> &HandedOut {
        &self.handed_out
    }

    fn begin_reading(&self) -> Reading {
        self.deletions.begin_reading()
    }

    async fn apply(&self, mut batch: Batch) -> Result<(), cache::Error> {
        self.power.gate().await;
        batch.pass(&self.deletions);
        self.handed_out.amend(&mut batch.addresses);
        if let Some((index, _)) = self.state.lock().unwrap().as_mut() {
            let mut next = Index::clone(index);
            next.apply(&batch);
            *index = Arc::new(next);
        }
        Ok(())
    }
}
