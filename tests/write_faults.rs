//! Faults of the write path that were seen once and must stay impossible, each in a test that is named after it.

use std::time::Duration;

use leasehold::config::Settings;
use leasehold::emulator::Faults;
use leasehold::ledger::LedgerSettings;
use leasehold::rpc::proto::v1;
use serde_json::{Value, json};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::support::{
    NetBox, Server, addresses, date, directory, hosts, id, on_both, reason, settings, vrf as in_vrf,
};

const BLOCK: &str = "203.0.113.0/24";

on_both!(
    a_request_id_of_a_registration_hands_out_no_prefix,
    a_retried_renewal_answers_what_the_first_one_answered,
    a_late_retry_ends_no_newer_lease,
    a_block_that_was_given_back_hands_out_nothing,
    an_address_inside_a_child_prefix_of_the_last_seconds_is_not_handed_out,
    a_block_inside_a_covering_rival_is_not_handed_out,
    records_that_people_edited_are_repeated_and_released_by_their_ids,
    a_release_by_address_takes_our_record_only,
    a_requirement_tries_the_next_block_when_the_best_is_full,
    a_retry_after_the_ledger_is_lost_is_answered_by_the_record,
    a_lease_that_ends_while_addresses_are_allocated_keeps_none,
    a_populated_range_that_crosses_the_border_is_no_obstacle,
    an_address_in_a_range_of_the_last_seconds_is_not_handed_out,
);

/// Settings of a server that notices only by itself what others write.
fn rarely_polling(netbox: &NetBox) -> Settings {
    Settings { poll: Duration::from_hours(1), ..settings(netbox) }
}

async fn server(settings: Settings) -> Server {
    let server = Server::with(settings).await;
    server.live().await;
    server
}

fn child(vrf: u64, length: i32, request_id: &str) -> v1::AllocatePrefixRequest {
    v1::AllocatePrefixRequest {
        source: Some(v1::allocate_prefix_request::Source::Prefix(BLOCK.to_owned())),
        vrf: in_vrf(vrf),
        prefix_length: length,
        request_id: request_id.to_owned(),
        ..v1::AllocatePrefixRequest::default()
    }
}

async fn allocate_prefix(server: &Server, request: v1::AllocatePrefixRequest) -> Result<String, Status> {
    let answer = server.allocations.clone().allocate_prefix(request).await?.into_inner();
    Ok(answer.prefix.unwrap().prefix)
}

async fn register(server: &Server, vrf: u64, expiry: &str, request_id: &str) -> Result<v1::Lease, Status> {
    let request = v1::RegisterLeaseRequest {
        prefix: BLOCK.to_owned(),
        vrf: in_vrf(vrf),
        owner: "ACME-LIR".to_owned(),
        expiry_date: date(expiry),
        request_id: request_id.to_owned(),
        ..v1::RegisterLeaseRequest::default()
    };
    Ok(server.leases.clone().register_lease(request).await?.into_inner().lease.unwrap())
}

async fn renew(
    server: &Server,
    vrf: u64,
    expiry: &str,
    request_id: &str,
) -> Result<v1::RenewLeaseResponse, Status> {
    let request = v1::RenewLeaseRequest {
        key: Some(v1::renew_lease_request::Key::Prefix(BLOCK.to_owned())),
        vrf: in_vrf(vrf),
        expiry_date: date(expiry),
        request_id: request_id.to_owned(),
        ..v1::RenewLeaseRequest::default()
    };
    Ok(server.leases.clone().renew_lease(request).await?.into_inner())
}

async fn end(server: &Server, vrf: u64, request_id: &str) -> Result<v1::EndLeaseResponse, Status> {
    let request = v1::EndLeaseRequest {
        key: Some(v1::end_lease_request::Key::Prefix(BLOCK.to_owned())),
        vrf: in_vrf(vrf),
        request_id: request_id.to_owned(),
        ..v1::EndLeaseRequest::default()
    };
    Ok(server.leases.clone().end_lease(request).await?.into_inner())
}

