//! Notifications: the outbox over both ledgers, and sinks that are down, throttled or slow, in simulated time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use jiff::{Timestamp, ToSpan as _};
use leasehold::events::EventLog;
use leasehold::ledger::{self, Delivery, DeliveryState, LedgerSettings, ListDeliveries, Outbox, Outcome};
use leasehold::model::{Change, Event, EventKind, Happening, Subject, TermDate, TermReached, Threshold};
use leasehold::notify::message::sample;
use leasehold::notify::{Notifier, NotifySettings, Route, SinkSettings, Target};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::journal::prefix;
use crate::support::clock::SetClock;
use crate::support::{LOOPBACK, directory, peers};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

/// A delivery of an event about one prefix.
fn delivery(sink: &str, sequence: u64, matter: u64) -> Delivery {
    let change = Change { before: None, after: Some(prefix(matter, "203.0.113.0/24", "", 0)) };
    let event = Event { sequence, recorded: at(0), happening: Happening::prefix(change, None, at(0)) };
    Delivery {
        id: format!("{sink}-{sequence}"),
        sink: sink.to_owned(),
        event,
        state: DeliveryState::Waiting,
        attempts: 0,
        due: at(0),
        created: at(i64::try_from(sequence).unwrap()),
        updated: at(0),
        error: String::new(),
    }
}

async fn suite(outbox: Arc<dyn Outbox>) {
    // A name of its own, since the PostgreSQL ledger is shared by other tests.
    let sink = uuid::Uuid::new_v4().simple().to_string();
    let all: Vec<Delivery> = (1..=5).map(|nth| delivery(&sink, nth, nth)).collect();
    let of = |state| ListDeliveries { state, sink: sink.clone(), after: None, limit: 100 };
    let ids = |deliveries: &[Delivery]| -> Vec<u64> {
        deliveries.iter().map(|delivery| delivery.event.sequence).collect()
    };
    outbox.route(0, &all).await.unwrap();
    // Routed by another replica as well: what is there stays as it is.
    outbox.route(0, &all[..2]).await.unwrap();
    assert_eq!(ids(&outbox.deliveries(&of(None)).await.unwrap()), [5, 4, 3, 2, 1], "the newest first");

    // Of many who claim at once, each gets others, the oldest first.
    let claims = (0..4).map(|_| outbox.claim(&sink, at(10), at(130), 1));
    let claimed = futures::future::join_all(claims).await.into_iter().flat_map(Result::unwrap);
    let claimed: Vec<Delivery> = claimed.collect();
    let mut got = ids(&claimed);
    got.sort_unstable();
    assert!(got.windows(2).all(|pair| pair[0] < pair[1]), "nothing is claimed twice: {got:?}");
    assert!(claimed.iter().all(|delivery| delivery.attempts == 1));
    let rest = outbox.claim(&sink, at(10), at(130), 100).await.unwrap();
    assert_eq!(got.len() + rest.len(), 5);
    assert!(outbox.claim(&sink, at(20), at(140), 100).await.unwrap().is_empty());
    // Whoever claimed them died: they are due again.
    let again = outbox.claim(&sink, at(130), at(250), 100).await.unwrap();
    assert_eq!(ids(&again), [1, 2, 3, 4, 5]);
    assert_eq!(again[0].attempts, 2);

    let id = |nth: usize| vec![all[nth].id.clone()];
    outbox.settle(&id(0), &Outcome::Sent, at(131)).await.unwrap();
    outbox.settle(&id(1), &Outcome::Later(at(200), "503".into()), at(131)).await.unwrap();
    outbox.settle(&id(2), &Outcome::Dead("410".into()), at(131)).await.unwrap();
    let dead = outbox.deliveries(&of(Some(DeliveryState::Dead))).await.unwrap();
    assert_eq!((ids(&dead), dead[0].error.as_str()), (vec![3], "410"));
    assert_eq!(dead[0].event, all[2].event, "an event is kept whole");
    assert!(outbox.claim(&sink, at(199), at(300), 100).await.unwrap().is_empty());
    let due = outbox.claim(&sink, at(200), at(320), 100).await.unwrap();
    assert_eq!((ids(&due), due[0].error.as_str()), (vec![2], "503"));

    let (_, dead_before) = outbox.backlog().await.unwrap();
    assert_eq!(outbox.replay(&sink, &id(0), at(210)).await.unwrap(), 0, "what was sent is not sent again");
    assert_eq!(outbox.replay(&sink, &[], at(210)).await.unwrap(), 1);
    assert_eq!(outbox.backlog().await.unwrap().1, dead_before - 1);
    let due = outbox.claim(&sink, at(210), at(330), 100).await.unwrap();
    assert_eq!((ids(&due), due[0].attempts), (vec![3], 1));

    // Pages, and forgetting.
    let mut wanted = ListDeliveries { limit: 2, ..of(None) };
    let mut seen = Vec::new();
    while let Some(last) = {
        let page = outbox.deliveries(&wanted).await.unwrap();
        seen.extend(ids(&page));
        page.last().cloned()
    } {
        wanted.after = Some((last.created, last.id));
    }
    seen.sort_unstable();
    assert_eq!(seen, [1, 2, 3, 4, 5]);
    outbox.forget_sent(at(131)).await.unwrap();
    assert_eq!(outbox.deliveries(&of(Some(DeliveryState::Sent))).await.unwrap().len(), 1);
    outbox.forget_sent(at(132)).await.unwrap();
    assert!(outbox.deliveries(&of(Some(DeliveryState::Sent))).await.unwrap().is_empty());
}

