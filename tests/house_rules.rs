//! Rules that the administrator of a NetBox has made: fields that every record must have, validators, protection against deletion.
//! Their words reach the caller, and nothing is half done.

use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;
use leasehold::rpc::proto::v1;
use serde_json::{Value, json};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::support::{NetBox, Server, addresses, date, id, reason, vrf as in_vrf};

const BLOCK: &str = "203.0.113.0/24";

/// Checks that NetBox refused for good, and returns the fields with its words.
fn refused(status: &Status) -> Vec<(String, String)> {
    assert_eq!(
        (status.code(), reason(status).as_str()),
        (Code::InvalidArgument, "NETBOX_REFUSED"),
        "{status:?}"
    );
    let details = status.get_error_details();
    let violations = details.bad_request().unwrap().field_violations.iter();
    violations.map(|found| (found.field.clone(), found.description.clone())).collect()
}

async fn block(netbox: &NetBox) -> u64 {
    let vrf = netbox.vrf(true).await;
    let body = json!({ "prefix": BLOCK, "vrf": vrf, "description": "a block of ours" });
    netbox.post("ipam/prefixes/", body).await;
    vrf
}

/// Addresses that keep every rule of the house.
fn proper(vrf: u64, count: i32, request_id: &str) -> v1::AllocateAddressesRequest {
    v1::AllocateAddressesRequest {
        dns_name: "a.example".to_owned(),
        description: "OPS-17".to_owned(),
        ..addresses(vrf, BLOCK, count, request_id)
    }
}

fn child(vrf: u64, description: &str) -> v1::AllocatePrefixRequest {
    v1::AllocatePrefixRequest {
        source: Some(v1::allocate_prefix_request::Source::Prefix(BLOCK.to_owned())),
        vrf: in_vrf(vrf),
        prefix_length: 28,
        description: description.to_owned(),
        request_id: id("child"),
        ..v1::AllocatePrefixRequest::default()
    }
}

fn register(vrf: u64, prefix: &str) -> v1::RegisterLeaseRequest {
    v1::RegisterLeaseRequest {
        prefix: prefix.to_owned(),
        vrf: in_vrf(vrf),
        owner: "ACME-LIR".to_owned(),
        expiry_date: date("2099-06-01"),
        description: "a lease".to_owned(),
        request_id: id("register"),
        ..v1::RegisterLeaseRequest::default()
    }
}

fn assign(vrf: u64, address: &str, dns_name: &str) -> v1::AssignAddressRequest {
    v1::AssignAddressRequest {
        address: address.to_owned(),
        vrf: in_vrf(vrf),
        dns_name: dns_name.to_owned(),
        description: "OPS-17".to_owned(),
        request_id: id("assign"),
        ..v1::AssignAddressRequest::default()
    }
}

async fn state(server: &Server, request: &str) -> v1::AllocationState {
    let get = v1::GetAllocationRequest { request_id: request.to_owned(), ..Default::default() };
    server.allocations.clone().get_allocation(get).await.unwrap().into_inner().allocation.unwrap().state()
}

/// How many records with these request ids the change log has ever had.
async fn creations(netbox: &NetBox, request: &str) -> u64 {
    let path = format!("core/object-changes/?q={request}&limit=100");
    netbox.rest("GET", &path, None).await.1["count"].as_u64().unwrap()
}

