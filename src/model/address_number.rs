//! IP addresses as numbers, the one conversion of the crate.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The address as a number: the 32 bits of an IPv4 address or the 128 bits of an IPv6 address. Both families begin at 0, so
/// compare numbers of one family only.
pub fn address_number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// The address with this number. A number beyond the last IPv4 address gives 255.255.255.255 if `ipv4` is set.
pub fn address_from_number(number: u128, ipv4: bool) -> IpAddr {
    if ipv4 {
        IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(number).unwrap_or(u32::MAX)))
    } else {
        IpAddr::V6(Ipv6Addr::from_bits(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_address_is_the_address_of_its_number(address: IpAddr) {
            prop_assert_eq!(address_from_number(address_number(address), address.is_ipv4()), address);
        }
    }
}
