//! The ranges that a command reserves in the ledger.

use std::net::IpAddr;

use crate::ledger::Reservation;
use crate::model::{Network, VrfScope, address_number};

/// Reservations of single addresses, neighbours joined.
pub(in crate::allocation) fn single_addresses(
    scope: VrfScope,
    addresses: impl Iterator<Item = IpAddr>,
) -> Vec<Reservation> {
    let mut sorted: Vec<IpAddr> = addresses.collect();
    sorted.sort_unstable();
    let mut reserved: Vec<Reservation> = Vec::new();
    for address in sorted {
        match reserved.last_mut() {
            Some(range) if follows(range.last, address) => range.last = address,
            _ => reserved.push(Reservation { scope, first: address, last: address }),
        }
    }
    reserved
}

/// The reservation of a whole network.
pub(super) fn whole(scope: VrfScope, network: Network) -> Vec<Reservation> {
    vec![Reservation { scope, first: network.first(), last: network.last() }]
}

/// Whether the second address is the first one or the one after it.
fn follows(before: IpAddr, address: IpAddr) -> bool {
    before.is_ipv4() == address.is_ipv4()
        && address_number(address).checked_sub(address_number(before)).is_some_and(|distance| distance <= 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_one_range_and_families_are_apart() {
        let addresses = ["203.0.113.2", "203.0.113.1", "203.0.113.4", "::1"];
        let addresses = addresses.iter().map(|text| text.parse().unwrap());
        let ranges: Vec<(String, String)> = single_addresses(VrfScope::Global, addresses)
            .into_iter()
            .map(|range| (range.first.to_string(), range.last.to_string()))
            .collect();
        let pair = |first: &str, last: &str| (first.to_owned(), last.to_owned());
        assert_eq!(
            ranges,
            [pair("203.0.113.1", "203.0.113.2"), pair("203.0.113.4", "203.0.113.4"), pair("::1", "::1")]
        );
    }
}
