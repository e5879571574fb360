//! The VRPs of one source: replaced in one step, used until they expire.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;

use super::collapse_guard::{Collapse, CollapseGuard};
use super::vrps::VrpSet;
use crate::model::{CouldNotCheck, Failure, Observed, Route, RouteVerdict, SourceFault};

/// A complete set of VRPs as it was installed.
#[derive(Debug)]
struct InstalledSet {
    vrps: Arc<VrpSet>,
    /// The time of the data, by the wall clock; verdicts carry it.
    time: Timestamp,
    /// By the monotonic clock, so that setting the wall clock neither expires the data early nor keeps it alive.
    expires: Instant,
}

/// The state of a store, for the status report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VrpStoreState {
    /// The number of VRPs in the installed set, expired or not.
    pub vrps: usize,
    /// The time of the data: for RTR, when the set was installed or last confirmed. `None` before the first set.
    pub time: Option<Timestamp>,
    /// Why the source could not be refreshed; `None` if the last attempt succeeded.
    pub last_failure: Option<Failure>,
}

/// Holds the VRPs of one source and validates routes against them.
///
/// The source's own task is the only writer; any number of threads validate at the same time without a lock.
#[derive(Debug)]
pub struct VrpStore {
    source: String,
    guard: CollapseGuard,
    installed: ArcSwapOption<InstalledSet>,
    /// Held only to read or replace the value, never across an await.
    last_failure: Mutex<Option<Failure>>,
    installs: watch::Sender<u64>,
}

impl VrpStore {
    /// Makes an empty store for the source of that name. `installs` is incremented with every set that is installed.
    pub fn new(source: String, guard: CollapseGuard, installs: watch::Sender<u64>) -> Self {
        let last_failure = Mutex::new(Some(nothing_received()));
        Self { source, guard, installed: ArcSwapOption::empty(), last_failure, installs }
    }

    /// The name of the source, as verdicts and the status report show it.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The installed set, even if it has expired: a peer that sends deltas continues from it.
    pub fn current(&self) -> Option<Arc<VrpSet>> {
        self.installed.load().as_ref().map(|set| set.vrps.clone())
    }

    /// Replaces the set, unless the guard rejects the new one. A rejected set leaves the current one in use until it expires.
    ///
    /// `now` is the time of the data; the set expires after `expire`.
    pub fn install(&self, vrps: VrpSet, now: Timestamp, expire: Duration) -> Result<(), Collapse> {
        let before = self.installed.load().as_ref().map(|set| set.vrps.len());
        if let Err(collapse) = self.guard.check(before, vrps.len()) {
            tracing::error!(
                source = self.source,
                %collapse,
                "too many VRPs disappeared at once; the previous set stays in use until it expires"
            );
            self.set_failure(SourceFault::DataCollapsed.failure(collapse.to_string()).at(now));
            return Err(collapse);
        }
        let expires = Instant::now() + expire;
        self.installed.store(Some(Arc::new(InstalledSet { vrps: Arc::new(vrps), time: now, expires })));
        self.clear_failure();
        self.installs.send_modify(|count| *count += 1);
        Ok(())
    }

    /// Extends the life of the installed set, because the peer said that nothing has changed.
    pub fn confirm(&self, now: Timestamp, expire: Duration) {
        if let Some(set) = self.installed.load_full() {
            let expires = Instant::now() + expire;
            self.installed.store(Some(Arc::new(InstalledSet { vrps: set.vrps.clone(), time: now, expires })));
            self.clear_failure();
        }
    }

    /// Records why the source could not be refreshed.
    pub fn set_failure(&self, failure: Failure) {
        *self.last_failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
    }

    /// Records that the source was refreshed.
    pub fn clear_failure(&self) {
        *self.last_failure.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The state of the store, for the status report.
    pub fn state(&self) -> VrpStoreState {
        let installed = self.installed.load();
        VrpStoreState {
            vrps: installed.as_ref().map_or(0, |set| set.vrps.len()),
            time: installed.as_ref().map(|set| set.time),
            last_failure: self.last_failure(),
        }
    }

    fn last_failure(&self) -> Option<Failure> {
        self.last_failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Validates a route against the installed set. Fails if there is none or if it has expired (RFC 8210, section 6).
    pub fn validate(&self, route: Route) -> Result<Observed<RouteVerdict>, CouldNotCheck> {
        let installed = self.installed.load();
        let Some(set) = installed.as_ref() else {
            let failure = self.last_failure().unwrap_or_else(nothing_received);
            return Err(CouldNotCheck::from_source(&self.source, failure));
        };
        if Instant::now() >= set.expires {
            let why = self.last_failure().map_or(String::new(), |failure| format!("; {failure}"));
            let expired = format!("its VRPs of {} have expired{why}", set.time);
            return Err(CouldNotCheck::from_source(&self.source, SourceFault::DataExpired.failure(expired)));
        }
        let value = set.vrps.validate(route);
        Ok(Observed { value, source: self.source.clone(), time: set.time })
    }
}

fn nothing_received() -> Failure {
    SourceFault::NoData.failure("no VRPs were received yet")
}
