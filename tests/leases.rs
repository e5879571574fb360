//! LeaseService, against the emulator and the real NetBox.

use std::time::{Duration, Instant};

use leasehold::rpc::LeaseHandler;
use leasehold::rpc::proto::v1;
use leasehold::rpc::proto::v1::lease_service_server::LeaseService as _;
use prost::Message as _;
use serde_json::json;
use tonic::{Code, Request};
use tonic_types::StatusExt as _;

use crate::support::leases::{TENANTS, service};
use crate::support::{NetBox, Server, date, reason, vrf as in_vrf};

const BLOCK: &str = "203.0.113.0/24";
/// The most leases that one call examines.
const EXAMINED: u32 = 20_000;
/// The largest answer that a gRPC client takes by default.
const ANSWER: usize = 4 << 20;

fn registration(vrf: u64, expiry: &str) -> v1::RegisterLeaseRequest {
    v1::RegisterLeaseRequest {
        prefix: BLOCK.to_owned(),
        vrf: in_vrf(vrf),
        owner: "ACME-LIR".to_owned(),
        start_date: date("2026-06-01"),
        expiry_date: date(expiry),
        loa_reference: "LOA-2026-0481".to_owned(),
        origin_asn: 64500,
        ..v1::RegisterLeaseRequest::default()
    }
}

fn renewal(vrf: u64, expiry: &str) -> v1::RenewLeaseRequest {
    v1::RenewLeaseRequest {
        key: Some(v1::renew_lease_request::Key::Prefix(BLOCK.to_owned())),
        vrf: in_vrf(vrf),
        expiry_date: date(expiry),
        ..v1::RenewLeaseRequest::default()
    }
}

fn end(vrf: u64) -> v1::EndLeaseRequest {
    v1::EndLeaseRequest {
        key: Some(v1::end_lease_request::Key::Prefix(BLOCK.to_owned())),
        vrf: in_vrf(vrf),
        ..v1::EndLeaseRequest::default()
    }
}

async fn register_renew_end(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    let mut server = Server::before(netbox).await;

    let made = server.leases.register_lease(registration(vrf, "2099-06-01")).await.unwrap().into_inner();
    assert!(!made.adopted);
    let lease = made.lease.unwrap();
    assert_eq!((lease.owner.as_str(), lease.origin_asn), ("ACME-LIR", 64500));

    // The custom fields have the names of the source article.
    let (_, row, _) = netbox.rest("GET", &format!("ipam/prefixes/{}/", lease.prefix_id), None).await;
    assert_eq!(row["custom_fields"]["lease_owner"], "ACME-LIR");
    assert_eq!(row["custom_fields"]["lease_expiry"], "2099-06-01");
    assert_eq!(row["custom_fields"]["loa_reference"], "LOA-2026-0481");
    assert_eq!(row["custom_fields"]["origin_asn"], 64500);

    // The same call again changes nothing; another lease on the prefix is refused.
    let again = server.leases.register_lease(registration(vrf, "2099-06-01")).await.unwrap().into_inner();
    assert!(again.adopted);
    assert_eq!(again.lease.unwrap().etag, lease.etag);
    let status = server.leases.register_lease(registration(vrf, "2098-06-01")).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::AlreadyExists, "LEASE_EXISTS"));

    // A renewal moves the last day forward, back only with allow_earlier_expiry, and not against an old etag.
    let renewed = server.leases.renew_lease(renewal(vrf, "2100-06-01")).await.unwrap().into_inner();
    assert_eq!(renewed.previous_expiry_date, date("2099-06-01"));
    let status = server.leases.renew_lease(renewal(vrf, "2099-06-01")).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "EXPIRY_GOES_BACK"));
    let stale = v1::RenewLeaseRequest { etag: lease.etag.clone(), ..renewal(vrf, "2101-06-01") };
    let status = server.leases.renew_lease(stale).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Aborted, "LEASE_CHANGED"));
    let allowed = v1::RenewLeaseRequest { allow_earlier_expiry: true, ..renewal(vrf, "2099-01-01") };
    let earlier = server.leases.renew_lease(allowed).await.unwrap().into_inner().lease.unwrap();
    assert_eq!(earlier.expiry_date, date("2099-01-01"));

    // A lease does not end while an address of the prefix is recorded.
    let body = json!({ "address": "203.0.113.9/24", "vrf": vrf });
    let address = netbox.post("ipam/ip-addresses/", body).await["id"].clone();
    server.run("sync.poll").await;
    let status = server.leases.end_lease(end(vrf)).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "ADDRESSES_IN_USE"));
    netbox.rest("DELETE", &format!("ipam/ip-addresses/{address}/"), None).await;
    server.run("sync.poll").await;
    let ended = server.leases.end_lease(end(vrf)).await.unwrap().into_inner();
    assert_eq!(ended.lease.unwrap().owner, "ACME-LIR");
    let (_, row, _) = netbox.rest("GET", &format!("ipam/prefixes/{}/", lease.prefix_id), None).await;
    assert_eq!(row["custom_fields"]["lease_owner"], json!(null));
    assert_eq!(row["status"]["value"], "deprecated");
    let status = server.leases.end_lease(end(vrf)).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::NotFound, "LEASE_NOT_FOUND"));
}

