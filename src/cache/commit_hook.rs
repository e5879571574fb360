//! The hook that receives every change before readers of the cache see it.

use async_trait::async_trait;

use super::differences::Differences;
use super::error::Error;

/// Receives every change before readers see it. The event log implements it. If the hook fails, the change is not made and
/// the next poll finds it again; so nothing is ever served that is missing in the log.
///
/// Both methods are awaited under the cache's writer lock: they must not write to the cache, and readers do not wait for them.
#[async_trait]
pub trait CommitHook: Send + Sync {
    /// Stores the differences between the snapshot in service and the next one.
    async fn differences(&self, differences: Differences) -> Result<(), Error>;

    /// The first generation is about to be served. The changes that led to it are not known.
    async fn baseline(&self) -> Result<(), Error>;
}

/// A commit hook that ignores every change, for a cache without an event log.
#[derive(Clone, Copy, Debug)]
pub struct NoHook;

#[async_trait]
impl CommitHook for NoHook {
    async fn differences(&self, _: Differences) -> Result<(), Error> {
        Ok(())
    }

    async fn baseline(&self) -> Result<(), Error> {
        Ok(())
    }
}
