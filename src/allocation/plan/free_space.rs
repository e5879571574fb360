//! Which addresses and blocks of a prefix are free. Pure.
//!
//! Addresses are numbers here, IPv4 and IPv6 alike. What is taken is a list of merged intervals in ascending order; what is free
//! are the gaps between them.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::quarantine::Quarantined;
use crate::cache::Index;
use crate::ledger::ReservedRange;
use crate::model::{Address, Network, Prefix, VrfScope, address_from_number, address_number};

/// What must not be allocated although no record has it, and what counts as taken.
#[derive(Clone, Copy, Debug)]
pub struct Limits<'a> {
    /// Networks that the caller excluded.
    pub exclude: &'a [Network],
    pub quarantined: &'a Quarantined,
    /// Ranges that other writes have reserved in the ledger.
    pub reserved: &'a [ReservedRange],
    /// Whether addresses inside child prefixes may be allocated.
    pub include_children: bool,
    /// Whether only ranges that are marked as populated take their addresses (NetBox 4.3 and later), or every range does.
    pub only_populated_ranges: bool,
}

impl<'a> Limits<'a> {
    /// What holds for everybody: nothing is excluded or reserved, and child prefixes keep their addresses.
    pub fn of_everybody(quarantined: &'a Quarantined, only_populated_ranges: bool) -> Self {
        Self { exclude: &[], quarantined, reserved: &[], include_children: false, only_populated_ranges }
    }
}

/// Intervals of addresses with both ends included, merged and in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    intervals: Vec<(u128, u128)>,
}

impl Taken {
    /// Sorts and merges intervals.
    pub fn new(mut intervals: Vec<(u128, u128)>) -> Self {
        intervals.sort_unstable();
        let mut merged: Vec<(u128, u128)> = Vec::with_capacity(intervals.len());
        for (first, last) in intervals {
            match merged.last_mut() {
                Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
                _ => merged.push((first, last)),
            }
        }
        Self { intervals: merged }
    }

    /// The intervals, merged and in ascending order.
    pub(super) fn into_intervals(self) -> Vec<(u128, u128)> {
        self.intervals
    }

    /// How many numbers of these bounds the intervals hold.
    pub(super) fn count_within(&self, (first, last): (u128, u128)) -> u128 {
        self.intervals
            .iter()
            .map(|(from, to)| ((*from).max(first), (*to).min(last)))
            .filter(|(from, to)| from <= to)
            .map(|(from, to)| (to - from).saturating_add(1))
            .fold(0, u128::saturating_add)
    }

    /// The gaps between the intervals, cut to these bounds.
    fn free(&self, (first, last): (u128, u128)) -> impl Iterator<Item = (u128, u128)> + '_ {
        let mut next = Some(first);
        let ends = self.intervals.iter().copied().map(Some).chain([None]);
        ends.filter_map(move |taken| {
            let from = next?;
            match taken {
                Some((_, taken_last)) if taken_last < from => None,
                Some((taken_first, taken_last)) => {
                    next = taken_last.checked_add(1).filter(|from| *from <= last);
                    let gap_last = taken_first.checked_sub(1)?.min(last);
                    (from <= gap_last).then_some((from, gap_last))
                }
                None => {
                    next = None;
                    (from <= last).then_some((from, last))
                }
            }
        })
    }
}

/// Whether an address of a prefix may be recorded: the network and the broadcast address may not, except of a pool.
pub fn is_usable(parent: &Prefix, address: IpAddr) -> bool {
    let (first, last) = usable(parent);
    (first..=last).contains(&address_number(address))
}

/// The first and the last address of a prefix that NetBox allocates: all of a pool, a /31, /32, /127 or /128; otherwise without
/// the network address and, for IPv4, without the broadcast address (`usable_ip_bounds` in NetBox's Prefix model).
fn usable(parent: &Prefix) -> (u128, u128) {
    let (first, last) = span(parent.network);
    if parent.is_pool || parent.network.host_bits() <= 1 {
        (first, last)
    } else if parent.network.is_ipv4() {
        (first + 1, last - 1)
    } else {
        (first + 1, last)
    }
}

/// What cannot be allocated as an address: recorded addresses, ranges, exclusions and the quarantine; child prefixes
/// too, unless they are included.
pub fn taken_addresses(index: &Index, parent: &Prefix, limits: Limits<'_>) -> Taken {
    let mut taken = obstacles(index, parent, limits);
    taken.extend(recorded(index, parent));
    taken.extend(quarantined(limits.quarantined, parent));
    Taken::new(taken)
}

