//! Why nothing was handed out.

use std::net::IpAddr;

use super::policy::Refused;
use crate::model::{Network, PrefixId, RequestId, Table};
use crate::{cache, ledger, netbox};

/// Why nothing was handed out, or given back.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The ledger could not make the intent durable: nothing was sent.
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    /// NetBox refused, or could not be reached. Nothing stands there.
    #[error(transparent)]
    NetBox(#[from] netbox::Error),
    /// The cache's file could not be written.
    #[error(transparent)]
    Cache(#[from] cache::Error),
    /// No full pass has ended yet: what is free is not known.
    #[error("there is nothing to serve yet: {trouble}")]
    NotReady {
        /// What is in the way; empty while the first full pass runs.
        trouble: String,
    },
    /// Intents of a server that died are not settled yet, so no write is served.
    #[error("writes that an earlier server left open are being settled with NetBox first")]
    Settling,
    /// NetBox may or may not have written. The same request id again finds out.
    #[error("NetBox did not say whether it wrote request {request}; the same request id again settles it")]
    Unsettled {
        /// The request.
        request: RequestId,
    },
    /// The request id was used with another body.
    #[error("request id {request} was used before for another request")]
    RequestIdReused {
        /// The request.
        request: RequestId,
    },
    /// What it allocated has been given back since.
    #[error("what request {request} allocated has been released since; use a new request id")]
    ReleasedSince {
        /// The request.
        request: RequestId,
    },
    /// No such prefix.
    #[error("no prefix {network} in {table}{}", crate::model::elsewhere(elsewhere))]
    PrefixNotFound {
        /// As asked.
        network: Network,
        /// Where.
        table: Table,
        /// Tables that do hold it.
        elsewhere: Vec<Table>,
    },
    /// No prefix of this id.
    #[error("no prefix with id {id}")]
    PrefixIdNotFound {
        /// As asked.
        id: PrefixId,
    },
    /// NetBox holds the prefix more than once in this table.
    #[error("{network} stands {} times in {table}: name it by id", ids.len())]
    PrefixAmbiguous {
        /// As asked.
        network: Network,
        /// Where.
        table: Table,
        /// The ids there are.
        ids: Vec<PrefixId>,
    },
    /// Policy says that nothing is handed out of it.
    #[error("nothing is handed out of {network}: {}", words(refused))]
    Refused {
        /// The prefix.
        network: Network,
        /// Everything that speaks against it.
        refused: Vec<Refused>,
    },
    /// Not enough is free.
    #[error("{network} has {free} addresses free of the {wanted} asked for{}", rests(*resting))]
    Full {
        /// The prefix.
        network: Network,
        /// Addresses asked for.
        wanted: u32,
        /// Addresses that are left.
        free: u128,
        /// Addresses that will be free when they have rested.
        resting: usize,
    },
    /// No free block of the length.
    #[error("{network} has no free /{length}{}", largest.map_or(String::new(), |l| format!("; the largest free block is a /{l}")))]
    NoBlock {
        /// The prefix.
        network: Network,
        /// Length asked for.
        length: u8,
        /// Length of the largest free block.
        largest: Option<u8>,
    },
    /// The length asked for does not fit into the parent.
    #[error("a /{length} is not longer than the parent {network}, or too long for its family")]
    Length {
        /// The parent.
        network: Network,
        /// As asked.
        length: u8,
    },
    /// No prefix fits the requirement.
    #[error("no prefix fits the requirement: {why}")]
    NothingFits {
        /// How many were looked at and why they did not fit.
        why: String,
    },
    /// Somebody else has the address.
    #[error("{address} is recorded already in {table}")]
    Taken {
        /// The address.
        address: IpAddr,
        /// Where.
        table: Table,
    },
    /// No recorded prefix holds the address.
    #[error("no prefix of {table} holds {address}")]
    Homeless {
        /// The address.
        address: IpAddr,
        /// Where.
        table: Table,
    },
    /// The network address or broadcast address of a prefix that is no pool.
    #[error("{address} is the network or broadcast address of {network}, which is no pool")]
    NotAssignable {
        /// The address.
        address: IpAddr,
        /// Its prefix.
        network: Network,
    },
    /// Not recorded.
    #[error("not recorded in {table}: {}", list(addresses))]
    AddressesNotFound {
        /// Those not found.
        addresses: Vec<IpAddr>,
        /// Where.
        table: Table,
    },
    /// Recorded, but not by Leasehold.
    #[error("not allocated by Leasehold: {}", list(addresses))]
    Foreign {
        /// Those that are not ours.
        addresses: Vec<IpAddr>,
    },
    /// Nothing of this request stands.
    #[error("no allocation with request id {request}")]
    AllocationNotFound {
        /// The request.
        request: RequestId,
    },
    /// Rivals took what was picked, time after time.
    #[error("others took every address that was picked; try again")]
    Outrun,
    /// The task that carried the write was lost: a defect, told rather than hidden.
    #[error("the write was cut short inside the server; the same request id again settles it")]
    CutShort,
}

fn words(refused: &[Refused]) -> String {
    refused.iter().map(|refused| refused.words.as_str()).collect::<Vec<_>>().join("; ")
}

fn rests(resting: usize) -> String {
    if resting == 0 { String::new() } else { format!("; {resting} more rest after they were given back") }
}

fn list(addresses: &[IpAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
