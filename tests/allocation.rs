//! AllocationService, against the emulator and the real NetBox.

use leasehold::emulator::Faults;
use leasehold::rpc::proto::v1;
use serde_json::json;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::support::{NetBox, Server, addresses, hosts, id, on_both, reason};

const BLOCK: &str = "203.0.113.0/24";

on_both!(
    the_same_request_gets_the_same_addresses,
    the_same_id_with_another_body_is_refused,
    no_address_inside_a_child_prefix_is_allocated,
    excluded_space_is_not_allocated,
    a_list_is_all_or_nothing_and_the_error_says_how_many_are_free,
    a_child_prefix_overlaps_nothing,
    a_named_address_is_recorded_once,
    released_addresses_are_free_again_and_a_release_is_repeatable,
    a_stale_cache_never_allocates_a_taken_address,
    where_uniqueness_is_not_enforced_the_earlier_record_wins,
    a_hundred_addresses_in_one_call,
    a_dns_name_is_taken_as_people_write_it,
);

async fn the_same_request_gets_the_same_addresses(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    netbox.prefix(vrf, BLOCK).await;
    let server = Server::before(netbox).await;
    let request = v1::AllocateAddressesRequest {
        description: "web".to_owned(),
        dns_name: "web.example".to_owned(),
        ..addresses(vrf, BLOCK, 3, &id("order"))
    };
    let first = server.allocate(request.clone()).await.unwrap();
    assert_eq!(hosts(&first), ["203.0.113.1", "203.0.113.2", "203.0.113.3"]);
    let again = server.allocate(request.clone()).await.unwrap();
    assert_eq!((hosts(&again), again.repeated), (hosts(&first), true));
    // The records are in the cache before the answer is sent.
    assert_eq!(server.lookup(vrf, "203.0.113.2").await.records[0].dns_name, "web.example");
    let (_, page, _) = netbox.rest("GET", &format!("ipam/ip-addresses/?vrf_id={vrf}"), None).await;
    assert_eq!(page["count"], 3);
    // A server whose ledger does not know the request finds its records in NetBox.
    let stranger = Server::before(netbox).await;
    let found = stranger.allocate(request).await.unwrap();
    assert_eq!(hosts(&found), hosts(&first));
    let (_, page, _) = netbox.rest("GET", &format!("ipam/ip-addresses/?vrf_id={vrf}"), None).await;
    assert_eq!(page["count"], 3);
}

async fn the_same_id_with_another_body_is_refused(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    netbox.prefix(vrf, BLOCK).await;
    let server = Server::before(netbox).await;
    let id = id("order");
    server.allocate(addresses(vrf, BLOCK, 1, &id)).await.unwrap();
    let status = server.allocate(addresses(vrf, BLOCK, 2, &id)).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "REQUEST_ID_REUSED"));
}

async fn no_address_inside_a_child_prefix_is_allocated(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    netbox.prefix(vrf, BLOCK).await;
    netbox.prefix(vrf, "203.0.113.0/29").await;
    let server = Server::before(netbox).await;
    let outside = server.allocate(addresses(vrf, BLOCK, 2, &id("outside"))).await.unwrap();
    assert_eq!(hosts(&outside), ["203.0.113.8", "203.0.113.9"]);
    assert_eq!(outside.addresses[0].address, "203.0.113.8/24");
    let included = v1::AllocateAddressesRequest {
        include_child_prefixes: true,
        ..addresses(vrf, BLOCK, 1, &id("included"))
    };
    assert_eq!(hosts(&server.allocate(included).await.unwrap()), ["203.0.113.1"]);
}

