//! Routes what happened, and sends what is due.

use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use metrics::counter;
use tokio::sync::Mutex;

use super::alertmanager::Alertmanager;
use super::email::Email;
use super::message::{Note, sample};
use super::policy;
use super::route::Route;
use super::settings::{NotifySettings, SettingsError, SinkSettings, Target};
use super::sink::{Failure, Sink};
use super::slack::Slack;
use super::ticket::Ticket;
use super::webhook::Webhook;
use crate::clock::Clock;
use crate::events::EventLog;
use crate::ledger::{self, Delivery, DeliveryState, Outbox, Outcome};

/// Events routed in one transaction.
const AT_ONCE: u32 = 500;
/// For so long a delivery that was claimed belongs to the server that did: longer than any try takes.
const CLAIM: Duration = Duration::from_mins(2);
/// What was sent is remembered for so long, for people who ask.
const REMEMBER: Duration = Duration::from_hours(30 * 24);

/// Notifications cannot be set up, or not be kept.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A sink cannot be made of its settings.
    #[error("sink {name}: {source}")]
    Sink {
        /// Its name.
        name: String,
        /// Why.
        source: SettingsError,
    },
    /// A route leads to no sink.
    #[error("a route leads to {0:?}, which is no sink")]
    NoSuchSink(String),
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    /// A sink does not take what is sent; it is tried again by itself.
    #[error("{sink} does not take deliveries: {why}")]
    Trouble {
        /// Its name.
        sink: String,
        /// What it said last.
        why: String,
    },
}

struct Built {
    sink: Box<dyn Sink>,
    routes: Vec<Route>,
    /// Held for as long as the sink is spoken to: one conversation at a time.
    talking: Mutex<()>,
    manner: std::sync::Mutex<Manner>,
}

/// How a sink does.
#[derive(Clone, Debug, Default)]
struct Manner {
    /// Not before this: its own pace, or its trouble.
    not_before: Timestamp,
    /// How often it has failed in a row.
    failures: u32,
    /// What it said last, if it failed.
    trouble: Option<String>,
}

impl Built {
    fn manner(&self) -> MutexGuard<'_, Manner> {
        self.manner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A sink, as people ask for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkState {
    /// Its name.
    pub name: String,
    /// What it is. Example: `slack`.
    pub kind: &'static str,
    /// What it said last, if it failed.
    pub trouble: Option<String>,
}

/// Routes what happened, and sends what is due.
pub struct Notifier {
    log: Arc<EventLog>,
    outbox: Arc<dyn Outbox>,
    clock: Arc<dyn Clock>,
    sinks: BTreeMap<String, Built>,
    /// First letters of the log's epoch: ids of deliveries of two logs never meet.
    epoch: String,
    /// Held while events are routed: two that route at once would only do it twice.
    routing: Mutex<()>,
}

impl Notifier {
    /// A notifier with these sinks.
    pub fn new(
        settings: &NotifySettings,
        log: Arc<EventLog>,
        outbox: Arc<dyn Outbox>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        let epoch: String = log.token(0).epoch.chars().take(8).collect();
        let mut sinks = BTreeMap::new();
        for sink in &settings.sinks {
            let built = build(sink, &outbox, &log.token(0).epoch);
            let built = built.map_err(|source| Error::Sink { name: sink.name.clone(), source })?;
            let mut routes: Vec<Route> =
                settings.routes.iter().filter(|route| route.sink == sink.name).cloned().collect();
            if routes.is_empty() {
                routes.push(Route::by_default(&sink.name));
            }
            let built =
                Built { sink: built, routes, talking: Mutex::default(), manner: std::sync::Mutex::default() };
            sinks.insert(sink.name.clone(), built);
        }
        if let Some(route) = settings.routes.iter().find(|route| !sinks.contains_key(&route.sink)) {
            return Err(Error::NoSuchSink(route.sink.clone()));
        }
        Ok(Self { log, outbox, clock, sinks, epoch, routing: Mutex::new(()) })
    }

    /// The sinks, by name.
    pub fn sinks(&self) -> Vec<SinkState> {
        let state = |(name, built): (&String, &Built)| SinkState {
            name: name.clone(),
            kind: built.sink.kind(),
            trouble: built.manner().trouble.clone(),
        };
        self.sinks.iter().map(state).collect()
    }

    /// The outbox, for those who ask about it.
    pub fn outbox(&self) -> &Arc<dyn Outbox> {
        &self.outbox
    }

    /// Writes a delivery for each event and each sink that wants it, up to the end of the log.
    pub async fn route(&self) -> Result<(), Error> {
        let _one = self.routing.lock().await;
        let mut routed = self.log.journal().extent().await?.routed;
        loop {
            let events = self.log.journal().read(routed, AT_ONCE).await?;
            let Some(last) = events.last() else { return Ok(()) };
            let (now, upto) = (self.clock.now(), last.sequence);
            let mut deliveries = Vec::new();
            for event in events {
                for (name, built) in &self.sinks {
                    let takes_back = built.sink.takes_back();
                    if !built.routes.iter().any(|route| route.takes(&event.happening, takes_back)) {
                        continue;
                    }
                    deliveries.push(Delivery {
                        id: format!("{}-{}-{name}", self.epoch, event.sequence),
                        sink: name.clone(),
                        event: event.clone(),
                        state: DeliveryState::Waiting,
                        attempts: 0,
                        due: now,
                        created: now,
                        updated: now,
                        error: String::new(),
                    });
                }
            }
            self.outbox.route(upto, &deliveries).await?;
            routed = upto;
        }
    }

