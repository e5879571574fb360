//! The state of the sync, for status.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;

use super::error::Error;

/// The phase of the sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncPhase {
    /// There is no generation to serve yet, and no full pass is running.
    Empty,
    FullPass,
    /// The latest poll of the change log succeeded.
    Live,
    /// NetBox does not answer, or refuses the request.
    Stale,
}

/// The progress of the full pass that is running. Only the pass writes it; the two numbers are independent.
#[derive(Debug, Default)]
pub struct PassProgress {
    done: AtomicU64,
    total: AtomicU64,
}

impl PassProgress {
    /// The number of records read so far and the number expected; both are 0 if no pass is running.
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

/// A copy of the state of the sync.
#[derive(Clone, Debug)]
pub struct SyncState {
    pub phase: SyncPhase,
    /// The id of the latest change log entry that was applied.
    pub change_log_id: u64,
    /// The generation in service; 0 before the first.
    pub generation: u64,
    /// The end of the latest full pass that succeeded.
    pub last_full_pass: Option<Timestamp>,
    /// The duration of that pass.
    pub last_full_pass_took: Option<Duration>,
    /// The reason for that pass.
    pub last_full_pass_reason: String,
    /// The number of records read by the running full pass, and the number expected; both are 0 if none is running.
    pub progress: (u64, u64),
    /// Why the latest round failed, and when; `None` if it succeeded.
    pub last_failure: Option<(Arc<Error>, Timestamp)>,
    /// Whether NetBox answered in the latest round.
    pub reachable: bool,
}