#[tokio::test]
async fn a_lease_is_registered_renewed_and_ended_on_the_emulator() {
    register_renew_end(&NetBox::emulated().await).await;
}

#[tokio::test]
async fn a_lease_is_registered_renewed_and_ended_on_a_real_netbox() {
    if let Some(netbox) =
        NetBox::real("leases::a_lease_is_registered_renewed_and_ended_on_a_real_netbox").await
    {
        register_renew_end(&netbox).await;
    }
}

#[tokio::test]
async fn a_prefix_made_by_hand_is_adopted_and_keeps_its_description_and_status() {
    let netbox = NetBox::emulated().await;
    let mut server = Server::before(&netbox).await;
    // The cache may not have the prefix yet: the registration finds it in NetBox.
    // A verdict may be left in it, of a lease that was ended by hand.
    let left = json!({ "roa_status": "invalid", "irr_registered": true, "reputation": "listed" });
    let body =
        json!({ "prefix": BLOCK, "description": "by hand", "status": "container", "custom_fields": left });
    let id = netbox.post("ipam/prefixes/", body).await["id"].as_u64().unwrap();
    let made = server.leases.register_lease(registration(0, "2099-06-01")).await.unwrap().into_inner();
    assert!(made.adopted);
    let lease = made.lease.unwrap();
    assert_eq!((lease.prefix_id, lease.description.as_str()), (id, "by hand"));
    // A verdict counts for the lease only that it was made for.
    assert_eq!(lease.roa_status(), v1::RoaStatus::Unspecified);
    assert_eq!(lease.irr_status(), v1::IrrStatus::Unspecified);
    assert_eq!(lease.reputation(), v1::Reputation::Unspecified);
    let (_, row, _) = netbox.rest("GET", &format!("ipam/prefixes/{id}/"), None).await;
    assert_eq!(row["status"]["value"], "container");
}

#[tokio::test]
async fn a_persons_edit_in_between_is_not_overwritten() {
    let netbox = NetBox::emulated().await;
    let mut server = Server::before(&netbox).await;
    let lease = server
        .leases
        .register_lease(registration(0, "2099-06-01"))
        .await
        .unwrap()
        .into_inner()
        .lease
        .unwrap();
    let edit = json!({ "description": "touched", "custom_fields": { "lease_owner": "NEW-LIR" } });
    netbox.rest("PATCH", &format!("ipam/prefixes/{}/", lease.prefix_id), Some(edit)).await;
    // The cache still has the record before the edit. NetBox refuses the write, so the record is read again, and only the expiry
    // changes.
    let renewed =
        server.leases.renew_lease(renewal(0, "2100-06-01")).await.unwrap().into_inner().lease.unwrap();
    assert_eq!((renewed.owner.as_str(), renewed.description.as_str()), ("NEW-LIR", "touched"));
    assert_eq!(renewed.expiry_date, date("2100-06-01"));
}

