//! Released addresses that are not allocated again yet.

use std::net::IpAddr;

use async_trait::async_trait;
use jiff::Timestamp;

use super::error::Error;
use crate::model::VrfScope;

/// Keeps which addresses were released, and when. How long the quarantine lasts is the allocator's policy: the ledger stores the
/// time of the release only.
#[async_trait]
pub trait QuarantineStore: Send + Sync {
    /// Records that addresses were released at `released_at`. An address that is in quarantine already starts anew.
    async fn quarantine(
        &self,
        scope: VrfScope,
        addresses: &[IpAddr],
        released_at: Timestamp,
    ) -> Result<(), Error>;

    /// The addresses that were released after an instant, in no particular order.
    async fn quarantined(&self, released_after: Timestamp) -> Result<Vec<(VrfScope, IpAddr)>, Error>;

    /// Deletes the addresses that were released at an instant or before it: their quarantine is over.
    async fn end_quarantine(&self, released_by: Timestamp) -> Result<(), Error>;
}
