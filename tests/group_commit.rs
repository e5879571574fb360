//! Requests that wait together are joined: into few requests to NetBox, with an answer of its own for each.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::join_all;
use leasehold::allocation::Policy;
use leasehold::config::Settings;
use leasehold::emulator::Faults;
use leasehold::rpc::proto::v1;
use serde_json::json;
use tonic::Code;

use crate::support::{NetBox, Server, addresses, eventually, hosts, id, on_both, reason, settings};

const BLOCK: &str = "203.0.113.0/24";

on_both!(
    requests_that_wait_together_are_one_list,
    netbox_chooses_only_where_its_choice_is_ours,
    a_refused_request_takes_no_other_with_it,
    several_blocks_are_allocated_from_at_once,
);

/// The NetBox requests in which the addresses of a VRF were created, and how many each created.
async fn lists(netbox: &NetBox, vrf: u64) -> Vec<usize> {
    let records = netbox.recorded(vrf).await;
    let (_, page, _) =
        netbox.rest("GET", "core/object-changes/?limit=1000&ordering=-id&action=create", None).await;
    let ids: BTreeSet<u64> = records.iter().map(|record| record["id"].as_u64().unwrap()).collect();
    let mut requests = std::collections::BTreeMap::<String, usize>::new();
    for entry in page["results"].as_array().unwrap() {
        let of_addresses = entry["changed_object_type"] == "ipam.ipaddress";
        if of_addresses && ids.contains(&entry["changed_object_id"].as_u64().unwrap()) {
            *requests.entry(entry["request_id"].to_string()).or_default() += 1;
        }
    }
    let mut lists: Vec<usize> = requests.into_values().collect();
    lists.sort_unstable();
    lists
}

async fn requests_that_wait_together_are_one_list(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    netbox.prefix(vrf, BLOCK).await;
    let server = Server::before(netbox).await;
    server.allocate(addresses(vrf, BLOCK, 1, &id("first"))).await.unwrap();
    if let Some(emulator) = &netbox.emulator {
        // As slow as a real one, at least.
        emulator.set_faults(Faults { delay: Duration::from_millis(100), ..Faults::default() });
    }
    let requests: Vec<_> = (0..40).map(|nth| addresses(vrf, BLOCK, 1 + nth % 3, &id("together"))).collect();
    let answers = join_all(requests.iter().map(|request| server.allocate(request.clone()))).await;
    let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    let given: Vec<String> = answers.iter().flat_map(hosts).collect();
    assert_eq!(given.len(), given.iter().collect::<BTreeSet<_>>().len());
    let lowest: BTreeSet<String> = (2..2 + given.len()).map(|last| format!("203.0.113.{last}")).collect();
    assert_eq!(given.iter().cloned().collect::<BTreeSet<_>>(), lowest);
    let lists = lists(netbox, vrf).await;
    assert_eq!(lists.iter().sum::<usize>(), given.len() + 1);
    assert!(lists.len() < 20, "{lists:?}");
    // Each is repeated by itself, and carries its own note and ids.
    for (request, answer) in requests.iter().zip(&answers) {
        let again = server.allocate(request.clone()).await.unwrap();
        assert_eq!((hosts(&again), again.repeated), (hosts(answer), true));
        for (nth, address) in answer.addresses.iter().enumerate() {
            assert_eq!(address.allocation_id, format!("{}/{nth}", request.request_id));
        }
    }
}

async fn netbox_chooses_only_where_its_choice_is_ours(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    netbox.prefix(vrf, BLOCK).await;
    // NetBox itself would hand out addresses of this child.
    netbox.prefix(vrf, "203.0.113.0/30").await;
    let policy = Policy { quarantine: Duration::from_hours(1), ..Policy::default() };
    let settings = Settings { allocation: policy, poll: Duration::from_hours(1), ..settings(netbox) };
    let server = Server::with(settings.clone()).await;
    server.live().await;
    let free = server.allocate(addresses(vrf, BLOCK, 2, &id("beside-the-child"))).await.unwrap();
    assert_eq!(hosts(&free), ["203.0.113.4", "203.0.113.5"]);
    let excluding = v1::AllocateAddressesRequest {
        exclusions: vec!["203.0.113.6/32".to_owned()],
        ..addresses(vrf, BLOCK, 1, &id("excluding"))
    };
    let released = v1::ReleaseAddressesRequest {
        allocation_request_id: free.request_id.clone(),
        request_id: id("release"),
        ..Default::default()
    };
    server.allocations.clone().release_addresses(released).await.unwrap();
    let both = [excluding, addresses(vrf, BLOCK, 2, &id("plain"))];
    let answers = join_all(both.into_iter().map(|request| server.allocate(request))).await;
    let given: BTreeSet<String> = answers.iter().flat_map(|answer| hosts(answer.as_ref().unwrap())).collect();
    // The quarantine keeps .4 and .5.
    let (six, seven) = ("203.0.113.6".to_owned(), "203.0.113.7".to_owned());
    assert!(given.contains(&six) && given.contains(&seven) && given.len() == 3, "{given:?}");
    let excluded = hosts(answers[0].as_ref().unwrap());
    assert_ne!(excluded, [six]);
    // Somebody takes the lowest free address, and the cache does not know it yet.
    let other = netbox.vrf(true).await;
    netbox.prefix(other, BLOCK).await;
    let server = Server::with(settings).await;
    server.live().await;
    netbox.post("ipam/ip-addresses/", json!({ "address": "203.0.113.1/24", "vrf": other })).await;
    let next = server.allocate(addresses(other, BLOCK, 2, &id("behind"))).await.unwrap();
    assert_eq!(hosts(&next), ["203.0.113.2", "203.0.113.3"]);
    assert_eq!(lists(netbox, other).await, [1, 2], "NetBox chose, and was asked once");
}

