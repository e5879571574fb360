//! Job leases: which of the servers that share a ledger runs the jobs that one runs for all.

use async_trait::async_trait;
use jiff::Timestamp;

use super::error::Error;
use super::intent::Owner;

/// A number that rises whenever a lease changes hands, so that a later holder is told from an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fence(pub u64);

/// Keeps job leases. Of several servers that ask at once, one gets a lease.
#[async_trait]
pub trait JobLeases: Send + Sync {
    /// Takes a lease that is free, or over by `now`, or renews the one that this owner holds, until an instant. `None` while
    /// somebody else holds it.
    async fn hold(
        &self,
        name: &str,
        owner: &Owner,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Fence>, Error>;

    /// Gives a lease back, if this owner holds it. The next one that asks gets it.
    async fn give_back(&self, name: &str, owner: &Owner, now: Timestamp) -> Result<(), Error>;
}
