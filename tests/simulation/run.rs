//! One seed: two replicas, clients, other writers, crashes; then peace, recovery, and what must hold.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use ipnet::IpNet;
use leasehold::allocation::plan::Policy;
use leasehold::allocation::ports::PoolEvents;
use leasehold::allocation::{
    AllocateAddresses, AllocatePrefix, Allocator, AssignAddress, Error, Executor, ExecutorParts, Jitter,
    LeaseCommand, ParentSelector, PoolRule, PoolSelector, PoolSettings, Purpose, RecordText,
    ReleaseAddresses, ReleaseCommand,
};
use leasehold::cache::{Index, PrefixKey};
use leasehold::lease::{EndLease, RegisterLease, RenewLease};
use leasehold::ledger::{IntentStep, Owner, PoolUse};
use leasehold::model::{Address, Network, RequestId, Term, VrfId, VrfScope};
use leasehold::netbox::ObjectKind;
use tokio::time::sleep;

use super::ledger::SharedLedger;
use super::mutants::Mutant;
use super::ports::{Power, SimulatedCache, SimulatedClock, SimulatedNetBox};
use super::random::Random;
use super::world::{World, block};

const BLOCK: &str = "10.0.0.0/26";
const OTHER: &str = "10.1.0.0/28";

/// What a request asks for.
#[derive(Clone, Debug)]
enum Work {
    Addresses { count: u32, by_requirement: bool },
    Prefix { length: u8 },
    Assign { last: u8 },
    Release { of: RequestId },
    Renew { year: i16 },
    Register,
    End,
}

/// Everything that callers were told, by request.
#[derive(Default)]
struct Book {
    answers: BTreeMap<RequestId, Vec<String>>,
    /// The ids of the records that each request was told to have made, and when the lease was told to be ended.
    made: BTreeMap<RequestId, Vec<u64>>,
    released: BTreeSet<u64>,
    ended: Option<i64>,
    trace: String,
    violation: Option<String>,
}

struct Replica {
    allocator: Arc<Allocator>,
    power: Power,
    cache: Arc<SimulatedCache>,
}

/// Who is told of refusals.
struct Nobody;

#[async_trait]
impl PoolEvents for Nobody {
    async fn completion_refused(&self, _: &Address, _: &str) -> Result<(), String> {
        Ok(())
    }
}

struct Play {
    pools: PoolSettings,
    world: World,
    random: Random,
    ledger: SharedLedger,
    scope: VrfScope,
    replicas: Mutex<Vec<Replica>>,
    offsets: Vec<Arc<Mutex<i64>>>,
    /// Within how many milliseconds the clients begin, and something happens to a replica.
    rush: u64,
    book: Mutex<Book>,
    verbose: bool,
}

/// Plays one seed. The error says what did not hold.
pub fn play(seed: u64, mutant: Mutant, verbose: bool) -> Result<(), String> {
    let play = run(seed, mutant, verbose);
    let book = play.book.lock().unwrap();
    book.violation.clone().map_or(Ok(()), Err)
}

/// What happens in a seed, as text.
pub fn trace(seed: u64) -> String {
    run(seed, Mutant::None, false).book.lock().unwrap().trace.clone()
}

fn run(seed: u64, mutant: Mutant, verbose: bool) -> Arc<Play> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let play = runtime.block_on(async {
        let random = Random::new(seed);
        let world = World::new(mutant);
        let scope = match random.below(10) {
            0..5 => VrfScope::Vrf(VrfId(1)),
            5..7 => VrfScope::Vrf(VrfId(2)),
            _ => VrfScope::Global,
        };
        let shared = random.percent(80);
        let ledger = SharedLedger::new(world.clone(), random.clone(), shared);
        {
            let mut records = world.lock();
            let id = records.next_id();
            records.put_prefix(None, block(id, BLOCK, scope), None, 0);
        }
        let count = if shared { 2 } else { 1 };
        let rush = if random.percent(40) { 60 } else { 6_000 };
        let skewed = random.percent(30);
        let offset = || if skewed { i64::try_from(random.below(24)).unwrap() - 12 } else { 0 };
        let offsets = (0..count).map(|_| Arc::new(Mutex::new(offset()))).collect();
        let mut pools = PoolSettings::default();
        if random.percent(50) {
            let vrf = match scope {
                VrfScope::Global => None,
                VrfScope::Vrf(VrfId(1)) => Some("customers".to_owned()),
                VrfScope::Vrf(_) => Some("laboratory".to_owned()),
            };
            let selector = PoolSelector::Prefix { network: BLOCK.parse().unwrap(), vrf };
            let size = 1 + u32::try_from(random.below(8)).unwrap();
            pools.rules.push(PoolRule { selector, size, idle_size: size / 2 });
            pools.idle = Duration::from_secs(5 + random.below(60));
        }
        let play = Arc::new(Play {
            pools,
            world,
            random,
            ledger,
            scope,
            replicas: Mutex::default(),
            offsets,
            rush,
            book: Mutex::default(),
            verbose,
        });
        for nth in 0..count {
            let replica = play.start(nth, 0, Some(SimulatedCache::everything(&play.world)));
            play.replicas.lock().unwrap().push(replica);
        }
        play.clone().everything().await;
        play
    });
    // Crashed replicas wait for ever; nothing of them may run while the runtime ends.
    runtime.shutdown_background();
    play
}

