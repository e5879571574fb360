//! How a lease is named on the command line.

use std::net::IpAddr;

use crate::cli::exit::CliFailure;
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
        Ok(Self::Prefix(text.parse::<Network>()?))
    }
}

/// The prefix that carries a lease. An address is no such key: several prefixes may contain it.
pub(crate) enum LeasedPrefixKey {
    Id(u64),
    Prefix(String),
}

impl LeasedPrefixKey {
    pub(crate) fn parse(text: &str) -> Result<Self, CliFailure> {
        match LeaseKey::parse(text)? {
            LeaseKey::Id(id) => Ok(Self::Id(id)),
            LeaseKey::Prefix(network) => Ok(Self::Prefix(network.to_string())),
            LeaseKey::Address(address) => Err(CliFailure::new(format!(
                "{address} is an address; name the prefix that carries the lease (`leasehold lease show {address}` prints it)"
            ))),
        }
    }
}
