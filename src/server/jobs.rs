//! Step three of a start: every timed job, with its interval.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::FutureExt as _;
use jiff::Timestamp;
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;

use super::capabilities::Components;
use super::triggers::{self, NEW_LEASE_JOBS, POOLS_JOB, ROA_JOB};
use crate::allocation::Allocator;
use crate::config::Settings;
use crate::events::{EventLog, SyncWatch};
use crate::expiry::ExpiryEngine;
use crate::jobs::{AtStop, JobError, Leadership, Scheduler, Timing, Work};
use crate::ledger::Retention;
use crate::netbox::Client;
use crate::notify::Notifier;
use crate::rpc::{HealthReport, Problem};
use crate::rpki::Validator;
use crate::sync::Syncer;
use crate::telemetry;
use crate::validation::{BlockSelection, CheckRounds};

/// Intents whose outcome is unknown are settled.
const SETTLE_EVERY: Duration = Duration::from_secs(10);
/// Pools are filled, and what is too much is returned. What was handed out is completed at once.
const POOLS_EVERY: Duration = Duration::from_secs(5);
/// NetBox is asked whether allocation ids are unique there. Without that no write is served.
const FIELDS_EVERY: Duration = Duration::from_secs(30);
/// What NetBox takes to check an allocation id is measured: fourteen requests of ten addresses that it refuses.
const INDEX_EVERY: Duration = Duration::from_hours(1);
/// The states of grpc.health.v1 are reported.
const HEALTH_EVERY: Duration = Duration::from_millis(500);
/// The samples of histograms are drained. Until then they take memory, whether or not anybody scrapes the metrics.
const METRICS_UPKEEP_EVERY: Duration = Duration::from_secs(5);
/// The state of the sync is compared with the state that was last published as an event.
const SYNC_WATCH_EVERY: Duration = Duration::from_secs(1);
/// Events older than the retention are removed.
const COMPACT_EVERY: Duration = Duration::from_mins(10);
/// Leases are compared with the thresholds: a walk in memory, so a term that is shortened is noticed at once.
const EXPIRY_EVERY: Duration = Duration::from_secs(2);
/// New events are routed to sinks.
const ROUTE_EVERY: Duration = Duration::from_secs(1);
/// Deliveries that are due are sent.
const DELIVER_EVERY: Duration = Duration::from_secs(1);
/// Old deliveries, old intents, and addresses whose quarantine is over, are deleted from the ledger.
const PRUNE_EVERY: Duration = Duration::from_hours(1);
/// VRP documents are refreshed if they changed (by a file's date, a URL's ETag).
const VRP_REFRESH_EVERY: Duration = Duration::from_secs(15);
/// Blocks that were never checked are found. Events start these rounds earlier; the timer is for events that were missed.
const NEW_LEASES_EVERY: Duration = Duration::from_mins(10);
/// Verdicts that NetBox could not take are written back again. A run without any costs nothing.
const WRITE_BACK_EVERY: Duration = Duration::from_secs(30);
/// The deadline of a round whose sources answer from memory.
const LOCAL_ROUND: Duration = Duration::from_mins(15);
/// The deadline of a round that asks servers over the network for every block.
const NETWORK_ROUND: Duration = Duration::from_hours(4);

/// Jobs of version 0.1 that have another name since. TriggerCheck accepts the old name, too.
const RENAMED_JOBS: [(&str, &str); 5] = [
    ("allocation.wake", "allocation.end-quarantine"),
    ("expiry.look", "expiry.check"),
    ("notify.forget", "notify.prune"),
    ("rpki.look", "rpki.refresh"),
    ("validation.fold", "validation.write-back"),
];

/// Starts every job, and the triggers that start some of them early.
pub(super) fn start(
    settings: &Settings,
    components: &Components,
    health: Arc<HealthReport>,
    leadership: Option<watch::Receiver<Leadership>>,
    stop: &CancellationToken,
) -> Scheduler {
    let mut scheduler = Scheduler::new(components.clock.clone(), &RENAMED_JOBS);
    if let Some(leadership) = leadership {
        scheduler = scheduler.led_by(leadership);
    }
    sync_jobs(&scheduler, settings, components);
    validation_jobs(&scheduler, settings, components);
    event_jobs(&scheduler, settings, components);
    notification_jobs(&scheduler, components);
    upkeep_jobs(&scheduler, health);
    tokio::spawn(triggers::run(scheduler.clone(), components.clone(), stop.clone()));
    tokio::spawn(triggers::run_pools(scheduler.clone(), components.allocator.clone(), stop.clone()));
    scheduler
}