async fn a_request_id_of_a_registration_hands_out_no_prefix(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    let server = Server::before(netbox).await;
    let request = id("both");
    register(&server, vrf, "2099-06-01", &request).await.unwrap();
    let refused = allocate_prefix(&server, child(vrf, 28, &request)).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::InvalidArgument, "REQUEST_ID_REUSED"));
    let refused = renew(&server, vrf, "2099-07-01", &request).await.unwrap_err();
    assert_eq!(reason(&refused), "REQUEST_ID_REUSED");
    // The same without a ledger: the record alone tells that the id belongs to another command.
    let other = Server::before(netbox).await;
    let refused = allocate_prefix(&other, child(vrf, 28, &request)).await.unwrap_err();
    assert_eq!(reason(&refused), "REQUEST_ID_REUSED");
}

async fn a_retried_renewal_answers_what_the_first_one_answered(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    let server = Server::before(netbox).await;
    register(&server, vrf, "2099-06-01", &id("register")).await.unwrap();
    let (first, second) = (id("first"), id("second"));
    let answer = renew(&server, vrf, "2099-07-01", &first).await.unwrap();
    assert_eq!(answer.previous_expiry_date, date("2099-06-01"));
    assert_eq!(renew(&server, vrf, "2099-07-01", &first).await.unwrap(), answer);
    renew(&server, vrf, "2099-08-01", &second).await.unwrap();
    // A late retry moves nothing back, on this server and on one that has another ledger.
    assert_eq!(
        renew(&server, vrf, "2099-07-01", &first).await.unwrap().previous_expiry_date,
        date("2099-06-01")
    );
    let other = Server::before(netbox).await;
    let again = renew(&other, vrf, "2099-07-01", &first).await.unwrap();
    assert_eq!(again.previous_expiry_date, date("2099-06-01"));
    let (_, page, _) = netbox.rest("GET", &format!("ipam/prefixes/?vrf_id={vrf}"), None).await;
    assert_eq!(page["results"][0]["custom_fields"]["lease_expiry"], "2099-08-01");
}

async fn a_late_retry_ends_no_newer_lease(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    let server = Server::before(netbox).await;
    register(&server, vrf, "2099-06-01", &id("old")).await.unwrap();
    let request = id("end");
    let ended = end(&server, vrf, &request).await.unwrap();
    // An immediate retry is no NOT_FOUND.
    assert_eq!(end(&server, vrf, &request).await.unwrap(), ended);
    register(&server, vrf, "2100-06-01", &id("new")).await.unwrap();
    assert_eq!(end(&server, vrf, &request).await.unwrap(), ended);
    let other = Server::before(netbox).await;
    end(&other, vrf, &request).await.unwrap();
    let lookup = server.lookup(vrf, "203.0.113.1").await;
    assert!(lookup.lease.is_some(), "the newer lease stands: {lookup:?}");
}

async fn a_block_that_was_given_back_hands_out_nothing(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    let server = Server::before(netbox).await;
    register(&server, vrf, "2099-06-01", &id("register")).await.unwrap();
    end(&server, vrf, &id("end")).await.unwrap();
    let refused = server.allocate(addresses(vrf, BLOCK, 1, &id("address"))).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "BLOCK_REFUSED"));
    let details = refused.get_error_details();
    assert_eq!(details.precondition_failure().unwrap().violations[0].r#type, "STATUS_REFUSED");
    let refused = allocate_prefix(&server, child(vrf, 28, &id("prefix"))).await.unwrap_err();
    assert_eq!(reason(&refused), "BLOCK_REFUSED");
    let assign = v1::AssignAddressRequest {
        address: "203.0.113.9".to_owned(),
        vrf: in_vrf(vrf),
        ..v1::AssignAddressRequest::default()
    };
    let refused = server.allocations.clone().assign_address(assign).await.unwrap_err();
    assert_eq!(reason(&refused), "BLOCK_REFUSED");
    assert!(netbox.recorded(vrf).await.is_empty());
}

