//! Leases that have ended: kept for later checks and for the abuse desk, longer than the event log.

use async_trait::async_trait;
use jiff::Timestamp;
use jiff::civil::Date;

use super::error::Error;
use crate::model::{Asn, Network, PrefixId, VrfScope};

/// A lease that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedLease {
    /// The sequence of the event LEASE_ENDED.
    pub sequence: u64,
    pub prefix: PrefixId,
    pub scope: VrfScope,
    pub network: Network,
    /// Empty if the lease had none.
    pub owner: String,
    pub start: Option<Date>,
    pub expiry: Option<Date>,
    /// Empty if the lease had none.
    pub loa_reference: String,
    pub origin: Option<Asn>,
    pub ended: Timestamp,
    /// The request id of EndLease and its caller; empty if the lease was ended by hand.
    pub ended_by: String,
}

/// Reads the leases that have ended. They are written with the event that says so, in one transaction.
#[async_trait]
pub trait EndedLeases: Send + Sync {
    /// The ended leases of blocks that have an address in common with a network, the latest first.
    async fn ended_leases(&self, scope: VrfScope, network: Network) -> Result<Vec<EndedLease>, Error>;
}
