//! The lowest free addresses and blocks of a prefix, as NetBox computes them.

use std::collections::BTreeSet;

use ipnet::IpNet;

use super::records::{EmulatedRecord, RecordKind};
use super::state::EmulatorState;
use crate::model::{address_from_number, address_number};

/// The lowest free addresses of a prefix, at most `limit`. NetBox ignores child prefixes here, skips populated ranges, and
/// skips the network and broadcast addresses unless the prefix is a pool.
pub(super) fn addresses(state: &EmulatorState, parent: &EmulatedRecord, limit: usize) -> Vec<IpNet> {
    let Some(net) = parent.net else { return Vec::new() };
    let v4 = net.addr().is_ipv4();
    let (mut first, mut last) = (address_number(net.network()), address_number(net.broadcast()));
    if !parent.flag && net.max_prefix_len() - net.prefix_len() > 1 {
        first += 1;
        if v4 {
            last -= 1;
        }
    }
    // In a container of the global table, NetBox counts the addresses of every VRF.
    let vrf = if parent.vrf.is_none() && parent.status == "container" { None } else { Some(parent.vrf) };
    let taken: BTreeSet<u128> = state
        .in_span(RecordKind::Address, vrf, net.network()..=net.broadcast())
        .into_iter()
        .filter_map(|record| record.net.map(|net| address_number(net.addr())))
        .collect();
    let ranges: Vec<(u128, u128)> = state
        .all(RecordKind::Range)
        .filter(|range| range.flag && range.vrf == parent.vrf)
        .filter_map(|range| Some((address_number(range.net?.addr()), address_number(range.end?.addr()))))
        .collect();
    let mut found = Vec::new();
    let mut next = first;
    while next <= last && found.len() < limit {
        if let Some((_, end)) = ranges.iter().find(|(from, to)| *from <= next && next <= *to) {
            next = end + 1;
            continue;
        }
        if !taken.contains(&next) {
            found.extend(IpNet::new(address_from_number(next, v4), net.prefix_len()));
        }
        next += 1;
    }
    found
}

/// The lowest block of a length that overlaps no child prefix. NetBox ignores addresses here.
pub(super) fn block(state: &EmulatorState, parent: &EmulatedRecord, length: u8) -> Option<IpNet> {
    let net = parent.net?;
    let children: Vec<IpNet> = state
        .in_span(RecordKind::Prefix, Some(parent.vrf), net.network()..=net.broadcast())
        .into_iter()
        .filter(|child| child.id != parent.id)
        .filter_map(|child| child.net)
        .collect();
    let overlaps =
        |block: &IpNet| children.iter().any(|child| child.contains(block) || block.contains(child));
    net.subnets(length).ok()?.find(|block| !overlaps(block))
}
