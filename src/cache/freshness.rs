//! How old the cache is, readable without a lock.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use jiff::Timestamp;

/// When the cache was last known to agree with NetBox.
#[derive(Debug, Default)]
pub struct Freshness {
    /// Microseconds since the epoch; 0 for never.
    synced_at: AtomicI64,
    live: AtomicBool,
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
    pub fn lose(&self) {
        self.live.store(false, Ordering::Relaxed);
    }

    pub(super) fn restore(&self, at: Option<Timestamp>) {
        self.synced_at.store(at.map_or(0, Timestamp::as_microsecond), Ordering::Relaxed);
    }
}