async fn in_order(outbox: Arc<dyn Outbox>) {
    let sink = uuid::Uuid::new_v4().simple().to_string();
    let all = [delivery(&sink, 1, 7), delivery(&sink, 2, 8), delivery(&sink, 3, 7)];
    outbox.route(0, &all).await.unwrap();
    let first = outbox.claim(&sink, at(0), at(120), 1).await.unwrap();
    assert_eq!(first[0].event.sequence, 1);
    // The end of a matter does not overtake its beginning; another matter may.
    let second = outbox.claim(&sink, at(0), at(120), 10).await.unwrap();
    assert_eq!(second.iter().map(|due| due.event.sequence).collect::<Vec<_>>(), [2]);
    outbox.settle(&[all[0].id.clone()], &Outcome::Later(at(15), "503".into()), at(1)).await.unwrap();
    assert!(outbox.claim(&sink, at(14), at(120), 10).await.unwrap().is_empty());
    let third = outbox.claim(&sink, at(15), at(120), 10).await.unwrap();
    assert_eq!(third.iter().map(|due| due.event.sequence).collect::<Vec<_>>(), [1, 3]);
}

async fn tickets(outbox: Arc<dyn Outbox>) {
    let sink = uuid::Uuid::new_v4().simple().to_string();
    assert_eq!(outbox.ticket(&sink, "k").await.unwrap(), None);
    outbox.open_ticket(&sink, "k", "NET-1", at(0)).await.unwrap();
    outbox.open_ticket(&sink, "k", "NET-1", at(1)).await.unwrap();
    assert_eq!(outbox.ticket(&sink, "k").await.unwrap().as_deref(), Some("NET-1"));
    outbox.close_ticket(&sink, "k").await.unwrap();
    outbox.close_ticket(&sink, "k").await.unwrap();
    assert_eq!(outbox.ticket(&sink, "k").await.unwrap(), None);
}

async fn outboxes(settings: LedgerSettings) {
    let outbox = ledger::open(&settings).await.unwrap().outbox;
    suite(outbox.clone()).await;
    in_order(outbox.clone()).await;
    tickets(outbox).await;
}

#[tokio::test]
async fn sqlite_keeps_deliveries() {
    let (_guard, path) = directory();
    outboxes(LedgerSettings::Sqlite(path.join("ledger.db"))).await;
}

#[tokio::test]
async fn postgres_keeps_deliveries() {
    let name = "notify::postgres_keeps_deliveries";
    let Some(url) = peers::variable(name, "LEASEHOLD_TEST_POSTGRES_URL", "a real PostgreSQL") else { return };
    outboxes(LedgerSettings::Postgres(secrecy::SecretString::from(url))).await;
}

