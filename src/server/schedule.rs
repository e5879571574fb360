//! Everything that is done on a timer.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::FutureExt as _;
use jiff::Timestamp;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tonic_health::server::HealthReporter;

use crate::allocation::Allocator;
use crate::cache::Cache;
use crate::clock::Clock;
use crate::config::Settings;
use crate::events::{EventLog, Filter, SyncWatch, Told, Watch};
use crate::expiry::Engine;
use crate::jobs::{Scheduler, Timing, Work};
use crate::ledger::Retention;
use crate::model::EventKind;
use crate::notify::Notifier;
use crate::rpc::report_health;
use crate::rpki::Validator;
use crate::sync::Syncer;
use crate::telemetry;
use crate::validation::{Checks, Scope};

/// How often an intent that stayed open is settled, and health is told anew.
const SETTLE_EVERY: Duration = Duration::from_secs(10);
const HEALTH_EVERY: Duration = Duration::from_millis(500);
/// How often the samples of histograms are drained: whether or not anybody scrapes them, they take memory until then.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);
/// How often it is looked whether NetBox is still followed, and what retention lets go.
const SYNC_WATCH_EVERY: Duration = Duration::from_secs(1);
const COMPACT_EVERY: Duration = Duration::from_mins(10);
/// How often it is looked which leases run out: a walk in memory, so that a term that is shortened is told at once.
const EXPIRY_EVERY: Duration = Duration::from_secs(2);
/// How often new events are routed and what is due is sent; and what was sent long ago is forgotten.
const ROUTE_EVERY: Duration = Duration::from_secs(1);
const DELIVER_EVERY: Duration = Duration::from_secs(1);
const FORGET_EVERY: Duration = Duration::from_hours(1);
/// How often documents of VRPs are looked at (a file's date, a URL's tag), and blocks are looked for that were never checked.
const LOOK_EVERY: Duration = Duration::from_secs(15);
const NEW_EVERY: Duration = Duration::from_mins(10);
/// How often what NetBox could not take is written again; nothing is done where there is nothing.
const FOLD_EVERY: Duration = Duration::from_secs(30);
/// How long a round may take whose sources answer from memory, or over the network.
const ROUND: Duration = Duration::from_mins(15);
const LONG_ROUND: Duration = Duration::from_hours(4);
/// Jobs that events start.
const ROA_JOB: &str = "validation.roa";
const NEW_JOBS: [&str; 3] = ["validation.new-roa", "validation.new-irr", "validation.new-reputation"];
/// How long a burst of changes is waited out.
const SETTLE_DOWN: Duration = Duration::from_millis(500);
const BOOKMARKS: Duration = Duration::from_hours(1);

/// What has work to do.
pub(super) struct Works {
    pub(super) syncer: Arc<Syncer>,
    pub(super) allocator: Arc<Allocator>,
    pub(super) cache: Arc<Cache>,
    pub(super) log: Arc<EventLog>,
    pub(super) engine: Arc<Engine>,
    pub(super) notifier: Arc<Notifier>,
    pub(super) validator: Arc<Validator>,
    pub(super) checks: Arc<Checks>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) health: HealthReporter,
}