async fn a_refused_request_takes_no_other_with_it(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    netbox.prefix(vrf, BLOCK).await;
    let slug = id("devices-only");
    let tag = json!({ "name": slug, "slug": slug, "object_types": ["dcim.device"] });
    netbox.post("extras/tags/", tag).await;
    let server = Server::before(netbox).await;
    server.allocate(addresses(vrf, BLOCK, 1, &id("first"))).await.unwrap();
    if let Some(emulator) = &netbox.emulator {
        emulator.set_faults(Faults { delay: Duration::from_millis(50), ..Faults::default() });
    }
    let requests = (0..30).map(|nth| {
        let plain = addresses(vrf, BLOCK, 1, &id("among"));
        match nth {
            // NetBox names the entry.
            7 => v1::AllocateAddressesRequest { tags: vec!["no-such-tag".to_owned()], ..plain },
            // NetBox names none.
            13 => v1::AllocateAddressesRequest { tags: vec![slug.clone()], ..plain },
            21 => v1::AllocateAddressesRequest { dns_name: "not a name!".to_owned(), ..plain },
            _ => plain,
        }
    });
    let answers = join_all(requests.map(|request| server.allocate(request))).await;
    let mut given = BTreeSet::new();
    for (nth, answer) in answers.into_iter().enumerate() {
        match (nth, answer) {
            (7 | 13, Err(status)) => {
                assert_eq!(
                    (status.code(), reason(&status).as_str()),
                    (Code::InvalidArgument, "NETBOX_REFUSED")
                );
                assert!(!status.message().contains('['), "{status:?}");
            }
            (21, Err(status)) => assert_eq!(status.code(), Code::InvalidArgument, "{status:?}"),
            (_, answer) => given.extend(hosts(&answer.unwrap_or_else(|status| panic!("{nth}: {status:?}")))),
        }
    }
    assert_eq!(given.len(), 27);
    assert_eq!(netbox.recorded(vrf).await.len(), 28);
    // What they had reserved is free again.
    let next = server.allocate(addresses(vrf, BLOCK, 4, &id("after"))).await.unwrap();
    let all: BTreeSet<String> = given.into_iter().chain(hosts(&next)).collect();
    let lowest: BTreeSet<String> = (2..33).map(|last| format!("203.0.113.{last}")).collect();
    assert_eq!(all, lowest);
}

async fn several_blocks_are_allocated_from_at_once(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    let blocks: Vec<String> = (0..4).map(|third| format!("198.51.{third}.0/24")).collect();
    for block in &blocks {
        netbox.prefix(vrf, block).await;
    }
    let server = Server::before(netbox).await;
    let requests = (0..60).map(|nth| addresses(vrf, &blocks[nth % 4], 1, &id("spread")));
    let answers = join_all(requests.map(|request| server.allocate(request))).await;
    let mut given: Vec<String> = answers.iter().flat_map(|answer| hosts(answer.as_ref().unwrap())).collect();
    given.sort();
    let mut expected: Vec<String> =
        (0..4).flat_map(|third| (1..16).map(move |last| format!("198.51.{third}.{last}"))).collect();
    expected.sort();
    assert_eq!(given, expected);
}

/// An answer that is lost is everybody's: each asks for its own records, and none is written twice.
#[tokio::test]
async fn a_lost_answer_of_a_list_is_settled_for_each() {
    let netbox = NetBox::emulated().await;
    let vrf = netbox.vrf(true).await;
    netbox.prefix(vrf, BLOCK).await;
    let server = Server::before(&netbox).await;
    server.allocate(addresses(vrf, BLOCK, 1, &id("first"))).await.unwrap();
    let emulator = netbox.emulator.as_ref().unwrap();
    emulator.set_faults(Faults {
        delay: Duration::from_millis(50),
        drop_after_commit: 100,
        ..Faults::default()
    });
    let requests: Vec<_> = (0..20).map(|_| addresses(vrf, BLOCK, 2, &id("lost"))).collect();
    let answers = join_all(requests.iter().map(|request| server.allocate(request.clone()))).await;
    emulator.set_faults(Faults::default());
    for (request, answer) in requests.iter().zip(answers) {
        let answer = match answer {
            Ok(answer) => answer,
            Err(_) => {
                let settled = async || server.allocate(request.clone()).await.is_ok();
                eventually("the request is settled", settled).await;
                server.allocate(request.clone()).await.unwrap()
            }
        };
        assert_eq!(answer.addresses.len(), 2);
    }
    assert_eq!(netbox.recorded(vrf).await.len(), 41);
}
