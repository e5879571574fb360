//! Pools: addresses that are recorded ahead, handed out from the ledger, and completed in NetBox.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use leasehold::allocation::{PoolRule, PoolSelector, PoolSettings};
use leasehold::config::Settings;
use leasehold::emulator::Faults;
use leasehold::ledger::LedgerSettings;
use leasehold::rpc::proto::v1;
use serde_json::json;
use tonic::Code;

use crate::support::{
    NetBox, Server, addresses, date, directory, eventually, hosts, id, on_both, reason, settings,
    vrf as in_vrf,
};

const BLOCK: &str = "203.0.113.0/24";

on_both!(
    a_burst_is_answered_from_the_pool_and_completed_in_netbox,
    a_pool_is_returned_when_the_lease_ends_or_it_is_no_longer_configured,
    a_pool_keeps_no_space_from_requests_that_it_does_not_serve,
    a_pool_makes_room_for_a_child_prefix,
    what_netbox_refuses_stays_with_whom_it_was_handed_out_to,
    what_is_pending_can_be_released,
);

/// Pools of one prefix of a VRF.
async fn pool(netbox: &NetBox, vrf: u64, prefix: &str, size: u32) -> PoolSettings {
    let (_, found, _) = netbox.rest("GET", &format!("ipam/vrfs/{vrf}/"), None).await;
    let name = found["name"].as_str().unwrap().to_owned();
    let selector = PoolSelector::Prefix { network: prefix.parse().unwrap(), vrf: Some(name) };
    PoolSettings { rules: vec![PoolRule { selector, size, idle_size: size }], ..PoolSettings::default() }
}

async fn state(server: &Server) -> Vec<v1::PoolStatus> {
    server.admin.clone().get_status(v1::GetStatusRequest {}).await.unwrap().into_inner().pools
}

/// Waits until the only pool has so much stock, and nothing is pending.
async fn until_stock(server: &Server, stock: u64) {
    eventually("the pool is full", async || {
        let pools = state(server).await;
        pools.iter().any(|pool| pool.stock_count == stock && pool.pending_count == 0)
    })
    .await;
}

/// NetBox's records of a VRF: host, status, and allocation id without what is random in it.
async fn records(netbox: &NetBox, vrf: u64) -> BTreeMap<String, (String, String)> {
    let rows = netbox.recorded(vrf).await;
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    rows.iter()
        .map(|row| {
            let host = text(&row["address"]).split('/').next().unwrap().to_owned();
            let id = text(&row["custom_fields"]["allocation_id"]);
            let id = if id.starts_with("leasehold-pool-") { "pool".to_owned() } else { id };
            (host, (text(&row["status"]["value"]), id))
        })
        .collect()
}

