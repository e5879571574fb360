//! Writes a delivery for each event and each sink that wants it, and sends the deliveries that are due.

use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use metrics::counter;
use tokio::sync::Mutex;

use super::alertmanager::Alertmanager;
use super::email::Email;
use super::error::{Error, NotifySettingsError};
use super::notification::Notification;
use super::policy;
use super::route::NotificationRoute;
use super::sample::sample_event;
use super::settings::{NotifySettings, SinkSettings, SinkTarget};
use super::sink::{DeliveryFailure, Sink, SinkKind};
use super::slack::Slack;
use super::ticket::Ticket;
use super::webhook::Webhook;
use crate::clock::Clock;
use crate::events::EventLog;
use crate::ledger::{Delivery, DeliveryOutcome, DeliveryState, Outbox};
use crate::model::Failure;

/// Events for which deliveries are written in one transaction.
const ROUTED_PER_TRANSACTION: u32 = 500;
/// A delivery that was claimed is not given to another server for this long, which is longer than any attempt takes.
const CLAIM: Duration = Duration::from_mins(2);
/// Deliveries that were sent stay in the ledger for this long, for people who ask about them.
const KEEP_SENT: Duration = Duration::from_hours(30 * 24);

/// A sink with its routes and its condition.
struct ConfiguredSink {
    sink: Box<dyn Sink>,
    routes: Vec<NotificationRoute>,
    /// Held while deliveries are claimed and sent, across the requests to the sink: it receives one message at a time.
    sending: Mutex<()>,
    /// Written while `sending` is held, and by a replay. Never held across an await.
    health: std::sync::Mutex<SinkHealth>,
}

/// Whether a sink accepts messages, as far as this server has seen.
#[derive(Clone, Debug, Default)]
struct SinkHealth {
    /// No message is sent before this instant: the sink's least interval, or the wait after a failure.
    not_before: Timestamp,
    /// Failures in a row.
    failures: u32,
    /// Why the last message failed; `None` if it was sent.
    last_failure: Option<Failure>,
}

impl ConfiguredSink {
    fn health(&self) -> MutexGuard<'_, SinkHealth> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A sink and its condition, as NotificationService lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkState {
    pub name: String,
    pub kind: SinkKind,
    /// Why the last message failed; `None` if it was sent.
    pub last_failure: Option<Failure>,
}

/// Routes events to sinks through the ledger's outbox.
pub struct Notifier {
    log: Arc<EventLog>,
    outbox: Arc<dyn Outbox>,
    clock: Arc<dyn Clock>,
    sinks: BTreeMap<String, ConfiguredSink>,
    /// The first digits of the log's epoch. They begin every delivery's id, so that two logs never have the same id.
    epoch: String,
    /// Held while events are routed: a second run at the same time would only do the same work again.
    routing: Mutex<()>,
}