async fn excluded_space_is_not_allocated(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    netbox.prefix(vrf, BLOCK).await;
    let server = Server::before(netbox).await;
    let request = v1::AllocateAddressesRequest {
        exclusions: vec!["203.0.113.0/30".to_owned(), "203.0.113.5".to_owned()],
        ..addresses(vrf, BLOCK, 2, &id("exclude"))
    };
    let preview = v1::AllocateAddressesRequest { validate_only: true, ..request.clone() };
    let shown = server.allocate(preview).await.unwrap();
    assert_eq!(shown.addresses[0].id, 0);
    let made = server.allocate(request).await.unwrap();
    assert_eq!(hosts(&made), ["203.0.113.4", "203.0.113.6"]);
    assert_eq!(hosts(&shown), hosts(&made));
}

async fn a_list_is_all_or_nothing_and_the_error_says_how_many_are_free(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    netbox.prefix(vrf, "203.0.113.0/29").await;
    let server = Server::before(netbox).await;
    server.allocate(addresses(vrf, "203.0.113.0/29", 4, &id("four"))).await.unwrap();
    let too_many = id("too-many");
    let status = server.allocate(addresses(vrf, "203.0.113.0/29", 3, &too_many)).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::ResourceExhausted, "PREFIX_FULL"));
    let details = status.get_error_details();
    assert_eq!(details.error_info().unwrap().metadata["free"], "2");
    let (_, page, _) = netbox.rest("GET", &format!("ipam/ip-addresses/?vrf_id={vrf}"), None).await;
    assert_eq!(page["count"], 4);
    // A refused request can be repeated with the same id once there is space.
    let (_, page, _) = netbox.rest("GET", &format!("ipam/ip-addresses/?vrf_id={vrf}&limit=1"), None).await;
    let deleted = page["results"][0]["id"].clone();
    netbox.rest("DELETE", &format!("ipam/ip-addresses/{deleted}/"), None).await;
    let made = server.allocate(addresses(vrf, "203.0.113.0/29", 3, &too_many)).await.unwrap();
    assert_eq!(made.addresses.len(), 3);
}

async fn a_child_prefix_overlaps_nothing(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    netbox.prefix(vrf, BLOCK).await;
    netbox.prefix(vrf, "203.0.113.16/28").await;
    netbox.post("ipam/ip-addresses/", json!({ "address": "203.0.113.3/24", "vrf": vrf })).await;
    let mut server = Server::before(netbox).await;
    let request = |length: i32, request_id: &str| v1::AllocatePrefixRequest {
        source: Some(v1::allocate_prefix_request::Source::Prefix(BLOCK.to_owned())),
        vrf: crate::support::vrf(vrf),
        prefix_length: length,
        request_id: request_id.to_owned(),
        ..v1::AllocatePrefixRequest::default()
    };
    let once = id("block");
    let made = server.allocations.allocate_prefix(request(28, &once)).await.unwrap().into_inner();
    assert_eq!(made.prefix.unwrap().prefix, "203.0.113.32/28");
    let again = server.allocations.allocate_prefix(request(28, &once)).await.unwrap().into_inner();
    assert!(again.repeated);
    assert_eq!(again.prefix.unwrap().prefix, "203.0.113.32/28");
    let half = server.allocations.allocate_prefix(request(25, &id("half"))).await.unwrap().into_inner();
    assert_eq!(half.prefix.unwrap().prefix, "203.0.113.128/25");
    let status = server.allocations.allocate_prefix(request(25, &id("none"))).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::ResourceExhausted, "PREFIX_FULL"));
    let details = status.get_error_details();
    assert_eq!(details.error_info().unwrap().metadata["largest_free_length"], "26");
    let status = server.allocations.allocate_prefix(request(24, &id("length"))).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}