/// How a receiver answers.
#[derive(Clone, Copy, Debug)]
enum Mood {
    Well,
    Failing,
    /// It asks for so many seconds.
    Throttling(u64),
    /// It takes what is sent and breaks before it says so: nobody can know.
    Forgetful,
}

/// A webhook's receiver: what it took, in order, and how often it was asked.
struct Receiver {
    url: url::Url,
    mood: Arc<Mutex<Mood>>,
    took: Arc<Mutex<Vec<String>>>,
    asked: Arc<Mutex<Vec<Timestamp>>>,
}

impl Receiver {
    async fn listen(clock: Arc<SetClock>) -> Self {
        use leasehold::clock::Clock as _;
        let listener = tokio::net::TcpListener::bind(LOOPBACK).await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap()).parse().unwrap();
        let receiver =
            Self { url, mood: Arc::new(Mutex::new(Mood::Well)), took: Arc::default(), asked: Arc::default() };
        let (mood, took, asked) = (receiver.mood.clone(), receiver.took.clone(), receiver.asked.clone());
        let hook = async move |headers: HeaderMap, _: Bytes| {
            asked.lock().unwrap().push(clock.now());
            let id = headers["webhook-id"].to_str().unwrap().to_owned();
            let none = HeaderMap::new();
            match *mood.lock().unwrap() {
                Mood::Well => {
                    took.lock().unwrap().push(id);
                    (StatusCode::OK, none)
                }
                Mood::Forgetful => {
                    took.lock().unwrap().push(id);
                    (StatusCode::BAD_GATEWAY, none)
                }
                Mood::Failing => (StatusCode::SERVICE_UNAVAILABLE, none),
                Mood::Throttling(seconds) => {
                    let headers = HeaderMap::from_iter([("retry-after".parse().unwrap(), seconds.into())]);
                    (StatusCode::TOO_MANY_REQUESTS, headers)
                }
            }
        };
        let router = axum::Router::new().route("/hook", axum::routing::post(hook));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        receiver
    }

    fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn took(&self) -> Vec<String> {
        self.took.lock().unwrap().clone()
    }

    fn asked(&self) -> Vec<Timestamp> {
        self.asked.lock().unwrap().clone()
    }
}

struct World {
    clock: Arc<SetClock>,
    log: Arc<EventLog>,
    outbox: Arc<dyn Outbox>,
    receiver: Receiver,
    settings: NotifySettings,
    second: i64,
}

impl World {
    async fn new() -> Self {
        let clock = SetClock::at(at(0));
        let books = ledger::open(&LedgerSettings::Temporary).await.unwrap();
        let log = EventLog::open(books.journal, clock.clone()).await.unwrap();
        let receiver = Receiver::listen(clock.clone()).await;
        let target = Target::Webhook { url: receiver.url.clone(), secrets: Vec::new() };
        let sinks = vec![SinkSettings { name: "hook".into(), target, allow_private: true }];
        let settings = NotifySettings { sinks, routes: Vec::new() };
        Self { clock, log, outbox: books.outbox, receiver, settings, second: 0 }
    }

    fn notifier(&self) -> Notifier {
        let (log, outbox) = (self.log.clone(), self.outbox.clone());
        Notifier::new(&self.settings, log, outbox, self.clock.clone()).unwrap()
    }

    /// A lease comes within a threshold; the id that its delivery must have.
    async fn lapse(&self, id: u64) -> String {
        let reached = TermReached {
            prefix: prefix(id, "203.0.113.0/24", "", 0),
            which: TermDate::Expiry,
            date: "2027-06-01".parse().unwrap(),
            threshold: Threshold(14),
            days_left: 14,
        };
        let told = self.log.tell(&[Happening::term(reached, at(self.second))]).await.unwrap();
        let epoch: String = self.log.token(0).epoch.chars().take(8).collect();
        format!("{epoch}-{}-hook", told[0].sequence)
    }

