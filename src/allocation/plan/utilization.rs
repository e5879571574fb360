//! How the addresses of a prefix are used, counted by the rules by which free ones are looked for. Pure.

use super::free_space::{self, Limits, Taken};
use crate::cache::Index;
use crate::model::Prefix;

/// How the addresses of a prefix are used. Each is counted once, by the first field from `recorded` on that describes it, so these
/// fields without `pooled` add up to `total`. Only of ::/0, whose size no number here holds, `total` and `free` may be one too low.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Utilization {
    /// The size of the prefix.
    pub total: u128,
    /// Addresses that NetBox records.
    pub recorded: u128,
    /// Those of the recorded addresses that a pool has reserved and nobody has. They are not counted again.
    pub pooled: u128,
    /// Addresses in IP ranges that count as used.
    pub in_ranges: u128,
    /// Addresses in child prefixes, which are allocated only if the caller includes them.
    pub in_child_prefixes: u128,
    /// The network and the broadcast address, except of a pool.
    pub not_assignable: u128,
    /// Addresses that were released a short time ago.
    pub quarantined: u128,
    /// Addresses that may be allocated.
    pub free: u128,
    /// The length of the largest child prefix that may be allocated; `None` if there is none.
    pub largest_free_prefix_length: Option<u8>,
}

