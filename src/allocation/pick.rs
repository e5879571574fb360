//! Which addresses and blocks of a prefix are free. Pure.
//!
//! What is taken is a list of intervals, merged and in order; what is free lies between them. IPv4 and IPv6 are the same
//! here: numbers.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::cache::Index;
use crate::model::{Network, Prefix, Table};

/// What may not be handed out of a prefix, besides what is recorded.
#[derive(Clone, Copy, Debug)]
pub struct Limits<'a> {
    /// Excluded by the caller.
    pub exclude: &'a [Network],
    /// Given back a while ago and not to be handed out yet.
    pub resting: &'a Resting,
    /// Whether addresses inside child prefixes may be handed out.
    pub include_children: bool,
    /// Whether only ranges marked as populated take their addresses (NetBox 4.3 and later), or every range.
    pub only_populated_ranges: bool,
}

/// Addresses that rest after they were given back, by table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resting(HashMap<Table, BTreeSet<IpAddr>>);

impl Resting {
    /// Those of a prefix.
    pub fn within(&self, parent: &Prefix) -> impl Iterator<Item = IpAddr> + '_ {
        let (first, last) = (parent.network.first(), parent.network.last());
        self.0.get(&parent.table).into_iter().flat_map(move |resting| resting.range(first..=last)).copied()
    }
}

impl FromIterator<(Table, IpAddr)> for Resting {
    fn from_iter<I: IntoIterator<Item = (Table, IpAddr)>>(addresses: I) -> Self {
        let mut by_table: HashMap<Table, BTreeSet<IpAddr>> = HashMap::new();
        for (table, address) in addresses {
            by_table.entry(table).or_default().insert(address);
        }
        Self(by_table)
    }
}

/// Intervals of addresses, both ends inclusive, merged and in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    intervals: Vec<(u128, u128)>,
}

impl Taken {
    /// Merges intervals given in any order.
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

    /// The gaps between the intervals, within bounds.
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

/// Addresses that NetBox hands out of a prefix: all of a pool, a /31, /32, /127 or /128; otherwise without the network
/// address and, for IPv4, without the broadcast address (NetBox's `usable_ip_bounds`).
pub fn usable(parent: &Prefix) -> (u128, u128) {
    let (first, last) = span(parent.network);
    if parent.is_pool || parent.network.host_bits() <= 1 {
        (first, last)
    } else if parent.network.is_ipv4() {
        (first + 1, last - 1)
    } else {
        (first + 1, last)
    }
}

/// What is taken of a prefix, for handing out addresses.
pub fn taken_addresses(index: &Index, parent: &Prefix, limits: Limits<'_>) -> Taken {
    let (table, network) = (parent.table, parent.network);
    let mut taken: Vec<(u128, u128)> = Vec::new();
    taken.extend(index.addresses_within(table, network).map(|address| one(address.host())));
    taken.extend(ranges(index, parent, limits.only_populated_ranges));
    taken.extend(excluded(limits.exclude, network));
    taken.extend(limits.resting.within(parent).map(one));
    if !limits.include_children {
        taken.extend(children(index, parent));
    }
    Taken::new(taken)
}

/// What is taken of a prefix, for handing out a block: every child, every recorded or resting address, every range.
pub fn taken_blocks(index: &Index, parent: &Prefix, limits: Limits<'_>) -> Taken {
    let mut taken: Vec<(u128, u128)> = Vec::new();
    taken.extend(index.addresses_within(parent.table, parent.network).map(|address| one(address.host())));
    taken.extend(ranges(index, parent, false));
    taken.extend(excluded(limits.exclude, parent.network));
    taken.extend(limits.resting.within(parent).map(one));
    taken.extend(children(index, parent));
    Taken::new(taken)
}

/// Whether the prefix has child prefixes.
pub fn has_children(index: &Index, parent: &Prefix) -> bool {
    children(index, parent).next().is_some()
}

/// Prefixes strictly inside, and duplicates of the prefix itself: those are the same space under another id.
fn children<'a>(index: &'a Index, parent: &'a Prefix) -> impl Iterator<Item = (u128, u128)> + 'a {
    index
        .prefixes_within(parent.table, parent.network)
        .filter(|child| child.network != parent.network)
        .map(|child| span(child.network))
}

fn ranges<'a>(
    index: &'a Index,
    parent: &'a Prefix,
    only_populated: bool,
) -> impl Iterator<Item = (u128, u128)> + 'a {
    index
        .ranges_touching(parent.table, parent.network)
        .filter(move |range| range.populated || !only_populated)
        .map(|range| (number(range.start), number(range.end)))
}