impl Play {
    fn start(&self, nth: usize, life: u32, cached: Option<(Arc<Index>, u64)>) -> Replica {
        let power = Power::default();
        let cache = Arc::new(SimulatedCache::new(cached, power.clone()));
        let random = self.random.clone();
        let executor = Executor::new(ExecutorParts {
            netbox: Arc::new(SimulatedNetBox {
                world: self.world.clone(),
                random: random.clone(),
                power: power.clone(),
            }),
            cache: cache.clone(),
            intents: Arc::new(self.ledger.of(power.clone())),
            quarantine: Arc::new(self.ledger.of(power.clone())),
            clock: Arc::new(SimulatedClock { world: self.world.clone(), offset: self.offsets[nth].clone() }),
            policy: Policy { quarantine: Duration::from_secs(3600), ..Policy::default() },
            owner: Owner::named(format!("replica-{nth}-{life}")),
            jitter: Jitter::new(move || f64::from(u32::try_from(random.below(1000)).unwrap()) / 1000.0),
        });
        let store = Arc::new(self.ledger.of(power.clone()));
        let allocator = Allocator::new(executor).with_pools(store, Arc::new(Nobody), self.pools.clone());
        Replica { allocator: Arc::new(allocator), power, cache }
    }

    fn note(&self, text: &str) {
        let line = format!("{:>8} {text}", self.world.millis());
        if self.verbose {
            eprintln!("{line}");
        }
        let mut book = self.book.lock().unwrap();
        writeln!(book.trace, "{line}").unwrap();
    }

    fn violated(&self, text: String) {
        self.note(&format!("VIOLATION {text}"));
        self.book.lock().unwrap().violation.get_or_insert(text);
    }

    async fn everything(self: Arc<Self>) {
        let mut background = Vec::new();
        for nth in 0..self.offsets.len() {
            background.push(tokio::spawn(self.clone().poll(nth)));
            background.push(tokio::spawn(self.clone().recover(nth)));
            if !self.pools.rules.is_empty() {
                background.push(tokio::spawn(self.clone().keep_pools(nth)));
            }
        }
        let requests = self.requests();
        let mut clients = Vec::new();
        for (request, work) in &requests {
            clients.push(tokio::spawn(self.clone().client(request.clone(), work.clone())));
            // Some requests are sent by two clients at once.
            if self.random.percent(15) {
                clients.push(tokio::spawn(self.clone().client(request.clone(), work.clone())));
            }
        }
        let others = tokio::spawn(self.clone().others());
        let crashes = tokio::spawn(self.clone().crashes());
        for client in clients {
            client.await.unwrap();
        }
        others.await.unwrap();
        crashes.await.unwrap();
        *self.world.faulty.lock().unwrap() = false;
        self.note("peace");
        // Whatever is under way arrives, and recovery has time to take over what a crashed replica held.
        sleep(Duration::from_secs(220)).await;
        for (request, work) in &requests {
            self.clone().last_call(request, work).await;
        }
        for (request, work) in &requests {
            self.reuse(request, work).await;
        }
        sleep(Duration::from_secs(130)).await;
        for task in background {
            task.abort();
        }
        self.check(&requests);
    }