    /// Time goes on, and the jobs run.
    async fn pass(&mut self, notifier: &Notifier, seconds: i64) {
        self.second += seconds;
        self.clock.set(at(self.second));
        notifier.route().await.unwrap();
        // Trouble is told, and is no error of this test.
        let _ = notifier.deliver("hook").await;
    }
}

#[tokio::test]
async fn a_sink_that_is_down_for_an_hour_loses_nothing_and_gets_nothing_twice() {
    let mut random = StdRng::seed_from_u64(14);
    let mut world = World::new().await;
    let mut notifier = world.notifier();
    let mut sent = Vec::new();
    for nth in 0..20 {
        sent.push(world.lapse(nth).await);
        world.pass(&notifier, 1).await;
    }
    assert_eq!(world.receiver.took(), sent, "as it happens, while all is well");
    world.receiver.set(Mood::Failing);
    let down = world.second;
    let mut restarts = 0;
    while world.second < down + 3600 {
        if random.random_range(0..20) == 0 {
            sent.push(world.lapse(1000 + sent.len() as u64).await);
        }
        // The server is restarted in between, and remembers nothing but the ledger.
        if random.random_range(0..600) == 0 {
            notifier = world.notifier();
            restarts += 1;
        }
        world.pass(&notifier, 1).await;
    }
    assert!(sent.len() > 100 && restarts > 2, "{} {restarts}", sent.len());
    assert_eq!(world.receiver.took().len(), 20);
    let asked = world.receiver.asked().len() - 20;
    // 15 s, 30 s, ... up to 30 min; each restart asks anew.
    assert!((5..60).contains(&asked), "an hour of trouble is asked about {asked} times");
    assert!(notifier.sinks()[0].trouble.as_deref().unwrap().contains("503"));

    world.receiver.set(Mood::Well);
    let up = world.second;
    while world.receiver.took().len() < sent.len() && world.second < up + 3600 {
        world.pass(&notifier, 10).await;
    }
    let mut took = world.receiver.took();
    took.sort_unstable();
    sent.sort_unstable();
    assert_eq!(took, sent, "each once, none missing");
    for _ in 0..1000 {
        world.pass(&notifier, 60).await;
    }
    assert_eq!(world.receiver.took().len(), sent.len(), "nothing is sent again after success");
    assert_eq!(world.outbox.backlog().await.unwrap(), (0, 0));
    assert_eq!(notifier.sinks()[0].trouble, None);
}

#[tokio::test]
async fn a_sink_that_took_it_and_could_not_say_so_gets_it_again_under_the_same_id() {
    let mut world = World::new().await;
    let notifier = world.notifier();
    world.receiver.set(Mood::Forgetful);
    let id = world.lapse(1).await;
    world.pass(&notifier, 1).await;
    world.receiver.set(Mood::Well);
    world.pass(&notifier, 60).await;
    assert_eq!(world.receiver.took(), [id.clone(), id]);
}

#[tokio::test]
async fn a_sink_that_asks_for_patience_gets_it() {
    let mut world = World::new().await;
    let notifier = world.notifier();
    world.receiver.set(Mood::Throttling(600));
    world.lapse(1).await;
    world.pass(&notifier, 1).await;
    let asked = world.receiver.asked()[0];
    world.receiver.set(Mood::Well);
    while world.receiver.took().is_empty() {
        world.pass(&notifier, 1).await;
        assert!(world.second < 1000);
    }
    assert_eq!(world.receiver.asked(), [asked, asked + 600.seconds()]);
}

#[tokio::test]
async fn what_cannot_be_delivered_for_days_is_kept_for_a_person_and_goes_when_replayed() {
    let mut world = World::new().await;
    let notifier = world.notifier();
    world.receiver.set(Mood::Failing);
    let id = world.lapse(1).await;
    for _ in 0..80 {
        world.pass(&notifier, 3600).await;
    }
    assert_eq!(world.outbox.backlog().await.unwrap(), (0, 1));
    let dead = ListDeliveries { state: Some(DeliveryState::Dead), limit: 10, ..ListDeliveries::default() };
    let dead = world.outbox.deliveries(&dead).await.unwrap();
    assert!(dead[0].error.starts_with("given up after"), "{}", dead[0].error);
    world.receiver.set(Mood::Well);
    world.pass(&notifier, 3600).await;
    assert!(world.receiver.took().is_empty());
    assert_eq!(notifier.replay("", std::slice::from_ref(&id)).await.unwrap(), 1);
    world.pass(&notifier, 1).await;
    assert_eq!(world.receiver.took(), [id]);
}

