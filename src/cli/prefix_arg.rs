//! How a prefix or a lease is named on the command line.

use std::net::IpAddr;

use super::exit::CliFailure;
use crate::model::Network;

/// A prefix, an address within it, or NetBox's id of the prefix.
pub(crate) enum LeaseKey {
    Prefix(Network),
    Address(IpAddr),
    Id(u64),
}

impl LeaseKey {
    pub(crate) fn parse(text: &str) -> Result<Self, CliFailure> {
        if let Ok(id) = text.parse::<u64>() {
            return Ok(Self::Id(id));
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Address(address));
        }
        let network = text.parse::<Network>();
        Ok(Self::Prefix(network.map_err(|error| CliFailure::usage(error.to_string()))?))
    }
}

/// A prefix that is recorded in NetBox. An address is no such key: several prefixes may contain it.
pub(crate) enum PrefixArg {
    Id(u64),
    Prefix(String),
}

impl PrefixArg {
    pub(crate) fn parse(text: &str) -> Result<Self, CliFailure> {
        match LeaseKey::parse(text)? {
            LeaseKey::Id(id) => Ok(Self::Id(id)),
            LeaseKey::Prefix(network) => Ok(Self::Prefix(network.to_string())),
            LeaseKey::Address(address) => Err(CliFailure::usage(format!(
                "{address} is an address; name a prefix (`leasehold lookup {address}` prints those that contain it)"
            ))),
        }
    }
}