    /// Sends what is due to a sink; how many deliveries were made. A sink that fails is left alone for a while, and says so
    /// until it works again.
    pub async fn deliver(&self, name: &str) -> Result<usize, Error> {
        let built = self.sinks.get(name).ok_or_else(|| Error::NoSuchSink(name.to_owned()))?;
        let _one = built.talking.lock().await;
        let mut made = 0;
        loop {
            let now = self.clock.now();
            let manner = built.manner().clone();
            if now < manner.not_before {
                return match manner.trouble {
                    Some(why) => Err(Error::Trouble { sink: name.to_owned(), why }),
                    None => Ok(made),
                };
            }
            let until = now.checked_add(CLAIM).unwrap_or(Timestamp::MAX);
            let claimed = self.outbox.claim(name, now, until, built.sink.batch()).await?;
            if claimed.is_empty() {
                return Ok(made);
            }
            let ids: Vec<String> = claimed.iter().map(|delivery| delivery.id.clone()).collect();
            let (tries, created): (Vec<u32>, Vec<Timestamp>) =
                claimed.iter().map(|delivery| (delivery.attempts, delivery.created)).unzip();
            let notes: Vec<Note> = claimed.into_iter().map(Note::from).collect();
            let outcome = built.sink.send(&notes, now).await;
            let count = |outcome: &'static str| {
                counter!("leasehold_deliveries_total", "sink" => name.to_owned(), "outcome" => outcome)
                    .increment(ids.len() as u64);
            };
            match outcome {
                Ok(()) => {
                    self.outbox.settle(&ids, &Outcome::Sent, now).await?;
                    count("sent");
                    made += ids.len();
                    let not_before = now.checked_add(built.sink.pace()).unwrap_or(Timestamp::MAX);
                    *built.manner() = Manner { not_before, ..Manner::default() };
                }
                Err(failure) => {
                    tracing::warn!(
                        sink = name,
                        deliveries = ids.len(),
                        why = failure.why(),
                        "a delivery failed"
                    );
                    for ((id, tries), created) in ids.iter().zip(&tries).zip(&created) {
                        let outcome = policy::after(&failure, *tries, *created, now);
                        self.outbox.settle(std::slice::from_ref(id), &outcome, now).await?;
                    }
                    count("failed");
                    // A refusal is about what was sent, and says nothing of the next.
                    if let Failure::Later { why, after } = failure {
                        let failures = manner.failures.saturating_add(1);
                        let wait = after.unwrap_or_default().max(policy::wait(failures));
                        let not_before = now.checked_add(wait).unwrap_or(Timestamp::MAX);
                        *built.manner() = Manner { not_before, failures, trouble: Some(why) };
                    }
                }
            }
        }
    }

    /// Sends a sample to a sink, past the outbox. `None` if there is no such sink.
    pub async fn test(&self, name: &str) -> Option<Result<(), Failure>> {
        let built = self.sinks.get(name)?;
        let now = self.clock.now();
        let id = format!("test-{}", uuid::Uuid::new_v4().simple());
        let note = Note { id, tried: 0, event: sample(now) };
        Some(built.sink.send(&[note], now).await)
    }

    /// Forgets what was sent long ago.
    pub async fn forget(&self) -> Result<(), Error> {
        let before = self.clock.now().checked_sub(REMEMBER).unwrap_or(Timestamp::MIN);
        Ok(self.outbox.forget_sent(before).await?)
    }

    /// Makes dead deliveries wait again.
    pub async fn replay(&self, sink: &str, ids: &[String]) -> Result<u64, Error> {
        let replayed = self.outbox.replay(sink, ids, self.clock.now()).await?;
        // Whoever replays has mended something: there is no reason to wait any longer.
        for (name, built) in &self.sinks {
            if sink.is_empty() || sink == name {
                built.manner().not_before = Timestamp::default();
            }
        }
        Ok(replayed)
    }
}

fn build(
    settings: &SinkSettings,
    outbox: &Arc<dyn Outbox>,
    epoch: &str,
) -> Result<Box<dyn Sink>, SettingsError> {
    let private = settings.allow_private;
    Ok(match &settings.target {
        Target::Slack { url } => Box::new(Slack::new(url, private)?),
        Target::Webhook { url, secrets } => Box::new(Webhook::new(url, secrets, private, epoch)?),
        Target::Email(mail) => Box::new(Email::new(mail, private)?),
        Target::Alertmanager { url, token } => Box::new(Alertmanager::new(url, token.as_ref(), private)?),
        Target::Ticket(ticket) => Box::new(Ticket::new(&settings.name, ticket, private, outbox.clone())?),
    })
}