/// The spans that take addresses, of which there are few: [`taken_addresses`] without recorded addresses and the quarantine.
fn obstacles(index: &Index, parent: &Prefix, limits: Limits<'_>) -> Vec<(u128, u128)> {
    let mut taken: Vec<(u128, u128)> = Vec::new();
    taken.extend(ranges(index, parent, limits.only_populated_ranges));
    taken.extend(excluded(limits.exclude, parent.network));
    taken.extend(reserved(limits.reserved, parent));
    if !limits.include_children {
        taken.extend(children(index, parent));
    }
    taken
}

/// The lowest addresses of a prefix that [`taken_addresses`] leaves free, in ascending order: `count` of them, or all if fewer are.
/// Recorded addresses and those in quarantine are not visited one by one, so that it takes no longer where more of them are.
pub fn pick_addresses(index: &Index, parent: &Prefix, limits: Limits<'_>, count: u32) -> Vec<IpAddr> {
    let wanted = usize::try_from(count).unwrap_or(usize::MAX);
    let (scopes, ipv4) = (scopes_inside(index, parent), parent.network.is_ipv4());
    let mut picked = Vec::new();
    for (first, last) in Taken::new(obstacles(index, parent, limits)).free(usable(parent)) {
        let (mut from, last) = (address_from_number(first, ipv4), address_from_number(last, ipv4));
        while picked.len() < wanted
            && let Some(free) = first_free(index, &scopes, limits.quarantined, parent.scope, from, last)
        {
            picked.push(free);
            match address_number(free).checked_add(1) {
                Some(next) if next <= address_number(last) => from = address_from_number(next, ipv4),
                _ => break,
            }
        }
        if picked.len() == wanted {
            break;
        }
    }
    picked
}

/// The lowest host from `first` to `last` that is recorded in none of the scopes, and not in quarantine in `own`.
fn first_free(
    index: &Index,
    scopes: &[VrfScope],
    quarantined: &Quarantined,
    own: VrfScope,
    first: IpAddr,
    last: IpAddr,
) -> Option<IpAddr> {
    let mut at = first;
    loop {
        let before = at;
        for scope in scopes {
            at = index.first_unrecorded(*scope, at, last)?;
        }
        at = quarantined.first_outside(own, at, last)?;
        if at == before {
            return Some(at);
        }
    }
}

/// What cannot be allocated as a child prefix: recorded addresses, all ranges, exclusions, the quarantine and child prefixes.
pub fn taken_blocks(index: &Index, parent: &Prefix, limits: Limits<'_>) -> Taken {
    let mut taken: Vec<(u128, u128)> = Vec::new();
    taken.extend(recorded(index, parent));
    taken.extend(ranges(index, parent, false));
    taken.extend(excluded(limits.exclude, parent.network));
    taken.extend(quarantined(limits.quarantined, parent));
    taken.extend(reserved(limits.reserved, parent));
    taken.extend(children(index, parent));
    Taken::new(taken)
}

/// Whether a prefix has child prefixes.
pub fn has_children(index: &Index, parent: &Prefix) -> bool {
    children(index, parent).next().is_some()
}

/// The scopes whose records stand in a prefix: its own, and for a container of the global table every VRF too. NetBox says the
/// same of such a container (`get_child_prefixes` and `get_child_ips` of its Prefix model): public space exists once.
pub(super) fn scopes_inside(index: &Index, parent: &Prefix) -> Vec<VrfScope> {
    if parent.scope == VrfScope::Global && parent.status == "container" {
        index.scopes().collect()
    } else {
        vec![parent.scope]
    }
}

/// The addresses of a prefix that NetBox records, as intervals.
pub(super) fn recorded<'a>(index: &'a Index, parent: &'a Prefix) -> impl Iterator<Item = (u128, u128)> + 'a {
    records(index, parent).map(|address| one(address.host()))
}

/// The addresses of a prefix that a pool has reserved and nobody has, as intervals.
pub(super) fn pooled<'a>(index: &'a Index, parent: &'a Prefix) -> impl Iterator<Item = (u128, u128)> + 'a {
    records(index, parent).filter(|address| address.is_in_pool()).map(|address| one(address.host()))
}

fn records<'a>(index: &'a Index, parent: &'a Prefix) -> impl Iterator<Item = &'a Arc<Address>> + 'a {
    let scopes = scopes_inside(index, parent).into_iter();
    scopes.flat_map(move |scope| index.addresses_within(scope, parent.network))
}

