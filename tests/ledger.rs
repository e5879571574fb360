//! The ledger's intents, quarantine and observations: one suite over both databases.

use std::sync::Arc;

use jiff::{Timestamp, ToSpan as _};
use leasehold::ledger::{
    self, Advanced, Begun, Claim, Detail, Fence, Fingerprint, HandOut, Intent, IntentChange, IntentKind,
    IntentSelection, IntentState, IntentStep, IntentStore, JobLeases, LedgerHandles, LedgerSettings,
    ListIntents, NewIntent, NextStep, Observation, ObservationKind, Observations, Owner, PoolAddress,
    PoolUse, QuarantineStore, Reservation, ReservationChange, ReservationHold, StockClaim, Stocked,
};
use leasehold::model::{Address, AddressId, PrefixId, RecordState, RequestId, VrfId, VrfScope};

use crate::support::{directory, peers};

fn intent(name: &str, nth: i64) -> Intent {
    let at = Timestamp::from_second(1_800_000_000).unwrap() + nth.seconds();
    Intent {
        request: format!("{name}-{nth}").parse().unwrap(),
        kind: IntentKind::Addresses,
        fingerprint: Fingerprint::version_1(nth.to_string().as_bytes()),
        step: IntentStep::MaybeWritten,
        claim: Claim { owner: Owner::named("first"), attempt: 1 },
        parent: Some(PrefixId(7)),
        detail: Detail { wanted: 3, ..Detail::default() },
        unanswered: Some(at),
        sweep: None,
        created: at,
        updated: at,
    }
}

/// One write in a transaction of its own.
trait OneByOne: IntentStore {
    async fn begin(&self, intent: &Intent, reserve: &[Reservation]) -> Result<Begun, ledger::Error> {
        let new = NewIntent { intent: intent.clone(), reserve: reserve.to_vec() };
        Ok(self.begin_all(&[new]).await?.pop().unwrap())
    }

    async fn advance(
        &self,
        request: &RequestId,
        held: &Claim,
        change: &IntentChange,
        now: Timestamp,
    ) -> Result<Advanced, ledger::Error> {
        let (request, held, change) = (request.clone(), held.clone(), change.clone());
        Ok(self.advance_all(&[NextStep { request, held, change, now }]).await?.pop().unwrap())
    }
}

impl<T: IntentStore + ?Sized> OneByOne for T {}