async fn a_burst_is_answered_from_the_pool_and_completed_in_netbox(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    netbox.prefix(vrf, BLOCK).await;
    let server =
        Server::with(Settings { pools: pool(netbox, vrf, BLOCK, 8).await, ..settings(netbox) }).await;
    server.live().await;
    until_stock(&server, 8).await;
    let reserved = records(netbox, vrf).await;
    assert!(
        reserved.values().all(|record| *record == ("reserved".to_owned(), "pool".to_owned())),
        "{reserved:?}"
    );
    assert!(server.events_of(v1::EventType::AddressAllocated).await.is_empty(), "nobody has them yet");
    let key = Some(v1::get_utilization_request::Key::Prefix(BLOCK.to_owned()));
    let request = v1::GetUtilizationRequest { key, vrf: in_vrf(vrf) };
    let used =
        server.prefixes.clone().get_utilization(request).await.unwrap().into_inner().utilization.unwrap();
    assert_eq!((used.recorded_count, used.pooled_count), (Some(8), Some(8)));

    let request = |nth: usize| v1::AllocateAddressesRequest {
        description: format!("web-{nth}"),
        dns_name: format!("web-{nth}.example"),
        ..addresses(vrf, BLOCK, 2, &id("burst"))
    };
    let burst: Vec<_> = (0..3).map(request).collect();
    let preview = v1::AllocateAddressesRequest { validate_only: true, ..burst[0].clone() };
    assert_eq!(hosts(&server.allocate(preview).await.unwrap()), ["203.0.113.1", "203.0.113.2"]);
    let answers = join_all(burst.iter().map(|request| server.allocate(request.clone()))).await;
    let mut given = Vec::new();
    for (nth, (request, answer)) in burst.iter().zip(answers).enumerate() {
        let answer = answer.unwrap();
        assert_eq!((answer.record_state(), answer.repeated), (v1::RecordState::Pending, false));
        assert_eq!(answer.prefix.as_ref().unwrap().prefix, BLOCK);
        for (index, (address, host)) in answer.addresses.iter().zip(hosts(&answer)).enumerate() {
            assert_eq!(address.allocation_id, format!("{}/{index}", request.request_id));
            assert_eq!(
                (address.status.as_str(), address.dns_name.as_str()),
                ("active", request.dns_name.as_str())
            );
            // Whoever asks sees whose it is, whether or not NetBox's record says so already.
            let seen = server.lookup(vrf, &host).await.records.remove(0);
            assert_eq!(
                (seen.allocation_id, seen.description),
                (address.allocation_id.clone(), format!("web-{nth}"))
            );
        }
        let again = server.allocate(request.clone()).await.unwrap();
        assert_eq!((hosts(&again), again.repeated), (hosts(&answer), true));
        let found = v1::GetAllocationRequest { request_id: request.request_id.clone(), ..Default::default() };
        let found = server.allocations.clone().get_allocation(found).await.unwrap().into_inner();
        let allocation = found.allocation.unwrap();
        assert_eq!((allocation.state(), allocation.addresses.len()), (v1::AllocationState::Done, 2));
        given.extend(hosts(&answer));
    }
    given.sort();
    let lowest: Vec<String> = (1..=6).map(|last| format!("203.0.113.{last}")).collect();
    assert_eq!(given, lowest);
    let other = v1::AllocateAddressesRequest { description: "another".to_owned(), ..burst[0].clone() };
    assert_eq!(reason(&server.allocate(other).await.unwrap_err()), "REQUEST_ID_REUSED");

    until_stock(&server, 8).await;
    let completed = records(netbox, vrf).await;
    for request in &burst {
        for index in 0..2 {
            let record = ("active".to_owned(), format!("{}/{index}", request.request_id));
            assert_eq!(completed.values().filter(|found| **found == record).count(), 1, "{completed:?}");
        }
    }
    assert_eq!((completed.len(), completed["203.0.113.14"].1.as_str()), (14, "pool"), "refilled");
    eventually("the records say whose they are", async || {
        server.lookup(vrf, "203.0.113.1").await.records[0].record_state() == v1::RecordState::Unspecified
    })
    .await;
    let allocated = server.events_of(v1::EventType::AddressAllocated).await;
    assert_eq!(allocated.len(), 6, "{allocated:#?}");
    let path = format!("core/object-changes/?q=request%3D{}%20caller&limit=10", burst[0].request_id);
    let (_, noted, _) = netbox.rest("GET", &path, None).await;
    assert_eq!(noted["count"], 2, "the completions carry the note of their request: {noted}");

    // The allocations are listed; what the pool has reserved is not.
    let list = v1::ListAllocationsRequest { page_size: 100, ..Default::default() };
    let listed = server.allocations.clone().list_allocations(list).await.unwrap().into_inner();
    assert_eq!(listed.allocations.len(), 3);
    // What NetBox may refuse later is written first.
    let tag = id("tag");
    netbox.post("extras/tags/", json!({ "name": tag, "slug": tag })).await;
    let tagged = v1::AllocateAddressesRequest { tags: vec![tag], ..addresses(vrf, BLOCK, 1, &id("tagged")) };
    let tagged = server.allocate(tagged).await.unwrap();
    assert_eq!(
        (hosts(&tagged), tagged.record_state()),
        (vec!["203.0.113.15".to_owned()], v1::RecordState::Unspecified)
    );
    let large = server.allocate(addresses(vrf, BLOCK, 9, &id("large"))).await.unwrap();
    assert_eq!(large.record_state(), v1::RecordState::Unspecified, "the stock is smaller");
    let excluding = v1::AllocateAddressesRequest {
        exclusions: vec!["203.0.113.0/29".to_owned()],
        ..addresses(vrf, BLOCK, 1, &id("excluding"))
    };
    let excluding = server.allocate(excluding).await.unwrap();
    assert_eq!(hosts(&excluding), ["203.0.113.8"]);
    assert_eq!(excluding.record_state(), v1::RecordState::Pending);
}

