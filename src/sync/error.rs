//! What can go wrong in a round of the sync.

use crate::{cache, netbox};

/// A poll or a full pass failed. The cache stays in service, and the next round tries again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    NetBox(#[from] netbox::Error),
    /// A task of a full pass panicked. This is a defect of Leasehold; the pass is abandoned, because its records would have a gap.
    #[error("a part of the full pass was lost inside the server")]
    TaskLost,
    #[error(transparent)]
    Cache(#[from] cache::Error),
}

impl Error {
    /// The error in a sentence without the texts of libraries. Answers and events show it while the cache is not live.
    pub(super) fn summary(&self) -> String {
        match self {
            Self::NetBox(netbox::Error::Malformed { attempt, .. }) => {
                format!("NetBox's answer to {attempt} is not as documented")
            }
            Self::NetBox(error) => error.to_string(),
            Self::Cache(cache::Error::CommitHook(_)) => "the event log did not store a change".to_owned(),
            Self::Cache(_) => "the cache file cannot be used".to_owned(),
            Self::TaskLost => self.to_string(),
        }
    }
}
