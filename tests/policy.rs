//! Which prefixes are allocated from (term, verdicts, mail space), and the quarantine of released addresses. Against the emulator
//! and the real NetBox.

use std::time::Duration;

use leasehold::allocation::Policy;
use leasehold::rpc::proto::v1;
use serde_json::{Value, json};
use tonic_types::StatusExt as _;

use crate::support::{NetBox, Server, addresses, hosts, id, on_both, settings};

const BLOCK: &str = "203.0.113.0/28";

on_both!(
    a_block_is_refused_for_every_reason_at_once,
    mail_gets_mail_space_only_and_nothing_else_gets_it,
    released_addresses_are_quarantined,
);

/// A server with this policy.
async fn server(netbox: &NetBox, policy: Policy) -> Server {
    let mut settings = settings(netbox);
    settings.allocation = policy;
    let server = Server::with(settings).await;
    server.live().await;
    server
}

async fn block(netbox: &NetBox, vrf: u64, fields: Value, tags: &[&str]) -> u64 {
    let tags: Vec<Value> = tags.iter().map(|slug| json!({ "slug": slug })).collect();
    let body = json!({ "prefix": BLOCK, "vrf": vrf, "custom_fields": fields, "tags": tags });
    netbox.post("ipam/prefixes/", body).await["id"].as_u64().unwrap()
}

/// Creates a tag that no other test uses, and returns its slug.
async fn tag(netbox: &NetBox, name: &str) -> String {
    let slug = id(name);
    netbox.post("extras/tags/", json!({ "name": slug, "slug": slug })).await;
    slug
}