async fn a_pool_is_returned_when_the_lease_ends_or_it_is_no_longer_configured(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    let (_guard, path) = directory();
    let pooled = Settings {
        pools: PoolSettings {
            rules: vec![PoolRule { selector: PoolSelector::LeaseOwner(id("LIR")), size: 4, idle_size: 4 }],
            ..PoolSettings::default()
        },
        ledger: LedgerSettings::Sqlite(path.join("ledger.db")),
        ..settings(netbox)
    };
    let PoolSelector::LeaseOwner(owner) = &pooled.pools.rules[0].selector else { unreachable!() };
    let server = Server::with(pooled.clone()).await;
    server.live().await;
    let register = |block: &str| v1::RegisterLeaseRequest {
        prefix: block.to_owned(),
        vrf: in_vrf(vrf),
        owner: owner.clone(),
        expiry_date: date("2099-06-01"),
        request_id: id("register"),
        ..Default::default()
    };
    server.leases.clone().register_lease(register(BLOCK)).await.unwrap();
    until_stock(&server, 4).await;
    let end = v1::EndLeaseRequest {
        key: Some(v1::end_lease_request::Key::Prefix(BLOCK.to_owned())),
        vrf: in_vrf(vrf),
        delete_prefix: true,
        request_id: id("end"),
        ..Default::default()
    };
    let preview = v1::EndLeaseRequest { validate_only: true, ..end.clone() };
    assert_eq!(server.leases.clone().end_lease(preview).await.unwrap().into_inner().address_in_use_count, 0);
    let ended = server.leases.clone().end_lease(end).await.unwrap().into_inner();
    assert_eq!((ended.address_in_use_count, records(netbox, vrf).await.len()), (0, 0));

    server.leases.clone().register_lease(register("198.51.100.0/24")).await.unwrap();
    until_stock(&server, 4).await;
    let kept = server.allocate(addresses(vrf, "198.51.100.0/24", 1, &id("kept"))).await.unwrap();
    server.running.stop().await;
    let without = Settings { pools: PoolSettings::default(), ..pooled };
    let server = Server::with(without).await;
    server.live().await;
    eventually("the stock is returned", async || records(netbox, vrf).await.len() == 1).await;
    assert_eq!(
        records(netbox, vrf).await["198.51.100.1"],
        ("active".to_owned(), format!("{}/0", kept.request_id))
    );
}

async fn a_pool_keeps_no_space_from_requests_that_it_does_not_serve(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    let block = "203.0.113.0/28";
    netbox.prefix(vrf, block).await;
    let server =
        Server::with(Settings { pools: pool(netbox, vrf, block, 64).await, ..settings(netbox) }).await;
    server.live().await;
    // Half of the fourteen is left to others.
    until_stock(&server, 7).await;
    let assign = v1::AssignAddressRequest {
        address: "203.0.113.3".to_owned(),
        vrf: in_vrf(vrf),
        request_id: id("assign"),
        ..Default::default()
    };
    server.allocations.clone().assign_address(assign).await.unwrap();
    // Nobody is handed out what a person has taken for something else.
    let rows = netbox.recorded(vrf).await;
    let row = rows.iter().find(|row| row["address"] == "203.0.113.1/28").unwrap();
    let path = format!("ipam/ip-addresses/{}/", row["id"]);
    netbox.rest("PATCH", &path, Some(json!({ "description": "the router" }))).await;
    eventually("the change is seen", async || {
        server.lookup(vrf, "203.0.113.1").await.records[0].description == "the router"
    })
    .await;
    let next = server.allocate(addresses(vrf, block, 1, &id("next"))).await.unwrap();
    assert_eq!(
        (hosts(&next), next.record_state()),
        (vec!["203.0.113.2".to_owned()], v1::RecordState::Pending)
    );
    let refused = v1::ReleaseAddressesRequest {
        addresses: vec!["203.0.113.4".to_owned()],
        vrf: in_vrf(vrf),
        request_id: id("release"),
        ..Default::default()
    };
    let refused = server.allocations.clone().release_addresses(refused).await.unwrap_err();
    assert_eq!(reason(&refused), "NOT_ALLOCATED_HERE", "the stock of a pool is no allocation");
    // All that is left, be it in the pool or not: 14 without .1, .2 and .3.
    let rest = server.allocate(addresses(vrf, block, 11, &id("rest"))).await.unwrap();
    assert_eq!(rest.addresses.len(), 11);
    let full = server.allocate(addresses(vrf, block, 1, &id("full"))).await.unwrap_err();
    assert_eq!(reason(&full), "PREFIX_FULL");
    assert_eq!(records(netbox, vrf).await.len(), 14);
}