async fn intent_suite(ledger: Arc<dyn IntentStore>) {
    let name = uuid::Uuid::new_v4().simple().to_string();
    let first = intent(&name, 0);
    assert_eq!(ledger.get(&first.request).await.unwrap(), None);
    assert_eq!(ledger.begin(&first, &[]).await.unwrap(), Begun::New);
    assert_eq!(ledger.begin(&first, &[]).await.unwrap(), Begun::Before(Box::new(first.clone())));

    // Of many that begin the same intent at once, one succeeds.
    let rival = intent(&name, 1);
    let tries = (0..16).map(|_| ledger.begin(&rival, &[]));
    let begun = futures::future::join_all(tries).await;
    assert_eq!(begun.into_iter().filter(|begun| matches!(begun, Ok(Begun::New))).count(), 1);

    let open = async || {
        let open = ledger.open_intents(10_000).await.unwrap();
        open.iter().any(|intent| intent.request == first.request)
    };
    assert!(open().await);
    let later = first.created + 1.minute();
    let done = IntentChange {
        claim: first.claim.clone(),
        step: IntentStep::Done,
        parent: Some(PrefixId(8)),
        detail: Detail { wanted: 3, made: vec![4, 5, 6], ..Detail::default() },
        unanswered: None,
        sweep: Some(later),
        reservations: ReservationChange::Keep,
    };
    assert_eq!(ledger.advance(&first.request, &first.claim, &done, later).await.unwrap(), Advanced::Set);
    let stored = ledger.get(&first.request).await.unwrap().unwrap();
    let expected = Intent {
        step: IntentStep::Done,
        parent: Some(PrefixId(8)),
        detail: done.detail.clone(),
        unanswered: None,
        sweep: Some(later),
        updated: later,
        ..first.clone()
    };
    assert_eq!(stored, expected);
    assert!(!open().await);
    let due = async |at| {
        let due = ledger.due_sweeps(at, 10_000).await.unwrap();
        due.iter().any(|intent| intent.request == first.request)
    };
    assert!(due(later).await && !due(later - 1.second()).await);

    // Who has lost the claim stores nothing any more.
    let second = Claim { owner: Owner::named("second"), attempt: 2 };
    let taken = IntentChange { claim: second.clone(), sweep: None, ..done.clone() };
    assert_eq!(ledger.advance(&first.request, &first.claim, &taken, later).await.unwrap(), Advanced::Set);
    let failed = IntentChange { step: IntentStep::Refused, ..done.clone() };
    let lost = ledger.advance(&first.request, &first.claim, &failed, later).await.unwrap();
    let Advanced::Lost(held) = lost else { panic!("{lost:?}") };
    assert_eq!((held.claim, held.step), (second.clone(), IntentStep::Done));
    let tries = (0..16).map(|nth| {
        let claim = Claim { owner: Owner::named(format!("racer-{nth}")), attempt: 3 };
        let change = IntentChange { claim, ..taken.clone() };
        let (ledger, request, second) = (ledger.clone(), first.request.clone(), second.clone());
        async move { ledger.advance(&request, &second, &change, later).await.unwrap() }
    });
    let won = futures::future::join_all(tries).await;
    assert_eq!(won.iter().filter(|advanced| **advanced == Advanced::Set).count(), 1);

    // Pages come with the newest first and filtered by state and by parent; releases are left out.
    for nth in 2..7 {
        ledger.begin(&Intent { parent: Some(PrefixId(900)), ..intent(&name, nth) }, &[]).await.unwrap();
    }
    ledger
        .begin(&Intent { kind: IntentKind::Release, parent: Some(PrefixId(900)), ..intent(&name, 7) }, &[])
        .await
        .unwrap();
    let selection = IntentSelection::Parent(PrefixId(900));
    let mut wanted = ListIntents { selection, after: None, limit: 2 };
    let mut seen = Vec::new();
    loop {
        let page = ledger.list(&wanted).await.unwrap();
        let Some(last) = page.last() else { break };
        wanted.after = Some((last.created, last.request.clone()));
        seen.extend(
            page.iter()
                .filter(|intent| intent.request.as_str().starts_with(&name))
                .map(|intent| intent.request.to_string()),
        );
    }
    let expected: Vec<String> = (2..7).rev().map(|nth| format!("{name}-{nth}")).collect();
    assert_eq!(seen, expected);
    let selection = IntentSelection::State(IntentState::Done);
    let done = ListIntents { selection, after: None, limit: 1000 };
    assert!(ledger.list(&done).await.unwrap().iter().all(|intent| intent.step == IntentStep::Done));
}

/// An intent of a time of which no other test has one: tests share the PostgreSQL ledger, and upkeep deletes what is old.
fn long_ago(intent: Intent) -> Intent {
    let at = Timestamp::from_second(1_000_000_000).unwrap();
    Intent { created: at, updated: at, unanswered: Some(at), ..intent }
}