async fn an_address_inside_a_child_prefix_of_the_last_seconds_is_not_handed_out(netbox: &NetBox) {
    for unique in [true, false] {
        let vrf = netbox.vrf(unique).await;
        netbox.prefix(vrf, BLOCK).await;
        let server = server(rarely_polling(netbox)).await;
        // The cache does not know of it.
        netbox.prefix(vrf, "203.0.113.0/25").await;
        let made = server.allocate(addresses(vrf, BLOCK, 3, &id("three"))).await.unwrap();
        assert_eq!(hosts(&made), ["203.0.113.128", "203.0.113.129", "203.0.113.130"]);
        assert_eq!(netbox.recorded(vrf).await.len(), 3, "what lost was deleted again");
    }
}

async fn a_block_inside_a_covering_rival_is_not_handed_out(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    netbox.prefix(vrf, BLOCK).await;
    let server = server(rarely_polling(netbox)).await;
    netbox.prefix(vrf, "203.0.113.0/26").await;
    netbox.post("ipam/ip-addresses/", json!({ "address": "203.0.113.65/24", "vrf": vrf })).await;
    let made = allocate_prefix(&server, child(vrf, 28, &id("child"))).await.unwrap();
    assert_eq!(made, "203.0.113.80/28");
    let (_, page, _) = netbox.rest("GET", &format!("ipam/prefixes/?vrf_id={vrf}"), None).await;
    assert_eq!(page["count"], 3, "what lost was deleted again: {page}");
}

async fn records_that_people_edited_are_repeated_and_released_by_their_ids(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    let elsewhere = netbox.vrf(true).await;
    netbox.prefix(vrf, BLOCK).await;
    let server = Server::before(netbox).await;
    let request = id("edited");
    let made = server.allocate(addresses(vrf, BLOCK, 4, &request)).await.unwrap();
    let ids: Vec<u64> = made.addresses.iter().map(|record| record.id).collect();
    let edits = [
        json!({ "address": "203.0.113.1/32" }),
        json!({ "address": "203.0.113.50/24" }),
        json!({ "vrf": elsewhere }),
        json!({ "custom_fields": { "allocation_id": null } }),
    ];
    for (record, edit) in ids.iter().zip(edits) {
        let (status, answer, _) =
            netbox.rest("PATCH", &format!("ipam/ip-addresses/{record}/"), Some(edit)).await;
        assert_eq!(status, 200, "{answer}");
    }
    server.run("sync.poll").await;
    let again = server.allocate(addresses(vrf, BLOCK, 4, &request)).await.unwrap();
    assert_eq!(again.addresses.iter().map(|record| record.id).collect::<Vec<_>>(), ids);
    assert_eq!(hosts(&again), ["203.0.113.1", "203.0.113.50", "203.0.113.3", "203.0.113.4"]);
    assert_eq!(again.prefix.unwrap().prefix, BLOCK);
    let get = v1::GetAllocationRequest { request_id: request.clone(), ..Default::default() };
    let found = server.allocations.clone().get_allocation(get).await.unwrap().into_inner();
    assert_eq!(found.allocation.unwrap().state(), v1::AllocationState::Done);
    let release = v1::ReleaseAddressesRequest {
        allocation_request_id: request,
        ..v1::ReleaseAddressesRequest::default()
    };
    let released = server.allocations.clone().release_addresses(release).await.unwrap().into_inner();
    assert_eq!(released.addresses.len(), 4);
    assert!(netbox.recorded(vrf).await.is_empty() && netbox.recorded(elsewhere).await.is_empty());
}