async fn a_pool_makes_room_for_a_child_prefix(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    let block = "203.0.113.0/27";
    netbox.prefix(vrf, block).await;
    let server =
        Server::with(Settings { pools: pool(netbox, vrf, block, 4).await, ..settings(netbox) }).await;
    server.live().await;
    until_stock(&server, 4).await;
    let child = |name: &str| v1::AllocatePrefixRequest {
        source: Some(v1::allocate_prefix_request::Source::Prefix(block.to_owned())),
        vrf: in_vrf(vrf),
        prefix_length: 28,
        request_id: id(name),
        ..Default::default()
    };
    let mut made = Vec::new();
    for name in ["first", "second"] {
        let answer = server.allocations.clone().allocate_prefix(child(name)).await.unwrap().into_inner();
        made.push(answer.prefix.unwrap().prefix);
    }
    assert_eq!(made, ["203.0.113.16/28", "203.0.113.0/28"], "the pool stood in the lower one");
}

async fn what_netbox_refuses_stays_with_whom_it_was_handed_out_to(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    let prefix = netbox.prefix(vrf, BLOCK).await;
    let (_guard, path) = directory();
    let settings = Settings {
        pools: pool(netbox, vrf, BLOCK, 4).await,
        ledger: LedgerSettings::Sqlite(path.join("ledger.db")),
        // What others write is not seen in time.
        poll: Duration::from_hours(1),
        ..settings(netbox)
    };
    let server = Server::with(settings.clone()).await;
    server.live().await;
    until_stock(&server, 4).await;
    // Somebody records an address with the very id that the first one is going to have.
    let (taken, plain) = (id("taken"), id("plain"));
    let foreign = json!({ "address": "203.0.113.200/24", "vrf": vrf,
        "custom_fields": { "allocation_id": format!("{taken}/0") } });
    let foreign = netbox.post("ipam/ip-addresses/", foreign).await;
    let requests = [addresses(vrf, BLOCK, 1, &taken), addresses(vrf, BLOCK, 1, &plain)];
    let answers = join_all(requests.iter().map(|request| server.allocate(request.clone()))).await;
    let given: Vec<String> = answers.iter().flat_map(|answer| hosts(answer.as_ref().unwrap())).collect();
    eventually("the refusal is told", async || {
        !server.events_of(v1::EventType::CompletionRefused).await.is_empty()
    })
    .await;
    let told = server.events_of(v1::EventType::CompletionRefused).await;
    let Some(v1::event::Subject::Completion(refused)) = &told[0].subject else { panic!("{told:?}") };
    assert_eq!(
        (told.len(), refused.address.as_ref().unwrap().allocation_id.as_str()),
        (1, format!("{taken}/0").as_str())
    );
    assert!(!refused.message.is_empty());
    let record = records(netbox, vrf).await;
    assert_eq!(record[&given[1]], ("active".to_owned(), format!("{plain}/0")), "the other one is complete");
    assert_eq!(record[&given[0]], ("reserved".to_owned(), "pool".to_owned()));
    // It is shown, repeated and kept all the same.
    let seen = server.lookup(vrf, &given[0]).await.records.remove(0);
    assert_eq!(
        (seen.allocation_id, seen.record_state),
        (format!("{taken}/0"), v1::RecordState::Pending.into())
    );
    assert!(!state(&server).await.iter().find(|pool| pool.prefix_id == prefix).unwrap().refusal.is_empty());
    server.running.stop().await;
    let (status, ..) = netbox.rest("DELETE", &format!("ipam/ip-addresses/{}/", foreign["id"]), None).await;
    assert_eq!(status, 204);
    let server = Server::with(settings).await;
    server.live().await;
    eventually("it is completed once NetBox takes it", async || {
        records(netbox, vrf).await[&given[0]] == ("active".to_owned(), format!("{taken}/0"))
    })
    .await;
    assert_eq!(server.events_of(v1::EventType::CompletionRefused).await.len(), 1, "told once");
}