#[tokio::test]
async fn leases_are_listed_by_filter_order_and_page() {
    let netbox = NetBox::emulated().await;
    for (nth, owner) in ["ACME-LIR", "OTHER-LIR", "ACME-LIR", "ACME-LIR"].iter().enumerate() {
        let fields = json!({
            "lease_owner": owner, "lease_expiry": format!("20{}-06-01", 40 - nth),
            "roa_status": if nth == 3 { "invalid" } else { "valid" },
        });
        let body = json!({ "prefix": format!("10.0.{nth}.0/24"), "custom_fields": fields });
        netbox.post("ipam/prefixes/", body).await;
    }
    let mut server = Server::before(&netbox).await;
    let mut list = async |request: v1::ListLeasesRequest| {
        let page = server.leases.list_leases(request).await.unwrap().into_inner();
        let prefixes: Vec<String> = page.leases.iter().map(|lease| lease.prefix.clone()).collect();
        (prefixes, page.next_page_token)
    };
    let all = v1::ListLeasesRequest { page_size: 3, ..v1::ListLeasesRequest::default() };
    let (first, token) = list(all.clone()).await;
    assert_eq!(first, ["10.0.3.0/24", "10.0.2.0/24", "10.0.1.0/24"]);
    let (second, token) = list(v1::ListLeasesRequest { page_token: token, ..all.clone() }).await;
    assert_eq!((second.as_slice(), token.as_str()), (["10.0.0.0/24".to_owned()].as_slice(), ""));
    let acme = v1::ListLeasesRequest {
        owner: "ACME-LIR".to_owned(),
        expires_before_date: date("2040-01-01"),
        order_by: "prefix desc".to_owned(),
        ..v1::ListLeasesRequest::default()
    };
    assert_eq!(list(acme).await.0, ["10.0.3.0/24", "10.0.2.0/24"]);
    let mut invalid = v1::ListLeasesRequest::default();
    invalid.set_roa_status(v1::RoaStatus::Invalid);
    assert_eq!(list(invalid).await.0, ["10.0.3.0/24"]);
}

