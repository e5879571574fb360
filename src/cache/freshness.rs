//! How old the cache is, readable without a lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use arc_swap::ArcSwap;

use jiff::Timestamp;

/// When the cache was last known to agree with NetBox.
#[derive(Debug, Default)]
pub struct Freshness {
    /// Microseconds since the epoch; 0 for never.
    synced_at: AtomicI64,
    live: AtomicBool,
    /// Why NetBox could not be followed the last time; empty if it could.
    trouble: ArcSwap<String>,
}

impl Freshness {
    /// The last instant at which the cache was known to agree with NetBox.
    pub fn synced_at(&self) -> Option<Timestamp> {
        match self.synced_at.load(Ordering::Relaxed) {
            0 => None,
            micros => Timestamp::from_microsecond(micros).ok(),
        }
    }

    /// Whether NetBox answered the last time it was asked.
    pub fn is_live(&self) -> bool {
        self.live.load(Ordering::Relaxed)
    }

    /// The cache agrees with NetBox as of `at`.
    pub fn agree(&self, at: Timestamp) {
        self.synced_at.store(at.as_microsecond(), Ordering::Relaxed);
        self.live.store(true, Ordering::Relaxed);
    }

    /// NetBox did not answer, or the log has a gap: the cache is as old as it was.
    pub fn lose(&self, why: &str) {
        self.live.store(false, Ordering::Relaxed);
        self.trouble.store(Arc::new(why.to_owned()));
    }

    /// Why NetBox could not be followed the last time; empty if it could, or was not asked yet.
    pub fn trouble(&self) -> Arc<String> {
        self.trouble.load_full()
    }

    pub(super) fn restore(&self, at: Option<Timestamp>) {
        self.synced_at.store(at.map_or(0, Timestamp::as_microsecond), Ordering::Relaxed);
    }
}
