//! Notifications: one suite of the outbox over both databases, and sinks that fail or ask to wait, in simulated time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use jiff::{Timestamp, ToSpan as _};
use leasehold::events::EventLog;
use leasehold::ledger::{
    self, Delivery, DeliveryOutcome, DeliveryState, FailedAttempt, LedgerSettings, ListDeliveries, Outbox,
};
use leasehold::model::{
    DomainEvent, Event, EventKind, RecordChange, Subject, TermDate, TermReached, Threshold,
};
use leasehold::notify::{
    NotificationRoute, Notifier, NotifySettings, SinkSettings, SinkTarget, sample_event,
};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::journal::prefix;
use crate::support::clock::SetClock;
use crate::support::{LOOPBACK, directory, peers};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

/// A delivery of an event about the prefix with the id `prefix_id`, which is its ordering key.
fn delivery(sink: &str, sequence: u64, prefix_id: u64) -> Delivery {
    let change = RecordChange { before: None, after: Some(prefix(prefix_id, "203.0.113.0/24", "", 0)) };
    let event = Event { sequence, recorded: at(0), domain_event: DomainEvent::prefix(change, None, at(0)) };
    Delivery {
        id: format!("{sink}-{sequence}"),
        sink: sink.to_owned(),
        event,
        state: DeliveryState::Waiting,
        attempts: 0,
        due: at(0),
        created: at(i64::try_from(sequence).unwrap()),
        updated: at(0),
        last_failure: None,
    }
}

fn failed(refused: bool, message: &str, second: i64) -> FailedAttempt {
    FailedAttempt { refused, message: message.to_owned(), at: Some(at(second)) }
}