/// Ranges that open writes hold.
async fn reservation_suite(ledger: Arc<dyn IntentStore>) {
    let name = uuid::Uuid::new_v4().simple().to_string();
    let scope = VrfScope::Vrf(VrfId(u64::from(uuid::Uuid::new_v4().as_fields().0)));
    let range = |first: u8, last: u8| Reservation {
        scope,
        first: std::net::IpAddr::from([203, 0, 113, first]),
        last: std::net::IpAddr::from([203, 0, 113, last]),
    };
    let of_scope = async |at| {
        let all = ledger.reservations(at).await.unwrap();
        let ours = all.into_iter().filter(|reserved| reserved.range.scope == scope);
        ours.map(|reserved| (reserved.range.first, reserved.hold)).collect::<Vec<_>>()
    };
    // Of many that reserve overlapping ranges at once, one succeeds; the others store no intent.
    let intents: Vec<Intent> = (0..16).map(|nth| long_ago(intent(&name, nth))).collect();
    let tries = intents.iter().map(|intent| {
        let (ledger, reserve) = (ledger.clone(), [range(10, 20)]);
        async move { ledger.begin(intent, &reserve).await.unwrap() }
    });
    let begun = futures::future::join_all(tries).await;
    assert_eq!(begun.iter().filter(|begun| **begun == Begun::New).count(), 1);
    assert_eq!(begun.iter().filter(|begun| **begun == Begun::Reserved).count(), 15);
    let winner = &intents[begun.iter().position(|begun| *begun == Begun::New).unwrap()];
    let loser = intents.iter().find(|intent| intent.request != winner.request).unwrap();
    assert_eq!(ledger.get(&loser.request).await.unwrap(), None);
    for (first, last, expected) in
        [(5, 10, Begun::Reserved), (20, 25, Begun::Reserved), (12, 13, Begun::Reserved), (21, 25, Begun::New)]
    {
        let intent = long_ago(intent(&name, 100 + i64::from(first)));
        assert_eq!(
            ledger.begin(&intent, &[range(first, last)]).await.unwrap(),
            expected,
            "{first} to {last}"
        );
    }
    let (settled, over) = (winner.created + 1.second(), winner.created + 61.seconds());
    let change = |reservations| IntentChange {
        claim: winner.claim.clone(),
        step: IntentStep::Done,
        parent: winner.parent,
        detail: winner.detail.clone(),
        unanswered: None,
        sweep: None,
        reservations,
    };
    let advance = async |change: &IntentChange| {
        ledger.advance(&winner.request, &winner.claim, change, settled).await.unwrap()
    };
    // An open write may move to another range, unless that is held.
    assert_eq!(advance(&change(ReservationChange::Replace(vec![range(15, 22)]))).await, Advanced::Reserved);
    assert_eq!(ledger.get(&winner.request).await.unwrap().unwrap().step, IntentStep::MaybeWritten);
    // A settled one counts as taken for a while and excludes nobody.
    assert_eq!(advance(&change(ReservationChange::Settle { until: over })).await, Advanced::Set);
    let host = |last: u8| std::net::IpAddr::from([203, 0, 113, last]);
    assert_eq!(
        of_scope(settled).await,
        [(host(10), ReservationHold::Taken), (host(21), ReservationHold::Exclusive)]
    );
    assert_eq!(of_scope(over).await, [(host(21), ReservationHold::Exclusive)]);
    assert_eq!(ledger.begin(loser, &[range(10, 20)]).await.unwrap(), Begun::New);
    // Upkeep deletes what is settled and old, and nothing that is open or waits for a sweep.
    let waits = IntentChange { sweep: Some(over), ..change(ReservationChange::Keep) };
    assert_eq!(advance(&waits).await, Advanced::Set);
    ledger.prune(over, over).await.unwrap();
    assert!(ledger.get(&winner.request).await.unwrap().is_some());
    assert_eq!(advance(&change(ReservationChange::Release)).await, Advanced::Set);
    ledger.prune(over, over).await.unwrap();
    assert_eq!(ledger.get(&winner.request).await.unwrap(), None);
    assert!(ledger.get(&loser.request).await.unwrap().is_some());
}

/// Which server runs the jobs of all.
async fn job_lease_suite(leases: Arc<dyn JobLeases>) {
    // A name that no server uses.
    let name = uuid::Uuid::new_v4().simple().to_string();
    let at = |second: i64| Timestamp::from_second(1_700_000_000 + second).unwrap();
    let (first, second) = (Owner::named("first"), Owner::named("second"));
    let hold = async |owner: &Owner, now, until| leases.hold(&name, owner, at(now), at(until)).await.unwrap();
    assert_eq!(hold(&first, 0, 12).await, Some(Fence(1)));
    assert_eq!(hold(&second, 1, 13).await, None);
    assert_eq!(hold(&first, 9, 21).await, Some(Fence(1)), "the holder renews");
    assert_eq!(hold(&second, 20, 32).await, None);
    assert_eq!(hold(&second, 21, 33).await, Some(Fence(2)), "a lease that is over changes hands");
    assert_eq!(hold(&first, 22, 34).await, None);
    // Only the holder can give it back.
    leases.give_back(&name, &first, at(23)).await.unwrap();
    assert_eq!(hold(&first, 24, 36).await, None);
    leases.give_back(&name, &second, at(25)).await.unwrap();
    // Of many that ask at once, one gets it.
    let asking = (0..16).map(|nth| {
        let (leases, name) = (leases.clone(), name.clone());
        let owner = Owner::named(format!("racer-{nth}"));
        async move { leases.hold(&name, &owner, at(26), at(38)).await.unwrap() }
    });
    let held: Vec<Fence> = futures::future::join_all(asking).await.into_iter().flatten().collect();
    assert_eq!(held, [Fence(3)]);
}