async fn a_named_address_is_recorded_once(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    netbox.prefix(vrf, BLOCK).await;
    let mut server = Server::before(netbox).await;
    let request = |address: &str, request_id: &str| v1::AssignAddressRequest {
        address: address.to_owned(),
        vrf: crate::support::vrf(vrf),
        request_id: request_id.to_owned(),
        ..v1::AssignAddressRequest::default()
    };
    let once = id("named");
    let made = server.allocations.assign_address(request("203.0.113.50", &once)).await.unwrap().into_inner();
    assert_eq!(made.address.unwrap().address, "203.0.113.50/24");
    assert!(
        server
            .allocations
            .assign_address(request("203.0.113.50", &once))
            .await
            .unwrap()
            .into_inner()
            .repeated
    );
    for (address, code, expected) in [
        ("203.0.113.50", Code::AlreadyExists, "ADDRESS_TAKEN"),
        ("203.0.113.255", Code::FailedPrecondition, "ADDRESS_NOT_ASSIGNABLE"),
        ("192.0.2.1", Code::FailedPrecondition, "NO_PREFIX_HOLDS_ADDRESS"),
    ] {
        let status = server.allocations.assign_address(request(address, &id("other"))).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (code, expected));
    }
}

async fn released_addresses_are_free_again_and_a_release_is_repeatable(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    netbox.prefix(vrf, BLOCK).await;
    let mut server = Server::before(netbox).await;
    let order = id("order");
    server.allocate(addresses(vrf, BLOCK, 3, &order)).await.unwrap();
    let release = v1::ReleaseAddressesRequest {
        allocation_request_id: order.clone(),
        request_id: id("release"),
        ..v1::ReleaseAddressesRequest::default()
    };
    for _ in 0..2 {
        let released = server.allocations.release_addresses(release.clone()).await.unwrap().into_inner();
        assert_eq!(released.addresses.len(), 3);
    }
    assert!(server.lookup(vrf, "203.0.113.1").await.records.is_empty());
    let (_, page, _) = netbox.rest("GET", &format!("ipam/ip-addresses/?vrf_id={vrf}"), None).await;
    assert_eq!(page["count"], 0);
    let status = server.allocate(addresses(vrf, BLOCK, 3, &order)).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "ALLOCATION_RELEASED"));
    let request = v1::GetAllocationRequest { request_id: order, ..Default::default() };
    let allocation =
        server.allocations.get_allocation(request).await.unwrap().into_inner().allocation.unwrap();
    assert_eq!(allocation.state(), v1::AllocationState::Released);
    // An address that Leasehold did not allocate is released only with allow_foreign.
    netbox.post("ipam/ip-addresses/", json!({ "address": "203.0.113.9/24", "vrf": vrf })).await;
    server.run("sync.poll").await;
    let mut foreign = v1::ReleaseAddressesRequest {
        addresses: vec!["203.0.113.9".to_owned()],
        vrf: crate::support::vrf(vrf),
        ..v1::ReleaseAddressesRequest::default()
    };
    let status = server.allocations.release_addresses(foreign.clone()).await.unwrap_err();
    assert_eq!(reason(&status), "NOT_ALLOCATED_HERE");
    foreign.allow_foreign = true;
    server.allocations.release_addresses(foreign).await.unwrap();
}

async fn a_stale_cache_never_allocates_a_taken_address(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    netbox.prefix(vrf, BLOCK).await;
    netbox.prefix(vrf, "203.0.113.128/25").await;
    // It polls once a minute, so its cache misses what is recorded next.
    let mut settings = crate::support::settings(netbox);
    settings.poll = std::time::Duration::from_secs(60);
    let server = Server::with(settings).await;
    server.live().await;
    let taken: serde_json::Value =
        (1..=3).map(|host| json!({ "address": format!("203.0.113.{host}/24"), "vrf": vrf })).collect();
    netbox.post("ipam/ip-addresses/", taken).await;
    let made = server.allocate(addresses(vrf, BLOCK, 2, &id("stale"))).await.unwrap();
    assert_eq!(hosts(&made), ["203.0.113.4", "203.0.113.5"]);
}