async fn a_release_by_address_takes_our_record_only(netbox: &NetBox) {
    let vrf = netbox.vrf(false).await;
    netbox.prefix(vrf, BLOCK).await;
    let server = Server::before(netbox).await;
    let assign = v1::AssignAddressRequest {
        address: "203.0.113.20".to_owned(),
        vrf: in_vrf(vrf),
        request_id: id("ours"),
        ..v1::AssignAddressRequest::default()
    };
    server.allocations.clone().assign_address(assign).await.unwrap();
    for site in ["fra", "ams"] {
        let body =
            json!({ "address": "203.0.113.20/32", "vrf": vrf, "role": "anycast", "description": site });
        netbox.post("ipam/ip-addresses/", body).await;
    }
    server.run("sync.poll").await;
    let release = |allow_foreign| v1::ReleaseAddressesRequest {
        addresses: vec!["203.0.113.20".to_owned()],
        vrf: in_vrf(vrf),
        allow_foreign,
        ..v1::ReleaseAddressesRequest::default()
    };
    let released = server.allocations.clone().release_addresses(release(true)).await.unwrap().into_inner();
    assert_eq!(released.addresses.len(), 1);
    let mut left: Vec<String> = netbox
        .recorded(vrf)
        .await
        .iter()
        .map(|record| record["description"].as_str().unwrap().to_owned())
        .collect();
    left.sort_unstable();
    assert_eq!(left, ["ams", "fra"]);
    // Which of the others is meant is for a person to say.
    let refused = server.allocations.clone().release_addresses(release(true)).await.unwrap_err();
    assert_eq!(reason(&refused), "ADDRESS_SHARED");
}

async fn a_requirement_tries_the_next_block_when_the_best_is_full(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    let owner = id("LIR");
    for (prefix, expiry) in [("203.0.113.0/29", "2099-06-01"), ("198.51.100.0/29", "2098-06-01")] {
        let fields = json!({ "lease_owner": owner, "lease_expiry": expiry });
        netbox.post("ipam/prefixes/", json!({ "prefix": prefix, "vrf": vrf, "custom_fields": fields })).await;
    }
    let server = server(rarely_polling(netbox)).await;
    let list: Vec<Value> =
        (1..7).map(|last| json!({ "address": format!("203.0.113.{last}/29"), "vrf": vrf })).collect();
    netbox.post("ipam/ip-addresses/", list.into()).await;
    let requirement = v1::BlockRequirement { owner, vrf: in_vrf(vrf), ..Default::default() };
    let request = v1::AllocateAddressesRequest {
        source: Some(v1::allocate_addresses_request::Source::Requirement(requirement)),
        count: 1,
        request_id: id("any"),
        ..v1::AllocateAddressesRequest::default()
    };
    assert_eq!(hosts(&server.allocate(request).await.unwrap()), ["198.51.100.1"]);
}

async fn a_retry_after_the_ledger_is_lost_is_answered_by_the_record(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    netbox.prefix(vrf, "203.0.113.0/29").await;
    let all = |request: &str| addresses(vrf, "203.0.113.0/29", 5, request);
    let assign = |request: &str| v1::AssignAddressRequest {
        address: "203.0.113.6".to_owned(),
        vrf: in_vrf(vrf),
        request_id: request.to_owned(),
        ..v1::AssignAddressRequest::default()
    };
    let (five, one, release) = (id("five"), id("one"), id("release"));
    let first = Server::before(netbox).await;
    let made = first.allocate(all(&five)).await.unwrap();
    first.allocations.clone().assign_address(assign(&one)).await.unwrap();
    // Each server has a ledger of its own, and a cache that was filled before.
    let second = Server::before(netbox).await;
    let again = second.allocate(all(&five)).await.unwrap();
    assert_eq!((hosts(&again), again.repeated), (hosts(&made), true));
    assert_eq!(again.prefix.unwrap().prefix, "203.0.113.0/29");
    let assigned = second.allocations.clone().assign_address(assign(&one)).await.unwrap().into_inner();
    assert!(assigned.repeated);
    // Another body under the same id is another request, record or not.
    let refused = second.allocate(addresses(vrf, "203.0.113.0/29", 2, &five)).await.unwrap_err();
    assert_eq!(reason(&refused), "REQUEST_ID_REUSED");
    let request = v1::ReleaseAddressesRequest {
        allocation_request_id: five.clone(),
        request_id: release.clone(),
        ..v1::ReleaseAddressesRequest::default()
    };
    let released = second.allocations.clone().release_addresses(request.clone()).await.unwrap().into_inner();
    let third = Server::before(netbox).await;
    let again = third.allocations.clone().release_addresses(request).await.unwrap().into_inner();
    let of = |answer: &v1::ReleaseAddressesResponse| {
        let mut ids: Vec<u64> = answer.addresses.iter().map(|record| record.id).collect();
        ids.sort_unstable();
        ids
    };
    assert_eq!((of(&again).len(), of(&again)), (5, of(&released)));
}