/// Addresses that were released.
async fn quarantine_suite(quarantine: Arc<dyn QuarantineStore>) {
    // A VRF that no other test uses, because tests share the PostgreSQL ledger.
    let scope = VrfScope::Vrf(VrfId(u64::from(uuid::Uuid::new_v4().as_fields().0)));
    let at = |second: i64| Timestamp::from_second(1_700_000_000 + second).unwrap();
    let host = |last: u8| std::net::IpAddr::from([203, 0, 113, last]);
    quarantine.quarantine(scope, &(1..=5).map(host).collect::<Vec<_>>(), at(0)).await.unwrap();
    quarantine.quarantine(scope, &[host(5), "2001:db8::1".parse().unwrap()], at(10)).await.unwrap();
    let of = async |since: i64| {
        let found = quarantine.quarantined(at(since)).await.unwrap();
        let mut ours: Vec<_> =
            found.into_iter().filter(|row| row.scope == scope).map(|row| row.address).collect();
        ours.sort_unstable();
        ours
    };
    assert_eq!(of(-1).await.len(), 6);
    assert_eq!(
        of(0).await,
        [host(5), "2001:db8::1".parse().unwrap()],
        "a second release starts the quarantine anew"
    );
    quarantine.end_quarantine(at(0)).await.unwrap();
    assert_eq!(of(-1).await.len(), 2);
    quarantine.lift(scope, &[host(5), host(6)]).await.unwrap();
    assert_eq!(of(-1).await, ["2001:db8::1".parse::<std::net::IpAddr>().unwrap()]);
}

async fn observation_suite(observations: Arc<dyn Observations>) {
    let base = u64::from(uuid::Uuid::new_v4().as_fields().0) << 8;
    let (first, second) = (PrefixId(base), PrefixId(base + 1));
    let now = Timestamp::from_second(1_700_000_000).unwrap();
    let row = |prefix, subject: &str, value: u32| Observation::of(prefix, subject, &value).unwrap();
    // More rows than one statement inserts.
    let many: Vec<Observation> = (0..1200).map(|nth| row(first, &format!("{nth:04}"), nth)).collect();
    observations.put(ObservationKind::ZoneCoverage, &many, now).await.unwrap();
    let other = [row(first, "roa", 1), row(second, "roa", 2), row(second, "irr", 3)];
    observations.put(ObservationKind::Verdict, &other, now).await.unwrap();
    observations.put(ObservationKind::Verdict, &[row(second, "roa", 7)], now).await.unwrap();
    observations.put(ObservationKind::Verdict, &[], now).await.unwrap();
    assert_eq!(observations.load(ObservationKind::ZoneCoverage, Some(first)).await.unwrap(), many);
    let values = async |kind, prefix| -> Vec<(String, u32)> {
        let rows = observations.load(kind, Some(prefix)).await.unwrap();
        rows.iter().map(|row| (row.subject.clone(), row.read().unwrap())).collect()
    };
    let wanted = [("irr".to_owned(), 3), ("roa".to_owned(), 7)];
    assert_eq!(
        values(ObservationKind::Verdict, second).await,
        wanted,
        "the later observation replaces the earlier one"
    );
    let all = observations.load(ObservationKind::Verdict, None).await.unwrap();
    assert_eq!(all.iter().filter(|row| row.prefix == first || row.prefix == second).count(), 3);
    observations.forget(&[second]).await.unwrap();
    assert_eq!(values(ObservationKind::Verdict, second).await, []);
    assert_eq!(values(ObservationKind::Verdict, first).await, [("roa".to_owned(), 1)]);
    observations.forget(&[first]).await.unwrap();
    assert_eq!(values(ObservationKind::ZoneCoverage, first).await, []);
}

/// An address of a pool in stock.
fn stocked(id: u64, fill: &RequestId, claim: &StockClaim) -> PoolAddress {
    let index = u32::try_from(id).unwrap();
    let interface = format!("203.0.113.{id}/24").parse().unwrap();
    let record = Address {
        status: "reserved".to_owned(),
        allocation: Some(fill.allocation(index)),
        ..Address::bare(AddressId(id), interface, VrfScope::Global)
    };
    PoolAddress { record, parent: PrefixId(7), claim: claim.clone(), used: PoolUse::Stock }
}

/// A hand-out of addresses of a pool, by the claims that were read.
fn hand_out(name: &str, nth: i64, stock: &[&PoolAddress]) -> HandOut {
    let intent = Intent { step: IntentStep::Done, unanswered: None, ..intent(name, nth) };
    let wanted = |(index, address): (u32, &&PoolAddress)| {
        let allocation = Some(intent.request.allocation(index));
        let wanted = Address { status: "active".to_owned(), allocation, ..address.record.clone() };
        (address.claim.clone(), Address { record_state: RecordState::Pending, ..wanted })
    };
    HandOut { addresses: (0..).zip(stock).map(wanted).collect(), intent: intent.clone() }
}

