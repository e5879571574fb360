//! Released addresses that are not allocated again yet.

use std::net::IpAddr;

use async_trait::async_trait;
use jiff::Timestamp;

use super::error::Error;
use crate::model::VrfScope;

/// An address in quarantine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuarantinedAddress {
    pub scope: VrfScope,
    pub address: IpAddr,
    /// When it was released.
    pub released: Timestamp,
}

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

    /// The addresses that were released after an instant, in the order of their release. What was read before can be brought up to
    /// date with it.
    async fn quarantined(&self, released_after: Timestamp) -> Result<Vec<QuarantinedAddress>, Error>;

    /// Takes addresses out of quarantine: their release was refused.
    async fn lift(&self, scope: VrfScope, addresses: &[IpAddr]) -> Result<(), Error>;

    /// Deletes the addresses that were released at an instant or before it: their quarantine is over.
    async fn end_quarantine(&self, released_by: Timestamp) -> Result<(), Error>;
}