async fn a_lease_that_ends_while_addresses_are_allocated_keeps_none(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    let server = Server::before(netbox).await;
    register(&server, vrf, "2099-06-01", &id("register")).await.unwrap();
    let allocating = (0..8).map(|nth| {
        let server = &server;
        async move { server.allocate(addresses(vrf, BLOCK, 1, &id(&format!("racer-{nth}")))).await }
    });
    let (ended, made) =
        futures::future::join(end(&server, vrf, &id("end")), futures::future::join_all(allocating)).await;
    let made = made.into_iter().filter(Result::is_ok).count();
    let standing = netbox.recorded(vrf).await.len();
    assert_eq!(standing, made);
    match ended {
        Ok(ended) => assert_eq!((ended.address_in_use_count, standing), (0, 0)),
        Err(refused) => assert_eq!(reason(&refused), "ADDRESSES_IN_USE"),
    }
}

async fn a_populated_range_that_crosses_the_border_is_no_obstacle(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    netbox.prefix(vrf, "203.0.113.128/25").await;
    netbox.prefix(vrf, "203.0.113.128/28").await;
    let range = json!({
        "start_address": "203.0.113.100/24", "end_address": "203.0.113.150/24", "vrf": vrf, "mark_populated": true,
    });
    netbox.post("ipam/ip-ranges/", range).await;
    let server = Server::before(netbox).await;
    let made = server.allocate(addresses(vrf, "203.0.113.128/25", 5, &id("five"))).await.unwrap();
    let expected: Vec<String> = (151..156).map(|last| format!("203.0.113.{last}")).collect();
    assert_eq!(hosts(&made), expected);
    let full = server.allocate(addresses(vrf, "203.0.113.128/28", 1, &id("one"))).await.unwrap_err();
    assert_eq!(reason(&full), "PREFIX_FULL");
    assert_eq!(full.get_error_details().error_info().unwrap().metadata["free"], "0");
}

async fn an_address_in_a_range_of_the_last_seconds_is_not_handed_out(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    netbox.prefix(vrf, BLOCK).await;
    let server = server(rarely_polling(netbox)).await;
    // The cache does not know of it.
    let range = json!({
        "start_address": "203.0.113.1/24", "end_address": "203.0.113.10/24", "vrf": vrf, "mark_populated": true,
    });
    netbox.post("ipam/ip-ranges/", range).await;
    let made = server.allocate(addresses(vrf, BLOCK, 2, &id("two"))).await.unwrap();
    assert_eq!(hosts(&made), ["203.0.113.11", "203.0.113.12"]);
    // An address that the caller names stays in it, in NetBox's words.
    let assign = v1::AssignAddressRequest {
        address: "203.0.113.5".to_owned(),
        vrf: in_vrf(vrf),
        request_id: id("named"),
        ..v1::AssignAddressRequest::default()
    };
    let refused = server.allocations.clone().assign_address(assign).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::InvalidArgument, "NETBOX_REFUSED"));
    assert!(refused.message().contains(" inside range "), "{}", refused.message());
}