    /// The requests of a seed.
    fn requests(&self) -> Vec<(RequestId, Work)> {
        let mut requests: Vec<(RequestId, Work)> = Vec::new();
        let ends = self.random.percent(if self.rush < 100 { 60 } else { 20 });
        for nth in 0..4 + self.random.below(8) {
            let request: RequestId = format!("request-{nth}").parse().unwrap();
            let earlier = requests.get(usize::try_from(self.random.below(nth.max(1))).unwrap()).cloned();
            let work = match self.random.below(100) {
                0..40 => Work::Addresses {
                    count: 1 + u32::try_from(self.random.below(4)).unwrap(),
                    by_requirement: self.random.percent(20),
                },
                40..58 => Work::Prefix { length: 28 + u8::try_from(self.random.below(3)).unwrap() },
                58..68 => Work::Assign { last: 1 + u8::try_from(self.random.below(60)).unwrap() },
                68..82 => match earlier {
                    Some((of, Work::Addresses { .. } | Work::Assign { .. })) => Work::Release { of },
                    _ => Work::Renew { year: 2041 },
                },
                82..90 => Work::Renew { year: 2041 + i16::try_from(self.random.below(5)).unwrap() },
                90..93 => Work::Register,
                _ if ends => Work::End,
                _ => Work::Addresses { count: 1, by_requirement: false },
            };
            requests.push((request, work));
        }
        requests
    }

    /// A client: sends its request until it gets an answer that settles it, or gives up.
    async fn client(self: Arc<Self>, request: RequestId, work: Work) {
        self.random.pause(self.rush).await;
        for attempt in 0..12 {
            let patience = Duration::from_millis(20 + self.random.below(4_000));
            let nth = usize::try_from(self.random.below(self.offsets.len() as u64)).unwrap();
            // A client must not hold the lock while it waits.
            let sent = self.send(nth, &request, &work);
            match tokio::time::timeout(patience, sent).await {
                Err(_) => self.note(&format!("{request} is given up")),
                Ok(settled) if settled => {
                    if self.random.percent(60) {
                        return;
                    }
                }
                Ok(_) => {}
            }
            // Some come back after a long time.
            if attempt == 3 && self.random.percent(40) {
                sleep(Duration::from_secs(80)).await;
            }
            self.random.pause(2_500).await;
        }
    }

    async fn last_call(self: Arc<Self>, request: &RequestId, work: &Work) {
        for _ in 0..30 {
            if self.send(0, request, work).await {
                return;
            }
            sleep(Duration::from_secs(10)).await;
        }
        self.violated(format!("{request} ({work:?}) is never settled"));
    }

    /// The same request id with another body is another request, whatever became of the first.
    async fn reuse(&self, request: &RequestId, work: &Work) {
        let other = match work {
            Work::Addresses { count, .. } => Work::Addresses { count: count + 1, by_requirement: false },
            Work::Renew { .. } => Work::End,
            _ => return,
        };
        let known = self.ledger.intents().iter().any(|intent| intent.request == *request);
        // A request that was refused without an intent may be made again, with whatever body.
        if !known {
            return;
        }
        let answer = self.call(&self.allocator(0), request, &other).await;
        if !matches!(answer, Err(Error::RequestIdReused { .. })) {
            self.violated(format!("{request} was used again for {other:?}: {answer:?}"));
        }
    }

    fn allocator(&self, nth: usize) -> Arc<Allocator> {
        self.replicas.lock().unwrap()[nth].allocator.clone()
    }

    /// Sends a request once and keeps book of the answer. Returns whether it settles the request.
    async fn send(&self, nth: usize, request: &RequestId, work: &Work) -> bool {
        let allocator = self.allocator(nth);
        let (answer, made) = match self.call(&allocator, request, work).await {
            Ok(done) => done,
            Err(error) => {
                self.note(&format!("{request} on {nth}: {error:?}"));
                if matches!(error, Error::RequestIdReused { .. }) {
                    self.violated(format!("{request}: its own retry is called another request"));
                }
                let answered = self.book.lock().unwrap().answers.contains_key(request);
                if answered && settles(&error) && !matches!(error, Error::ReleasedSince { .. }) {
                    self.violated(format!("{request} was answered before, and is refused now: {error:?}"));
                }
                return settles(&error);
            }
        };
        self.note(&format!("{request} on {nth}: {answer}"));
        let other = {
            let mut book = self.book.lock().unwrap();
            book.answers.entry(request.clone()).or_default().push(answer.clone());
            book.made.entry(request.clone()).or_insert(made.clone());
            match work {
                Work::Release { .. } => book.released.extend(made),
                Work::End => book.ended = book.ended.or(Some(self.world.millis())),
                _ => {}
            }
            book.answers[request].iter().find(|before| **before != answer).cloned()
        };
        if let Some(before) = other {
            self.violated(format!("{request} was answered {before}, and then {answer}"));
        }
        true
    }