async fn outbox_suite(outbox: Arc<dyn Outbox>) {
    // A sink that no other test uses, because tests share the PostgreSQL ledger.
    let sink = uuid::Uuid::new_v4().simple().to_string();
    let all: Vec<Delivery> = (1..=5).map(|nth| delivery(&sink, nth, nth)).collect();
    let of = |state| ListDeliveries { state, sink: sink.clone(), after: None, limit: 100 };
    let ids = |deliveries: &[Delivery]| -> Vec<u64> {
        deliveries.iter().map(|delivery| delivery.event.sequence).collect()
    };
    outbox.enqueue(0, &all).await.unwrap();
    // Another replica routes the same events: deliveries that exist stay as they are.
    outbox.enqueue(0, &all[..2]).await.unwrap();
    assert_eq!(ids(&outbox.deliveries(&of(None)).await.unwrap()), [5, 4, 3, 2, 1], "the newest first");

    // Of many that claim at once, each gets other deliveries, the oldest first.
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
    // The claims have run out, as after a crash: the deliveries are due again.
    let again = outbox.claim(&sink, at(130), at(250), 100).await.unwrap();
    assert_eq!(ids(&again), [1, 2, 3, 4, 5]);
    assert_eq!(again[0].attempts, 2);

    let id = |nth: usize| vec![all[nth].id.clone()];
    outbox.record_outcome(&id(0), &DeliveryOutcome::Sent, at(131)).await.unwrap();
    outbox
        .record_outcome(&id(1), &DeliveryOutcome::Later(at(200), failed(false, "503", 131)), at(131))
        .await
        .unwrap();
    outbox.record_outcome(&id(2), &DeliveryOutcome::Dead(failed(true, "410", 131)), at(131)).await.unwrap();
    let dead = outbox.deliveries(&of(Some(DeliveryState::Dead))).await.unwrap();
    assert_eq!((ids(&dead), dead[0].last_failure.clone()), (vec![3], Some(failed(true, "410", 131))));
    assert_eq!(dead[0].event, all[2].event, "the delivery holds the whole event");
    assert!(outbox.claim(&sink, at(199), at(300), 100).await.unwrap().is_empty());
    let due = outbox.claim(&sink, at(200), at(320), 100).await.unwrap();
    assert_eq!((ids(&due), due[0].last_failure.clone()), (vec![2], Some(failed(false, "503", 131))));

    let (_, dead_before) = outbox.backlog().await.unwrap();
    assert_eq!(
        outbox.replay(&sink, &id(0), at(210)).await.unwrap(),
        0,
        "a delivery that was sent cannot be replayed"
    );
    assert_eq!(outbox.replay(&sink, &[], at(210)).await.unwrap(), 1);
    assert_eq!(outbox.backlog().await.unwrap().1, dead_before - 1);
    let due = outbox.claim(&sink, at(210), at(330), 100).await.unwrap();
    assert_eq!((ids(&due), due[0].attempts), (vec![3], 1));

    // Pages, and the deletion of deliveries that were sent.
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

async fn ordering_suite(outbox: Arc<dyn Outbox>) {
    let sink = uuid::Uuid::new_v4().simple().to_string();
    let all = [delivery(&sink, 1, 7), delivery(&sink, 2, 8), delivery(&sink, 3, 7)];
    outbox.enqueue(0, &all).await.unwrap();
    let first = outbox.claim(&sink, at(0), at(120), 1).await.unwrap();
    assert_eq!(first[0].event.sequence, 1);
    // A later event of the same ordering key does not overtake an earlier one; one of another key may.
    let second = outbox.claim(&sink, at(0), at(120), 10).await.unwrap();
    assert_eq!(second.iter().map(|due| due.event.sequence).collect::<Vec<_>>(), [2]);
    outbox
        .record_outcome(&[all[0].id.clone()], &DeliveryOutcome::Later(at(15), failed(false, "503", 1)), at(1))
        .await
        .unwrap();
    assert!(outbox.claim(&sink, at(14), at(120), 10).await.unwrap().is_empty());
    let third = outbox.claim(&sink, at(15), at(120), 10).await.unwrap();
    assert_eq!(third.iter().map(|due| due.event.sequence).collect::<Vec<_>>(), [1, 3]);
}

async fn ticket_suite(outbox: Arc<dyn Outbox>) {
    let sink = uuid::Uuid::new_v4().simple().to_string();
    assert_eq!(outbox.ticket(&sink, "k").await.unwrap(), None);
    outbox.open_ticket(&sink, "k", "NET-1", at(0)).await.unwrap();
    outbox.open_ticket(&sink, "k", "NET-1", at(1)).await.unwrap();
    assert_eq!(outbox.ticket(&sink, "k").await.unwrap().as_deref(), Some("NET-1"));
    outbox.close_ticket(&sink, "k").await.unwrap();
    outbox.close_ticket(&sink, "k").await.unwrap();
    assert_eq!(outbox.ticket(&sink, "k").await.unwrap(), None);
}

async fn all_suites(settings: LedgerSettings) {
    let outbox = ledger::open(&settings).await.unwrap().outbox;
    outbox_suite(outbox.clone()).await;
    ordering_suite(outbox.clone()).await;
    ticket_suite(outbox).await;
}

#[tokio::test]
async fn sqlite_keeps_deliveries() {
    let (_guard, path) = directory();
    all_suites(LedgerSettings::Sqlite(path.join("ledger.db"))).await;
}

#[tokio::test]
async fn a_real_postgresql_keeps_deliveries() {
    let name = "notify::a_real_postgresql_keeps_deliveries";
    let Some(url) = peers::variable(name, "LEASEHOLD_TEST_POSTGRES_URL", "a real PostgreSQL") else { return };
    all_suites(LedgerSettings::Postgres(secrecy::SecretString::from(url))).await;
}

/// How a receiver answers.
#[derive(Clone, Copy, Debug)]
enum Behaviour {
    Accepting,
    Failing,
    /// Asks to be left alone for this many seconds.
    Throttling(u64),
    /// Accepts the message and answers with an error.
    AcceptingWithError,
}

/// The receiver of a webhook. It keeps the ids of accepted messages in their order, and the time of every request.
struct Receiver {
    url: url::Url,
    behaviour: Arc<Mutex<Behaviour>>,
    accepted: Arc<Mutex<Vec<String>>>,
    requested: Arc<Mutex<Vec<Timestamp>>>,
}

impl Receiver {
    async fn listen(clock: Arc<SetClock>) -> Self {
        use leasehold::clock::Clock as _;
        let listener = tokio::net::TcpListener::bind(LOOPBACK).await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap()).parse().unwrap();
        let receiver = Self {
            url,
            behaviour: Arc::new(Mutex::new(Behaviour::Accepting)),
            accepted: Arc::default(),
            requested: Arc::default(),
        };
        let (behaviour, accepted, requested) =
            (receiver.behaviour.clone(), receiver.accepted.clone(), receiver.requested.clone());
        let hook = async move |headers: HeaderMap, _: Bytes| {
            requested.lock().unwrap().push(clock.now());
            let id = headers["webhook-id"].to_str().unwrap().to_owned();
            let none = HeaderMap::new();
            match *behaviour.lock().unwrap() {
                Behaviour::Accepting => {
                    accepted.lock().unwrap().push(id);
                    (StatusCode::OK, none)
                }
                Behaviour::AcceptingWithError => {
                    accepted.lock().unwrap().push(id);
                    (StatusCode::BAD_GATEWAY, none)
                }
                Behaviour::Failing => (StatusCode::SERVICE_UNAVAILABLE, none),
                Behaviour::Throttling(seconds) => {
                    let headers = HeaderMap::from_iter([("retry-after".parse().unwrap(), seconds.into())]);
                    (StatusCode::TOO_MANY_REQUESTS, headers)
                }
            }
        };
        let router = axum::Router::new().route("/hook", axum::routing::post(hook));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        receiver
    }

    fn set(&self, behaviour: Behaviour) {
        *self.behaviour.lock().unwrap() = behaviour;
    }

    fn accepted(&self) -> Vec<String> {
        self.accepted.lock().unwrap().clone()
    }

    fn requested(&self) -> Vec<Timestamp> {
        self.requested.lock().unwrap().clone()
    }
}