/// The ranges that other writes have reserved in the scopes of a prefix, as intervals.
fn reserved<'a>(ranges: &'a [ReservedRange], parent: &'a Prefix) -> impl Iterator<Item = (u128, u128)> + 'a {
    let everywhere = parent.scope == VrfScope::Global && parent.status == "container";
    ranges
        .iter()
        .map(|reserved| reserved.range)
        .filter(move |range| {
            (everywhere || range.scope == parent.scope)
                && range.first.is_ipv4() == parent.network.is_ipv4()
                && range.first <= parent.network.last()
                && range.last >= parent.network.first()
        })
        .map(|range| (address_number(range.first), address_number(range.last)))
}

/// The addresses of a prefix that are in quarantine, as intervals.
pub(super) fn quarantined<'a>(
    quarantined: &'a Quarantined,
    parent: &Prefix,
) -> impl Iterator<Item = (u128, u128)> + 'a {
    quarantined.within(parent).map(one)
}

/// The addresses of a prefix that [`is_usable`] denies, as intervals.
pub(super) fn not_usable(parent: &Prefix) -> impl Iterator<Item = (u128, u128)> {
    let ((first, last), (from, to)) = (span(parent.network), usable(parent));
    let before = (first < from).then_some((first, first));
    let after = (to < last).then_some((last, last));
    before.into_iter().chain(after)
}

/// Child prefixes as intervals. Duplicates of the parent are skipped: they are the same space under another id.
pub(super) fn children<'a>(index: &'a Index, parent: &'a Prefix) -> impl Iterator<Item = (u128, u128)> + 'a {
    scopes_inside(index, parent)
        .into_iter()
        .flat_map(move |scope| index.prefixes_within(scope, parent.network))
        .filter(|child| child.network != parent.network)
        .map(|child| span(child.network))
}

/// The IP ranges that have an address in common with a prefix, as intervals: all of them, or those that are marked as populated.
pub(super) fn ranges<'a>(
    index: &'a Index,
    parent: &'a Prefix,
    only_populated: bool,
) -> impl Iterator<Item = (u128, u128)> + 'a {
    index
        .ranges_touching(parent.scope, parent.network)
        .filter(move |range| range.populated || !only_populated)
        .map(|range| (address_number(range.start), address_number(range.end)))
}

/// Exclusions as intervals. Networks of the other address family are skipped: their numbers mean other addresses.
fn excluded(exclude: &[Network], network: Network) -> impl Iterator<Item = (u128, u128)> + '_ {
    exclude.iter().filter(move |other| other.overlaps(network)).map(|other| span(*other))
}

/// The lowest free addresses, as [`pick_addresses`] finds them, from a list of all that is taken.
#[cfg(test)]
pub(super) fn lowest_free(parent: &Prefix, taken: &Taken, count: u32) -> Vec<IpAddr> {
    let wanted = usize::try_from(count).unwrap_or(usize::MAX);
    taken
        .free(usable(parent))
        .flat_map(|(first, last)| first..=last)
        .take(wanted)
        .map(|number| address_from_number(number, parent.network.is_ipv4()))
        .collect()
}

/// The number of free addresses.
pub fn count_free(parent: &Prefix, taken: &Taken) -> u128 {
    taken
        .free(usable(parent))
        .map(|(first, last)| (last - first).saturating_add(1))
        .fold(0, u128::saturating_add)
}

/// The lowest free child prefix of a length.
pub fn lowest_block(parent: &Prefix, taken: &Taken, length: u8) -> Option<Network> {
    let network = parent.network;
    if length <= network.length() || length > network.max_length() {
        return None;
    }
    let bits = u32::from(network.max_length() - length);
    taken.free(span(network)).find_map(|(first, last)| {
        let start = aligned(first, last, bits)?;
        let net = IpNet::new(address_from_number(start, network.is_ipv4()), length).ok()?;
        Some(Network::containing(net))
    })
}

/// The length of the largest free child prefix; `None` if nothing is free.
pub fn largest_block(parent: &Prefix, taken: &Taken) -> Option<u8> {
    let network = parent.network;
    let largest = taken.free(span(network)).map(|(first, last)| {
        // A gap holds an aligned block of the greatest power of two that is not larger than the gap, or else of half that size.
        let bits = (last - first).checked_add(1).map_or(128, u128::ilog2);
        if aligned(first, last, bits).is_some() { bits } else { bits.saturating_sub(1) }
    });
    // The prefix itself is not a child of it.
    let bits = largest.max()?.min(u32::from(network.host_bits()).checked_sub(1)?);
    Some(network.max_length() - u8::try_from(bits).ok()?)
}