async fn where_uniqueness_is_not_enforced_the_earlier_record_wins(netbox: &NetBox) {
    let vrf = netbox.vrf(false).await;
    netbox.prefix(vrf, BLOCK).await;
    netbox.prefix(vrf, "203.0.113.128/25").await;
    let mut settings = crate::support::settings(netbox);
    settings.poll = std::time::Duration::from_secs(60);
    let server = Server::with(settings).await;
    server.live().await;
    netbox.post("ipam/ip-addresses/", json!({ "address": "203.0.113.1/24", "vrf": vrf })).await;
    let made = server.allocate(addresses(vrf, BLOCK, 2, &id("rival"))).await.unwrap();
    assert_eq!(hosts(&made), ["203.0.113.2", "203.0.113.3"]);
    let (_, page, _) = netbox.rest("GET", &format!("ipam/ip-addresses/?vrf_id={vrf}"), None).await;
    assert_eq!(page["count"], 3);
}

async fn a_hundred_addresses_in_one_call(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    netbox.prefix(vrf, BLOCK).await;
    let mut server = Server::before(netbox).await;
    let order = id("hundred");
    let made = server.allocate(addresses(vrf, BLOCK, 100, &order)).await.unwrap();
    let indexes: Vec<String> = made.addresses.iter().map(|record| record.allocation_id.clone()).collect();
    let wanted: Vec<String> = (0..100).map(|index| format!("{order}/{index}")).collect();
    assert_eq!(indexes, wanted);
    let listed = server.allocations.list_allocations(v1::ListAllocationsRequest::default()).await.unwrap();
    assert_eq!(listed.into_inner().allocations[0].request_id, order);
}

#[tokio::test]
async fn a_requirement_finds_the_best_prefix_and_the_error_says_why_none_fits() {
    let netbox = NetBox::emulated().await;
    let today = crate::support::clock::today();
    for (prefix, days, reputation) in [
        ("10.0.0.0/24", 400, "listed"),
        ("10.0.1.0/24", 40, "clean"),
        ("10.0.2.0/24", 300, "clean"),
        ("10.0.3.0/24", -1, "clean"),
    ] {
        let expiry = today + jiff::Span::new().days(days);
        let fields = json!({ "lease_owner": "ACME-LIR", "lease_expiry": expiry.to_string(), "reputation": reputation });
        netbox.post("ipam/prefixes/", json!({ "prefix": prefix, "custom_fields": fields })).await;
    }
    let server = Server::before(&netbox).await;
    let request = |min_days_left: i32, owner: &str, request_id: &str| v1::AllocateAddressesRequest {
        source: Some(v1::allocate_addresses_request::Source::Requirement(v1::BlockRequirement {
            owner: owner.to_owned(),
            min_days_left,
            clean_reputation: true,
            ..v1::BlockRequirement::default()
        })),
        request_id: request_id.to_owned(),
        ..v1::AllocateAddressesRequest::default()
    };
    let made = server.allocate(request(30, "ACME-LIR", "fits")).await.unwrap();
    assert_eq!(made.prefix.unwrap().prefix, "10.0.2.0/24");
    let status = server.allocate(request(301, "ACME-LIR", "too-soon")).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "NO_BLOCK_FITS"));
    assert_eq!(
        status.message(),
        "no prefix fits the requirement: 1 expired, 2 with too few days left, 1 not recorded as clean"
    );
    let status = server.allocate(request(0, "NOBODY-LIR", "nobody")).await.unwrap_err();
    assert!(status.message().contains("no active prefix has that owner"), "{status:?}");
}

#[tokio::test]
async fn after_a_lost_answer_the_records_are_found_in_netbox() {
    let netbox = NetBox::emulated().await;
    netbox.post("ipam/prefixes/", json!({ "prefix": BLOCK })).await;
    let server = Server::before(&netbox).await;
    netbox.emulator.as_ref().unwrap().set_faults(Faults { drop_after_commit: 100, ..Faults::default() });
    let made = server.allocate(addresses(0, BLOCK, 3, "lost")).await.unwrap();
    assert_eq!(hosts(&made), ["203.0.113.1", "203.0.113.2", "203.0.113.3"]);
    netbox.emulator.as_ref().unwrap().set_faults(Faults::default());
    let (_, page, _) = netbox.rest("GET", "ipam/ip-addresses/", None).await;
    assert_eq!(page["count"], 3);
}