struct TestNotifier {
    clock: Arc<SetClock>,
    log: Arc<EventLog>,
    outbox: Arc<dyn Outbox>,
    receiver: Receiver,
    settings: NotifySettings,
    second: i64,
}

impl TestNotifier {
    async fn new() -> Self {
        let clock = SetClock::at(at(0));
        let ledger = ledger::open(&LedgerSettings::Temporary).await.unwrap();
        let log = EventLog::open(ledger.journal, clock.clone()).await.unwrap();
        let receiver = Receiver::listen(clock.clone()).await;
        let target = SinkTarget::Webhook { url: receiver.url.clone(), secrets: Vec::new() };
        let sinks = vec![SinkSettings { name: "hook".into(), target, allow_private: true }];
        let settings = NotifySettings { sinks, routes: Vec::new() };
        Self { clock, log, outbox: ledger.outbox, receiver, settings, second: 0 }
    }

    fn notifier(&self) -> Notifier {
        let (log, outbox) = (self.log.clone(), self.outbox.clone());
        Notifier::new(&self.settings, log, outbox, self.clock.clone()).unwrap()
    }

    /// Publishes that a lease comes within a threshold. Returns the id that its delivery must have.
    async fn publish_expiring(&self, id: u64) -> String {
        let reached = TermReached {
            prefix: prefix(id, "203.0.113.0/24", "", 0),
            which: TermDate::Expiry,
            date: "2027-06-01".parse().unwrap(),
            threshold: Threshold(14),
            days_left: 14,
        };
        let published = self.log.publish(&[DomainEvent::term(reached, at(self.second))]).await.unwrap();
        let epoch: String = self.log.token(0).epoch.chars().take(8).collect();
        format!("{epoch}-{}-hook", published[0].sequence)
    }

    /// Moves the clock on and runs both of the notifier's jobs once.
    async fn advance(&mut self, notifier: &Notifier, seconds: i64) {
        self.second += seconds;
        self.clock.set(at(self.second));
        notifier.route().await.unwrap();
        // A sink that fails is an error of `deliver`, and none of this test.
        let _ = notifier.deliver("hook").await;
    }
}

