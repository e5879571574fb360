//! Events that start a job before its timer does.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::capabilities::Components;
use crate::allocation::Allocator;
use crate::events::{EventFilter, Watch, WatchItem};
use crate::jobs::Scheduler;
use crate::model::EventKind;

/// The job that keeps the pools.
pub(super) const POOLS_JOB: &str = "allocation.keep-pools";
/// The job that validates every leased block's origin.
pub(super) const ROA_JOB: &str = "validation.roa";
/// The jobs that check blocks which were never checked as they are now, one a kind of check.
pub(super) const NEW_LEASE_JOBS: [&str; 3] =
    ["validation.new-roa", "validation.new-irr", "validation.new-reputation"];

/// The time from the first change of a burst to the round that serves all of them.
const BURST: Duration = Duration::from_millis(500);
/// The interval of bookmarks on the watch of events. Nothing here needs them.
const BOOKMARKS: Duration = Duration::from_hours(1);

/// The events after which a block may have a route that was never checked.
const NEW_ROUTE: [EventKind; 3] =
    [EventKind::LeaseRegistered, EventKind::LeaseChanged, EventKind::LeaseRenewed];

/// Starts the upkeep of the pools whenever it has something to do. Ends when the server stops.
pub(super) async fn run_pools(scheduler: Scheduler, allocator: Arc<Allocator>, stop: CancellationToken) {
    let Some(pools) = allocator.pools() else { return };
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = pools.has_work() => {}
        }
        // What is handed out in a burst is completed together, and after it.
        tokio::time::sleep(BURST).await;
        scheduler.trigger(POOLS_JOB, true).await;
    }
}

/// Starts origin validation when the VRPs changed, and the checks of new blocks when a lease was registered or its contract
/// changed. Ends when the server stops.
pub(super) async fn run(scheduler: Scheduler, components: Components, stop: CancellationToken) {
    let new_route = EventFilter { kinds: NEW_ROUTE.into(), ..EventFilter::default() };
    let log = components.log;
    let mut watch = Watch::after(log.clone(), log.last(), new_route.clone(), BOOKMARKS);
    let mut vrps = components.validator.changed();
    loop {
        let jobs: &[&str] = tokio::select! {
            () = stop.cancelled() => return,
            changed = vrps.changed() => match changed {
                Ok(()) => &[ROA_JOB],
                // The validator was dropped, which happens only when the server goes away.
                Err(_) => return,
            },
            event = watch.next() => match event {
                Ok(WatchItem::Event(_)) => &NEW_LEASE_JOBS,
                Ok(WatchItem::Bookmark) => continue,
                // The watch was closed because it lagged. The job's own timer finds what it missed.
                Err(_) => {
                    tokio::time::sleep(BURST).await;
                    watch = Watch::after(log.clone(), log.last(), new_route.clone(), BOOKMARKS);
                    continue;
                }
            },
        };
        tokio::time::sleep(BURST).await;
        for job in jobs {
            scheduler.trigger(job, false).await;
        }
    }
}