/// Pools: of a ledger that nobody else uses, since whoever is not known to live loses what it owns.
async fn pool_suite(ledger: LedgerHandles) {
    let (pools, intents) = (ledger.pools, ledger.intents);
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    let (first, second) = (Owner::named("first"), Owner::named("second"));
    let lives = |owner: &Owner, at: Timestamp| {
        let (pools, owner) = (pools.clone(), owner.clone());
        async move { pools.claim_pools(&owner, at, at + 1.minute()).await.unwrap() }
    };
    assert_eq!(lives(&first, now).await, []);
    let fill: RequestId = RequestId::of_pool("first", 1);
    let claim = StockClaim { owner: first.clone(), epoch: 1 };
    let stock: Vec<PoolAddress> = (1..=6).map(|id| stocked(id, &fill, &claim)).collect();
    // Only a fill that is done, and of which nothing can arrive late, is put into stock, and once.
    let filling = Intent { request: fill.clone(), kind: IntentKind::PoolFill, ..intent("fill", 0) };
    assert_eq!(intents.begin(&filling, &[]).await.unwrap(), Begun::New);
    assert_eq!(pools.fills().await.unwrap(), std::slice::from_ref(&filling));
    assert!(!pools.stock(&fill, &stock, now).await.unwrap());
    let mut done = IntentChange::of(&filling, &first);
    done.step = IntentStep::Done;
    done.sweep = Some(now);
    assert_eq!(intents.advance(&fill, &filling.claim, &done, now).await.unwrap(), Advanced::Set);
    assert!(!pools.stock(&fill, &stock, now).await.unwrap(), "something may arrive late");
    assert_eq!(intents.prune(now + 9.hours(), now).await.unwrap(), 0, "its addresses are not in stock yet");
    let swept = IntentChange { sweep: None, ..IntentChange::of(&done.applied_to(&filling, now), &first) };
    assert_eq!(intents.advance(&fill, &done.claim, &swept, now).await.unwrap(), Advanced::Set);
    assert_eq!(intents.prune(now + 9.hours(), now).await.unwrap(), 0);
    assert_eq!(pools.fills().await.unwrap().len(), 1);
    assert!(pools.stock(&fill, &stock, now).await.unwrap());
    assert!(!pools.stock(&fill, &stock, now).await.unwrap());
    assert_eq!(pools.fills().await.unwrap(), []);
    assert_eq!((lives(&first, now).await, intents.get(&fill).await.unwrap()), (stock.clone(), None));

    // Of many at once that want the same address one gets it; the others store nothing.
    let rivals: Vec<HandOut> = (0..16).map(|nth| hand_out("rival", nth, &[&stock[0]])).collect();
    let tries = rivals.chunks(4).map(|some| pools.hand_out_all(some));
    let outcomes: Vec<Stocked> =
        futures::future::join_all(tries).await.into_iter().flat_map(Result::unwrap).collect();
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Stocked::HandedOut).count(), 1);
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Stocked::Gone).count(), 15);
    for (rival, outcome) in rivals.iter().zip(&outcomes) {
        let stored = intents.get(&rival.intent.request).await.unwrap();
        assert_eq!(stored, (*outcome == Stocked::HandedOut).then(|| rival.intent.clone()));
    }
    // All of a request or nothing; and a request once.
    let partly = hand_out("partly", 0, &[&stock[1], &stock[0]]);
    let both = hand_out("both", 0, &[&stock[1], &stock[2]]);
    let outcomes = pools.hand_out_all(&[partly, both.clone(), both.clone()]).await.unwrap();
    assert_eq!(outcomes, [Stocked::Gone, Stocked::HandedOut, Stocked::Before]);
    let incomplete = pools.incomplete().await.unwrap();
    let to = |address: &PoolAddress| match &address.used {
        PoolUse::HandedOut(to) => (to.request.to_string(), to.wanted.clone()),
        other => panic!("{other:?}"),
    };
    let to: Vec<_> = incomplete.iter().map(to).filter(|(request, _)| request == "both-0").collect();
    assert_eq!((incomplete.len(), to.len()), (3, 2));
    assert_eq!(to[1].1, both.addresses[1].1);
    pools.refuse(&stock[2].record, "no").await.unwrap();
    let refused = pools.incomplete().await.unwrap();
    let refusal = |address: &PoolAddress| match &address.used {
        PoolUse::HandedOut(to) => to.refusal.clone(),
        PoolUse::Stock | PoolUse::Returning => None,
    };
    assert_eq!(refused.iter().filter_map(refusal).collect::<Vec<_>>(), ["no"]);
    pools.forget(&[stock[0].record.clone(), stock[1].record.clone()]).await.unwrap();
    assert_eq!(pools.incomplete().await.unwrap().len(), 1);

    // While the first one lives, another takes nothing over, unless no other process can use the ledger.
    let taken = lives(&second, now + 30.seconds()).await;
    assert_eq!(taken.len(), if intents.is_shared() { 0 } else { 4 });
    let taken = lives(&second, now + 61.seconds()).await;
    assert_eq!(taken.len(), 4, "what it handed out, too");
    assert_eq!(taken[1].claim, StockClaim { owner: second.clone(), epoch: 2 });
    let late = hand_out("late", 0, &[&stock[3]]);
    assert_eq!(pools.hand_out_all(&[late]).await.unwrap(), [Stocked::Gone], "the first one is fenced");
    let ours = taken.iter().find(|address| address.record.id == AddressId(4)).unwrap();
    assert_eq!(pools.hand_out_all(&[hand_out("ours", 0, &[ours])]).await.unwrap(), [Stocked::HandedOut]);

    // Whoever ends a lease takes its stock back, and what was handed out stays where it is.
    let within = pools.stock_within(PrefixId(7)).await.unwrap();
    let ids = |addresses: &[PoolAddress]| addresses.iter().map(|one| one.record.id.0).collect::<Vec<_>>();
    assert_eq!((ids(&within), pools.stock_within(PrefixId(8)).await.unwrap()), (vec![5, 6], Vec::new()));
    let all: Vec<Address> = stock.iter().map(|address| address.record.clone()).collect();
    let mut returning = pools.take_back(&all, now).await.unwrap();
    returning.sort_by_key(|address| address.record.id);
    assert_eq!(ids(&returning), [5, 6]);
    assert!(returning.iter().all(|address| address.used == PoolUse::Returning));
    let five = taken.iter().find(|address| address.record.id == AddressId(5)).unwrap();
    assert_eq!(pools.hand_out_all(&[hand_out("gone", 0, &[five])]).await.unwrap(), [Stocked::Gone]);
    pools.forget(&all).await.unwrap();
    assert_eq!((lives(&second, now).await, pools.incomplete().await.unwrap()), (Vec::new(), Vec::new()));
}