/// The work of a job that calls one method of a shared component.
fn work<S, T, E, F>(shared: &Arc<S>, run: impl Fn(Arc<S>) -> F + Send + Sync + 'static) -> Work
where
    S: Send + Sync + 'static,
    E: Into<Problem>,
    F: Future<Output = Result<T, E>> + Send + 'static,
{
    let shared = shared.clone();
    Arc::new(move || {
        let running = run(shared.clone());
        async move { running.await.map(drop).map_err(|error| JobError::from(error.into())) }.boxed()
    })
}

/// The same work, but for the run at the start of the server, which does nothing.
fn not_at_start(work: Work) -> Work {
    let first = AtomicBool::new(true);
    Arc::new(move || if first.swap(false, Ordering::Relaxed) { async { Ok(()) }.boxed() } else { work() })
}

/// Follows NetBox, and settles what was begun there.
fn sync_jobs(scheduler: &Scheduler, settings: &Settings, components: &Components) {
    let poll = |syncer: Arc<Syncer>| async move { syncer.poll().await };
    scheduler.add("sync.poll", settings.poll, work(&components.syncer, poll));
    // At the start the poll makes a full pass by itself where one is needed.
    let full = |syncer: Arc<Syncer>| async move { syncer.full_pass("on its timer, or asked for").await };
    scheduler.add("sync.full", settings.full_pass, not_at_start(work(&components.syncer, full)));
    let settle = |allocator: Arc<Allocator>| async move { allocator.recover().await };
    scheduler.add_for_all("allocation.settle", SETTLE_EVERY, work(&components.allocator, settle));
    let check_fields = |allocator: Arc<Allocator>| async move { allocator.check_served().await };
    scheduler.add("allocation.check-fields", FIELDS_EVERY, work(&components.allocator, check_fields));
    // At the start NetBox has enough to do.
    let measure = |client: Arc<Client>| async move { client.measure_unique_check().await };
    let client = Arc::new(components.client.clone());
    scheduler.add("allocation.check-index", INDEX_EVERY, not_at_start(work(&client, measure)));
    let pools = |allocator: Arc<Allocator>| async move { allocator.keep_pools().await };
    scheduler.add(POOLS_JOB, POOLS_EVERY, work(&components.allocator, pools));
    let keep = settings.keep_intents;
    let prune = move |allocator: Arc<Allocator>| async move { allocator.prune(keep).await };
    scheduler.add_for_all("allocation.prune", PRUNE_EVERY, work(&components.allocator, prune));
    let end_quarantine = |allocator: Arc<Allocator>| async move { allocator.end_quarantine().await };
    // Everywhere, because each server keeps the quarantine in memory too.
    scheduler.add("allocation.end-quarantine", PRUNE_EVERY, work(&components.allocator, end_quarantine));
}

/// Checks leased blocks: every block in turn, and blocks that were just leased without waiting for their turn.
fn validation_jobs(scheduler: &Scheduler, settings: &Settings, components: &Components) {
    let every = &settings.checks.validation;
    let within = |every: Duration, deadline: Duration| Timing {
        every,
        deadline: deadline.max(every),
        at_stop: AtStop::Cancel,
    };
    let refresh = |validator: Arc<Validator>| async move { validator.refresh().await };
    scheduler.add(
        "rpki.refresh",
        within(VRP_REFRESH_EVERY, LOCAL_ROUND),
        work(&components.validator, refresh),
    );
    let roa = |scope: BlockSelection| move |checks: Arc<CheckRounds>| async move { checks.roa(scope).await };
    let irr = |scope: BlockSelection| move |checks: Arc<CheckRounds>| async move { checks.irr(scope).await };
    let reputation =
        |scope: BlockSelection| move |checks: Arc<CheckRounds>| async move { checks.reputation(scope).await };
    let checks = &components.checks;
    scheduler.add_for_all(
        ROA_JOB,
        within(every.roa_every, LOCAL_ROUND),
        work(checks, roa(BlockSelection::All)),
    );
    scheduler.add_for_all(
        "validation.irr",
        within(every.irr_every, NETWORK_ROUND),
        work(checks, irr(BlockSelection::All)),
    );
    scheduler.add_for_all(
        "validation.reputation",
        within(every.reputation_every, NETWORK_ROUND),
        work(checks, reputation(BlockSelection::All)),
    );
    // One job a kind of check: a new block waits for the rounds of its own kind and for no other.
    let [new_roa, new_irr, new_reputation] = NEW_LEASE_JOBS;
    scheduler.add_for_all(
        new_roa,
        within(NEW_LEASES_EVERY, LOCAL_ROUND),
        work(checks, roa(BlockSelection::New)),
    );
    scheduler.add_for_all(
        new_irr,
        within(NEW_LEASES_EVERY, NETWORK_ROUND),
        work(checks, irr(BlockSelection::New)),
    );
    scheduler.add_for_all(
        new_reputation,
        within(NEW_LEASES_EVERY, NETWORK_ROUND),
        work(checks, reputation(BlockSelection::New)),
    );
    let write_back = |checks: Arc<CheckRounds>| async move { checks.write_back().await };
    scheduler.add_for_all(
        "validation.write-back",
        within(WRITE_BACK_EVERY, LOCAL_ROUND),
        work(checks, write_back),
    );
}

/// Publishes what no write to the cache publishes (the sync, expiry) and keeps the log to its retention.
fn event_jobs(scheduler: &Scheduler, settings: &Settings, components: &Components) {
    let watch = Arc::new(Mutex::new(SyncWatch::default()));
    let (cache, log, clock) = (components.cache.clone(), components.log.clone(), components.clock.clone());
    let publish_sync = move |watch: Arc<Mutex<SyncWatch>>| {
        let (cache, log, clock) = (cache.clone(), log.clone(), clock.clone());
        async move {
            let mut watch = watch.lock().await;
            let mut next = *watch;
            if let Some(kind) = next.observe(cache.freshness().is_live(), clock.now()) {
                let reason = cache.freshness().last_error().to_string();
                log.publish_sync(kind, reason).await?;
            }
            // Only after the event is in the log: one that could not be written is tried again by the next run.
            *watch = next;
            Ok::<_, crate::events::Error>(())
        }
    };
    scheduler.add("events.sync", SYNC_WATCH_EVERY, work(&watch, publish_sync));
    let (clock, keep) = (components.clock.clone(), settings.events);
    let compact = move |log: Arc<EventLog>| {
        let before = clock.now().checked_sub(keep.retention).unwrap_or(Timestamp::MIN);
        let retention = Retention { before, at_most: keep.max_events };
        async move { log.journal().compact(retention).await }
    };
    scheduler.add_for_all("events.compact", COMPACT_EVERY, work(&components.log, compact));
    let expiry = |engine: Arc<ExpiryEngine>| async move { engine.check().await };
    scheduler.add_for_all("expiry.check", EXPIRY_EVERY, work(&components.engine, expiry));
}

/// Routes events to sinks and delivers them.
fn notification_jobs(scheduler: &Scheduler, components: &Components) {
    // This job also runs without a sink, because the log is compacted only as far as it has been routed.
    let route = |notifier: Arc<Notifier>| async move { notifier.route().await };
    scheduler.add_for_all("notify.route", ROUTE_EVERY, work(&components.notifier, route));
    let prune = |notifier: Arc<Notifier>| async move { notifier.forget().await };
    scheduler.add_for_all("notify.prune", PRUNE_EVERY, work(&components.notifier, prune));
    // One job a sink: a sink that hangs delays no other, and status shows which one fails.
    for sink in components.notifier.sinks() {
        let name = sink.name.clone();
        let deliver = move |notifier: Arc<Notifier>| {
            let name = name.clone();
            async move { notifier.deliver(&name).await }
        };
        scheduler.add_for_all(
            format!("notify.deliver.{}", sink.name),
            DELIVER_EVERY,
            work(&components.notifier, deliver),
        );
    }
}

/// Looks after the process itself: its metrics and its health.
fn upkeep_jobs(scheduler: &Scheduler, health: Arc<HealthReport>) {
    let upkeep = || async {
        if let Some(metrics) = telemetry::metrics() {
            metrics.run_upkeep();
        }
        Ok(())
    };
    scheduler.add("metrics.upkeep", METRICS_UPKEEP_EVERY, Arc::new(move || upkeep().boxed()));
    let report = move || {
        let health = health.clone();
        async move {
            health.update().await;
            Ok(())
        }
        .boxed()
    };
    scheduler.add("health", HEALTH_EVERY, Arc::new(report));
}