    async fn call(
        &self,
        allocator: &Allocator,
        request: &RequestId,
        work: &Work,
    ) -> Result<(String, Vec<u64>), Error> {
        let text = RecordText { status: "active".to_owned(), ..RecordText::default() };
        let network: Network = BLOCK.parse().unwrap();
        let parent = ParentSelector::Prefix(self.scope, network);
        let key = PrefixKey::Network(self.scope, network);
        let request = request.clone();
        let caller = "simulation".to_owned();
        match work {
            Work::Addresses { count, by_requirement } => {
                let parent = if *by_requirement {
                    ParentSelector::Any(leasehold::allocation::plan::requirement::Requirement {
                        owner: Some("ACME-LIR".to_owned()),
                        ..Default::default()
                    })
                } else {
                    parent
                };
                let command = AllocateAddresses {
                    parent,
                    count: *count,
                    text,
                    exclude: Vec::new(),
                    include_children: false,
                    purpose: Purpose::General,
                    include_quarantined: false,
                    request,
                };
                let done = allocator.allocate(command, caller).await?;
                let ids: Vec<u64> = done.addresses.iter().map(|address| address.id.0).collect();
                let hosts: Vec<String> =
                    done.addresses.iter().map(|address| address.host().to_string()).collect();
                let expected = usize::try_from(*count).unwrap();
                if ids.len() != expected {
                    self.violated(format!("{expected} addresses were asked for, and {hosts:?} answered"));
                }
                Ok((hosts.join(" "), ids))
            }
            Work::Prefix { length } => {
                let command = AllocatePrefix {
                    parent,
                    length: *length,
                    text,
                    exclude: Vec::new(),
                    purpose: Purpose::General,
                    request,
                };
                let done = allocator.allocate_prefix(command, caller).await?;
                Ok((done.prefix.network.to_string(), vec![done.prefix.id.0]))
            }
            Work::Assign { last } => {
                let address = std::net::IpAddr::from([10, 0, 0, *last]);
                let command = AssignAddress { address, scope: self.scope, text, request };
                let done = allocator.assign(command, caller).await?;
                Ok((done.address.host().to_string(), vec![done.address.id.0]))
            }
            Work::Release { of } => {
                let selection = ReleaseAddresses::Allocation(of.clone());
                let done = allocator.release(ReleaseCommand { selection, request }, caller).await?;
                let ids: Vec<u64> = done.addresses.iter().map(|address| address.id.0).collect();
                Ok((format!("released {ids:?}"), ids))
            }
            Work::Renew { year } => {
                let expiry = jiff::civil::date(*year, 1, 1);
                let change = RenewLease { expiry, notice: None, loa_reference: None, allow_earlier: true };
                let done = allocator.renew(LeaseCommand { key, change, read: None, request }, caller).await?;
                Ok((format!("renewed from {:?}", done.previous_expiry), Vec::new()))
            }
            Work::Register => {
                let expiry = Some(jiff::civil::date(2042, 1, 1));
                let command = RegisterLease {
                    network: OTHER.parse().unwrap(),
                    scope: self.scope,
                    owner: "BETA-LIR".to_owned(),
                    term: Term { start: None, expiry, notice: None },
                    loa_reference: None,
                    origin: None,
                    description: String::new(),
                    tenant: None,
                    role: None,
                    tags: Vec::new(),
                    custom_fields: serde_json::Map::new(),
                    request,
                };
                let done = allocator.register(command, caller).await?;
                Ok((format!("registered {} adopted {}", done.prefix.id, done.adopted), Vec::new()))
            }
            Work::End => {
                let change = EndLease { allow_in_use: false, delete_prefix: false };
                let done =
                    allocator.end_lease(LeaseCommand { key, change, read: None, request }, caller).await?;
                Ok((format!("ended with {} in use", done.addresses_in_use), Vec::new()))
            }
        }
    }

    /// Follows the change log, some seconds late.
    async fn poll(self: Arc<Self>, nth: usize) {
        loop {
            self.random.pause(8_000).await;
            self.replicas.lock().unwrap()[nth].cache.poll(&self.world);
        }
    }

