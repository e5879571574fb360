//! What the sync is doing, for those who ask.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;

/// What the sync is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncPhase {
    /// Nothing to serve yet.
    Empty,
    /// A full pass is running.
    FullPass,
    /// The change log is being followed.
    Live,
    /// NetBox cannot be reached or refuses us.
    Stale,
}

/// Rows of the pass that is running.
#[derive(Debug, Default)]
pub struct PassProgress {
    done: AtomicU64,
    total: AtomicU64,
}

impl PassProgress {
    /// Rows read and rows expected; both 0 while no pass runs.
    pub fn rows(&self) -> (u64, u64) {
        (self.done.load(Ordering::Relaxed), self.total.load(Ordering::Relaxed))
    }

    pub(super) fn start(&self, total: u64) {
        self.done.store(0, Ordering::Relaxed);
        self.total.store(total, Ordering::Relaxed);
    }

    pub(super) fn add(&self, rows: usize) {
        self.done.fetch_add(rows as u64, Ordering::Relaxed);
    }
}

/// A picture of the sync.
#[derive(Clone, Debug)]
pub struct SyncState {
    /// What it is doing.
    pub phase: SyncPhase,
    /// Last id of the change log that has been applied.
    pub change_log_id: u64,
    /// Generation in service, 0 before the first.
    pub generation: u64,
    /// When the last full pass ended.
    pub last_full_pass: Option<Timestamp>,
    /// How long it took.
    pub last_full_pass_took: Option<Duration>,
    /// Why it was made.
    pub last_full_pass_reason: String,
    /// Rows read and expected of the pass that runs.
    pub progress: (u64, u64),
    /// The last error, empty if the last round went well.
    pub last_error: String,
    /// Whether NetBox answered the last time.
    pub reachable: bool,
}
