//! Prefixes: the network itself and NetBox's record of it.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

use super::{AllocationId, Lease, NamedRef, PrefixId, Revision, Table};

/// An IPv4 or IPv6 network in CIDR notation, never with host bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "IpNet", into = "IpNet")]
pub struct Network(IpNet);

/// Why a text is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// Not CIDR notation.
    #[error("{0:?} is not a prefix in CIDR notation (such as 203.0.113.0/24)")]
    NotCidr(String),
    /// Bits are set behind the mask.
    #[error("{given} has host bits set; the prefix is {meant}")]
    HostBits {
        /// As it was given.
        given: IpNet,
        /// The network that it lies in.
        meant: IpNet,
    },
    /// Not an address.
    #[error("{0:?} is not an IPv4 or IPv6 address")]
    NotAnAddress(String),
}

impl Network {
    /// The network that an address with a mask lies in: host bits are cut off.
    pub fn containing(net: IpNet) -> Self {
        Self(net.trunc())
    }

    /// A single address as a network: /32 or /128.
    pub fn host(address: IpAddr) -> Self {
        Self(IpNet::from(address))
    }

    /// As ipnet's type.
    pub fn net(self) -> IpNet {
        self.0
    }

    /// Length of the mask.
    pub fn length(self) -> u8 {
        self.0.prefix_len()
    }

    /// 32 or 128.
    pub fn max_length(self) -> u8 {
        self.0.max_prefix_len()
    }

    /// Whether it is IPv4.
    pub fn is_ipv4(self) -> bool {
        matches!(self.0, IpNet::V4(_))
    }

    /// First address.
    pub fn first(self) -> IpAddr {
        self.0.network()
    }

    /// Last address.
    pub fn last(self) -> IpAddr {
        self.0.broadcast()
    }

    /// Whether the other lies in this one or is this one.
    pub fn contains(self, other: Self) -> bool {
        self.0.contains(&other.0)
    }

    /// Whether the address lies in it.
    pub fn contains_address(self, address: IpAddr) -> bool {
        self.0.contains(&address)
    }

    /// Whether the two share an address.
    pub fn overlaps(self, other: Self) -> bool {
        self.contains(other) || other.contains(self)
    }

    /// Its addresses from this one on, in order; this one has to lie in it.
    pub fn addresses_from(self, first: IpAddr) -> impl Iterator<Item = IpAddr> {
        let number = |address: IpAddr| match address {
            IpAddr::V4(v4) => u128::from(v4.to_bits()),
            IpAddr::V6(v6) => v6.to_bits(),
        };
        let ipv4 = self.is_ipv4();
        (number(first)..=number(self.last())).map(move |number| match u32::try_from(number) {
            Ok(bits) if ipv4 => IpAddr::V4(bits.into()),
            _ => IpAddr::V6(number.into()),
        })
    }

    /// How many addresses it has: 2 to the power of this.
    pub fn host_bits(self) -> u8 {
        self.max_length() - self.length()
    }
}

impl TryFrom<IpNet> for Network {
    type Error = NetworkError;

    fn try_from(net: IpNet) -> Result<Self, NetworkError> {
        let meant = net.trunc();
        if meant == net { Ok(Self(net)) } else { Err(NetworkError::HostBits { given: net, meant }) }
    }
}

impl From<Network> for IpNet {
    fn from(network: Network) -> IpNet {
        network.0
    }
}

impl From<Ipv4Net> for Network {
    fn from(net: Ipv4Net) -> Self {
        Self(IpNet::V4(net.trunc()))
    }
}

impl From<Ipv6Net> for Network {
    fn from(net: Ipv6Net) -> Self {
        Self(IpNet::V6(net.trunc()))
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let net: IpNet = text.parse().map_err(|_| NetworkError::NotCidr(text.to_owned()))?;
        Self::try_from(net)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Reads one host address without a mask.
pub fn parse_host(text: &str) -> Result<IpAddr, NetworkError> {
    text.parse().map_err(|_| NetworkError::NotAnAddress(text.to_owned()))
}

/// NetBox's record of a prefix.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prefix {
    /// NetBox's id.
    pub id: PrefixId,
    /// The network.
    pub network: Network,
    /// The table it stands in.
    pub table: Table,
    /// NetBox's status value, such as `active` or `container`; NetBox lets it be extended.
    pub status: String,
    /// Network and broadcast addresses are handed out too.
    pub is_pool: bool,
    /// Counted as full whatever it holds.
    pub mark_utilized: bool,
    /// The tenant.
    pub tenant: Option<NamedRef>,
    /// The role.
    pub role: Option<NamedRef>,
    /// The tags.
    pub tags: Vec<NamedRef>,
    /// Free text.
    pub description: String,
    /// The lease that this prefix itself carries.
    pub lease: Option<Box<Lease>>,
    /// Who allocated it through Leasehold.
    pub allocation: Option<AllocationId>,
    /// Custom fields that are not Leasehold's own.
    pub custom_fields: serde_json::Map<String, serde_json::Value>,
    /// NetBox's version of the record.
    pub revision: Revision,
}

impl Prefix {
    /// An active prefix of which nothing else is said.
    pub fn bare(id: PrefixId, network: Network, table: Table) -> Self {
        Self {
            id,
            network,
            table,
            status: "active".to_owned(),
            is_pool: false,
            mark_utilized: false,
            tenant: None,
            role: None,
            tags: Vec::new(),
            description: String::new(),
            lease: None,
            allocation: None,
            custom_fields: serde_json::Map::new(),
            revision: Revision::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn host_bits_are_refused_with_the_prefix_that_was_meant() {
        let error = "203.0.113.5/24".parse::<Network>().unwrap_err();
        assert_eq!(error.to_string(), "203.0.113.5/24 has host bits set; the prefix is 203.0.113.0/24");
    }

    #[test]
    fn an_address_without_a_mask_is_no_prefix() {
        assert!("203.0.113.0".parse::<Network>().is_err());
        assert!("203.0.113.0/33".parse::<Network>().is_err());
        assert!("2001:db8::/32".parse::<Network>().is_ok());
    }

    proptest! {
        #[test]
        fn of_two_overlapping_networks_one_contains_the_other(a: u32, b: u32, la in 0u8..=32, lb in 0u8..=32) {
            let make = |bits: u32, length| Network::from(Ipv4Net::new(bits.into(), length).unwrap());
            let (a, b) = (make(a, la), make(b, lb));
            let share = a.first() <= b.last() && b.first() <= a.last();
            prop_assert_eq!(a.overlaps(b), share);
        }
    }
}
