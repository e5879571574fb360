//! The sync: the change log and its gaps, the cache file, and a NetBox that is out of reach for a while.

use std::time::Duration;

use leasehold::rpc::proto::v1;
use serde_json::json;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::support::{NetBox, Server, addresses, directory, eventually, settings};

async fn status(server: &Server) -> v1::GetStatusResponse {
    server.admin.clone().get_status(v1::GetStatusRequest {}).await.unwrap().into_inner()
}

async fn sync_status(server: &Server) -> v1::SyncStatus {
    status(server).await.sync.unwrap()
}

#[tokio::test]
async fn without_netbox_reads_are_served_from_the_file_and_writes_are_not() {
    let (_guard, path) = directory();
    let mut netbox = NetBox::emulated().await;
    let fields = json!({ "lease_owner": "ACME-LIR", "lease_expiry": "2099-06-01" });
    netbox.post("ipam/prefixes/", json!({ "prefix": "203.0.113.0/24", "custom_fields": fields })).await;
    let with_file = || {
        let mut settings = settings(&netbox);
        settings.cache_file = Some(path.join("cache.db"));
        settings
    };
    let settings_of_file = with_file();
    let server = Server::with(settings_of_file.clone()).await;
    server.live().await;
    server.running.stop().await;
    let address = netbox.stop().await;

    // The first lookup is answered, although NetBox does not come back before the end of this part.
    let server = Server::with(settings_of_file).await;
    let found = server.lookup(0, "203.0.113.5").await;
    assert_eq!(found.lease.unwrap().owner, "ACME-LIR");
    let cache = found.cache.unwrap();
    assert!(!cache.live && cache.sync_time.is_some());
    eventually("the status says that NetBox is out of reach", async || {
        let status = status(&server).await;
        let netbox = status.netbox.unwrap();
        let reason = netbox.last_failure.map(|failure| failure.reason);
        !netbox.reachable && reason.as_deref() == Some("NETBOX_UNAVAILABLE") && !status.writes_served
    })
    .await;
    let refused = server.allocate(addresses(0, "203.0.113.0/24", 1, "away")).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(refused.get_error_details().retry_info().is_some());

    netbox.start(address).await;
    netbox.post("ipam/ip-addresses/", json!({ "address": "203.0.113.1/24" })).await;
    server.live().await;
    eventually("the new address is in the cache", async || {
        !server.lookup(0, "203.0.113.1").await.records.is_empty()
    })
    .await;
    // No full pass was made: the change log was enough.
    assert_eq!(sync_status(&server).await.last_full_pass_cause, "");
    let made = server.allocate(addresses(0, "203.0.113.0/24", 1, "away")).await.unwrap();
    assert_eq!(made.addresses[0].address, "203.0.113.2/24");
}

#[tokio::test]
async fn a_file_that_is_corrupt_or_of_another_netbox_is_set_aside() {
    let (_guard, path) = directory();
    let file = path.join("cache.db");
    let aside = || {
        let names = std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().contains(".aside-")).count()
    };
    std::fs::write(&file, "this is no database, and long enough to be taken for one".repeat(100)).unwrap();
    for (nth, prefix) in ["203.0.113.0/24", "198.51.100.0/24"].into_iter().enumerate() {
        // Each NetBox listens on another port, so each has another identity.
        let netbox = NetBox::emulated().await;
        netbox.post("ipam/prefixes/", json!({ "prefix": prefix })).await;
        let mut settings = settings(&netbox);
        settings.cache_file = Some(file.clone());
        let server = Server::with(settings).await;
        assert_eq!(aside(), nth + 1);
        server.live().await;
        let counts = sync_status(&server).await;
        assert_eq!((counts.prefix_count, counts.phase()), (1, v1::SyncPhase::Live));
        server.running.stop().await;
    }
}

#[tokio::test]
async fn a_pruned_change_log_leads_to_a_full_pass() {
    let mut netbox = NetBox::emulated().await;
    netbox.post("ipam/prefixes/", json!({ "prefix": "203.0.113.0/24" })).await;
    let server = Server::before(&netbox).await;
    let address = netbox.stop().await;
    eventually("the status says that NetBox is out of reach", async || {
        !status(&server).await.netbox.unwrap().reachable
    })
    .await;
    let emulator = netbox.emulator.clone().unwrap();
    netbox.start(address).await;
    for host in 1..=20 {
        netbox.post("ipam/ip-addresses/", json!({ "address": format!("203.0.113.{host}/24") })).await;
        emulator.prune_change_log(1);
    }
    eventually("everything is read again", async || {
        let sync = sync_status(&server).await;
        sync.address_count == 20 && sync.last_full_pass_cause.contains("pruned")
    })
    .await;
}

