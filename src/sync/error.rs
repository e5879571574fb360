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