fn named_vrf(named: v1::vrf_ref::Ref) -> Option<v1::VrfRef> {
    Some(v1::VrfRef { r#ref: Some(named) })
}

fn tenant(named: v1::tenant_ref::Ref) -> Option<v1::TenantRef> {
    Some(v1::TenantRef { r#ref: Some(named) })
}

/// An update of the fields that `paths` names, separated by commas.
fn update(lease: &v1::Lease, paths: &str) -> v1::UpdateLeaseRequest {
    v1::UpdateLeaseRequest {
        lease: Some(v1::Lease { etag: String::new(), ..lease.clone() }),
        update_mask: Some(prost_types::FieldMask { paths: paths.split(',').map(str::to_owned).collect() }),
        ..v1::UpdateLeaseRequest::default()
    }
}

/// The wrong fields that an INVALID_ARGUMENT names, each with why.
fn violations(status: &tonic::Status) -> Vec<(String, String)> {
    assert_eq!(
        (status.code(), reason(status).as_str()),
        (Code::InvalidArgument, "INVALID_FIELDS"),
        "{status:?}"
    );
    let details = status.get_error_details();
    let found = &details.bad_request().unwrap().field_violations;
    found.iter().map(|violation| (violation.field.clone(), violation.description.clone())).collect()
}

/// Two tenants of NetBox: slug and name end in a number that no other test has.
async fn tenants(netbox: &NetBox, number: u64) -> [u64; 2] {
    let mut ids = [0, 0];
    for (id, word) in ids.iter_mut().zip(["first", "second"]) {
        let body = json!({ "name": format!("Example {word} {number}"), "slug": format!("{word}-{number}") });
        *id = netbox.post("tenancy/tenants/", body).await["id"].as_u64().unwrap();
    }
    ids
}

async fn change_and_clear_every_agreed_value(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    let [first, second] = tenants(netbox, vrf).await;
    let mut server = Server::before(netbox).await;
    let registration = v1::RegisterLeaseRequest {
        tenant: tenant(v1::tenant_ref::Ref::Id(first)),
        description: "web tier".to_owned(),
        ..registration(vrf, "2099-06-01")
    };
    let lease = server.leases.register_lease(registration).await.unwrap().into_inner().lease.unwrap();
    assert_eq!(lease.tenant.as_ref().unwrap().id, first);
    let path = format!("ipam/prefixes/{}/", lease.prefix_id);
    let verdicts = json!({ "custom_fields": {
        "roa_status": "valid", "roa_checked": "2026-11-01T00:00:00Z", "irr_registered": true, "reputation": "clean",
    } });
    netbox.rest("PATCH", &path, Some(verdicts)).await;

    let new = v1::Lease {
        owner: " OTHER-LIR ".to_owned(),
        start_date: date("2026-07-01"),
        notice_date: date("2099-05-01"),
        loa_reference: "LOA-2027-0001".to_owned(),
        origin_asn: 64501,
        description: "mail".to_owned(),
        tenant: Some(v1::NamedRef { name: format!("Example second {vrf}"), ..v1::NamedRef::default() }),
        ..v1::Lease { prefix_id: lease.prefix_id, ..v1::Lease::default() }
    };
    let all = "owner,start_date,notice_date,loa_reference,origin_asn,description,tenant";
    let validated = v1::UpdateLeaseRequest { validate_only: true, ..update(&new, all) };
    let validated = server.leases.update_lease(validated).await.unwrap().into_inner().lease.unwrap();
    assert_eq!((validated.owner.as_str(), validated.origin_asn), ("OTHER-LIR", 64501));
    let (_, row, _) = netbox.rest("GET", &path, None).await;
    assert_eq!(row["custom_fields"]["lease_owner"], "ACME-LIR", "validate_only writes nothing");

    let changed = server.leases.update_lease(update(&new, all)).await.unwrap().into_inner().lease.unwrap();
    assert_eq!(changed.expiry_date, date("2099-06-01"), "an update never moves the expiry");
    let (_, row, _) = netbox.rest("GET", &path, None).await;
    let fields = &row["custom_fields"];
    assert_eq!(fields["lease_owner"], "OTHER-LIR");
    assert_eq!(fields["lease_start"], "2026-07-01");
    assert_eq!(fields["lease_notice_date"], "2099-05-01");
    assert_eq!(fields["loa_reference"], "LOA-2027-0001");
    assert_eq!((&row["description"], &row["tenant"]["id"]), (&json!("mail"), &json!(second)));
    // The verdicts on the route were made for the old origin; that on the block stands.
    assert_eq!(fields["origin_asn"], 64501);
    for field in ["roa_status", "roa_checked", "irr_registered"] {
        assert_eq!(fields[field], json!(null), "{field}");
    }
    assert!(fields["reputation"].to_string().contains("clean"), "{fields}");
    assert_eq!(
        (changed.roa_status(), changed.reputation()),
        (v1::RoaStatus::Unspecified, v1::Reputation::Clean)
    );

    // A retry finds the values in place and writes nothing, unless it insists on the lease of before.
    let again = server.leases.update_lease(update(&new, all)).await.unwrap().into_inner().lease.unwrap();
    assert_eq!(again.etag, changed.etag);
    let mut stale = update(&new, all);
    stale.lease.as_mut().unwrap().etag = lease.etag.clone();
    let status = server.leases.update_lease(stale).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Aborted, "LEASE_CHANGED"));
    let of_this = |event: &v1::Event| match &event.subject {
        Some(v1::event::Subject::Prefix(change)) => {
            change.after.as_ref().is_some_and(|after| after.id == lease.prefix_id)
        }
        _ => false,
    };
    let events = server.events_of(v1::EventType::LeaseChanged).await;
    assert_eq!(events.iter().filter(|event| of_this(event)).count(), 1, "{events:?}");

    // What is named and absent is cleared; what is not named stays. Here the prefix is named by its CIDR and its VRF.
    let nothing = v1::Lease {
        prefix: BLOCK.to_owned(),
        vrf: Some(v1::Vrf { id: vrf, ..v1::Vrf::default() }),
        etag: changed.etag.clone(),
        ..v1::Lease::default()
    };
    let mut clear = update(&nothing, "start_date,notice_date,loa_reference,origin_asn,description,tenant");
    clear.lease.as_mut().unwrap().etag = changed.etag.clone();
    let cleared = server.leases.update_lease(clear).await.unwrap().into_inner().lease.unwrap();
    assert_eq!((cleared.owner.as_str(), cleared.tenant.as_ref()), ("OTHER-LIR", None));
    let (_, row, _) = netbox.rest("GET", &path, None).await;
    for field in ["lease_start", "lease_notice_date", "loa_reference", "origin_asn"] {
        assert_eq!(row["custom_fields"][field], json!(null), "{field}");
    }
    assert_eq!((&row["description"], &row["tenant"]), (&json!(""), &json!(null)));
    assert_eq!(row["custom_fields"]["lease_expiry"], "2099-06-01");

    // NetBox knows no such tenant.
    let unknown = v1::Lease {
        tenant: Some(v1::NamedRef { slug: format!("nobody-{vrf}"), ..v1::NamedRef::default() }),
        ..new.clone()
    };
    let status = server.leases.update_lease(update(&unknown, "tenant")).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "NETBOX_REFUSED"));
}

