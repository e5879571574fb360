//! A NetBox of an older release line: it pages by id, has no If-Match, and writes select fields as plain text.

use leasehold::netbox::{Error, PrefixDraft};
use leasehold::rpc::proto::v1;
use serde_json::json;
use tonic_types::StatusExt as _;

use crate::support::{NetBox, Server, addresses, date, eventually, hosts};

#[tokio::test]
async fn lookups_allocations_and_renewals_work_with_an_older_netbox() {
    let netbox = NetBox::older().await;
    netbox.emulator.as_ref().unwrap().seed(30, 3_500).unwrap();
    let fields = json!({ "lease_owner": "ACME-LIR", "lease_expiry": "2099-06-01", "roa_status": "valid" });
    let made =
        netbox.post("ipam/prefixes/", json!({ "prefix": "203.0.113.0/24", "custom_fields": fields })).await;
    assert_eq!(made["custom_fields"]["roa_status"], "valid");

    let mut server = Server::before(&netbox).await;
    let counts = server.running.cache.counts();
    assert_eq!((counts.prefixes, counts.addresses), (31, 3_500), "every page was read");
    let found = server.lookup(0, "203.0.113.5").await.lease.unwrap();
    assert_eq!(found.roa_status(), v1::RoaStatus::Valid);

    let handed = server.allocate(addresses(0, "203.0.113.0/24", 2, "order")).await.unwrap();
    assert_eq!(hosts(&handed), ["203.0.113.1", "203.0.113.2"]);
    let renewal = v1::RenewLeaseRequest {
        key: Some(v1::renew_lease_request::Key::Prefix("203.0.113.0/24".to_owned())),
        expiry_date: date("2100-06-01"),
        ..v1::RenewLeaseRequest::default()
    };
    let renewed = server.leases.renew_lease(renewal).await.unwrap().into_inner().lease.unwrap();
    let update = v1::UpdateLeaseRequest {
        lease: Some(v1::Lease { origin_asn: 64501, ..renewed }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["origin_asn".to_owned()] }),
        ..v1::UpdateLeaseRequest::default()
    };
    let updated = server.leases.update_lease(update).await.unwrap().into_inner().lease.unwrap();
    assert_eq!((updated.origin_asn, updated.roa_status()), (64501, v1::RoaStatus::Unspecified));
    netbox.post("ipam/ip-addresses/", json!({ "address": "203.0.113.77/24" })).await;
    eventually("the change log is followed", async || {
        !server.lookup(0, "203.0.113.77").await.records.is_empty()
    })
    .await;
}

#[tokio::test]
async fn without_if_match_a_record_that_has_changed_is_not_overwritten() {
    let netbox = NetBox::older().await;
    let id = netbox.post("ipam/prefixes/", json!({ "prefix": "203.0.113.0/24" })).await["id"].clone();
    let client = netbox.client().await;
    let read: Vec<leasehold::model::Prefix> = client.by_ids(&[id.as_u64().unwrap()]).await.unwrap();
    netbox.rest("PATCH", &format!("ipam/prefixes/{id}/"), Some(json!({ "description": "by hand" }))).await;
    let draft = PrefixDraft { description: Some("ours".to_owned()), ..PrefixDraft::default() };
    let refused = client.patch_prefix(read[0].id, &read[0].revision, &draft, None).await;
    assert!(matches!(refused, Err(Error::Changed)), "{refused:?}");
}

/// Such a NetBox answers a list of deletions as done although it has left out what the token may not delete.
#[tokio::test]
async fn a_release_of_which_an_older_netbox_leaves_a_part_is_not_called_done() {
    let netbox = NetBox::older().await;
    netbox.post("ipam/prefixes/", json!({ "prefix": "203.0.113.0/24" })).await;
    let mut server = Server::before(&netbox).await;
    let made = server.allocate(addresses(0, "203.0.113.0/24", 3, "three")).await.unwrap();
    for record in &made.addresses[..2] {
        let path = format!("ipam/ip-addresses/{}/", record.id);
        netbox.rest("PATCH", &path, Some(json!({ "status": "reserved" }))).await;
    }
    netbox.emulator.as_ref().unwrap().constrain_writes("reserved");
    let release = v1::ReleaseAddressesRequest {
        allocation_request_id: "three".to_owned(),
        request_id: "release".to_owned(),
        ..v1::ReleaseAddressesRequest::default()
    };
    let refused = server.allocations.release_addresses(release.clone()).await.unwrap_err();
    let details = refused.get_error_details();
    assert_eq!(details.error_info().unwrap().reason, "NETBOX_TOKEN_MAY_NOT", "{refused:?}");
    assert!(refused.message().contains(&format!("records {}", made.addresses[2].id)), "{refused:?}");
    // Once the token may, the same request ends what it began, and tells of all three.
    netbox.emulator.as_ref().unwrap().constrain_writes("active");
    let released = server.allocations.release_addresses(release).await.unwrap().into_inner();
    assert_eq!(released.addresses.len(), 3);
    let (_, page, _) = netbox.rest("GET", "ipam/ip-addresses/", None).await;
    assert_eq!(page["count"], 0, "{page}");
}