    async fn recover(self: Arc<Self>, nth: usize) {
        loop {
            sleep(Duration::from_secs(10)).await;
            let allocator = self.allocator(nth);
            // A pass of a replica that crashes never ends.
            let pass = tokio::time::timeout(Duration::from_secs(60), allocator.recover()).await;
            self.note(&format!("recovery on {nth}: {pass:?}"));
        }
    }

    async fn keep_pools(self: Arc<Self>, nth: usize) {
        loop {
            let allocator = self.allocator(nth);
            let work = allocator.pools().unwrap().has_work();
            let _ = tokio::time::timeout(Duration::from_millis(self.random.below(15_000)), work).await;
            // A round of a replica that crashes never ends.
            let round = tokio::time::timeout(Duration::from_secs(60), allocator.keep_pools()).await;
            self.note(&format!("pools on {nth}: {round:?}"));
        }
    }

    /// Other people, who write to NetBox themselves.
    async fn others(self: Arc<Self>) {
        let block: Network = BLOCK.parse().unwrap();
        for nth in 0..self.random.below(8) {
            self.random.pause(if self.rush < 100 { 150 } else { 2_500 }).await;
            let last = 1 + u8::try_from(self.random.below(62)).unwrap();
            let network: IpNet = format!("10.0.0.{last}/{}", 27 + self.random.below(4)).parse().unwrap();
            let network = Network::containing(network);
            let what = self.random.below(100);
            let mut answered: Vec<RequestId> = self.book.lock().unwrap().made.keys().cloned().collect();
            // Of a request that may still arrive, the allocation id is what tells its records.
            let open = self.ledger.intents();
            answered.retain(|request| {
                open.iter().all(|intent| intent.request != *request || intent.unanswered.is_none())
            });
            let number = self.random.below(64);
            let mut given = Vec::new();
            if self.random.percent(30) {
                given = self.world.give_entries(1);
                self.random.pause(60).await;
            }
            self.note(&format!("others: {what} {last} {network}"));
            self.world.with_entries(given, |world| match what {
                0..40 => world.others_record(self.scope, format!("10.0.0.{last}/26").parse().unwrap()),
                40..68 => world.others_make_prefix(self.scope, network, block),
                68..76 => world.others_make_range(self.scope, network, block),
                76..84 => world.others_delete(number, block),
                84..94 => world.others_edit_block(block, nth),
                94..97 => world.others_forget_allocation(&answered),
                _ => world.others_end(block),
            });
        }
    }

    /// Replicas that die at any moment and start again, and clocks that jump.
    async fn crashes(self: Arc<Self>) {
        for life in 1..=u32::try_from(self.random.below(4)).unwrap() {
            self.random.pause(self.rush * 2).await;
            let nth = usize::try_from(self.random.below(self.offsets.len() as u64)).unwrap();
            if self.random.percent(30) {
                let jump = i64::try_from(self.random.below(10)).unwrap() - 5;
                self.note(&format!("the clock of {nth} jumps by {jump} s"));
                *self.offsets[nth].lock().unwrap() += jump;
                continue;
            }
            if self.random.percent(30) {
                let lasts = Duration::from_millis(self.random.below(200_000));
                self.note(&format!("{nth} stalls for {lasts:?}"));
                self.replicas.lock().unwrap()[nth].power.stall(lasts);
                continue;
            }
            self.note(&format!("{nth} crashes"));
            self.replicas.lock().unwrap()[nth].power.cut();
            self.random.pause(3_000).await;
            // The file of its cache may be old, or lost.
            let cached = match self.random.below(10) {
                0..2 => None,
                2..6 => self.replicas.lock().unwrap()[nth].cache.stored(),
                _ => Some(SimulatedCache::everything(&self.world)),
            };
            let replica = self.start(nth, life, cached);
            self.replicas.lock().unwrap()[nth] = replica;
            self.note(&format!("{nth} starts again"));
        }
    }

    /// What must hold in the end.
    fn check(&self, requests: &[(RequestId, Work)]) {
        for intent in self.ledger.intents() {
            if !intent.step.is_final() {
                self.violated(format!("{} is still {:?}", intent.request, intent.step));
            }
        }
        let mut wrong = Vec::new();
        {
            let (records, book) = (self.world.lock(), self.book.lock().unwrap());
            self.check_space(&records, &book, &mut wrong);
            self.check_owners(&records, &book, requests, &mut wrong);
        }
        if self.verbose {
            for (id, entry) in &self.world.lock().log {
                eprintln!("log {id}: {}", entry.text());
            }
            for intent in self.ledger.intents() {
                eprintln!("{intent:?}");
            }
        }
        for text in wrong {
            self.violated(text);
        }
    }