#[tokio::test]
async fn a_tag_for_other_objects_is_the_caller_s_mistake_on_a_real_netbox() {
    let name = "write_faults::a_tag_for_other_objects_is_the_caller_s_mistake_on_a_real_netbox";
    let Some(netbox) = NetBox::real(name).await else { return };
    let vrf = netbox.vrf(true).await;
    netbox.prefix(vrf, BLOCK).await;
    let slug = id("devices-only");
    let tag = json!({ "name": slug, "slug": slug, "object_types": ["dcim.device"] });
    netbox.post("extras/tags/", tag).await;
    let server = Server::before(&netbox).await;
    let request = id("tagged");
    for _ in 0..2 {
        let tagged =
            v1::AllocateAddressesRequest { tags: vec![slug.clone()], ..addresses(vrf, BLOCK, 1, &request) };
        let refused = server.allocate(tagged).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::InvalidArgument, "NETBOX_REFUSED"));
        assert!(refused.message().contains("cannot be assigned"), "{}", refused.message());
    }
    let get = v1::GetAllocationRequest { request_id: request, ..Default::default() };
    let found = server.allocations.clone().get_allocation(get).await.unwrap().into_inner();
    assert_eq!(found.allocation.unwrap().state(), v1::AllocationState::Failed);
    assert!(netbox.recorded(vrf).await.is_empty());
}

/// A container of the global table covers what stands inside it in VRFs.
#[tokio::test]
async fn a_customer_s_piece_in_a_vrf_is_not_handed_out_of_the_global_container() {
    let netbox = NetBox::emulated().await;
    let vrf = netbox.vrf(true).await;
    netbox.post("ipam/prefixes/", json!({ "prefix": "198.51.100.0/24", "status": "container" })).await;
    netbox.prefix(vrf, "198.51.100.0/26").await;
    for last in 1..4 {
        let body = json!({ "address": format!("198.51.100.{last}/26"), "vrf": vrf });
        netbox.post("ipam/ip-addresses/", body).await;
    }
    let server = Server::before(&netbox).await;
    let request = v1::RegisterLeaseRequest {
        prefix: "198.51.100.0/24".to_owned(),
        owner: "ACME-LIR".to_owned(),
        expiry_date: date("2099-06-01"),
        ..v1::RegisterLeaseRequest::default()
    };
    server.leases.clone().register_lease(request).await.unwrap();
    let block = v1::AllocatePrefixRequest {
        source: Some(v1::allocate_prefix_request::Source::Prefix("198.51.100.0/24".to_owned())),
        ..child(0, 26, &id("block"))
    };
    assert_eq!(allocate_prefix(&server, block).await.unwrap(), "198.51.100.64/26");
    let made = server.allocate(addresses(0, "198.51.100.0/24", 2, &id("two"))).await.unwrap();
    assert_eq!(hosts(&made), ["198.51.100.128", "198.51.100.129"]);
    let request = v1::EndLeaseRequest {
        key: Some(v1::end_lease_request::Key::Prefix("198.51.100.0/24".to_owned())),
        validate_only: true,
        ..v1::EndLeaseRequest::default()
    };
    let refused = server.leases.clone().end_lease(request).await.unwrap_err();
    assert_eq!(reason(&refused), "ADDRESSES_IN_USE");
    assert_eq!(refused.get_error_details().error_info().unwrap().metadata["count"], "5");
}

#[tokio::test]
async fn control_characters_are_refused_before_netbox_is_asked_and_letters_of_every_language_are_not() {
    let netbox = NetBox::emulated().await;
    let vrf = netbox.vrf(true).await;
    netbox.prefix(vrf, BLOCK).await;
    netbox.post("extras/tags/", json!({ "name": "почта", "slug": "почта" })).await;
    let server = Server::before(&netbox).await;
    for (owner, loa) in [("ACME\u{0}LIR", "LOA"), ("ACME", "LOA\n2"), ("ACME\u{1b}[2J", "LOA")] {
        let request = v1::RegisterLeaseRequest {
            prefix: BLOCK.to_owned(),
            vrf: in_vrf(vrf),
            owner: owner.to_owned(),
            loa_reference: loa.to_owned(),
            expiry_date: date("2099-06-01"),
            ..v1::RegisterLeaseRequest::default()
        };
        let refused = server.leases.clone().register_lease(request).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::InvalidArgument, "INVALID_FIELDS"));
        let field = if loa == "LOA" { "owner" } else { "loa_reference" };
        assert_eq!(refused.get_error_details().bad_request().unwrap().field_violations[0].field, field);
    }
    let tagged = v1::AllocateAddressesRequest {
        tags: vec!["почта".to_owned()],
        ..addresses(vrf, BLOCK, 1, &id("tagged"))
    };
    let made = server.allocate(tagged).await.unwrap();
    assert_eq!(made.addresses.len(), 1);
    assert_eq!(netbox.recorded(vrf).await[0]["tags"][0]["slug"], "почта");
}