#[tokio::test]
async fn sqlite_keeps_pools() {
    pool_suite(ledger::open(&LedgerSettings::Temporary).await.unwrap()).await;
}

#[tokio::test]
async fn a_real_postgresql_keeps_pools() {
    let name = "ledger::a_real_postgresql_keeps_pools";
    let Some(url) = peers::variable(name, "LEASEHOLD_TEST_POSTGRES_URL", "a real PostgreSQL") else { return };
    // A database of its own, since other tests use the common one.
    let database = format!("pools_{}", uuid::Uuid::new_v4().simple());
    let common = sqlx::PgPool::connect(&url).await.unwrap();
    sqlx::query(sqlx::AssertSqlSafe(format!("CREATE DATABASE {database}"))).execute(&common).await.unwrap();
    let own = url.replacen(url.rsplit('/').next().unwrap(), &database, 1);
    pool_suite(ledger::open(&LedgerSettings::Postgres(secrecy::SecretString::from(own))).await.unwrap())
        .await;
}

async fn all_suites(ledger: LedgerHandles) {
    intent_suite(ledger.intents.clone()).await;
    reservation_suite(ledger.intents).await;
    job_lease_suite(ledger.job_leases).await;
    quarantine_suite(ledger.quarantine).await;
    observation_suite(ledger.observations).await;
}

#[tokio::test]
async fn sqlite_keeps_intents_quarantine_and_observations() {
    let (_guard, path) = directory();
    let settings = LedgerSettings::Sqlite(path.join("ledger.db"));
    all_suites(ledger::open(&settings).await.unwrap()).await;
    // The next server finds what this one has stored.
    let again = ledger::open(&settings).await.unwrap();
    assert!(!again.intents.open_intents(1).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_real_postgresql_keeps_intents_quarantine_and_observations() {
    let name = "ledger::a_real_postgresql_keeps_intents_quarantine_and_observations";
    let Some(url) = peers::variable(name, "LEASEHOLD_TEST_POSTGRES_URL", "a real PostgreSQL") else { return };
    let settings = LedgerSettings::Postgres(secrecy::SecretString::from(url));
    all_suites(ledger::open(&settings).await.unwrap()).await;
}