async fn name_vrfs_and_tenants_in_every_way(netbox: &NetBox) {
    use v1::tenant_ref::Ref as Tenant;
    use v1::vrf_ref::Ref as Vrf;
    let number = netbox.vrf(true).await;
    let [first, second] = tenants(netbox, number).await;
    let rd = format!("64500:{number}");
    let name = format!("leases-{number}");
    let body = json!({ "name": name, "rd": rd, "enforce_unique": true });
    let vrf = netbox.post("ipam/vrfs/", body).await["id"].as_u64().unwrap();
    let twice = format!("twice-{number}");
    for _ in 0..2 {
        netbox.post("ipam/vrfs/", json!({ "name": twice })).await;
    }
    let mut server = Server::before(netbox).await;
    let by_id = || named_vrf(Vrf::Id(vrf));
    let by_name = || named_vrf(Vrf::Name(name.clone()));
    let by_rd = || named_vrf(Vrf::Rd(rd.clone()));

    let register = v1::RegisterLeaseRequest {
        vrf: by_name(),
        tenant: tenant(Tenant::Name(format!("Example first {number}"))),
        ..registration(0, "2099-06-01")
    };
    let lease = server.leases.register_lease(register.clone()).await.unwrap().into_inner().lease.unwrap();
    assert_eq!((lease.vrf.as_ref().unwrap().id, lease.tenant.as_ref().unwrap().id), (vrf, first));
    let other = v1::RegisterLeaseRequest {
        prefix: "198.51.100.0/24".to_owned(),
        vrf: by_rd(),
        tenant: tenant(Tenant::Id(second)),
        ..registration(0, "2099-06-01")
    };
    let other = server.leases.register_lease(other).await.unwrap().into_inner().lease.unwrap();
    assert_eq!((other.vrf.as_ref().unwrap().id, other.tenant.as_ref().unwrap().id), (vrf, second));

    for vrf in [by_id(), by_name(), by_rd()] {
        let key = Some(v1::get_lease_request::Key::Prefix(BLOCK.to_owned()));
        let request = v1::GetLeaseRequest { key, vrf: vrf.clone() };
        let found = server.leases.get_lease(request).await.unwrap().into_inner().lease.unwrap();
        assert_eq!(found.prefix_id, lease.prefix_id);
        let key = Some(v1::lookup_lease_request::Key::Address("203.0.113.5".to_owned()));
        let request = v1::LookupLeaseRequest { key, vrf: vrf.clone() };
        let found = server.leases.lookup_lease(request).await.unwrap().into_inner().lease.unwrap();
        assert_eq!(found.prefix_id, lease.prefix_id);
        let renewed = v1::RenewLeaseRequest { vrf: vrf.clone(), ..renewal(0, "2100-06-01") };
        server.leases.renew_lease(renewed).await.unwrap();
        let first_only = [
            Tenant::Id(first),
            Tenant::Slug(format!("first-{number}")),
            Tenant::Name(format!("Example first {number}")),
        ];
        for named in first_only {
            let request =
                v1::ListLeasesRequest { vrf: vrf.clone(), tenant: tenant(named), ..Default::default() };
            let rows = server.leases.list_leases(request).await.unwrap().into_inner().leases;
            assert_eq!(rows.iter().map(|row| row.prefix_id).collect::<Vec<_>>(), [lease.prefix_id]);
        }
        let request = v1::ListLeasesRequest { vrf, order_by: "prefix desc".to_owned(), ..Default::default() };
        let rows = server.leases.list_leases(request).await.unwrap().into_inner().leases;
        assert_eq!(
            rows.iter().map(|row| row.prefix_id).collect::<Vec<_>>(),
            [lease.prefix_id, other.prefix_id]
        );
    }

    for (vrf, code, expected) in [
        (Vrf::Name(format!("nothing-{number}")), Code::NotFound, "VRF_NOT_FOUND"),
        (Vrf::Rd("no:rd".to_owned()), Code::NotFound, "VRF_NOT_FOUND"),
        (Vrf::Id(999_999_999), Code::NotFound, "VRF_NOT_FOUND"),
        (Vrf::Name(twice.clone()), Code::FailedPrecondition, "VRF_AMBIGUOUS"),
    ] {
        let vrf = named_vrf(vrf);
        let request = v1::RegisterLeaseRequest { vrf: vrf.clone(), ..register.clone() };
        let status = server.leases.register_lease(request).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (code, expected));
        // A page token of another list does not hide that there is no such VRF.
        let request =
            v1::ListLeasesRequest { vrf: vrf.clone(), page_token: "00".to_owned(), ..Default::default() };
        let status = server.leases.list_leases(request).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (code, expected));
        let status = server.leases.end_lease(v1::EndLeaseRequest { vrf, ..end(0) }).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (code, expected));
    }
    server.leases.end_lease(v1::EndLeaseRequest { vrf: by_name(), ..end(0) }).await.unwrap();
}

