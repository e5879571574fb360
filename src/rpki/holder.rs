//! The set of one source that holds VRPs: replaced in one step, used until it expires.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;

use super::guard::Guard;
use super::vrps::VrpSet;
use crate::model::{CouldNotCheck, Observed, Route, RouteVerdict};

/// A set that was whole when it was taken up.
#[derive(Debug)]
struct Held {
    vrps: Arc<VrpSet>,
    taken: Timestamp,
    /// By the monotonic clock: setting the wall clock neither kills data nor keeps it alive.
    expires: Instant,
}

/// What is known of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HolderState {
    /// How many VRPs it holds.
    pub vrps: usize,
    /// When they were taken up or last confirmed.
    pub taken: Option<Timestamp>,
    /// What is wrong, empty if nothing is.
    pub trouble: String,
}

/// The set of one source.
#[derive(Debug)]
pub struct Holder {
    name: String,
    guard: Guard,
    held: ArcSwapOption<Held>,
    trouble: std::sync::Mutex<String>,
    changed: watch::Sender<u64>,
}

impl Holder {
    /// An empty holder; `changed` counts each set that is taken up.
    pub fn new(name: String, guard: Guard, changed: watch::Sender<u64>) -> Self {
        let trouble = std::sync::Mutex::new("no VRPs were received yet".to_owned());
        Self { name, guard, held: ArcSwapOption::empty(), trouble, changed }
    }

    /// The name of the source.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The set as it stands, for a peer that sends changes; whether or not it has expired.
    pub fn current(&self) -> Option<Arc<VrpSet>> {
        self.held.load().as_ref().map(|held| held.vrps.clone())
    }

    /// Takes a whole set up, unless it is not to be believed: then what stood stays until it expires.
    pub fn take_up(
        &self,
        vrps: VrpSet,
        now: Timestamp,
        expire: Duration,
    ) -> Result<(), super::guard::Collapse> {
        let before = self.held.load().as_ref().map(|held| held.vrps.len());
        if let Err(collapse) = self.guard.judge(before, vrps.len()) {
            tracing::error!(source = self.name, %collapse, "VRPs collapsed; the set before stays in use until it expires");
            self.in_trouble(collapse.to_string());
            return Err(collapse);
        }
        self.held.store(Some(Arc::new(Held {
            vrps: Arc::new(vrps),
            taken: now,
            expires: Instant::now() + expire,
        })));
        self.in_trouble(String::new());
        self.changed.send_modify(|count| *count += 1);
        Ok(())
    }

    /// The peer says that nothing changed: the set is good for as long again.
    pub fn confirm(&self, now: Timestamp, expire: Duration) {
        if let Some(held) = self.held.load_full() {
            let expires = Instant::now() + expire;
            self.held.store(Some(Arc::new(Held { vrps: held.vrps.clone(), taken: now, expires })));
            self.in_trouble(String::new());
        }
    }

    /// Says what is wrong with the source.
    pub fn in_trouble(&self, trouble: String) {
        *self.trouble.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = trouble;
    }

    /// What is known of it.
    pub fn state(&self) -> HolderState {
        let held = self.held.load();
        HolderState {
            vrps: held.as_ref().map_or(0, |held| held.vrps.len()),
            taken: held.as_ref().map(|held| held.taken),
            trouble: self.trouble(),
        }
    }

    fn trouble(&self) -> String {
        self.trouble.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Validates by the set, if there is one that has not expired (RFC 8210, section 6).
    pub fn validate(&self, route: Route) -> Result<Observed<RouteVerdict>, CouldNotCheck> {
        let held = self.held.load();
        let Some(held) = held.as_ref() else { return Err(CouldNotCheck::one(&self.name, self.trouble())) };
        if Instant::now() >= held.expires {
            let why = format!("its VRPs of {} have expired; {}", held.taken, self.trouble());
            return Err(CouldNotCheck::one(&self.name, why.trim_end_matches("; ")));
        }
        let value = held.vrps.validate(route);
        Ok(Observed { value, source: self.name.clone(), time: held.taken })
    }
}