#[tokio::test]
async fn a_sink_that_is_down_for_an_hour_misses_nothing_and_receives_nothing_twice() {
    let mut random = StdRng::seed_from_u64(14);
    let mut test = TestNotifier::new().await;
    let mut notifier = test.notifier();
    let mut sent = Vec::new();
    for nth in 0..20 {
        sent.push(test.publish_expiring(nth).await);
        test.advance(&notifier, 1).await;
    }
    assert_eq!(test.receiver.accepted(), sent, "while the sink accepts, each event is sent at once");
    test.receiver.set(Behaviour::Failing);
    let down = test.second;
    let mut restarts = 0;
    while test.second < down + 3600 {
        if random.random_range(0..20) == 0 {
            sent.push(test.publish_expiring(1000 + sent.len() as u64).await);
        }
        // A restart: only the ledger remains.
        if random.random_range(0..600) == 0 {
            notifier = test.notifier();
            restarts += 1;
        }
        test.advance(&notifier, 1).await;
    }
    assert!(sent.len() > 100 && restarts > 2, "{} {restarts}", sent.len());
    assert_eq!(test.receiver.accepted().len(), 20);
    let requested = test.receiver.requested().len() - 20;
    // The waits are 15 s, 30 s and so on up to 30 min; after a restart the first request comes at once.
    assert!((5..60).contains(&requested), "{requested} requests in an hour of failures");
    assert!(notifier.sinks()[0].last_failure.as_ref().unwrap().message.contains("503"));

    test.receiver.set(Behaviour::Accepting);
    let up = test.second;
    while test.receiver.accepted().len() < sent.len() && test.second < up + 3600 {
        test.advance(&notifier, 10).await;
    }
    let mut accepted = test.receiver.accepted();
    accepted.sort_unstable();
    sent.sort_unstable();
    assert_eq!(accepted, sent, "each is sent once and none is missing");
    for _ in 0..1000 {
        test.advance(&notifier, 60).await;
    }
    assert_eq!(test.receiver.accepted().len(), sent.len(), "nothing is sent again after success");
    assert_eq!(test.outbox.backlog().await.unwrap(), (0, 0));
    assert_eq!(notifier.sinks()[0].last_failure, None);
}

#[tokio::test]
async fn a_sink_that_accepts_and_answers_with_an_error_receives_the_same_id_again() {
    let mut test = TestNotifier::new().await;
    let notifier = test.notifier();
    test.receiver.set(Behaviour::AcceptingWithError);
    let id = test.publish_expiring(1).await;
    test.advance(&notifier, 1).await;
    test.receiver.set(Behaviour::Accepting);
    test.advance(&notifier, 60).await;
    assert_eq!(test.receiver.accepted(), [id.clone(), id]);
}

#[tokio::test]
async fn a_sink_that_asks_to_wait_is_left_alone_for_that_long() {
    let mut test = TestNotifier::new().await;
    let notifier = test.notifier();
    test.receiver.set(Behaviour::Throttling(600));
    test.publish_expiring(1).await;
    test.advance(&notifier, 1).await;
    let requested = test.receiver.requested()[0];
    test.receiver.set(Behaviour::Accepting);
    while test.receiver.accepted().is_empty() {
        test.advance(&notifier, 1).await;
        assert!(test.second < 1000);
    }
    assert_eq!(test.receiver.requested(), [requested, requested + 600.seconds()]);
}

#[tokio::test]
async fn a_delivery_that_fails_for_days_is_dead_and_is_sent_when_replayed() {
    let mut test = TestNotifier::new().await;
    let notifier = test.notifier();
    test.receiver.set(Behaviour::Failing);
    let id = test.publish_expiring(1).await;
    for _ in 0..80 {
        test.advance(&notifier, 3600).await;
    }
    assert_eq!(test.outbox.backlog().await.unwrap(), (0, 1));
    let dead = ListDeliveries { state: Some(DeliveryState::Dead), limit: 10, ..ListDeliveries::default() };
    let dead = test.outbox.deliveries(&dead).await.unwrap();
    let failure = dead[0].last_failure.as_ref().unwrap();
    assert!(failure.message.starts_with("given up after"), "{failure:?}");
    assert!(!failure.refused);
    test.receiver.set(Behaviour::Accepting);
    test.advance(&notifier, 3600).await;
    assert!(test.receiver.accepted().is_empty());
    assert_eq!(notifier.replay("", std::slice::from_ref(&id)).await.unwrap(), 1);
    test.advance(&notifier, 1).await;
    assert_eq!(test.receiver.accepted(), [id]);
}