    /// No address and no block is used twice, none is inside somebody else's prefix, none in an ended block.
    fn check_space(&self, records: &super::world::Records, book: &Book, wrong: &mut Vec<String>) {
        let mut hosts: BTreeMap<(VrfScope, std::net::IpAddr), u64> = BTreeMap::new();
        let ended = book.ended.or(records.ended_by_others);
        for address in records.addresses.values() {
            if let Some(other) = hosts.insert((address.scope, address.host()), address.id.0) {
                wrong.push(format!("{} is recorded twice, by {other} and {}", address.host(), address.id));
            }
            let Some(allocation) = &address.allocation else { continue };
            let intents = self.ledger.intents();
            let intent = intents.iter().find(|intent| intent.request == allocation.request);
            let parent = intent.and_then(|intent| intent.parent);
            let assigned = intent.is_some_and(|intent| intent.detail.include_children);
            for prefix in records.prefixes.values() {
                let child = prefix.scope == address.scope
                    && prefix.network.length() > 26
                    && Some(prefix.id) != parent
                    && prefix.network.contains_address(address.host());
                if child && !assigned {
                    wrong.push(format!("{} of {allocation} is inside {}", address.host(), prefix.network));
                }
            }
            if records.in_range(address.scope, address.host(), address.host()) {
                wrong.push(format!("{} of {allocation} is inside a populated range", address.host()));
            }
            if let Some(ended) = ended {
                let created = records.created[&address.id.0];
                wrong.push(format!(
                    "{} of {allocation} (created at {created}) stands in a block whose lease ended at {ended}",
                    address.host()
                ));
            }
        }
        let children: Vec<_> =
            records.prefixes.values().filter(|prefix| prefix.network.to_string() != BLOCK).collect();
        for child in children.iter().filter(|child| child.allocation.is_some()) {
            // A lease may end while child prefixes stand; none may be made after that.
            let after = |ended| records.created[&child.id.0] > ended;
            if ended.is_some_and(after) && child.network.to_string() != OTHER {
                wrong.push(format!("{} stands in a block whose lease ended at {ended:?}", child.network));
            }
            if records.in_range(child.scope, child.network.first(), child.network.last()) {
                wrong.push(format!("{} overlaps a populated range", child.network));
            }
        }
        for (nth, one) in children.iter().enumerate() {
            for other in children.iter().skip(nth + 1) {
                if one.scope == other.scope
                    && one.network.overlaps(other.network)
                    && (one.allocation.is_some() || other.allocation.is_some())
                {
                    wrong.push(format!(
                        "{} (prefix {}) and {} (prefix {}) overlap",
                        one.network, one.id, other.network, other.id
                    ));
                }
            }
        }
    }