#[tokio::test]
async fn a_full_pass_finds_a_bulk_load_past_the_api() {
    let netbox = NetBox::emulated().await;
    let mut server = Server::before(&netbox).await;
    netbox.emulator.as_ref().unwrap().seed(50, 5_000).unwrap();
    let request = v1::TriggerSyncRequest { full: true, wait: true };
    let sync = server.admin.trigger_sync(request).await.unwrap().into_inner().sync.unwrap();
    assert_eq!((sync.prefix_count, sync.address_count, sync.lease_count), (50, 5_000, 50));
    assert_eq!(sync.generation, 2);
    assert_eq!(server.lookup(0, "10.0.7.1").await.records.len(), 1);
}

#[tokio::test]
async fn a_new_name_of_a_tenant_reaches_every_record() {
    let netbox = NetBox::emulated().await;
    let tenant =
        netbox.post("tenancy/tenants/", json!({ "name": "Before", "slug": "example" })).await["id"].clone();
    netbox
        .post("ipam/prefixes/", json!({ "prefix": "203.0.113.0/24", "tenant": { "slug": "example" } }))
        .await;
    let server = Server::before(&netbox).await;
    let name = async || server.lookup(0, "203.0.113.5").await.chain[0].tenant.clone().unwrap().name;
    assert_eq!(name().await, "Before");
    netbox.rest("PATCH", &format!("tenancy/tenants/{tenant}/"), Some(json!({ "name": "After" }))).await;
    eventually("the lookup returns the new name", async || name().await == "After").await;
}

#[tokio::test]
async fn an_interrupted_pass_leaves_the_old_generation_in_service() {
    let mut netbox = NetBox::emulated().await;
    let emulator = netbox.emulator.clone().unwrap();
    emulator.seed(20, 4_000).unwrap();
    let mut server = Server::before(&netbox).await;
    let slow = leasehold::emulator::Faults { delay: Duration::from_secs(1), ..Default::default() };
    emulator.set_faults(slow);
    let request = v1::TriggerSyncRequest { full: true, wait: false };
    server.admin.trigger_sync(request).await.unwrap();
    eventually("a pass has begun", async || sync_status(&server).await.pass_done_row_count > 0).await;
    let address = netbox.stop().await;
    eventually("the pass has been abandoned", async || {
        sync_status(&server).await.phase() == v1::SyncPhase::Stale
    })
    .await;
    let sync = sync_status(&server).await;
    assert_eq!((sync.generation, sync.address_count), (1, 4_000));
    emulator.set_faults(Default::default());
    netbox.start(address).await;
    server.live().await;
}

#[tokio::test]
async fn a_real_netbox_out_of_reach_and_back() {
    let name = "sync::a_real_netbox_out_of_reach_and_back";
    let Some(netbox) = NetBox::real(name).await else { return };
    let vrf = netbox.vrf(true).await;
    netbox.prefix(vrf, "203.0.113.0/24").await;
    let mut proxy = crate::support::proxy::Proxy::before(&netbox.url).await;
    let mut settings = settings(&netbox);
    settings.netbox.url = proxy.url().parse().unwrap();
    let server = Server::with(settings).await;
    server.live().await;
    let request = format!("away-{}", uuid::Uuid::new_v4().simple());
    proxy.cut().await;
    let refused = server.allocate(addresses(vrf, "203.0.113.0/24", 2, &request)).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    assert!(refused.get_error_details().retry_info().is_some());
    eventually("answers say that the cache is not live", async || {
        let found = server.lookup(vrf, "203.0.113.5").await;
        found.chain.len() == 1 && !found.cache.unwrap().live
    })
    .await;
    let (_, page, _) = netbox.rest("GET", &format!("ipam/ip-addresses/?vrf_id={vrf}"), None).await;
    assert_eq!(page["count"], 0, "NetBox has no record of the refused request");
    netbox.post("ipam/ip-addresses/", json!({ "address": "203.0.113.1/24", "vrf": vrf })).await;
    proxy.mend().await;
    server.live().await;
    let made = server.allocate(addresses(vrf, "203.0.113.0/24", 2, &request)).await.unwrap();
    assert_eq!(crate::support::hosts(&made), ["203.0.113.2", "203.0.113.3"]);
}