#[tokio::test]
async fn a_write_goes_on_after_its_caller_hung_up() {
    let netbox = NetBox::emulated().await;
    netbox.post("ipam/prefixes/", json!({ "prefix": BLOCK })).await;
    let server = Server::before(&netbox).await;
    // The server gets the request long before the caller hangs up, and NetBox answers long after that.
    let slow = Faults { delay: std::time::Duration::from_secs(3), ..Faults::default() };
    netbox.emulator.as_ref().unwrap().set_faults(slow);
    let mut request = tonic::Request::new(addresses(0, BLOCK, 2, "hang-up"));
    request.set_timeout(std::time::Duration::from_secs(1));
    let status = server.allocations.clone().allocate_addresses(request).await.unwrap_err();
    assert!(matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled), "{status:?}");
    netbox.emulator.as_ref().unwrap().set_faults(Faults::default());
    let again = server.allocate(addresses(0, BLOCK, 2, "hang-up")).await.unwrap();
    assert!(again.repeated);
    let (_, page, _) = netbox.rest("GET", "ipam/ip-addresses/", None).await;
    assert_eq!(page["count"], 2);
}

/// NetBox stores names in lower case. Whoever asks again with the name as it was written gets the same addresses.
async fn a_dns_name_is_taken_as_people_write_it(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    netbox.prefix(vrf, BLOCK).await;
    let server = Server::before(netbox).await;
    let longest = format!("{}.{}.{}.{}", "a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(63));
    let names = [
        ("WEB-01.Example.", "web-01.example."),
        ("*.example", "*.example"),
        ("_dmarc.example", "_dmarc.example"),
        ("-", "-"),
        ("xn--mnchen-3ya.example", "xn--mnchen-3ya.example"),
        (longest.as_str(), longest.as_str()),
    ];
    let named = names.map(|(written, stored)| {
        let dns_name = written.to_owned();
        let request = v1::AllocateAddressesRequest { dns_name, ..addresses(vrf, BLOCK, 1, &id("named")) };
        (request, stored)
    });
    let mut made = Vec::new();
    for (request, stored) in &named {
        let preview = v1::AllocateAddressesRequest { validate_only: true, ..request.clone() };
        let shown = server.allocate(preview).await.unwrap();
        let first = server.allocate(request.clone()).await.unwrap();
        let again = server.allocate(request.clone()).await.unwrap();
        assert_eq!((first.repeated, again.repeated), (false, true), "{stored}");
        for answer in [shown, first.clone(), again] {
            assert_eq!((hosts(&answer), answer.addresses[0].dns_name.as_str()), (hosts(&first), *stored));
        }
        made.push(first);
    }
    // A server whose ledger does not know the requests has the records in its cache.
    let stranger = Server::before(netbox).await;
    for ((request, stored), first) in named.into_iter().zip(made) {
        let found = stranger.allocate(request).await.unwrap();
        assert_eq!((hosts(&found), found.repeated), (hosts(&first), true), "{stored}");
    }
    for wrong in ["a..b", "münchen.example", "a.*", &"a".repeat(256)] {
        let request = v1::AllocateAddressesRequest {
            dns_name: wrong.to_owned(),
            ..addresses(vrf, BLOCK, 1, &id("misnamed"))
        };
        for validate_only in [true, false] {
            let request = v1::AllocateAddressesRequest { validate_only, ..request.clone() };
            let status = server.allocate(request).await.unwrap_err();
            assert_eq!(violated(&status), ["dns_name"], "{wrong}");
        }
    }
}

/// The fields that a refusal names.
fn violated(status: &tonic::Status) -> Vec<String> {
    let details = status.get_error_details();
    let violations = &details.bad_request().unwrap().field_violations;
    violations.iter().map(|found| found.field.clone()).collect()
}