    /// NetBox has exactly what callers were told, unless somebody else deleted it.
    fn check_owners(
        &self,
        records: &super::world::Records,
        book: &Book,
        requests: &[(RequestId, Work)],
        wrong: &mut Vec<String>,
    ) {
        let mut told: BTreeSet<u64> = book.made.values().flatten().copied().collect();
        // Of a list of which somebody else has deleted a part, its caller is told that it was released.
        let intents = self.ledger.intents();
        let partly = intents.iter().filter(|intent| {
            intent.step == IntentStep::Done && records.requests_cut_by_others.contains(&intent.request)
        });
        told.extend(partly.flat_map(|intent| intent.detail.made.iter().copied()));
        let pools = self.ledger.pools();
        let stock: BTreeSet<u64> = pools
            .iter()
            .filter(|row| matches!(row.used, PoolUse::Stock))
            .map(|row| row.record.id.0)
            .collect();
        for row in pools.iter().filter(|row| !matches!(row.used, PoolUse::Stock)) {
            wrong.push(format!("{} of a pool is still {:?}", row.record.host(), row.used));
        }
        for address in records.addresses.values().filter(|address| address.allocation.is_some()) {
            let stocked = address.is_in_pool() && stock.contains(&address.id.0);
            if stock.contains(&address.id.0) && !address.is_in_pool() {
                wrong.push(format!("{} of {:?} is in stock", address.host(), address.allocation));
            }
            if !told.contains(&address.id.0) && !stocked {
                wrong.push(format!("{} of {:?} is owned by nobody", address.host(), address.allocation));
            }
        }
        for prefix in records.prefixes.values() {
            let registered = prefix.network.to_string() == OTHER;
            if prefix.allocation.is_some() && !registered && !told.contains(&prefix.id.0) {
                wrong.push(format!("{} of {:?} is owned by nobody", prefix.network, prefix.allocation));
            }
        }
        for (request, work) in requests {
            let Some(made) = book.made.get(request) else { continue };
            for id in made {
                let exists = records.addresses.contains_key(id) || records.prefixes.contains_key(id);
                let gone = book.released.contains(id) || records.deleted_by_others.contains(id);
                match work {
                    Work::Release { .. } if exists => {
                        wrong.push(format!("{request} released {id}, which still stands"));
                    }
                    Work::Release { .. } => {}
                    _ if !exists && !gone => {
                        wrong.push(format!("{request} was told to have made {id}, which NetBox lacks"));
                    }
                    _ => {}
                }
            }
        }
        Self::check_changes(records, book, requests, wrong);
        Self::check_quarantine(records, book, requests, wrong);
        for intent in self.ledger.intents() {
            let standing = records
                .addresses
                .values()
                .filter_map(|address| address.allocation.as_ref())
                .any(|allocation| allocation.request == intent.request);
            if standing && intent.step != IntentStep::Done {
                wrong.push(format!("{} is {:?}, and its records stand", intent.request, intent.step));
            }
        }
    }
}

impl Play {
    /// Each change of a lease was made once, and answered with what was there before.
    fn check_changes(
        records: &super::world::Records,
        book: &Book,
        requests: &[(RequestId, Work)],
        wrong: &mut Vec<String>,
    ) {
        for (request, work) in requests {
            let made: Vec<_> = records
                .log
                .values()
                .filter(|entry| entry.request.as_ref() == Some(request) && entry.prefix.0.is_some())
                .filter(|entry| entry.prefix.1.is_some())
                .collect();
            let Work::Renew { .. } = work else { continue };
            if made.len() > 1 {
                wrong.push(format!("{request} renewed {} times", made.len()));
            }
            let (Some(entry), Some(answers)) = (made.first(), book.answers.get(request)) else { continue };
            let before = entry.prefix.0.as_ref().and_then(|prefix| prefix.lease.as_ref());
            let truth = format!("renewed from {:?}", before.and_then(|lease| lease.term.expiry));
            if answers.first() != Some(&truth) {
                wrong.push(format!("{request} was answered {answers:?}, and {truth}"));
            }
        }
    }
}

impl Play {
    /// Nobody is given an address that was released within the time of the quarantine, unless he names it.
    fn check_quarantine(
        records: &super::world::Records,
        book: &Book,
        requests: &[(RequestId, Work)],
        wrong: &mut Vec<String>,
    ) {
        let is = |request: Option<&RequestId>, wanted: fn(&Work) -> bool| {
            requests.iter().any(|(known, work)| Some(known) == request && wanted(work))
        };
        let addresses = || records.log.values().filter(|entry| entry.kind == ObjectKind::Address);
        for released in addresses() {
            let (Some(before), None) = &released.address else { continue };
            if !is(released.request.as_ref(), |work| matches!(work, Work::Release { .. })) {
                continue;
            }
            for given in addresses().filter(|given| given.at > released.at) {
                let (None, Some(after)) = &given.address else { continue };
                let told = given.request.as_ref().and_then(|request| book.made.get(request));
                if after.host() == before.host()
                    && after.scope == before.scope
                    && is(given.request.as_ref(), |work| matches!(work, Work::Addresses { .. }))
                    && told.is_some_and(|made| made.contains(&after.id.0))
                {
                    let (host, request) = (after.host(), &given.request);
                    wrong.push(format!("{host} was released at {}, and given to {request:?}", released.at));
                }
            }
        }
    }
}

/// Whether an error settles a request, so that its caller may stop.
fn settles(error: &Error) -> bool {
    match error {
        Error::Unsettled { .. }
        | Error::UnderWay { .. }
        | Error::TaskLost
        | Error::Ledger(_)
        | Error::Busy
        | Error::NotReady(_)
        | Error::Cache(_)
        | Error::Contended => false,
        Error::NetBox(error) => !error.is_transient(),
        _ => true,
    }
}