/// The types of the violations that an allocation is refused for.
async fn refused(server: &Server, request: v1::AllocateAddressesRequest) -> Vec<String> {
    let status = server.allocate(request).await.unwrap_err();
    let details = status.get_error_details();
    assert_eq!(details.error_info().unwrap().reason, "BLOCK_REFUSED", "{status:?}");
    let failure = details.precondition_failure().unwrap().clone();
    failure.violations.into_iter().map(|violation| violation.r#type).collect()
}

async fn a_block_is_refused_for_every_reason_at_once(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    let today = crate::support::clock::today();
    let soon = today + jiff::Span::new().days(3);
    let fields = json!({
        "lease_owner": "ACME-LIR", "lease_expiry": soon.to_string(), "roa_status": "invalid", "reputation": "listed"
    });
    let prefix = block(netbox, vrf, fields, &[]).await;
    let server = server(netbox, Policy::default()).await;
    let wanted = ["LEASE_ENDS_SOON", "ROA_REFUSED", "REPUTATION_REFUSED"];
    assert_eq!(refused(&server, addresses(vrf, BLOCK, 1, &id("soon"))).await, wanted);
    let preview =
        v1::AllocateAddressesRequest { validate_only: true, ..addresses(vrf, BLOCK, 1, &id("preview")) };
    assert_eq!(refused(&server, preview).await, wanted, "a preview is refused too");
    // A refusal leaves nothing behind, not even an intent.
    let (_, page, _) = netbox.rest("GET", &format!("ipam/ip-addresses/?vrf_id={vrf}"), None).await;
    assert_eq!(page["count"], 0);
    let listed = v1::ListAllocationsRequest { parent_prefix_id: prefix, ..Default::default() };
    let listed = server.allocations.clone().list_allocations(listed).await.unwrap().into_inner();
    assert_eq!(listed.allocations, []);
    // Once the records are corrected in NetBox, the prefix is allocated from.
    let corrected = json!({ "custom_fields": {
        "lease_expiry": (today + jiff::Span::new().days(300)).to_string(), "roa_status": "valid", "reputation": "clean"
    }});
    netbox.rest("PATCH", &format!("ipam/prefixes/{prefix}/"), Some(corrected)).await;
    server.run("sync.poll").await;
    server.allocate(addresses(vrf, BLOCK, 1, &id("corrected"))).await.unwrap();
}

async fn mail_gets_mail_space_only_and_nothing_else_gets_it(netbox: &NetBox) {
    let (mail, warming) = (tag(netbox, "mail").await, tag(netbox, "warming").await);
    let (general, cold, warm) = (netbox.vrf(true).await, netbox.vrf(true).await, netbox.vrf(true).await);
    block(netbox, general, json!({}), &[]).await;
    block(netbox, cold, json!({}), &[&mail, &warming]).await;
    block(netbox, warm, json!({}), &[&mail]).await;
    // A child of mail space is mail space.
    netbox.prefix(warm, "203.0.113.8/30").await;
    let policy = Policy { mail_tag: mail, warming_tag: warming, ..Policy::default() };
    let server = server(netbox, policy).await;
    let ask = |vrf: u64, prefix: &str, purpose: v1::AllocationPurpose| v1::AllocateAddressesRequest {
        purpose: purpose.into(),
        ..addresses(vrf, prefix, 1, &id("purpose"))
    };
    use v1::AllocationPurpose::{General, Mail, Unspecified};
    assert_eq!(refused(&server, ask(general, BLOCK, Mail)).await, ["NOT_MAIL_SPACE"]);
    assert_eq!(refused(&server, ask(cold, BLOCK, Mail)).await, ["MAIL_SPACE_WARMING"]);
    assert_eq!(refused(&server, ask(warm, BLOCK, Unspecified)).await, ["MAIL_SPACE"]);
    assert_eq!(refused(&server, ask(warm, "203.0.113.8/30", General)).await, ["MAIL_SPACE"]);
    server.allocate(ask(general, BLOCK, Unspecified)).await.unwrap();
    server.allocate(ask(warm, BLOCK, Mail)).await.unwrap();
    server.allocate(ask(warm, "203.0.113.8/30", Mail)).await.unwrap();
    // A requirement finds mail space for mail only.
    let any = |vrf: u64, purpose: v1::AllocationPurpose| v1::AllocateAddressesRequest {
        source: Some(v1::allocate_addresses_request::Source::Requirement(v1::BlockRequirement {
            vrf: crate::support::vrf(vrf),
            ..v1::BlockRequirement::default()
        })),
        ..ask(vrf, BLOCK, purpose)
    };
    server.allocate(any(warm, Mail)).await.unwrap();
    let status = server.allocate(any(warm, General)).await.unwrap_err();
    assert_eq!(status.message(), "no prefix fits the requirement: 2 reserved for mail");
}

async fn released_addresses_are_quarantined(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    block(netbox, vrf, json!({}), &[]).await;
    let server = server(netbox, Policy { quarantine: Duration::from_secs(3600), ..Policy::default() }).await;
    let order = id("order");
    let first = server.allocate(addresses(vrf, BLOCK, 3, &order)).await.unwrap();
    assert_eq!(hosts(&first), ["203.0.113.1", "203.0.113.2", "203.0.113.3"]);
    let release = v1::ReleaseAddressesRequest {
        allocation_request_id: order.clone(),
        ..v1::ReleaseAddressesRequest::default()
    };
    server.allocations.clone().release_addresses(release).await.unwrap();
    let next = server.allocate(addresses(vrf, BLOCK, 2, &id("next"))).await.unwrap();
    assert_eq!(hosts(&next), ["203.0.113.4", "203.0.113.5"]);
    // The prefix is full because of the quarantine: the error says so, and include_quarantined allocates from it.
    let status = server.allocate(addresses(vrf, BLOCK, 10, &id("full"))).await.unwrap_err();
    let info = status.get_error_details().error_info().unwrap().clone();
    assert_eq!((info.reason.as_str(), info.metadata["free"].as_str()), ("PREFIX_FULL", "9"));
    assert_eq!(info.metadata["quarantined"], "3");
    let included = v1::AllocateAddressesRequest {
        include_quarantined: true,
        ..addresses(vrf, BLOCK, 2, &id("included"))
    };
    assert_eq!(hosts(&server.allocate(included).await.unwrap()), ["203.0.113.1", "203.0.113.2"]);
    // A child prefix contains no quarantined address either.
    let child = v1::AllocatePrefixRequest {
        source: Some(v1::allocate_prefix_request::Source::Prefix(BLOCK.to_owned())),
        vrf: crate::support::vrf(vrf),
        prefix_length: 31,
        request_id: id("child"),
        ..v1::AllocatePrefixRequest::default()
    };
    let child = server.allocations.clone().allocate_prefix(child).await.unwrap().into_inner();
    assert_eq!(child.prefix.unwrap().prefix, "203.0.113.6/31");
}