/// What is excluded of a network. An excluded network of the other family takes nothing: its numbers are other addresses.
fn excluded(exclude: &[Network], network: Network) -> impl Iterator<Item = (u128, u128)> + '_ {
    exclude.iter().filter(move |other| other.overlaps(network)).map(|other| span(*other))
}

/// The lowest free addresses, `count` of them; fewer if there are fewer.
pub fn lowest_free(parent: &Prefix, taken: &Taken, count: u32) -> Vec<IpAddr> {
    let wanted = usize::try_from(count).unwrap_or(usize::MAX);
    taken
        .free(usable(parent))
        .flat_map(|(first, last)| first..=last)
        .take(wanted)
        .map(|number| address(number, parent.network.is_ipv4()))
        .collect()
}

/// How many addresses are free.
pub fn count_free(parent: &Prefix, taken: &Taken) -> u128 {
    taken
        .free(usable(parent))
        .map(|(first, last)| (last - first).saturating_add(1))
        .fold(0, u128::saturating_add)
}

/// The lowest free block of a length, aligned to it.
pub fn lowest_block(parent: &Prefix, taken: &Taken, length: u8) -> Option<Network> {
    let network = parent.network;
    if length <= network.length() || length > network.max_length() {
        return None;
    }
    let bits = network.max_length() - length;
    let size_less_one = if bits == 128 { u128::MAX } else { (1u128 << bits) - 1 };
    taken.free(span(network)).find_map(|(first, last)| {
        let aligned = first.checked_add(size_less_one)? & !size_less_one;
        let end = aligned.checked_add(size_less_one)?;
        if end > last {
            return None;
        }
        let net = IpNet::new(address(aligned, network.is_ipv4()), length).ok()?;
        Some(Network::containing(net))
    })
}

/// Length of the largest free block, `None` if nothing is free.
pub fn largest_block(parent: &Prefix, taken: &Taken) -> Option<u8> {
    (parent.network.length() + 1..=parent.network.max_length())
        .find(|length| lowest_block(parent, taken, *length).is_some())
}

/// An address as a number, within its family.
fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

fn one(host: IpAddr) -> (u128, u128) {
    (number(host), number(host))
}

fn span(network: Network) -> (u128, u128) {
    (number(network.first()), number(network.last()))
}

fn address(number: u128, ipv4: bool) -> IpAddr {
    if ipv4 {
        IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(number).unwrap_or(u32::MAX)))
    } else {
        IpAddr::V6(Ipv6Addr::from_bits(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::Index;
    use crate::model::{PrefixId, Table};
    use proptest::prelude::*;

    fn parent(network: &str, is_pool: bool) -> Prefix {
        Prefix { is_pool, ..Prefix::bare(PrefixId(1), network.parse().unwrap(), Table::Global) }
    }

    fn free(network: &str, is_pool: bool) -> u128 {
        count_free(&parent(network, is_pool), &Taken::default())
    }

    #[test]
    fn network_and_broadcast_addresses_are_handed_out_of_pools_only() {
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
        let resting = Resting::default();
        let limits = Limits {
            exclude: &exclude,
            resting: &resting,
            include_children: false,
            only_populated_ranges: true,
        };
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
                .map(|number| address(number, true)).collect();
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
            let base = number(parent.network.first());
            let intervals: Vec<(u128, u128)> = intervals.into_iter()
                .map(|(from, more)| (base + u128::from(from), base + u128::from(from + more))).collect();
            let taken = Taken::new(intervals.clone());
            let size = 1u128 << (32 - length);
            let wanted = (0..256 / size).map(|nth| base + nth * size).find(|first| {
                !intervals.iter().any(|(from, to)| *from < first + size && to >= first)
            });
            let found = lowest_block(&parent, &taken, length).map(|block| number(block.first()));
            prop_assert_eq!(found, wanted);
        }
    }
}