/// A job's work out of something shared and what is done with it.
fn work<S, T, E, F>(shared: &Arc<S>, run: impl Fn(Arc<S>) -> F + Send + Sync + 'static) -> Work
where
    S: Send + Sync + 'static,
    E: ToString,
    F: Future<Output = Result<T, E>> + Send + 'static,
{
    let shared = shared.clone();
    Arc::new(move || {
        let running = run(shared.clone());
        async move { running.await.map(drop).map_err(|error| error.to_string()) }.boxed()
    })
}

/// Adds every job.
pub(super) fn schedule(scheduler: &Scheduler, settings: &Settings, works: &Works) {
    follow(scheduler, settings, works);
    check(scheduler, settings, works);
    tell(scheduler, settings, works);
    let upkeep = || async {
        if let Some(metrics) = telemetry::metrics() {
            metrics.run_upkeep();
        }
        Ok(())
    };
    scheduler.add("metrics.upkeep", UPKEEP_EVERY, Arc::new(move || upkeep().boxed()));
    let (health, cache, allocator) = (works.health.clone(), works.cache.clone(), works.allocator.clone());
    scheduler.add(
        "health",
        HEALTH_EVERY,
        Arc::new(move || {
            let (health, cache, allocator) = (health.clone(), cache.clone(), allocator.clone());
            async move {
                report_health(&health, &cache, &allocator).await;
                Ok(())
            }
            .boxed()
        }),
    );
}

/// Keeps what NetBox says, and what was begun there.
fn follow(scheduler: &Scheduler, settings: &Settings, works: &Works) {
    scheduler.add(
        "sync.poll",
        settings.poll,
        work(&works.syncer, |syncer| async move { syncer.poll().await }),
    );
    let first = Arc::new(AtomicBool::new(true));
    let full = move |syncer: Arc<Syncer>| {
        // The first run, at start, is left to the poll: it makes a full pass only where one is needed.
        let at_start = first.swap(false, Ordering::Relaxed);
        async move { if at_start { Ok(()) } else { syncer.full_pass("on its timer, or asked for").await } }
    };
    scheduler.add("sync.full", settings.full_pass, work(&works.syncer, full));
    scheduler.add(
        "allocation.settle",
        SETTLE_EVERY,
        work(&works.allocator, |allocator| async move { allocator.settle().await }),
    );
}

/// Checks leased blocks.
fn check(scheduler: &Scheduler, settings: &Settings, works: &Works) {
    let every = &settings.checks.validation;
    let within = |every: Duration, deadline: Duration| Timing {
        every,
        deadline: deadline.max(every),
        cut_at_stop: true,
    };
    let look = |validator: Arc<Validator>| async move { validator.look().await };
    scheduler.add("rpki.look", within(LOOK_EVERY, ROUND), work(&works.validator, look));
    let roa = |checks: Arc<Checks>| async move { checks.roa(Scope::All).await };
    scheduler.add(ROA_JOB, within(every.roa_every, ROUND), work(&works.checks, roa));
    let irr = |checks: Arc<Checks>| async move { checks.irr(Scope::All).await };
    scheduler.add("validation.irr", within(every.irr_every, LONG_ROUND), work(&works.checks, irr));
    let reputation = |checks: Arc<Checks>| async move { checks.reputation(Scope::All).await };
    scheduler.add(
        "validation.reputation",
        within(every.reputation_every, LONG_ROUND),
        work(&works.checks, reputation),
    );
    // A job for each: new blocks wait for a round of their own kind, and for no other.
    let [new_roa, new_irr, new_reputation] = NEW_JOBS;
    let roa = |checks: Arc<Checks>| async move { checks.roa(Scope::New).await };
    scheduler.add(new_roa, within(NEW_EVERY, ROUND), work(&works.checks, roa));
    let irr = |checks: Arc<Checks>| async move { checks.irr(Scope::New).await };
    scheduler.add(new_irr, within(NEW_EVERY, LONG_ROUND), work(&works.checks, irr));
    let reputation = |checks: Arc<Checks>| async move { checks.reputation(Scope::New).await };
    scheduler.add(new_reputation, within(NEW_EVERY, LONG_ROUND), work(&works.checks, reputation));
    let fold = |checks: Arc<Checks>| async move { checks.fold().await };
    scheduler.add("validation.fold", within(FOLD_EVERY, ROUND), work(&works.checks, fold));
    let wake = |allocator: Arc<Allocator>| async move { allocator.wake().await };
    scheduler.add("allocation.wake", FORGET_EVERY, work(&works.allocator, wake));
}

/// Starts rounds early: of origin validation when the VRPs changed, of new blocks when a lease was registered. Ends when the
/// server stops.
pub(super) async fn react(scheduler: Scheduler, works: Works, stop: CancellationToken) {
    let registered = Filter { kinds: [EventKind::LeaseRegistered].into(), ..Filter::default() };
    let mut watch = Watch::after(works.log.clone(), works.log.last(), registered.clone(), BOOKMARKS);
    let mut changed = works.validator.changed();
    loop {
        let jobs: &[&str] = tokio::select! {
            () = stop.cancelled() => return,
            heard = changed.changed() => match heard {
                Ok(()) => &[ROA_JOB],
                // The validator is gone, and so is the server.
                Err(_) => return,
            },
            told = watch.next() => match told {
                Ok(Told::Event(_)) => &NEW_JOBS,
                Ok(Told::Bookmark) => continue,
                // What was missed is found by the job's own timer.
                Err(_) => {
                    tokio::time::sleep(SETTLE_DOWN).await;
                    watch = Watch::after(works.log.clone(), works.log.last(), registered.clone(), BOOKMARKS);
                    continue;
                }
            },
        };
        // Changes come in bursts, and one round serves them all.
        tokio::time::sleep(SETTLE_DOWN).await;
        for job in jobs {
            scheduler.trigger(job, false).await;
        }
    }
}

/// Tells what happens: to the log, and from the log to people.
fn tell(scheduler: &Scheduler, settings: &Settings, works: &Works) {
    let watch = Arc::new(Mutex::new(SyncWatch::default()));
    let (cache, log, clock) = (works.cache.clone(), works.log.clone(), works.clock.clone());
    let look = move |watch: Arc<Mutex<SyncWatch>>| {
        let (cache, log, clock) = (cache.clone(), log.clone(), clock.clone());
        async move {
            let mut watch = watch.lock().await;
            let mut next = *watch;
            if let Some(kind) = next.look(cache.freshness().is_live(), clock.now()) {
                let trouble = cache.freshness().trouble().to_string();
                log.tell_sync(kind, trouble).await?;
            }
            // Only now: what could not be told is told at the next look.
            *watch = next;
            Ok::<_, crate::events::Error>(())
        }
    };
    scheduler.add("events.sync", SYNC_WATCH_EVERY, work(&watch, look));
    let (clock, keep) = (works.clock.clone(), settings.events);
    let compact = move |log: Arc<EventLog>| {
        let before = clock.now().checked_sub(keep.keep).unwrap_or(Timestamp::MIN);
        let retention = Retention { before, at_most: keep.keep_at_most };
        async move { log.journal().compact(retention).await }
    };
    scheduler.add("events.compact", COMPACT_EVERY, work(&works.log, compact));
    scheduler.add(
        "expiry.look",
        EXPIRY_EVERY,
        work(&works.engine, |engine| async move { engine.look().await }),
    );
    // Without a sink, too: the log is compacted only as far as it is routed.
    let route = |notifier: Arc<Notifier>| async move { notifier.route().await };
    scheduler.add("notify.route", ROUTE_EVERY, work(&works.notifier, route));
    let forget = |notifier: Arc<Notifier>| async move { notifier.forget().await };
    scheduler.add("notify.forget", FORGET_EVERY, work(&works.notifier, forget));
    // A job for each: a sink that hangs holds up no other, and status says which one is in trouble.
    for sink in works.notifier.sinks() {
        let name = sink.name.clone();
        let deliver = move |notifier: Arc<Notifier>| {
            let name = name.clone();
            async move { notifier.deliver(&name).await }
        };
        scheduler.add(format!("notify.deliver.{}", sink.name), DELIVER_EVERY, work(&works.notifier, deliver));
    }
}