impl Notifier {
    /// A notifier with the sinks of the settings. Fails if a sink cannot be made, or a route leads to no sink.
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
            let mut routes: Vec<NotificationRoute> =
                settings.routes.iter().filter(|route| route.sink == sink.name).cloned().collect();
            if routes.is_empty() {
                routes.push(NotificationRoute::by_default(&sink.name));
            }
            let configured = ConfiguredSink {
                sink: built,
                routes,
                sending: Mutex::default(),
                health: std::sync::Mutex::default(),
            };
            sinks.insert(sink.name.clone(), configured);
        }
        if let Some(route) = settings.routes.iter().find(|route| !sinks.contains_key(&route.sink)) {
            return Err(Error::NoSuchSink(route.sink.clone()));
        }
        Ok(Self { log, outbox, clock, sinks, epoch, routing: Mutex::new(()) })
    }

    /// The sinks, by name.
    pub fn sinks(&self) -> Vec<SinkState> {
        let state = |(name, configured): (&String, &ConfiguredSink)| SinkState {
            name: name.clone(),
            kind: configured.sink.kind(),
            last_failure: configured.health().last_failure.clone(),
        };
        self.sinks.iter().map(state).collect()
    }

    /// The outbox, for methods that show its deliveries.
    pub fn outbox(&self) -> &Arc<dyn Outbox> {
        &self.outbox
    }

    /// Writes a delivery for each event and each sink that wants it, up to the end of the log. Deliveries and the position in the
    /// log are written in one transaction, so an event is routed once, and none is left out.
    pub async fn route(&self) -> Result<(), Error> {
        let _guard = self.routing.lock().await;
        let mut routed = self.log.journal().extent().await?.routed;
        loop {
            let events = self.log.journal().read(routed, ROUTED_PER_TRANSACTION).await?;
            let Some(last) = events.last() else { return Ok(()) };
            let (now, through) = (self.clock.now(), last.sequence);
            let mut deliveries = Vec::new();
            for event in events {
                for (name, configured) in &self.sinks {
                    let keeps_open = configured.sink.keeps_open();
                    if !configured.routes.iter().any(|route| route.takes(&event.domain_event, keeps_open)) {
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
                        last_failure: None,
                    });
                }
            }
            self.outbox.enqueue(through, &deliveries).await?;
            routed = through;
        }
    }

    /// Sends the deliveries of a sink that are due, and returns how many were sent. After a failure the sink is left alone for a
    /// while, in which this returns [`Error::SinkFailing`].
    pub async fn deliver(&self, name: &str) -> Result<usize, Error> {
        let configured = self.sinks.get(name).ok_or_else(|| Error::NoSuchSink(name.to_owned()))?;
        let _guard = configured.sending.lock().await;
        let mut sent = 0;
        loop {
            let now = self.clock.now();
            let health = configured.health().clone();
            if now < health.not_before {
                return match health.last_failure {
                    Some(failure) => {
                        Err(Error::SinkFailing { sink: name.to_owned(), reason: failure.message })
                    }
                    None => Ok(sent),
                };
            }
            let until = now.checked_add(CLAIM).unwrap_or(Timestamp::MAX);
            let claimed = self.outbox.claim(name, now, until, configured.sink.batch_size()).await?;
            if claimed.is_empty() {
                return Ok(sent);
            }
            sent += self.send(name, configured, claimed, now, health.failures).await?;
        }
    }

    /// Sends claimed deliveries as one message and records the outcome. Returns how many were sent. If the ledger fails after the
    /// message was sent, the deliveries are due again after the claim and are sent again under the same ids.
    async fn send(
        &self,
        name: &str,
        configured: &ConfiguredSink,
        claimed: Vec<Delivery>,
        now: Timestamp,
        failures: u32,
    ) -> Result<usize, Error> {
        let ids: Vec<String> = claimed.iter().map(|delivery| delivery.id.clone()).collect();
        let (attempts, created): (Vec<u32>, Vec<Timestamp>) =
            claimed.iter().map(|delivery| (delivery.attempts, delivery.created)).unzip();
        let notifications: Vec<Notification> = claimed.into_iter().map(Notification::from).collect();
        let count = |outcome: &'static str| {
            counter!("leasehold_deliveries_total", "sink" => name.to_owned(), "outcome" => outcome)
                .increment(ids.len() as u64);
        };
        let failure = match configured.sink.send(&notifications, now).await {
            Ok(()) => {
                self.outbox.record_outcome(&ids, &DeliveryOutcome::Sent, now).await?;
                count("sent");
                let not_before = now.checked_add(configured.sink.min_interval()).unwrap_or(Timestamp::MAX);
                *configured.health() = SinkHealth { not_before, ..SinkHealth::default() };
                return Ok(ids.len());
            }
            Err(failure) => failure,
        };
        tracing::warn!(sink = name, deliveries = ids.len(), reason = failure.reason(), "a delivery failed");
        for ((id, attempts), created) in ids.iter().zip(&attempts).zip(&created) {
            let outcome = policy::outcome(&failure, *attempts, *created, now);
            self.outbox.record_outcome(std::slice::from_ref(id), &outcome, now).await?;
        }
        count("failed");
        let last_failure = Some(Failure::new(failure.code(), failure.reason()).at(now));
        // A permanent failure is about this message, and says nothing of the next one.
        configured.health().last_failure.clone_from(&last_failure);
        if let DeliveryFailure::Transient { retry_after, .. } = failure {
            let failures = failures.saturating_add(1);
            let wait = retry_after.unwrap_or_default().max(policy::backoff(failures));
            let not_before = now.checked_add(wait).unwrap_or(Timestamp::MAX);
            *configured.health() = SinkHealth { not_before, failures, last_failure };
        }
        Ok(0)
    }

    /// Sends the sample event to a sink, without the outbox. `None` if there is no sink of that name.
    pub async fn test(&self, name: &str) -> Option<Result<(), DeliveryFailure>> {
        let configured = self.sinks.get(name)?;
        let now = self.clock.now();
        let id = format!("test-{}", uuid::Uuid::new_v4().simple());
        let notification = Notification { id, event: sample_event(now) };
        Some(configured.sink.send(&[notification], now).await)
    }

    /// Deletes the deliveries from the ledger that were sent more than 30 days ago.
    pub async fn forget(&self) -> Result<(), Error> {
        let before = self.clock.now().checked_sub(KEEP_SENT).unwrap_or(Timestamp::MIN);
        Ok(self.outbox.forget_sent(before).await?)
    }

    /// Makes dead deliveries wait again (see [`Outbox::replay`]) and returns how many there were. They are sent at the next run,
    /// even to a sink that was being left alone: a person who replays has repaired it.
    pub async fn replay(&self, sink: &str, ids: &[String]) -> Result<u64, Error> {
        let replayed = self.outbox.replay(sink, ids, self.clock.now()).await?;
        for (name, configured) in &self.sinks {
            if sink.is_empty() || sink == name {
                configured.health().not_before = Timestamp::default();
            }
        }
        Ok(replayed)
    }
}

fn build(
    settings: &SinkSettings,
    outbox: &Arc<dyn Outbox>,
    epoch: &str,
) -> Result<Box<dyn Sink>, NotifySettingsError> {
    let private = settings.allow_private;
    Ok(match &settings.target {
        SinkTarget::Slack { url } => Box::new(Slack::new(url, private)?),
        SinkTarget::Webhook { url, secrets } => Box::new(Webhook::new(url, secrets, private, epoch)?),
        SinkTarget::Email(mail) => Box::new(Email::new(mail, private)?),
        SinkTarget::Alertmanager { url, token } => Box::new(Alertmanager::new(url, token.as_ref(), private)?),
        SinkTarget::Ticket(ticket) => Box::new(Ticket::new(&settings.name, ticket, private, outbox.clone())?),
    })
}