/// A custom field of the administrator's own on addresses and prefixes, as long as `test` runs.
async fn with_field(netbox: &NetBox, definition: Value, test: impl AsyncFnOnce(&str, &str)) {
    let name = format!("cost_center_{}", &uuid::Uuid::new_v4().simple().to_string()[..8]);
    let mut body = json!({ "name": name, "type": "text", "object_types": ["ipam.ipaddress", "ipam.prefix"] });
    for (key, value) in definition.as_object().unwrap() {
        body[key] = value.clone();
    }
    let field = netbox.post("extras/custom-fields/", body).await;
    let path = format!("extras/custom-fields/{}/", field["id"]);
    // The field must not stay: other tests create addresses too.
    let outcome = AssertUnwindSafe(test(&name, &path)).catch_unwind().await;
    assert_eq!(netbox.rest("DELETE", &path, None).await.0, 204);
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

async fn change(netbox: &NetBox, path: &str, body: Value) {
    let (status, answer, _) = netbox.rest("PATCH", path, Some(body)).await;
    assert_eq!(status, 200, "{answer}");
}

async fn a_required_field_is_named_and_its_default_is_sent(netbox: &NetBox) {
    let vrf = block(netbox).await;
    let server = Server::before(netbox).await;
    with_field(netbox, json!({ "required": true }), async |name, path| {
        let client = netbox.client().await;
        let without = client.read_custom_fields().await.unwrap().without_value.clone();
        let field = without.iter().find(|field| field.name == name).unwrap();
        assert_eq!(field.object_types, ["ipam.ipaddress", "ipam.prefix"]);

        let setup = crate::cli::command("", &["setup", "--dry-run"])
            .env("LEASEHOLD_NETBOX__URL", &netbox.url)
            .env("LEASEHOLD_NETBOX__TOKEN", &netbox.token)
            .output();
        let warned = String::from_utf8(setup.await.unwrap().stderr).unwrap();
        let words = format!("the custom field {name:?} of ipam.ipaddress and ipam.prefix");
        assert!(warned.contains(&words), "{warned}");

        let (request, never) = (id("n15"), id("n15-optional"));
        for request in [&request, &never] {
            let answer = server.allocate(proper(vrf, 1, request)).await.unwrap_err();
            assert!(refused(&answer)[0].1.contains(name), "{answer:?}");
            assert_eq!(state(&server, request).await, v1::AllocationState::Failed);
        }
        let mut allocations = server.allocations.clone();
        let answer = allocations.assign_address(assign(vrf, "203.0.113.9", "b.example")).await.unwrap_err();
        assert!(refused(&answer)[0].1.contains(name), "{answer:?}");
        let answer = allocations.allocate_prefix(child(vrf, "a child")).await.unwrap_err();
        assert!(refused(&answer)[0].1.contains(name), "{answer:?}");
        let mut leases = server.leases.clone();
        let answer = leases.register_lease(register(vrf, "198.51.100.0/24")).await.unwrap_err();
        assert!(refused(&answer)[0].1.contains(name), "{answer:?}");
        assert!(netbox.recorded(vrf).await.is_empty());

        // The administrator gives it a default: the same request goes through at once, and the records carry it.
        change(netbox, path, json!({ "default": "CC-0000" })).await;
        let made = server.allocate(proper(vrf, 1, &request)).await.unwrap();
        assert!(!made.repeated, "this call has written it");
        assert!(server.allocate(proper(vrf, 1, &request)).await.unwrap().repeated);
        assert_eq!(netbox.recorded(vrf).await[0]["custom_fields"][name], "CC-0000");
        allocations.allocate_prefix(child(vrf, "a child")).await.unwrap();
        leases.register_lease(register(vrf, "198.51.100.0/24")).await.unwrap();
        let (_, page, _) = netbox.rest("GET", &format!("ipam/prefixes/?vrf_id={vrf}"), None).await;
        let values: Vec<&Value> =
            page["results"].as_array().unwrap().iter().map(|row| &row["custom_fields"][name]).collect();
        assert_eq!(values.iter().filter(|value| **value == "CC-0000").count(), 2, "{values:?}");

        // He makes it optional instead: what was refused under its id can be made under it.
        change(netbox, path, json!({ "default": null, "required": false })).await;
        server.allocate(proper(vrf, 1, &never)).await.unwrap();
        assert_eq!(state(&server, &never).await, v1::AllocationState::Done);
        assert_eq!(netbox.recorded(vrf).await.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_required_field_is_named_and_its_default_is_sent_to_the_emulator() {
    a_required_field_is_named_and_its_default_is_sent(&NetBox::emulated().await).await;
}

#[tokio::test]
async fn a_required_field_is_named_and_its_default_is_sent_to_a_real_netbox() {
    let name = "house_rules::a_required_field_is_named_and_its_default_is_sent_to_a_real_netbox";
    let Some((netbox, _alone)) = NetBox::house(name).await else { return };
    a_required_field_is_named_and_its_default_is_sent(&netbox).await;
}

/// Whoever must fill in fields of the organisation's own can: on each record that Leasehold creates.
async fn fields_of_the_caller_s_are_written(netbox: &NetBox) {
    let vrf = block(netbox).await;
    let server = Server::before(netbox).await;
    with_field(netbox, json!({ "required": true }), async |center, _| {
        with_field(netbox, json!({ "type": "integer" }), async |height, _| {
            fields_are_written(netbox, &server, vrf, center, height).await;
        })
        .await;
    })
    .await;
}

async fn fields_are_written(netbox: &NetBox, server: &Server, vrf: u64, center: &str, height: &str) {
    let fields = |center_value: &str| {
        let fields = json!({ center: center_value, height: 42 });
        leasehold::rpc::custom_fields(fields.as_object().unwrap())
    };
    let (mut allocations, mut leases) = (server.allocations.clone(), server.leases.clone());
    let order = v1::AllocateAddressesRequest {
        custom_fields: fields("CC-0815"),
        role: "anycast".to_owned(),
        ..proper(vrf, 2, &id("order"))
    };
    let preview = v1::AllocateAddressesRequest { validate_only: true, ..order.clone() };
    let shown = server.allocate(preview).await.unwrap();
    assert!(netbox.recorded(vrf).await.is_empty());
    let made = server.allocate(order.clone()).await.unwrap();
    for record in shown.addresses.iter().chain(&made.addresses) {
        let found = record.custom_fields.as_ref().unwrap();
        assert_eq!((record.role.as_str(), &found.fields[center]), ("anycast", &text("CC-0815")));
    }
    assert!(server.allocate(order.clone()).await.unwrap().repeated);
    let other = v1::AllocateAddressesRequest { custom_fields: fields("CC-0816"), ..order };
    assert_eq!(reason(&server.allocate(other).await.unwrap_err()), "REQUEST_ID_REUSED");

    let assigned = v1::AssignAddressRequest {
        custom_fields: fields("CC-0815"),
        role: "loopback".to_owned(),
        ..assign(vrf, "203.0.113.9", "b.example")
    };
    allocations.assign_address(assigned).await.unwrap();
    let piece = v1::AllocatePrefixRequest { custom_fields: fields("CC-0815"), ..child(vrf, "a child") };
    allocations.allocate_prefix(piece).await.unwrap();
    // A prefix that is recorded gets them, too, when it gets its lease.
    let recorded = json!({
        "prefix": "192.0.2.0/24", "vrf": vrf, "description": "recorded", "custom_fields": { center: "CC-0001" },
    });
    netbox.post("ipam/prefixes/", recorded).await;
    for prefix in ["198.51.100.0/24", "192.0.2.0/24"] {
        let lease = v1::RegisterLeaseRequest { custom_fields: fields("CC-0815"), ..register(vrf, prefix) };
        leases.register_lease(lease).await.unwrap();
    }
    let (_, page, _) = netbox.rest("GET", &format!("ipam/prefixes/?vrf_id={vrf}"), None).await;
    let prefixes = page["results"].as_array().unwrap().iter();
    let made = prefixes.filter(|row| row["prefix"] != BLOCK).cloned();
    let records: Vec<Value> = made.chain(netbox.recorded(vrf).await).collect();
    assert_eq!(records.len(), 6);
    for record in &records {
        assert_eq!(record["custom_fields"][center], "CC-0815", "{record}");
        assert_eq!(record["custom_fields"][height], 42, "{record}");
    }

    // NetBox's own words name a value that it does not take, and fields of Leasehold are none of the caller's.
    for (wrong, names) in
        [(json!({ center: "CC-0815", height: "tall" }), height), (json!({ "colour": 1 }), "colour")]
    {
        let custom_fields = leasehold::rpc::custom_fields(wrong.as_object().unwrap());
        let request = v1::AllocateAddressesRequest { custom_fields, ..proper(vrf, 1, &id("wrong")) };
        let answer = server.allocate(request).await.unwrap_err();
        assert!(refused(&answer).iter().any(|(_, words)| words.contains(names)), "{answer:?}");
    }
    let own = json!({ "allocation_id": "somebody/0", "lease_owner": "ACME-LIR" });
    let custom_fields = leasehold::rpc::custom_fields(own.as_object().unwrap());
    let request = v1::AllocateAddressesRequest { custom_fields, ..proper(vrf, 1, &id("own")) };
    let answer = server.allocate(request).await.unwrap_err();
    let details = answer.get_error_details();
    let named = details.bad_request().unwrap().field_violations.iter().map(|found| found.field.as_str());
    assert_eq!(named.collect::<Vec<_>>(), ["custom_fields.allocation_id", "custom_fields.lease_owner"]);
    assert_eq!(netbox.recorded(vrf).await.len(), 3);
}

fn text(text: &str) -> prost_types::Value {
    prost_types::Value { kind: Some(prost_types::value::Kind::StringValue(text.to_owned())) }
}

#[tokio::test]
async fn fields_of_the_caller_s_are_written_to_the_emulator() {
    fields_of_the_caller_s_are_written(&NetBox::emulated().await).await;
}

#[tokio::test]
async fn fields_of_the_caller_s_are_written_to_a_real_netbox() {
    let name = "house_rules::fields_of_the_caller_s_are_written_to_a_real_netbox";
    let Some((netbox, _alone)) = NetBox::house(name).await else { return };
    fields_of_the_caller_s_are_written(&netbox).await;
}

/// The words of a validator may speak of uniqueness, and mean something else than the address.
#[tokio::test]
async fn a_validator_s_words_about_unique_names_say_nothing_of_the_address_on_a_real_netbox() {
    let name =
        "house_rules::a_validator_s_words_about_unique_names_say_nothing_of_the_address_on_a_real_netbox";
    let Some((netbox, _alone)) = NetBox::house(name).await else { return };
    let vrf = block(&netbox).await;
    let host = format!("{}.unique.example", &id("n")[..12]);
    let body = json!({ "address": "203.0.113.9/24", "vrf": vrf, "dns_name": host, "description": "OPS-17" });
    netbox.post("ipam/ip-addresses/", body).await;
    let server = Server::before(&netbox).await;
    let named = assign(vrf, "203.0.113.10", &host);
    let by_address = named.request_id.clone();
    let answer = server.allocations.clone().assign_address(named).await.unwrap_err();
    let words = format!("House rule: a name must be unique, and another address bears {host}");
    assert_eq!(refused(&answer), [("dns_name".to_owned(), words.clone())]);
    let request = id("n3b");
    let chosen = v1::AllocateAddressesRequest { dns_name: host, ..proper(vrf, 1, &request) };
    let answer = server.allocate(chosen).await.unwrap_err();
    assert_eq!(refused(&answer), [("dns_name".to_owned(), words)]);
    assert_eq!(state(&server, &request).await, v1::AllocationState::Failed);
    assert_eq!(netbox.recorded(vrf).await.len(), 1);
    assert_eq!(creations(&netbox, &request).await + creations(&netbox, &by_address).await, 0);
    assert!(server.lookup(vrf, "203.0.113.10").await.records.is_empty());
}

#[tokio::test]
async fn rules_against_deletion_leave_nothing_half_released_on_a_real_netbox() {
    let name = "house_rules::rules_against_deletion_leave_nothing_half_released_on_a_real_netbox";
    let Some((netbox, _alone)) = NetBox::house(name).await else { return };
    let vrf = block(&netbox).await;
    let server = Server::before(&netbox).await;
    let mut allocations = server.allocations.clone();

    let answer = server.allocate(addresses(vrf, BLOCK, 1, &id("bare"))).await.unwrap_err();
    let found = refused(&answer);
    let words = "Custom validation failed for dns_name: ['This field must not be empty.']".to_owned();
    assert_eq!(found, [("__all__".to_owned(), words)]);
    let answer = allocations.allocate_prefix(child(vrf, "")).await.unwrap_err();
    assert!(refused(&answer)[0].1.contains("description"), "{answer:?}");

    let request = id("n21");
    let made = server.allocate(proper(vrf, 3, &request)).await.unwrap();
    let deprecate = async |id: u64| {
        change(&netbox, &format!("ipam/ip-addresses/{id}/"), json!({ "status": "deprecated" })).await;
    };
    deprecate(made.addresses[0].id).await;
    let release = v1::ReleaseAddressesRequest {
        allocation_request_id: request.clone(),
        request_id: id("release"),
        ..v1::ReleaseAddressesRequest::default()
    };
    let answer = allocations.release_addresses(release.clone()).await.unwrap_err();
    let found = refused(&answer);
    assert!(found.iter().all(|(_, words)| words.contains("prevented by a protection rule")), "{found:?}");
    assert!(
        !answer.message().contains("[0].id") && !answer.message().contains("[1].id"),
        "{}",
        answer.message()
    );
    assert_eq!(netbox.recorded(vrf).await.len(), 3);
    assert_eq!(state(&server, &request).await, v1::AllocationState::Done);
    // None of them rests: the next free address is the fourth, and no address is counted as resting.
    let next = v1::AllocateAddressesRequest { validate_only: true, ..proper(vrf, 1, "") };
    let next = server.allocate(next).await.unwrap();
    assert_eq!(crate::support::hosts(&next), ["203.0.113.4"]);

    for record in &made.addresses[1..] {
        deprecate(record.id).await;
    }
    let released = allocations.release_addresses(release).await.unwrap().into_inner();
    assert_eq!(released.addresses.len(), 3);
    assert!(netbox.recorded(vrf).await.is_empty());

    let end = v1::EndLeaseRequest {
        key: Some(v1::end_lease_request::Key::Prefix(BLOCK.to_owned())),
        vrf: in_vrf(vrf),
        delete_prefix: true,
        request_id: id("end"),
        ..v1::EndLeaseRequest::default()
    };
    let register = v1::RegisterLeaseRequest {
        prefix: BLOCK.to_owned(),
        vrf: in_vrf(vrf),
        owner: "ACME-LIR".to_owned(),
        expiry_date: date("2099-06-01"),
        request_id: id("register"),
        ..v1::RegisterLeaseRequest::default()
    };
    server.leases.clone().register_lease(register).await.unwrap();
    let answer = server.leases.clone().end_lease(end).await.unwrap_err();
    assert!(answer.message().contains("prevented by a protection rule"), "{answer:?}");
    let lookup = server.lookup(vrf, "203.0.113.1").await;
    assert_eq!(lookup.lease.unwrap().owner, "ACME-LIR");
}
