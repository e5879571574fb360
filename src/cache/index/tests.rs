use super::*;
use crate::cache::batch::Batch;
use crate::model::{Revision, Term};
use proptest::prelude::*;

fn prefix(id: u64, network: &str, scope: VrfScope) -> Prefix {
    Prefix::bare(PrefixId(id), network.parse().unwrap(), scope)
}

fn leased(id: u64, network: &str, owner: &str) -> Prefix {
    let lease = Lease { owner: Some(owner.into()), term: Term::default(), ..Lease::default() };
    Prefix { lease: Some(Box::new(lease)), ..prefix(id, network, VrfScope::Global) }
}

fn address(id: u64, host: &str, scope: VrfScope) -> Address {
    Address::bare(AddressId(id), host.parse().unwrap(), scope)
}

fn at(seconds: i64) -> Revision {
    Revision(Some(jiff::Timestamp::from_second(seconds).unwrap()))
}

#[test]
fn the_covering_lease_is_that_of_the_most_specific_prefix_that_carries_one() {
    let mut index = Index::default();
    index.apply(&Batch::from(vec![
        leased(1, "203.0.0.0/16", "OUTER-LIR"),
        leased(2, "203.0.113.0/24", "ACME-LIR"),
        prefix(3, "203.0.113.0/28", VrfScope::Global),
    ]));
    let lookup = index.lookup(VrfScope::Global, "203.0.113.5".parse().unwrap());
    let ids: Vec<u64> = lookup.chain.iter().map(|prefix| prefix.id.0).collect();
    assert_eq!(ids, [1, 2, 3]);
    assert_eq!(lookup.covering().unwrap().0.id, PrefixId(2));
}

#[test]
fn scopes_do_not_see_one_another() {
    let vrf = VrfScope::Vrf(VrfId(7));
    let mut index = Index::default();
    index
        .apply(&Batch::from(vec![leased(1, "203.0.113.0/24", "ACME-LIR"), prefix(2, "203.0.113.0/24", vrf)]));
    let lookup = index.lookup(vrf, "203.0.113.5".parse().unwrap());
    assert_eq!(lookup.chain.len(), 1);
    assert!(lookup.covering().is_none());
    assert!(index.lookup(VrfScope::Vrf(VrfId(8)), "203.0.113.5".parse().unwrap()).chain.is_empty());
}

#[test]
fn duplicate_prefixes_are_both_kept_and_one_can_go() {
    let mut index = Index::default();
    let network: Network = "203.0.113.0/24".parse().unwrap();
    index.apply(&Batch::from(vec![
        prefix(9, "203.0.113.0/24", VrfScope::Global),
        prefix(4, "203.0.113.0/24", VrfScope::Global),
    ]));
    let ids = |index: &Index| -> Vec<u64> {
        index.prefixes_at(VrfScope::Global, network).iter().map(|prefix| prefix.id.0).collect()
    };
    assert_eq!(ids(&index), [4, 9]);
    index.apply(&Batch { deleted_prefixes: vec![4], ..Batch::default() });
    assert_eq!(ids(&index), [9]);
}

#[test]
fn an_older_revision_does_not_replace_a_newer_one() {
    let mut index = Index::default();
    let newer = Prefix {
        revision: at(20),
        description: "new".into(),
        ..prefix(1, "203.0.113.0/24", VrfScope::Global)
    };
    let older = Prefix { revision: at(10), description: "old".into(), ..newer.clone() };
    index.apply(&Batch::from(vec![newer]));
    index.apply(&Batch::from(vec![older]));
    assert_eq!(index.prefix(PrefixId(1)).unwrap().description, "new");
}

#[test]
fn a_record_that_moved_is_found_at_its_new_place_only() {
    let mut index = Index::default();
    index.apply(&Batch::from(vec![address(1, "203.0.113.5/24", VrfScope::Global)]));
    index.apply(&Batch::from(vec![address(1, "203.0.113.6/24", VrfScope::Vrf(VrfId(2)))]));
    assert!(index.addresses_at(VrfScope::Global, "203.0.113.5".parse().unwrap()).is_empty());
    assert_eq!(index.addresses_at(VrfScope::Vrf(VrfId(2)), "203.0.113.6".parse().unwrap()).len(), 1);
    assert_eq!(index.counts().addresses, 1);
}

#[test]
fn records_are_found_by_request_until_they_are_deleted() {
    let mut index = Index::default();
    let request: RequestId = "order-1".parse().unwrap();
    let make = |id: u64, host: &str, at: u32| Address {
        allocation: Some(request.allocation(at)),
        ..address(id, host, VrfScope::Global)
    };
    index.apply(&Batch::from(vec![make(8, "203.0.113.2/24", 1), make(5, "203.0.113.1/24", 0)]));
    let hosts: Vec<String> = index.allocated(&request).0.iter().map(|a| a.host().to_string()).collect();
    assert_eq!(hosts, ["203.0.113.1", "203.0.113.2"]);
    index.apply(&Batch { deleted_addresses: vec![5, 8], ..Batch::default() });
    assert!(index.allocated(&request).0.is_empty());
    assert!(index.requests.is_empty());
}

proptest! {
    #[test]
    fn ranges_touching_a_network_agree_with_a_linear_search(
        ranges in prop::collection::vec((any::<u8>(), any::<u8>()), 0..20),
        base: u8,
        length in 24u8..=32,
    ) {
        let mut index = Index::default();
        let host = |last: u8| IpAddr::from([203, 0, 113, last]);
        let all: Vec<IpRange> = ranges.iter().enumerate().map(|(id, (a, b))| IpRange {
            id: crate::model::RangeId(id as u64),
            start: host(*a.min(b)), end: host(*a.max(b)),
            scope: VrfScope::Global, status: "active".into(), populated: true,
            description: String::new(), revision: Revision(None),
        }).collect();
        index.apply(&Batch::from(all.clone()));
        let network = Network::containing(ipnet::IpNet::new(host(base), length).unwrap());
        let mut found: Vec<u64> = index.ranges_touching(VrfScope::Global, network).map(|range| range.id.0).collect();
        found.sort_unstable();
        let wanted: Vec<u64> = all.iter()
            .filter(|range| range.start <= network.last() && range.end >= network.first())
            .map(|range| range.id.0).collect();
        prop_assert_eq!(found, wanted);
    }
}
