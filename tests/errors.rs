//! Every error as a client sees it. The table is a snapshot: whoever changes a code, a reason or a text sees it in the diff.

use std::fmt::Write as _;

use leasehold::rpc::proto::v1;
use leasehold::rpc::proto::v1::allocate_addresses_request::Source;
use leasehold::rpc::proto::v1::notification_service_client::NotificationServiceClient;
use secrecy::SecretString;
use serde_json::json;
use tonic::Status;
use tonic_types::StatusExt as _;

use crate::support::{NetBox, Server, TOKEN, addresses, date, eventually, settings};

/// An error with everything that a client can act on.
fn shown(title: &str, status: &Status) -> String {
    let details = status.get_error_details();
    let info = details.error_info().unwrap_or_else(|| panic!("{title}: no ErrorInfo in {status:?}"));
    assert_eq!(info.domain, "leasehold", "{title}");
    assert!(info.reason.len() <= 63, "{title}");
    assert!(info.reason.chars().all(|c| c.is_ascii_uppercase() || c == '_'), "{title}: {}", info.reason);
    let mut text = format!("{title}\n  {:?} {}\n  {}\n", status.code(), info.reason, status.message());
    let mut metadata: Vec<_> = info.metadata.iter().collect();
    metadata.sort();
    for (key, value) in metadata {
        writeln!(text, "  {key} = {value}").unwrap();
    }
    for violation in details.bad_request().map(|bad| bad.field_violations.clone()).unwrap_or_default() {
        writeln!(text, "  field {}: {}", violation.field, violation.description).unwrap();
    }
    for violation in
        details.precondition_failure().map(|failure| failure.violations.clone()).unwrap_or_default()
    {
        writeln!(text, "  precondition {} of {}", violation.r#type, violation.subject).unwrap();
    }
    if let Some(wait) = details.retry_info().and_then(|retry| retry.retry_delay) {
        writeln!(text, "  retry in {} s", wait.as_secs()).unwrap();
    }
    text
}

fn tenant_slug(slug: &str) -> Option<v1::TenantRef> {
    Some(v1::TenantRef { r#ref: Some(v1::tenant_ref::Ref::Slug(slug.to_owned())) })
}

async fn server_with(netbox: &NetBox, url: Option<&str>, token: &str) -> Server {
    let mut settings = settings(netbox);
    if let Some(url) = url {
        settings.netbox.url = url.parse().unwrap();
    }
    settings.netbox.token = SecretString::from(token.to_owned());
    Server::with(settings).await
}

#[tokio::test]
async fn each_error_has_a_code_a_reason_and_a_text_that_helps() {
    let mut netbox = NetBox::emulated().await;
    let vrf = netbox.vrf(true).await;
    let other = netbox.vrf(true).await;
    netbox.prefix(vrf, "198.51.100.0/24").await;
    netbox.prefix(other, "198.51.100.0/24").await;
    netbox.post("ipam/prefixes/", json!({ "prefix": "203.0.113.0/29" })).await;
    let mut server = Server::before(&netbox).await;
    let mut table = String::new();
    let mut note = |title: &str, status: Status| {
        table.push_str(&shown(title, &status).replace(&netbox.url, "http://NETBOX"));
        table.push('\n');
    };

    // Mistakes in requests.
    let bad = addresses(0, "203.0.113.5/24", 1, "host-bits");
    note("a prefix with host bits", server.allocate(bad).await.unwrap_err());
    let bad = v1::AllocateAddressesRequest {
        exclusions: vec!["nonsense".to_owned()],
        dns_name: "web 01".to_owned(),
        tenant: tenant_slug("Not A Slug"),
        ..addresses(0, "banana", 1001, "an id with blanks")
    };
    note("six fields wrong at once", server.allocate(bad).await.unwrap_err());
    let nothing = v1::AllocateAddressesRequest::default();
    note("no source", server.allocate(nothing).await.unwrap_err());
    note("an unknown prefix", server.allocate(addresses(0, "192.0.2.0/24", 1, "unknown")).await.unwrap_err());
    let there = addresses(0, "198.51.100.0/24", 1, "elsewhere");
    note(
        "a prefix that two VRFs have and the global table has not",
        server.allocate(there).await.unwrap_err(),
    );
    let in_vrf = |by| v1::AllocateAddressesRequest {
        vrf: Some(v1::VrfRef { r#ref: by }),
        ..addresses(0, "198.51.100.0/24", 1, "vrf")
    };
    let by_name = Some(v1::vrf_ref::Ref::Name("no such".to_owned()));
    note("an unknown VRF", server.allocate(in_vrf(by_name)).await.unwrap_err());
    note("a VRF that is not named", server.allocate(in_vrf(None)).await.unwrap_err());
    let by_id =
        v1::AllocateAddressesRequest { source: Some(Source::PrefixId(4711)), ..addresses(0, "", 1, "by-id") };
    note("an unknown prefix id", server.allocate(by_id).await.unwrap_err());
    note("a full prefix", server.allocate(addresses(0, "203.0.113.0/29", 7, "full")).await.unwrap_err());
    let tenant = v1::AllocateAddressesRequest {
        tenant: tenant_slug("no-such"),
        ..addresses(0, "203.0.113.0/29", 1, "tenant")
    };
    note("an unknown tenant", server.allocate(tenant).await.unwrap_err());
    server.allocate(addresses(0, "203.0.113.0/29", 1, "once")).await.unwrap();
    let reused = addresses(0, "203.0.113.0/29", 2, "once");
    note("a request id with another body", server.allocate(reused).await.unwrap_err());
    let unknown = v1::GetAllocationRequest { request_id: "never-seen".to_owned(), ..Default::default() };
    note("an unknown allocation", server.allocations.get_allocation(unknown).await.unwrap_err());
    let release = v1::ReleaseAddressesRequest {
        addresses: vec!["203.0.113.1".to_owned(), "203.0.113.6".to_owned()],
        ..v1::ReleaseAddressesRequest::default()
    };
    note("an address without a record", server.allocations.release_addresses(release).await.unwrap_err());
    let lookup = v1::LookupAddressRequest { address: "203.0.113.5/24".to_owned(), ..Default::default() };
    note("an address with a mask", server.prefixes.lookup_address(lookup).await.unwrap_err());
    let lease = v1::RegisterLeaseRequest {
        prefix: "203.0.113.0/29".to_owned(),
        start_date: date("2027-06-01"),
        expiry_date: date("2026-06-01"),
        notice_date: Some(leasehold::rpc::proto::Date { year: 2026, month: 2, day: 30 }),
        ..v1::RegisterLeaseRequest::default()
    };
    note("a lease that ends before it starts", server.leases.register_lease(lease).await.unwrap_err());
    let lookup = v1::LookupLeaseRequest {
        key: Some(v1::lookup_lease_request::Key::Address("203.0.113.5".to_owned())),
        ..Default::default()
    };
    note("no lease over an address", server.leases.lookup_lease(lookup).await.unwrap_err());
    let route = |prefix: &str| v1::ValidateRouteRequest { prefix: prefix.to_owned(), ..Default::default() };
    let status = server.validation.validate_route(route("203.0.113.0/29")).await.unwrap_err();
    note("a route without an origin", status);
    let announce = v1::PreflightRequest {
        prefix: "203.0.113.0/29".to_owned(),
        announced_prefixes: vec!["203.0.113.0/24".to_owned(), "203.0.113.1/30".to_owned()],
        min_days_left: Some(-1),
        ..Default::default()
    };
    note("a preflight with invalid fields", server.validation.preflight(announce).await.unwrap_err());
    let large = v1::CheckReputationRequest {
        target: Some(v1::check_reputation_request::Target::Prefix("10.0.0.0/8".to_owned())),
        ..Default::default()
    };
    note("too many addresses to check at once", server.validation.check_reputation(large).await.unwrap_err());
    let fields = json!({ "lease_owner": "ACME-LIR", "lease_expiry": "2001-01-01", "reputation": "listed" });
    netbox.post("ipam/prefixes/", json!({ "prefix": "192.0.2.0/28", "custom_fields": fields })).await;
    server.run("sync.poll").await;
    let refused = v1::AllocateAddressesRequest {
        purpose: v1::AllocationPurpose::Mail.into(),
        ..addresses(0, "192.0.2.0/28", 1, "refused")
    };
    note("a prefix that the policy refuses", server.allocate(refused).await.unwrap_err());
    let job = v1::TriggerCheckRequest { job: "sync.ful".to_owned(), wait: false };
    note("an unknown job", server.admin.trigger_check(job).await.unwrap_err());
    let sink = v1::TestSinkRequest { sink: "no-such".to_owned() };
    let channel = tonic::transport::Channel::from_shared(format!("http://{}", server.running.grpc)).unwrap();
    let mut notifications = NotificationServiceClient::new(channel.connect().await.unwrap());
    note("an unknown sink", notifications.test_sink(sink).await.unwrap_err());
    let page = v1::ListLeasesRequest {
        page_token: "x".to_owned(),
        page_size: -1,
        order_by: "age".to_owned(),
        ..Default::default()
    };
    note("a list with invalid fields", server.leases.list_leases(page).await.unwrap_err());

    // Mistakes in the setup.
    let page = format!("{}/login/", netbox.url);
    let wrong_url = server_with(&netbox, Some(&page), TOKEN).await;
    let wrong_token = server_with(&netbox, None, "0000000000000000000000000000000000000000").await;
    for (title, server) in [("a wrong URL", &wrong_url), ("a wrong token", &wrong_token)] {
        eventually("the error is in the status", async || {
            let status = server.admin.clone().get_status(v1::GetStatusRequest {}).await.unwrap().into_inner();
            status.sync.unwrap().last_failure.is_some()
        })
        .await;
        note(title, server.allocate(addresses(0, "203.0.113.0/29", 1, "w")).await.unwrap_err());
    }
    let read_only = server_with(&netbox, None, &format!("{TOKEN}-readonly")).await;
    read_only.live().await;
    note("a read-only token", read_only.allocate(addresses(0, "203.0.113.0/29", 1, "r")).await.unwrap_err());

    // NetBox is down.
    let url = netbox.url.clone();
    netbox.stop().await;
    let status = server.allocate(addresses(0, "203.0.113.0/29", 1, "away")).await.unwrap_err();
    table.push_str(&shown("NetBox out of reach", &status).replace(&url, "http://NETBOX"));
    insta::assert_snapshot!("errors", table);
}
