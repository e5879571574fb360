//! LeaseService, against the emulator and the real NetBox.

use leasehold::rpc::proto::v1;
use serde_json::json;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::support::{NetBox, Server, date, vrf as in_vrf};

const BLOCK: &str = "203.0.113.0/24";

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

fn reason(status: &tonic::Status) -> String {
    status.get_error_details().error_info().unwrap().reason.clone()
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
    let body = json!({ "prefix": BLOCK, "description": "by hand", "status": "container" });
    let id = netbox.post("ipam/prefixes/", body).await["id"].as_u64().unwrap();
    let made = server.leases.register_lease(registration(0, "2099-06-01")).await.unwrap().into_inner();
    assert!(made.adopted);
    let lease = made.lease.unwrap();
    assert_eq!((lease.prefix_id, lease.description.as_str()), (id, "by hand"));
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