/// The first number of the lowest block of 2^bits numbers, aligned to its size, that lies within these bounds.
fn aligned(first: u128, last: u128, bits: u32) -> Option<u128> {
    let size_less_one = u128::MAX.checked_shr(128 - bits).unwrap_or(0);
    let start = first.checked_add(size_less_one)? & !size_less_one;
    let end = start.checked_add(size_less_one)?;
    (end <= last).then_some(start)
}

fn one(host: IpAddr) -> (u128, u128) {
    (address_number(host), address_number(host))
}

/// The first and the last address of a network.
pub(super) fn span(network: Network) -> (u128, u128) {
    (address_number(network.first()), address_number(network.last()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PrefixId;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn parent(network: &str, is_pool: bool) -> Prefix {
        Prefix { is_pool, ..Prefix::bare(PrefixId(1), network.parse().unwrap(), VrfScope::Global) }
    }

    fn free(network: &str, is_pool: bool) -> u128 {
        count_free(&parent(network, is_pool), &Taken::default())
    }

    #[test]
    fn network_and_broadcast_addresses_are_allocated_from_pools_only() {
        assert_eq!(free("203.0.113.0/24", false), 254);
        assert_eq!(free("203.0.113.0/24", true), 256);
        assert_eq!(free("203.0.113.0/31", false), 2);
        assert_eq!(free("203.0.113.0/32", false), 1);
        assert_eq!(free("2001:db8::/126", false), 3);
        assert_eq!(free("2001:db8::/127", false), 2);
    }

    #[test]
    fn an_excluded_network_of_the_other_family_takes_nothing() {
        let parent = parent("0.0.0.0/8", true);
        let exclude = ["::/104".parse().unwrap()];
        let quarantined = Quarantined::default();
        let limits = Limits { exclude: &exclude, ..Limits::of_everybody(&quarantined, true) };
        let taken = taken_addresses(&Index::default(), &parent, limits);
        assert_eq!(count_free(&parent, &taken), 1 << 24);
    }

    #[test]
    fn a_whole_ipv6_space_is_counted_without_overflow() {
        assert_eq!(free("::/0", true), u128::MAX);
        assert!(lowest_block(&parent("::/0", true), &Taken::default(), 1).is_some());
    }

    proptest! {
        #[test]
        fn free_addresses_agree_with_trying_each(
            length in 22u8..=32,
            intervals in prop::collection::vec((0u32..1100, 0u32..40), 0..30),
            count in 1u32..50,
        ) {
            let parent = parent(&format!("10.0.0.0/{length}"), false);
            let base = 0x0a00_0000u128;
            let intervals: Vec<(u128, u128)> = intervals.into_iter()
                .map(|(from, more)| (base - 20 + u128::from(from), base - 20 + u128::from(from + more))).collect();
            let taken = Taken::new(intervals.clone());
            let (first, last) = usable(&parent);
            let wanted: Vec<IpAddr> = (first..=last)
                .filter(|number| !intervals.iter().any(|(from, to)| from <= number && number <= to))
                .map(|number| address_from_number(number, true)).collect();
            prop_assert_eq!(count_free(&parent, &taken), wanted.len() as u128);
            let picked = lowest_free(&parent, &taken, count);
            prop_assert_eq!(&picked[..], &wanted[..wanted.len().min(count as usize)]);
            prop_assert_eq!(picked.iter().collect::<BTreeSet<_>>().len(), picked.len());
        }

        #[test]
        fn a_free_block_is_the_lowest_that_overlaps_nothing(
            length in 25u8..=32,
            intervals in prop::collection::vec((0u32..256, 0u32..30), 0..12),
        ) {
            let parent = parent("203.0.113.0/24", false);
            let base = address_number(parent.network.first());
            let intervals: Vec<(u128, u128)> = intervals.into_iter()
                .map(|(from, more)| (base + u128::from(from), base + u128::from(from + more))).collect();
            let taken = Taken::new(intervals.clone());
            let size = 1u128 << (32 - length);
            let wanted = (0..256 / size).map(|nth| base + nth * size).find(|first| {
                !intervals.iter().any(|(from, to)| *from < first + size && to >= first)
            });
            let found = lowest_block(&parent, &taken, length).map(|block| address_number(block.first()));
            prop_assert_eq!(found, wanted);
        }
    }
}