#[tokio::test]
async fn every_agreed_value_is_changed_and_cleared_on_the_emulator() {
    change_and_clear_every_agreed_value(&NetBox::emulated().await).await;
}

#[tokio::test]
async fn every_agreed_value_is_changed_and_cleared_on_a_real_netbox() {
    let name = "leases::every_agreed_value_is_changed_and_cleared_on_a_real_netbox";
    if let Some(netbox) = NetBox::real(name).await {
        change_and_clear_every_agreed_value(&netbox).await;
    }
}

#[tokio::test]
async fn vrfs_and_tenants_are_named_in_every_way_on_the_emulator() {
    name_vrfs_and_tenants_in_every_way(&NetBox::emulated().await).await;
}

#[tokio::test]
async fn vrfs_and_tenants_are_named_in_every_way_on_a_real_netbox() {
    let name = "leases::vrfs_and_tenants_are_named_in_every_way_on_a_real_netbox";
    if let Some(netbox) = NetBox::real(name).await {
        name_vrfs_and_tenants_in_every_way(&netbox).await;
    }
}

#[tokio::test]
async fn an_update_that_is_wrong_is_refused_with_every_wrong_field() {
    let netbox = NetBox::emulated().await;
    let mut server = Server::before(&netbox).await;
    let made = server.leases.register_lease(registration(0, "2099-06-01")).await.unwrap().into_inner();
    let lease = made.lease.unwrap();
    let mut refused = async |request: v1::UpdateLeaseRequest| {
        violations(&server.leases.update_lease(request).await.unwrap_err())
    };
    let masks = [
        ("*", "name the fields"),
        ("owner,owner", "\"owner\" twice"),
        ("expiry_date", "RenewLease"),
        ("etag", "none of owner, start_date"),
        ("roa_status", "none of owner, start_date"),
        ("tenant.slug", "none of owner, start_date"),
        ("", "none of owner, start_date"),
    ];
    for (paths, why) in masks {
        let found = refused(update(&lease, paths)).await;
        assert!(
            found.len() == 1 && found[0].0 == "update_mask" && found[0].1.contains(why),
            "{paths}: {found:?}"
        );
    }
    let fields = |found: Vec<(String, String)>| found.into_iter().map(|(field, _)| field).collect::<Vec<_>>();
    let without_mask = v1::UpdateLeaseRequest { update_mask: None, ..update(&lease, "owner") };
    assert_eq!(fields(refused(without_mask).await), ["update_mask"]);
    let nothing = v1::UpdateLeaseRequest { request_id: "no id".to_owned(), ..Default::default() };
    assert_eq!(fields(refused(nothing).await), ["request_id", "lease", "update_mask"]);

    let wrong = v1::Lease {
        prefix_id: 0,
        prefix: String::new(),
        owner: " ".to_owned(),
        start_date: Some(leasehold::rpc::proto::Date { year: 2027, month: 2, day: 30 }),
        description: "x".repeat(201),
        tenant: Some(v1::NamedRef { id: 1, slug: "acme".to_owned(), ..v1::NamedRef::default() }),
        ..v1::Lease::default()
    };
    let found = refused(update(&wrong, "owner,start_date,description,tenant,expiry_date")).await;
    assert_eq!(
        fields(found),
        ["lease", "update_mask", "lease.owner", "lease.start_date", "lease.description", "lease.tenant"]
    );
    let vrf = v1::Lease {
        prefix_id: 0,
        vrf: Some(v1::Vrf { name: "customers".to_owned(), ..v1::Vrf::default() }),
        ..lease.clone()
    };
    assert_eq!(fields(refused(update(&vrf, "owner")).await), ["lease.vrf"]);
    // The dates are compared with the recorded expiry.
    let late = v1::Lease { start_date: date("2099-06-02"), notice_date: date("2099-06-02"), ..lease.clone() };
    assert_eq!(fields(refused(update(&late, "start_date")).await), ["lease.start_date"]);
    assert_eq!(fields(refused(update(&late, "notice_date")).await), ["lease.notice_date"]);
    // Fields that the mask does not name are not read.
    server.leases.update_lease(update(&late, "loa_reference")).await.unwrap();

    netbox.post("ipam/prefixes/", json!({ "prefix": "198.51.100.0/24" })).await;
    server.run("sync.poll").await;
    let bare = v1::Lease { prefix: "198.51.100.0/24".to_owned(), ..v1::Lease::default() };
    let status = server.leases.update_lease(update(&bare, "owner,description")).await.unwrap_err();
    assert_eq!(violations(&status)[0].0, "lease.owner");
    let status = server.leases.update_lease(update(&bare, "description")).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::NotFound, "LEASE_NOT_FOUND"));
}