async fn what_is_pending_can_be_released(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    netbox.prefix(vrf, BLOCK).await;
    let server =
        Server::with(Settings { pools: pool(netbox, vrf, BLOCK, 4).await, ..settings(netbox) }).await;
    server.live().await;
    until_stock(&server, 4).await;
    if let Some(emulator) = &netbox.emulator {
        emulator.set_faults(Faults { delay: Duration::from_millis(100), ..Faults::default() });
    }
    let made = server.allocate(addresses(vrf, BLOCK, 2, &id("short"))).await.unwrap();
    assert_eq!(made.record_state(), v1::RecordState::Pending);
    let release = v1::ReleaseAddressesRequest {
        allocation_request_id: made.request_id.clone(),
        request_id: id("release"),
        ..Default::default()
    };
    let gone = server.allocations.clone().release_addresses(release).await.unwrap().into_inner();
    assert_eq!(gone.addresses.len(), 2);
    let again = server.allocate(addresses(vrf, BLOCK, 2, &made.request_id)).await.unwrap_err();
    assert_eq!(reason(&again), "ALLOCATION_RELEASED");
    eventually("nothing is left of it", async || {
        let ours = records(netbox, vrf).await;
        let released = ours.values().any(|(_, id)| id.starts_with(&made.request_id));
        !released && state(&server).await.iter().all(|pool| pool.pending_count == 0)
    })
    .await;
}

/// Without NetBox, and over a restart.
#[tokio::test]
async fn what_was_handed_out_is_known_and_completed_by_the_next_server() {
    let mut netbox = NetBox::emulated().await;
    let vrf = netbox.vrf(true).await;
    netbox.prefix(vrf, BLOCK).await;
    let (_guard, path) = directory();
    let settings = Settings {
        pools: pool(&netbox, vrf, BLOCK, 4).await,
        ledger: LedgerSettings::Sqlite(path.join("ledger.db")),
        cache_file: Some(path.join("cache.db")),
        ..settings(&netbox)
    };
    let server = Server::with(settings.clone()).await;
    server.live().await;
    until_stock(&server, 4).await;
    let address = netbox.stop().await;
    let made = server.allocate(addresses(vrf, BLOCK, 3, &id("outage"))).await.unwrap();
    assert_eq!(made.record_state(), v1::RecordState::Pending);
    let direct = server.allocate(addresses(vrf, BLOCK, 2, &id("direct"))).await.unwrap_err();
    assert_eq!(direct.code(), Code::Unavailable, "the stock has one left");
    server.running.stop().await;

    let server = Server::with(settings).await;
    let seen = server.lookup(vrf, &hosts(&made)[2]).await.records.remove(0);
    assert_eq!((seen.allocation_id, seen.status.as_str()), (format!("{}/2", made.request_id), "active"));
    assert_eq!(seen.record_state, v1::RecordState::Pending as i32);
    let again = server.allocate(addresses(vrf, BLOCK, 3, &made.request_id)).await.unwrap();
    assert_eq!(
        (hosts(&again), again.repeated, again.record_state()),
        (hosts(&made), true, v1::RecordState::Pending)
    );
    netbox.start(address).await;
    until_stock(&server, 4).await;
    let record = &records(&netbox, vrf).await[&hosts(&made)[0]];
    assert_eq!(*record, ("active".to_owned(), format!("{}/0", made.request_id)));
}

#[tokio::test]
async fn nobody_can_name_what_a_pool_has_reserved() {
    let netbox = NetBox::emulated().await;
    let server = Server::before(&netbox).await;
    let request = addresses(0, BLOCK, 1, "leasehold-pool-mine");
    let refused = server.allocate(request).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::InvalidArgument, "INVALID_FIELDS"));
    let release = v1::ReleaseAddressesRequest {
        allocation_request_id: "leasehold-pool-mine".to_owned(),
        request_id: id("release"),
        ..Default::default()
    };
    let refused = server.allocations.clone().release_addresses(release).await.unwrap_err();
    assert_eq!(reason(&refused), "INVALID_FIELDS");
}