/// Whether a lease ends through Leasehold or by hand, it is kept with its terms and with who has ended it.
#[tokio::test]
async fn an_ended_lease_is_kept_whoever_has_ended_it() {
    let netbox = NetBox::emulated().await;
    let vrf = netbox.vrf(true).await;
    let (_guard, path) = directory();
    let file = LedgerSettings::Sqlite(path.join("ledger.db"));
    let server = server(Settings { ledger: file.clone(), ..settings(&netbox) }).await;
    register(&server, vrf, "2099-06-01", &id("first")).await.unwrap();
    let request = id("end");
    end(&server, vrf, &request).await.unwrap();
    register(&server, vrf, "2100-06-01", &id("second")).await.unwrap();
    let (_, page, _) = netbox.rest("GET", &format!("ipam/prefixes/?vrf_id={vrf}"), None).await;
    netbox.rest("DELETE", &format!("ipam/prefixes/{}/", page["results"][0]["id"]), None).await;
    server.run("sync.poll").await;
    let ledger = leasehold::ledger::open(&file).await.unwrap();
    let scope = leasehold::model::VrfScope::from_number(vrf);
    let of = async |network: &str| {
        let found = ledger.ended_leases.ended_leases(scope, network.parse().unwrap()).await.unwrap();
        found.into_iter().map(|lease| (lease.expiry.unwrap().to_string(), lease.ended_by)).collect::<Vec<_>>()
    };
    let expected = [
        ("2100-06-01".to_owned(), String::new()),
        ("2099-06-01".to_owned(), format!("{request} by 127.0.0.1")),
    ];
    assert_eq!(of(BLOCK).await, expected);
    // Of a part of the block, and of what contains it.
    assert_eq!(of("203.0.113.7/32").await, expected);
    assert_eq!(of("203.0.0.0/16").await, expected);
    assert_eq!(of("198.51.100.0/24").await, []);
}

/// The connection of each write is cut, and NetBox carries it out later, as a busy worker does.
#[tokio::test]
async fn a_creation_that_arrives_late_is_neither_repeated_nor_called_failed() {
    let netbox = NetBox::emulated().await;
    let vrf = netbox.vrf(true).await;
    netbox.prefix(vrf, BLOCK).await;
    let server = Server::before(&netbox).await;
    let emulator = netbox.emulator.as_ref().unwrap();
    emulator.set_faults(Faults { late: 100, late_by: Duration::from_millis(700), ..Faults::default() });
    let request = id("late");
    let unclear = allocate_prefix(&server, child(vrf, 28, &request)).await.unwrap_err();
    assert_eq!((unclear.code(), reason(&unclear).as_str()), (Code::Unavailable, "OUTCOME_UNKNOWN"));
    emulator.set_faults(Faults::default());
    crate::support::eventually("the prefix arrives, and its caller gets it", async || match allocate_prefix(
        &server,
        child(vrf, 28, &request),
    )
    .await
    {
        Ok(made) => made == "203.0.113.0/28",
        Err(status) => {
            assert_eq!(reason(&status), "OUTCOME_UNKNOWN", "{status:?}");
            false
        }
    })
    .await;
    let (_, page, _) = netbox.rest("GET", &format!("ipam/prefixes/?vrf_id={vrf}"), None).await;
    assert_eq!(page["count"], 2, "{page}");
}