/// Counts the addresses of a prefix. Of the limits, the exclusions and `include_children` do not count: they are a caller's, and
/// not a state of the prefix. Works on intervals: the time depends on the number of records and not of addresses.
pub fn utilization(index: &Index, prefix: &Prefix, limits: Limits<'_>) -> Utilization {
    let limits = Limits { exclude: &[], include_children: false, ..limits };
    let bounds = free_space::span(prefix.network);
    let mut intervals: Vec<(u128, u128)> = Vec::new();
    let mut counted = 0;
    // What an earlier field has counted is part of the intervals already, so only what is new adds to their number.
    let mut count = |more: &mut dyn Iterator<Item = (u128, u128)>| {
        intervals.extend(more);
        let before = counted;
        let taken = Taken::new(std::mem::take(&mut intervals));
        counted = taken.count_within(bounds);
        intervals = taken.into_intervals();
        counted - before
    };
    let pooled = count(&mut free_space::pooled(index, prefix));
    let recorded = pooled + count(&mut free_space::recorded(index, prefix));
    let in_ranges = count(&mut free_space::ranges(index, prefix, limits.only_populated_ranges));
    let in_child_prefixes = count(&mut free_space::children(index, prefix));
    let not_assignable = count(&mut free_space::not_usable(prefix));
    let quarantined = count(&mut free_space::quarantined(limits.quarantined, prefix));
    let blocks = free_space::taken_blocks(index, prefix, limits);
    Utilization {
        total: (bounds.1 - bounds.0).saturating_add(1),
        recorded,
        pooled,
        in_ranges,
        in_child_prefixes,
        not_assignable,
        quarantined,
        free: free_space::count_free(prefix, &free_space::taken_addresses(index, prefix, limits)),
        largest_free_prefix_length: free_space::largest_block(prefix, &blocks),
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::Arc;
    use std::time::Instant;

    use ipnet::IpNet;
    use proptest::prelude::*;

    use super::*;
    use crate::allocation::plan::Quarantined;
    use crate::cache::{Batch, Cache};
    use crate::model::{
        Address, AddressId, IpRange, Network, PrefixId, RangeId, Revision, VrfScope, address_from_number,
        address_number,
    };

    fn address(id: u64, host: IpAddr) -> Address {
        Address::bare(AddressId(id), IpNet::from(host), VrfScope::Global)
    }

    fn index(batch: Batch) -> Arc<Index> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let cache = Cache::in_memory().await.unwrap();
            cache.apply(batch).await.unwrap();
            cache.snapshot()
        })
    }

    fn limits(quarantined: &Quarantined) -> Limits<'_> {
        Limits::of_everybody(quarantined, true)
    }

    /// A parent of 16 to 1024 addresses, with records at offsets from its first address.
    #[derive(Clone, Debug)]
    struct Space {
        parent: Prefix,
        index: Arc<Index>,
        quarantined: Quarantined,
    }

    fn space() -> impl Strategy<Value = Space> {
        let offsets = || prop::collection::vec(0u128..1100, 0..20);
        let ranges = prop::collection::vec((0u128..1100, 0u128..60, any::<bool>()), 0..5);
        let children = prop::collection::vec((0u128..1024, 24u8..=32), 0..5);
        (22u8..=28, any::<bool>(), any::<bool>(), offsets(), ranges, children, offsets()).prop_map(
            |(length, is_pool, ipv4, addresses, ranges, children, quarantined)| {
                let text =
                    if ipv4 { format!("10.0.0.0/{length}") } else { format!("2001:db8::/{}", 96 + length) };
                let network: Network = text.parse().unwrap();
                let base = address_number(network.first());
                let host = |offset: u128| address_from_number(base + offset, ipv4);
                let parent = Prefix { is_pool, ..Prefix::bare(PrefixId(1), network, VrfScope::Global) };
                let children = (2u64..).zip(children).map(|(id, (offset, length))| {
                    let length = if ipv4 { length } else { 96 + length };
                    let net = IpNet::new(host(offset), length).unwrap().trunc();
                    Prefix::bare(PrefixId(id), Network::containing(net), VrfScope::Global)
                });
                let ranges = (1u64..).zip(ranges).map(|(id, (first, more, populated))| IpRange {
                    id: RangeId(id),
                    start: host(first),
                    end: host(first + more),
                    scope: VrfScope::Global,
                    status: "active".to_owned(),
                    populated,
                    description: String::new(),
                    revision: Revision(None),
                });
                let batch = Batch {
                    prefixes: [parent.clone()].into_iter().chain(children).collect(),
                    addresses: (1u64..).zip(addresses).map(|(id, at)| address(id, host(at))).collect(),
                    ranges: ranges.collect(),
                    ..Batch::default()
                };
                let quarantined = quarantined.into_iter().map(|at| (VrfScope::Global, host(at))).collect();
                Space { parent, index: index(batch), quarantined }
            },
        )
    }

    proptest! {
        #[test]
        fn the_counts_add_up_to_the_size_of_the_prefix(space in space()) {
            let used = utilization(&space.index, &space.parent, limits(&space.quarantined));
            let sum = used.recorded + used.in_ranges + used.in_child_prefixes + used.not_assignable
                + used.quarantined + used.free;
            prop_assert_eq!(sum, used.total);
            prop_assert_eq!(used.total, 1 << space.parent.network.host_bits());
        }

        #[test]
        fn the_free_addresses_are_those_that_can_be_allocated_one_by_one(space in space()) {
            let used = utilization(&space.index, &space.parent, limits(&space.quarantined));
            let mut handed_out: Vec<Network> = Vec::new();
            loop {
                let limits = Limits { exclude: &handed_out, ..limits(&space.quarantined) };
                let taken = free_space::taken_addresses(&space.index, &space.parent, limits);
                let Some(next) = free_space::lowest_free(&space.parent, &taken, 1).first().copied() else { break };
                handed_out.push(Network::host(next));
            }
            prop_assert_eq!(used.free, handed_out.len() as u128);
        }

        #[test]
        fn picking_finds_what_a_list_of_all_that_is_taken_leaves(space in space(), count in 1u32..1200) {
            let limits = limits(&space.quarantined);
            let taken = free_space::taken_addresses(&space.index, &space.parent, limits);
            prop_assert_eq!(
                free_space::pick_addresses(&space.index, &space.parent, limits, count),
                free_space::lowest_free(&space.parent, &taken, count)
            );
        }

        #[test]
        fn the_largest_free_child_prefix_can_be_allocated_and_no_larger_one(space in space()) {
            let used = utilization(&space.index, &space.parent, limits(&space.quarantined));
            let taken = free_space::taken_blocks(&space.index, &space.parent, limits(&space.quarantined));
            let network = space.parent.network;
            let shortest = (network.length() + 1..=network.max_length())
                .find(|length| free_space::lowest_block(&space.parent, &taken, *length).is_some());
            prop_assert_eq!(used.largest_free_prefix_length, shortest);
        }
    }

    #[test]
    fn an_address_is_counted_by_the_first_field_that_describes_it() {
        let network = "203.0.113.0/24".parse().unwrap();
        let parent = Prefix::bare(PrefixId(1), network, VrfScope::Global);
        let child = Prefix::bare(PrefixId(2), "203.0.113.128/25".parse().unwrap(), VrfScope::Global);
        let host = |text: &str| text.parse::<IpAddr>().unwrap();
        let range = IpRange {
            id: RangeId(1),
            start: host("203.0.113.120"),
            end: host("203.0.113.135"),
            scope: VrfScope::Global,
            status: "active".to_owned(),
            populated: true,
            description: String::new(),
            revision: Revision(None),
        };
        let in_pool = Address {
            allocation: "leasehold-pool-somebody-1/0".parse().ok(),
            ..address(3, host("203.0.113.3"))
        };
        let index = index(Batch {
            prefixes: vec![parent.clone(), child],
            addresses: vec![address(1, host("203.0.113.1")), address(2, host("203.0.113.121")), in_pool],
            ranges: vec![range],
            ..Batch::default()
        });
        let quarantined = ["203.0.113.1", "203.0.113.2", "203.0.113.122", "203.0.113.200"];
        let quarantined = quarantined.into_iter().map(|text| (VrfScope::Global, host(text))).collect();
        let used = utilization(&index, &parent, limits(&quarantined));
        let expected = Utilization {
            total: 256,
            recorded: 3,
            pooled: 1,
            in_ranges: 15,
            // .136 to .255; the broadcast address is among them.
            in_child_prefixes: 120,
            not_assignable: 1,
            quarantined: 1,
            free: 116,
            largest_free_prefix_length: Some(27),
        };
        assert_eq!(used, expected);
    }

    #[test]
    fn an_ipv6_block_with_many_records_is_counted_as_fast_as_an_ipv4_block() {
        let parent = Prefix::bare(PrefixId(1), "2001:db8::/32".parse().unwrap(), VrfScope::Global);
        let base = address_number(parent.network.first());
        let records = 20_000u64;
        let host = |nth: u64| address_from_number(base + (u128::from(nth) << 64) + 5, false);
        let index = index(Batch::from((1..=records).map(|nth| address(nth, host(nth))).collect::<Vec<_>>()));
        let (quarantined, began) = (Quarantined::default(), Instant::now());
        let used = utilization(&index, &parent, limits(&quarantined));
        // A loop over the addresses would take years.
        assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
        assert_eq!((used.total, used.recorded), (1 << 96, u128::from(records)));
        assert_eq!((used.not_assignable, used.free), (1, (1 << 96) - u128::from(records) - 1));
        assert_eq!(used.largest_free_prefix_length, Some(33));
    }

    #[test]
    fn the_whole_ipv6_space_is_counted_without_overflow() {
        let parent = Prefix::bare(PrefixId(1), "::/0".parse().unwrap(), VrfScope::Global);
        let index = index(Batch::from(vec![address(1, "2001:db8::1".parse().unwrap())]));
        let quarantined = Quarantined::default();
        let used = utilization(&index, &parent, limits(&quarantined));
        assert_eq!((used.total, used.recorded, used.not_assignable), (u128::MAX, 1, 1));
        assert_eq!((used.free, used.largest_free_prefix_length), (u128::MAX - 1, Some(1)));
    }
}
