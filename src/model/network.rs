//! IP networks in CIDR notation.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

use super::address_number::{address_from_number, address_number};

/// An IPv4 or IPv6 network in CIDR notation. Its host bits are always zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "IpNet", into = "IpNet")]
pub struct Network(IpNet);

/// The reason why a text is not a network, or not an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    #[error("{0:?} is not a prefix in CIDR notation (such as 203.0.113.0/24)")]
    NotCidr(String),
    /// `meant` is the network that the given address lies in.
    #[error("{given} has host bits set; the prefix is {meant}")]
    HostBits { given: IpNet, meant: IpNet },
    #[error("{0:?} is not an IPv4 or IPv6 address")]
    NotAnAddress(String),
}

impl Network {
    /// The network that an address with a mask belongs to: host bits are set to zero.
    pub fn containing(net: IpNet) -> Self {
        Self(net.trunc())
    }

    /// The network of one address: a /32 or a /128.
    pub fn host(address: IpAddr) -> Self {
        Self(IpNet::from(address))
    }

    /// The same network as the `ipnet` crate's type.
    pub fn net(self) -> IpNet {
        self.0
    }

    /// The length of the mask, in bits.
    pub fn length(self) -> u8 {
        self.0.prefix_len()
    }

    /// The longest mask of the address family: 32 or 128.
    pub fn max_length(self) -> u8 {
        self.0.max_prefix_len()
    }

    /// Whether the network is IPv4 (else it is IPv6).
    pub fn is_ipv4(self) -> bool {
        matches!(self.0, IpNet::V4(_))
    }

    /// The first address, also called the network address.
    pub fn first(self) -> IpAddr {
        self.0.network()
    }

    /// The last address; in IPv4 it is also called the broadcast address.
    pub fn last(self) -> IpAddr {
        self.0.broadcast()
    }

    /// Whether the other network is inside this one or equal to it. Networks of different families never contain each other.
    pub fn contains(self, other: Self) -> bool {
        self.0.contains(&other.0)
    }

    /// Whether the address is inside the network.
    pub fn contains_address(self, address: IpAddr) -> bool {
        self.0.contains(&address)
    }

    /// Whether the two networks have an address in common: one of them then contains the other.
    pub fn overlaps(self, other: Self) -> bool {
        self.contains(other) || other.contains(self)
    }

    /// The addresses of the network from `first` to the last one, in order. `first` must be inside the network.
    pub fn addresses_from(self, first: IpAddr) -> impl Iterator<Item = IpAddr> {
        let ipv4 = self.is_ipv4();
        (address_number(first)..=address_number(self.last()))
            .map(move |number| address_from_number(number, ipv4))
    }

    /// The number of host bits: the network has 2 to the power of this many addresses.
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

/// Parses one host address; a mask is refused.
pub fn parse_host(text: &str) -> Result<IpAddr, NetworkError> {
    text.parse().map_err(|_| NetworkError::NotAnAddress(text.to_owned()))
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
