//! The error that every command of this room returns.

use std::net::IpAddr;

use super::plan::policy::Refused;
use crate::model::{Network, RequestId, VrfScope};
use crate::{cache, ledger, netbox};

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
    Cache(#[from] cache::Error),
    #[error(transparent)]
    NotReady(#[from] cache::NotReady),
    #[error(transparent)]
    Prefix(#[from] cache::ResolveError),
    /// Intents that an earlier server left open are settled before the first command.
    #[error(
        "an earlier server left writes open; they are being settled with NetBox first: try again shortly"
    )]
    Settling,
    #[error("it is not known whether NetBox wrote request {request}: repeat it with the same request id")]
    Unsettled { request: RequestId },
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
    #[error("no allocation with request id {request}")]
    AllocationNotFound { request: RequestId },
    #[error("other writers recorded every address that was chosen: try again")]
    Contended,
    /// The task that carried out the command panicked or was cancelled.
    #[error("the server lost the task of this request: repeat it with the same request id")]
    TaskLost,
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