#[tokio::test]
async fn an_update_keeps_what_a_person_changes_at_the_same_time() {
    let netbox = NetBox::emulated().await;
    let mut server = Server::before(&netbox).await;
    let made = server.leases.register_lease(registration(0, "2099-06-01")).await.unwrap().into_inner();
    let lease = made.lease.unwrap();
    let edit = json!({ "description": "touched", "custom_fields": { "lease_owner": "NEW-LIR" } });
    netbox.rest("PATCH", &format!("ipam/prefixes/{}/", lease.prefix_id), Some(edit)).await;
    // The cache still has the record before the edit, and the request names only the LOA.
    let new = v1::Lease { loa_reference: "LOA-2".to_owned(), ..lease.clone() };
    let after =
        server.leases.update_lease(update(&new, "loa_reference")).await.unwrap().into_inner().lease.unwrap();
    assert_eq!((after.owner.as_str(), after.description.as_str()), ("NEW-LIR", "touched"));
    assert_eq!(after.loa_reference, "LOA-2");
    // With the etag of before the edit, it is refused.
    let mut stale =
        update(&v1::Lease { loa_reference: "LOA-3".to_owned(), ..lease.clone() }, "loa_reference");
    stale.lease.as_mut().unwrap().etag = lease.etag;
    let status = server.leases.update_lease(stale).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Aborted, "LEASE_CHANGED"));
}

#[tokio::test]
async fn the_order_of_a_list_is_named_by_a_field_of_the_lease() {
    let netbox = NetBox::emulated().await;
    for (nth, expiry) in [Some("2040-06-01"), None, Some("2041-06-01")].iter().enumerate() {
        let fields = json!({ "lease_owner": "ACME-LIR", "lease_expiry": expiry });
        netbox
            .post("ipam/prefixes/", json!({ "prefix": format!("10.0.{nth}.0/24"), "custom_fields": fields }))
            .await;
    }
    let mut server = Server::before(&netbox).await;
    let mut list =
        async |order: &str| {
            let request =
                v1::ListLeasesRequest { order_by: order.to_owned(), ..v1::ListLeasesRequest::default() };
            server.leases.list_leases(request).await.map(|page| {
                page.into_inner().leases.iter().map(|lease| lease.prefix.clone()).collect::<Vec<_>>()
            })
        };
    // A lease without the value comes last in both directions.
    assert_eq!(list("expiry_date").await.unwrap(), ["10.0.0.0/24", "10.0.2.0/24", "10.0.1.0/24"]);
    assert_eq!(list("expiry_date desc").await.unwrap(), ["10.0.2.0/24", "10.0.0.0/24", "10.0.1.0/24"]);
    assert_eq!(list("owner asc").await.unwrap(), ["10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24"]);
    for order in ["expiry", "expiry_date down", "prefix desc owner"] {
        let found = violations(&list(order).await.unwrap_err());
        assert_eq!(found[0].0, "order_by", "{order}");
    }
    let found = violations(&list("expiry").await.unwrap_err());
    assert!(found[0].1.contains("expiry_date"), "{found:?}");
}

