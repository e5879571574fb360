//! The age of the cache, readable without a lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use arc_swap::ArcSwap;
use jiff::Timestamp;

/// When the cache last agreed with NetBox, and whether it still follows NetBox. The sync and the cache's writer set it; anybody
/// may read it. The fields are independent: a reader may see one of them before the others change.
#[derive(Debug, Default)]
pub struct Freshness {
    /// Microseconds since 1970; 0 for never.
    synced_at: AtomicI64,
    live: AtomicBool,
    /// Kept when NetBox answers again, so that it is the latest error and not the current one.
    last_error: ArcSwap<String>,
}

impl Freshness {
    /// The latest time at which the cache agreed with NetBox; `None` if it never did.
    pub fn synced_at(&self) -> Option<Timestamp> {
        match self.synced_at.load(Ordering::Relaxed) {
            0 => None,
            micros => Timestamp::from_microsecond(micros).ok(),
        }
    }

    /// Whether the latest poll of NetBox succeeded.
    pub fn is_live(&self) -> bool {
        self.live.load(Ordering::Relaxed)
    }

    /// Records that the cache agrees with NetBox as of `at`.
    pub fn mark_synced(&self, at: Timestamp) {
        self.synced_at.store(at.as_microsecond(), Ordering::Relaxed);
        self.live.store(true, Ordering::Relaxed);
    }

    /// Records that NetBox did not answer, or that its change log has a gap. `synced_at` stays as it is.
    pub fn mark_stale(&self, error: &str) {
        self.live.store(false, Ordering::Relaxed);
        self.last_error.store(Arc::new(error.to_owned()));
    }

    /// The latest reason for [`Freshness::mark_stale`]; empty if there was none since the start.
    pub fn last_error(&self) -> Arc<String> {
        self.last_error.load_full()
    }

    /// Takes over the time that the cache file holds. The cache is not live before the first poll.
    pub(super) fn restore(&self, synced_at: Option<Timestamp>) {
        self.synced_at.store(synced_at.map_or(0, Timestamp::as_microsecond), Ordering::Relaxed);
    }
}