#[tokio::test]
async fn one_write_that_cannot_be_settled_holds_up_no_other_even_after_a_restart() {
    let netbox = NetBox::emulated().await;
    let vrf = netbox.vrf(true).await;
    netbox.prefix(vrf, BLOCK).await;
    let (_guard, path) = directory();
    let ledger = || Settings { ledger: LedgerSettings::Sqlite(path.join("ledger.db")), ..settings(&netbox) };
    let first = server(ledger()).await;
    let emulator = netbox.emulator.as_ref().unwrap();
    // It never arrives, and whether it may still is not known for two minutes.
    emulator.set_faults(Faults { late: 100, late_by: Duration::from_hours(1), ..Faults::default() });
    let stuck = id("stuck");
    allocate_prefix(&first, child(vrf, 28, &stuck)).await.unwrap_err();
    emulator.set_faults(Faults::default());
    drop(first);
    let second = server(ledger()).await;
    assert_eq!(second.run("allocation.settle").await, "");
    let made = second.allocate(addresses(vrf, BLOCK, 1, &id("other"))).await.unwrap();
    assert_eq!(hosts(&made), ["203.0.113.16"], "the space of the open write stays reserved");
    let unclear = allocate_prefix(&second, child(vrf, 28, &stuck)).await.unwrap_err();
    assert_eq!(reason(&unclear), "OUTCOME_UNKNOWN");
}

#[tokio::test]
async fn callers_that_have_given_up_allocate_nothing() {
    let netbox = NetBox::emulated().await;
    let vrf = netbox.vrf(true).await;
    netbox.prefix(vrf, BLOCK).await;
    let server = Server::before(&netbox).await;
    server.allocate(addresses(vrf, BLOCK, 1, &id("first"))).await.unwrap();
    let emulator = netbox.emulator.as_ref().unwrap();
    emulator.set_faults(Faults { delay: Duration::from_secs(4), ..Faults::default() });
    // NetBox is busy with one request.
    let busy = tokio::spawn({
        let mut client = server.allocations.clone();
        let request = addresses(vrf, BLOCK, 1, &id("busy"));
        async move { client.allocate_addresses(request).await }
    });
    crate::support::eventually("the intent is stored", async || {
        let state = v1::AllocationState::Pending.into();
        let request = v1::ListAllocationsRequest { state, ..Default::default() };
        let open = server.allocations.clone().list_allocations(request).await.unwrap();
        open.into_inner().allocations.len() == 1
    })
    .await;
    let callers = (0..40).map(|nth| {
        let mut client = server.allocations.clone();
        let mut request = tonic::Request::new(addresses(vrf, BLOCK, 1, &id(&format!("impatient-{nth}"))));
        request.set_timeout(Duration::from_millis(400));
        async move { client.allocate_addresses(request).await.is_ok() }
    });
    let answered = futures::future::join_all(callers).await.into_iter().filter(|ok| *ok).count();
    assert_eq!(answered, 0);
    emulator.set_faults(Faults::default());
    busy.await.unwrap().unwrap();
    // One more in the same lane: when it is answered, nothing waits any more.
    server.allocate(addresses(vrf, BLOCK, 1, &id("last"))).await.unwrap();
    assert_eq!(netbox.recorded(vrf).await.len(), 3);
}

#[tokio::test]
async fn nothing_is_written_while_allocation_ids_are_not_unique() {
    let netbox = NetBox::emulated().await;
    let vrf = netbox.vrf(true).await;
    netbox.prefix(vrf, BLOCK).await;
    let (_, page, _) = netbox.rest("GET", "extras/custom-fields/?name=allocation_id", None).await;
    let field = format!("extras/custom-fields/{}/", page["results"][0]["id"]);
    netbox.rest("PATCH", &field, Some(json!({ "unique": false }))).await;
    let server = Server::with(settings(&netbox)).await;
    crate::support::eventually(
        "the cache is filled, and the server says why it writes nothing",
        async || {
            let refused = server.allocate(addresses(vrf, BLOCK, 1, &id("one"))).await.unwrap_err();
            reason(&refused) == "ALLOCATION_IDS_NOT_UNIQUE"
        },
    )
    .await;
    assert!(server.run("allocation.check-fields").await.contains("not unique"));
    assert!(netbox.recorded(vrf).await.is_empty());
    netbox.rest("PATCH", &field, Some(json!({ "unique": true }))).await;
    server.allocate(addresses(vrf, BLOCK, 1, &id("one"))).await.unwrap();
}