/// How many leases and pages a list has. Each page fits into what a client takes, and no lease comes twice.
async fn walk(handler: &LeaseHandler, mut request: v1::ListLeasesRequest) -> (u32, u32) {
    let (mut seen, mut pages) = (std::collections::HashSet::new(), 0);
    loop {
        let page = handler.list_leases(Request::new(request.clone())).await.unwrap().into_inner();
        assert!(page.encoded_len() < ANSWER, "{} bytes", page.encoded_len());
        pages += 1;
        for lease in &page.leases {
            assert!(seen.insert(lease.prefix_id), "{} comes twice", lease.prefix);
        }
        if page.next_page_token.is_empty() {
            return (u32::try_from(seen.len()).unwrap(), pages);
        }
        request.page_token = page.next_page_token;
    }
}

#[tokio::test]
async fn every_list_of_leases_shows_each_match_once_and_no_page_examines_more_than_its_share() {
    const COUNT: u32 = 50_000;
    let (handler, _) = service(COUNT).await;
    let all = |order: &str| v1::ListLeasesRequest {
        page_size: 1000,
        order_by: order.to_owned(),
        ..v1::ListLeasesRequest::default()
    };
    let listed = |order| v1::ListLeasesRequest { reputation: v1::Reputation::Listed.into(), ..all(order) };
    let slug = v1::tenant_ref::Ref::Slug("tenant-7".to_owned());
    let of_tenant = |order| v1::ListLeasesRequest { tenant: tenant(slug.clone()), ..all(order) };
    for order in ["", "expiry_date desc", "owner", "owner desc", "prefix", "prefix desc"] {
        for (name, request, expected) in [
            ("all", all(order), COUNT),
            ("listed", listed(order), COUNT / 1000),
            ("tenant", of_tenant(order), COUNT / TENANTS),
            ("nobody's", v1::ListLeasesRequest { owner: "nobody".to_owned(), ..all(order) }, 0),
        ] {
            let (rows, pages) = walk(&handler, request).await;
            assert_eq!(rows, expected, "{name} by {order:?}");
            let most = expected.div_ceil(1000) + COUNT.div_ceil(EXAMINED) + 1;
            assert!(pages <= most, "{name} by {order:?}: {pages} pages, at most {most}");
        }
    }
    // A list that begins and ends at what it filters by examines nothing else.
    let (owned, pages) =
        walk(&handler, v1::ListLeasesRequest { owner: "LIR-007".to_owned(), ..all("owner") }).await;
    let (same, _) =
        walk(&handler, v1::ListLeasesRequest { owner: "LIR-007".to_owned(), ..all("prefix") }).await;
    assert_eq!((owned, pages), (same, owned.div_ceil(1000).max(1)));
    for order in ["", "expiry_date desc"] {
        let soon = v1::ListLeasesRequest { expires_before_date: date("2027-01-11"), ..all(order) };
        let (rows, pages) = walk(&handler, soon).await;
        assert!(rows > 0 && pages == 1, "{rows} leases end in ten days, found in {pages} pages");
    }
}

/// How long a page takes that examines as many leases as a page may and shows none.
async fn empty_page(handler: &LeaseHandler, order: &str) -> Duration {
    let nobody = v1::tenant_ref::Ref::Slug("nobody".to_owned());
    let request =
        v1::ListLeasesRequest { tenant: tenant(nobody), order_by: order.to_owned(), ..Default::default() };
    let began = Instant::now();
    let page = handler.list_leases(Request::new(request)).await.unwrap().into_inner();
    let took = began.elapsed();
    assert!(page.leases.is_empty());
    took
}

#[tokio::test]
async fn a_page_of_leases_takes_as_long_among_many_as_among_few() {
    let ((few, _), (many, _)) = (service(EXAMINED).await, service(8 * EXAMINED).await);
    for order in ["expiry_date", "expiry_date desc", "owner desc", "prefix", "prefix desc"] {
        // The quickest of many, in turns: what else this machine does must not decide.
        let (mut of_few, mut of_many) = (Duration::MAX, Duration::MAX);
        for _ in 0..50 {
            of_few = of_few.min(empty_page(&few, order).await);
            of_many = of_many.min(empty_page(&many, order).await);
        }
        println!(
            "by {order}: {EXAMINED} leases are examined in {of_few:?}, of eight times as many in {of_many:?}"
        );
        assert!(of_many < of_few * 4, "{of_many:?} instead of {of_few:?}");
    }
}
