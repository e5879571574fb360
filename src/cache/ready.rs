//! The gate before every answer: the snapshot, or the reason why there is none yet.

use std::sync::Arc;

use arc_swap::Guard;

use super::index::Index;
use super::writer::Cache;

/// The first full pass over NetBox has not ended, and no earlier cache file could be used: an answer would take an empty index
/// for an empty NetBox. Try again later.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no records have been read from NetBox yet{}", reason(last_error))]
pub struct NotReady {
    /// Why NetBox could not be read the last time; empty while the first full pass is running.
    pub last_error: String,
}

fn reason(last_error: &str) -> String {
    if last_error.is_empty() { String::new() } else { format!(": {last_error}") }
}

impl Cache {
    /// The current snapshot, if there is a generation to serve. An answer takes one snapshot and reads nothing else.
    pub fn ready_snapshot(&self) -> Result<Arc<Index>, NotReady> {
        if self.is_ready() { Ok(self.snapshot()) } else { Err(self.not_ready()) }
    }

    /// A cheaper form of [`Cache::ready_snapshot`] for an answer that is made at once. The guard must not be held across an await.
    pub fn ready_read(&self) -> Result<Guard<Arc<Index>>, NotReady> {
        if self.is_ready() { Ok(self.read()) } else { Err(self.not_ready()) }
    }

    fn not_ready(&self) -> NotReady {
        NotReady { last_error: self.freshness().last_error().to_string() }
    }
}