#[tokio::test]
async fn two_servers_with_one_ledger_send_each_event_once() {
    let mut test = TestNotifier::new().await;
    let (one, other) = (test.notifier(), test.notifier());
    let mut sent = Vec::new();
    for nth in 0..200 {
        sent.push(test.publish_expiring(nth).await);
    }
    test.second += 1;
    test.clock.set(at(test.second));
    let routed = tokio::join!(one.route(), other.route());
    assert!(routed.0.is_ok() && routed.1.is_ok());
    let (first, second) = tokio::join!(one.deliver("hook"), other.deliver("hook"));
    assert_eq!(first.unwrap() + second.unwrap(), 200);
    let mut accepted = test.receiver.accepted();
    accepted.sort_unstable();
    sent.sort_unstable();
    assert_eq!(accepted, sent);
}

#[tokio::test]
async fn events_go_to_the_sinks_that_routes_name() {
    let mut test = TestNotifier::new().await;
    let expired = NotificationRoute {
        kinds: [EventKind::LeaseExpired].into(),
        ..NotificationRoute::by_default("hook")
    };
    test.settings.routes = vec![expired];
    let notifier = test.notifier();
    test.publish_expiring(1).await;
    let mut domain_event = sample_event(at(0)).domain_event;
    domain_event.kind = EventKind::LeaseExpired;
    let published = test.log.publish(&[domain_event]).await.unwrap();
    test.advance(&notifier, 1).await;
    let accepted = test.receiver.accepted();
    assert_eq!(accepted.len(), 1);
    assert!(accepted[0].ends_with(&format!("-{}-hook", published[0].sequence)), "{accepted:?}");
    test.settings.routes = vec![NotificationRoute::by_default("nobody")];
    let error = Notifier::new(&test.settings, test.log.clone(), test.outbox.clone(), test.clock.clone());
    assert!(error.err().unwrap().to_string().contains("\"nobody\""));
}

#[tokio::test]
async fn many_events_at_once_are_one_message_to_a_channel() {
    let clock = SetClock::at(at(0));
    let ledger = ledger::open(&LedgerSettings::Temporary).await.unwrap();
    let log = EventLog::open(ledger.journal, clock.clone()).await.unwrap();
    let got: Arc<Mutex<Vec<serde_json::Value>>> = Arc::default();
    let listener = tokio::net::TcpListener::bind(LOOPBACK).await.unwrap();
    let url = format!("http://{}/services/T/B/x", listener.local_addr().unwrap());
    let kept = got.clone();
    let take =
        async move |axum::Json(message): axum::Json<serde_json::Value>| kept.lock().unwrap().push(message);
    let router = axum::Router::new().route("/services/T/B/x", axum::routing::post(take));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let target = SinkTarget::Slack { url: secrecy::SecretString::from(url) };
    let sinks = vec![SinkSettings { name: "channel".into(), target, allow_private: true }];
    let settings = NotifySettings { sinks, routes: Vec::new() };
    let notifier = Notifier::new(&settings, log.clone(), ledger.outbox, clock.clone()).unwrap();
    let reached: BTreeMap<u64, DomainEvent> = (0..300)
        .map(|id| {
            let mut domain_event = sample_event(at(0)).domain_event;
            if let Subject::Term(reached) = &mut domain_event.subject {
                reached.prefix = prefix(id + 1, "203.0.113.0/24", "", 0);
            }
            (id, domain_event)
        })
        .collect();
    let reached: Vec<DomainEvent> = reached.into_values().collect();
    assert_eq!(log.publish(&reached).await.unwrap().len(), 300);
    notifier.route().await.unwrap();
    clock.set(at(5));
    assert_eq!(notifier.deliver("channel").await.unwrap(), 300);
    let got = got.lock().unwrap();
    assert_eq!(got.len(), 1);
    assert_eq!(got[0]["text"], "300 events of leased address space");
}
