//! The error that every command of this room returns.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::plan::Refused;
use super::ports::UniqueIds;
use crate::model::{Network, RequestId, VrfScope};
use crate::{cache, lease, ledger, netbox};

/// A command was not carried out.
///
/// After [`Error::Unsettled`], [`Error::TaskLost`], [`Error::Ledger`] and [`Error::NetBox`] with an unknown outcome, NetBox may hold
/// records of the command: the caller repeats it with the same request id, which settles it. After every other error NetBox
/// holds none.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    #[error(transparent)]
    NetBox(#[from] netbox::Error),
    #[error(transparent)]
    Cache(Arc<cache::Error>),
    #[error(transparent)]
    NotReady(#[from] cache::NotReady),
    #[error(transparent)]
    Prefix(#[from] cache::ResolveError),
    #[error(transparent)]
    Lease(#[from] lease::Error),
    /// NetBox does not refuse a second record with the same allocation id, so that a retry could write twice.
    #[error("no write is served: {}", explain(*found))]
    IdsNotUnique { found: UniqueIds },
    /// As many commands wait in the same scope as the server queues.
    #[error("too many writes are waiting: try again shortly")]
    Busy,
    /// Another server, or an earlier call, carries out this very request.
    #[error(
        "request {request} is being carried out by another server: repeat it shortly with the same request id"
    )]
    UnderWay { request: RequestId },
    #[error("it is not known whether NetBox wrote request {request}: repeat it with the same request id")]
    Unsettled { request: RequestId },
    /// Request ids are one namespace: an id belongs to one command with one content.
    #[error("request id {request} was used before, with another request: use a new one")]
    RequestIdReused { request: RequestId },
    /// A newer version of Leasehold wrote the intent, in a form that this version cannot compare with.
    #[error(
        "request id {request} was recorded by a newer version of Leasehold (fingerprint version {version}): \
         repeat it on a server of that version"
    )]
    FingerprintVersion { request: RequestId, version: u32 },
    #[error("what request {request} allocated has been released since: use a new request id")]
    ReleasedSince { request: RequestId },
    #[error("the policy refuses to allocate from {network}: {}", reasons(refused))]
    Refused { network: Network, refused: Vec<Refused> },
    #[error("{network} has {free} free addresses, {wanted} are needed{}", in_quarantine(*quarantined))]
    Full { network: Network, wanted: u32, free: u128, quarantined: usize },
    /// `largest` is the length of the largest free block.
    #[error("{network} has no free /{length}{}", largest.map_or(String::new(), |l| format!("; the largest free block is a /{l}")))]
    NoBlock { network: Network, length: u8, largest: Option<u8> },
    #[error(
        "a /{length} is no child of {network}: give a longer prefix length, at most {}",
        network.max_length()
    )]
    Length { network: Network, length: u8 },
    #[error("no prefix fits the requirement: {why}")]
    NothingFits { why: String },
    #[error("{address} is already recorded in {scope}")]
    AddressTaken { address: IpAddr, scope: VrfScope },
    #[error("no prefix in {scope} contains {address}: record its prefix in NetBox first")]
    NoContainingPrefix { address: IpAddr, scope: VrfScope },
    #[error("{address} is the network or broadcast address of {network}, which is not a pool")]
    NotAssignable { address: IpAddr, network: Network },
    #[error("not recorded in {scope}: {}", list(addresses))]
    AddressesNotFound { addresses: Vec<IpAddr>, scope: VrfScope },
    #[error(
        "not allocated by Leasehold: {}; set allow_foreign to release them all the same",
        list(addresses)
    )]
    NotAllocatedHere { addresses: Vec<IpAddr> },
    /// `records` are the ids of the records of each address.
    #[error("recorded several times, by others: {}; delete the right record in NetBox", shared(records))]
    SharedAddresses { records: BTreeMap<IpAddr, Vec<u64>> },
    #[error("no allocation with request id {request}")]
    AllocationNotFound { request: RequestId },
    #[error("other writers recorded every address that was chosen: try again")]
    Contended,
    /// The task that carried out the command panicked or was cancelled.
    #[error("the server lost the task of this request: repeat it with the same request id")]
    TaskLost,
}

impl From<cache::Error> for Error {
    fn from(error: cache::Error) -> Self {
        Self::Cache(Arc::new(error))
    }
}

impl Error {
    /// Whether records of the same request could be what stands in the way.
    pub(super) fn is_of_free_space(&self) -> bool {
        matches!(
            self,
            Self::Full { .. }
                | Self::NoBlock { .. }
                | Self::NothingFits { .. }
                | Self::AddressTaken { .. }
                | Self::Refused { .. }
                | Self::Lease(lease::Error::Exists { .. })
        )
    }
}

fn explain(found: UniqueIds) -> &'static str {
    match found {
        UniqueIds::Enforced => "NetBox has to be asked again whether allocation ids are unique",
        UniqueIds::NotEnforced => {
            "the custom field allocation_id is not unique in NetBox, so a repeated request could be written twice; \
             run `leasehold setup`"
        }
        UniqueIds::Missing => "the custom field allocation_id is missing in NetBox; run `leasehold setup`",
    }
}

fn reasons(refused: &[Refused]) -> String {
    refused.iter().map(|refused| refused.reason.as_str()).collect::<Vec<_>>().join("; ")
}

fn in_quarantine(count: usize) -> String {
    if count == 0 { String::new() } else { format!("; {count} more are in quarantine") }
}

fn list(addresses: &[IpAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn shared(records: &BTreeMap<IpAddr, Vec<u64>>) -> String {
    let one = |(address, ids): (&IpAddr, &Vec<u64>)| {
        let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        format!("{address} (addresses {})", ids.join(", "))
    };
    records.iter().map(one).collect::<Vec<_>>().join("; ")
}