#[tokio::test]
async fn two_servers_over_one_ledger_send_each_once() {
    let mut world = World::new().await;
    let (one, other) = (world.notifier(), world.notifier());
    let mut sent = Vec::new();
    for nth in 0..200 {
        sent.push(world.lapse(nth).await);
    }
    world.second += 1;
    world.clock.set(at(world.second));
    let routed = tokio::join!(one.route(), other.route());
    assert!(routed.0.is_ok() && routed.1.is_ok());
    let (first, second) = tokio::join!(one.deliver("hook"), other.deliver("hook"));
    assert_eq!(first.unwrap() + second.unwrap(), 200);
    let mut took = world.receiver.took();
    took.sort_unstable();
    sent.sort_unstable();
    assert_eq!(took, sent);
}

#[tokio::test]
async fn events_go_where_routes_say() {
    let mut world = World::new().await;
    let expired = Route { kinds: [EventKind::LeaseExpired].into(), ..Route::by_default("hook") };
    world.settings.routes = vec![expired];
    let notifier = world.notifier();
    world.lapse(1).await;
    let mut happening = sample(at(0)).happening;
    happening.kind = EventKind::LeaseExpired;
    let told = world.log.tell(&[happening]).await.unwrap();
    world.pass(&notifier, 1).await;
    let took = world.receiver.took();
    assert_eq!(took.len(), 1);
    assert!(took[0].ends_with(&format!("-{}-hook", told[0].sequence)), "{took:?}");
    world.settings.routes = vec![Route::by_default("nobody")];
    let error = Notifier::new(&world.settings, world.log.clone(), world.outbox.clone(), world.clock.clone());
    assert!(error.err().unwrap().to_string().contains("\"nobody\""));
}

#[tokio::test]
async fn a_flood_is_one_message_to_a_channel() {
    let clock = SetClock::at(at(0));
    let books = ledger::open(&LedgerSettings::Temporary).await.unwrap();
    let log = EventLog::open(books.journal, clock.clone()).await.unwrap();
    let got: Arc<Mutex<Vec<serde_json::Value>>> = Arc::default();
    let listener = tokio::net::TcpListener::bind(LOOPBACK).await.unwrap();
    let url = format!("http://{}/services/T/B/x", listener.local_addr().unwrap());
    let kept = got.clone();
    let take =
        async move |axum::Json(message): axum::Json<serde_json::Value>| kept.lock().unwrap().push(message);
    let router = axum::Router::new().route("/services/T/B/x", axum::routing::post(take));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let target = Target::Slack { url: secrecy::SecretString::from(url) };
    let sinks = vec![SinkSettings { name: "channel".into(), target, allow_private: true }];
    let settings = NotifySettings { sinks, routes: Vec::new() };
    let notifier = Notifier::new(&settings, log.clone(), books.outbox, clock.clone()).unwrap();
    let lapses: BTreeMap<u64, Happening> = (0..300)
        .map(|id| {
            let mut happening = sample(at(0)).happening;
            if let Subject::Term(reached) = &mut happening.subject {
                reached.prefix = prefix(id + 1, "203.0.113.0/24", "", 0);
            }
            (id, happening)
        })
        .collect();
    let lapses: Vec<Happening> = lapses.into_values().collect();
    assert_eq!(log.tell(&lapses).await.unwrap().len(), 300);
    notifier.route().await.unwrap();
    clock.set(at(5));
    assert_eq!(notifier.deliver("channel").await.unwrap(), 300);
    let got = got.lock().unwrap();
    assert_eq!(got.len(), 1);
    assert_eq!(got[0]["text"], "300 events of leased address space");
}
