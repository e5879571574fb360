//! PrefixService: lookups, batches, streams and lists, as clients see them.

use leasehold::rpc::proto::v1;
use serde_json::json;
use tonic::Code;

use crate::support::{NetBox, Server, eventually, time_until};

async fn filled() -> (NetBox, Server) {
    let netbox = NetBox::emulated().await;
    let vrf = netbox.post("ipam/vrfs/", json!({ "name": "customers", "rd": "64500:7" })).await["id"].clone();
    let lease = |owner: &str| json!({ "lease_owner": owner, "lease_expiry": "2099-06-01" });
    for (prefix, vrf, fields) in [
        ("203.0.0.0/16", json!(null), lease("OUTER-LIR")),
        ("203.0.113.0/24", json!(null), lease("ACME-LIR")),
        ("203.0.113.0/28", json!(null), json!({})),
        ("203.0.113.0/24", vrf.clone(), json!({})),
        ("2001:db8::/32", json!(null), lease("SIX-LIR")),
    ] {
        netbox.post("ipam/prefixes/", json!({ "prefix": prefix, "vrf": vrf, "custom_fields": fields })).await;
    }
    let body = json!({ "address": "203.0.113.5/28", "dns_name": "web-01.customer.example" });
    netbox.post("ipam/ip-addresses/", body).await;
    let server = Server::before(&netbox).await;
    (netbox, server)
}

#[tokio::test]
async fn an_answer_has_the_chain_the_covering_lease_and_the_records() {
    let (_netbox, server) = filled().await;
    let found = server.lookup(0, "203.0.113.5").await;
    let chain: Vec<&str> = found.chain.iter().map(|prefix| prefix.prefix.as_str()).collect();
    assert_eq!(chain, ["203.0.0.0/16", "203.0.113.0/24", "203.0.113.0/28"]);
    assert_eq!(found.lease.unwrap().owner, "ACME-LIR");
    assert_eq!(found.records[0].dns_name, "web-01.customer.example");
    assert!(found.cache.unwrap().live);
}

#[tokio::test]
async fn scopes_and_address_families_are_kept_apart() {
    let (_netbox, server) = filled().await;
    let in_vrf = server.lookup(1, "203.0.113.5").await;
    assert_eq!(in_vrf.chain.len(), 1);
    assert_eq!(in_vrf.chain[0].vrf.as_ref().unwrap().name, "customers");
    assert!(in_vrf.lease.is_none() && in_vrf.records.is_empty());
    assert_eq!(server.lookup(0, "2001:db8::1").await.lease.unwrap().owner, "SIX-LIR");
    assert!(server.lookup(0, "192.0.2.1").await.chain.is_empty());
    assert!(server.lookup(99, "203.0.113.5").await.chain.is_empty());
}

#[tokio::test]
async fn a_batch_is_answered_in_order_and_every_invalid_address_is_named() {
    let (_netbox, mut server) = filled().await;
    let ask = |addresses: &[&str]| v1::BatchLookupAddressesRequest {
        addresses: addresses.iter().map(|text| (*text).to_owned()).collect(),
        vrf_id: 0,
    };
    let answer = server.prefixes.batch_lookup_addresses(ask(&["192.0.2.1", "203.0.113.5"])).await.unwrap();
    let chains: Vec<usize> = answer.into_inner().results.iter().map(|result| result.chain.len()).collect();
    assert_eq!(chains, [0, 3]);
    let status =
        server.prefixes.batch_lookup_addresses(ask(&["x", "203.0.113.5", "1.2.3.4/32"])).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(
        status.message().contains("addresses[0]") && status.message().contains("addresses[2]"),
        "{status:?}"
    );
}

#[tokio::test]
async fn a_stream_ends_at_the_first_invalid_address() {
    let (_netbox, mut server) = filled().await;
    let ask = |text: &str| v1::StreamLookupAddressesRequest { address: text.to_owned(), vrf_id: 0 };
    let asked = tokio_stream::iter([ask("203.0.113.5"), ask("nonsense"), ask("203.0.113.6")]);
    let mut answers = server.prefixes.stream_lookup_addresses(asked).await.unwrap().into_inner();
    assert_eq!(answers.message().await.unwrap().unwrap().result.unwrap().chain.len(), 3);
    assert_eq!(answers.message().await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn prefixes_are_listed_in_pages_and_by_filter() {
    let (netbox, mut server) = filled().await;
    let mut request = v1::ListPrefixesRequest { page_size: 2, ..v1::ListPrefixesRequest::default() };
    let mut seen = Vec::new();
    loop {
        let page = server.prefixes.list_prefixes(request.clone()).await.unwrap().into_inner();
        seen.extend(page.prefixes.iter().map(|prefix| prefix.prefix.clone()));
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, ["203.0.0.0/16", "203.0.113.0/24", "203.0.113.0/28", "2001:db8::/32", "203.0.113.0/24"]);
    let leased = v1::ListPrefixesRequest {
        leased_only: true,
        within: "203.0.113.0/24".to_owned(),
        ..v1::ListPrefixesRequest::default()
    };
    let page = server.prefixes.list_prefixes(leased).await.unwrap().into_inner();
    assert_eq!(page.prefixes.len(), 1);
    drop(netbox);
}

#[tokio::test]
async fn a_change_in_netbox_is_in_answers_within_three_seconds() {
    let (netbox, server) = filled().await;
    // The median of several changes, so that one pause of a busy machine is not taken for the server's.
    let mut times = Vec::new();
    for _ in 0..3 {
        let body = json!({ "address": "203.0.113.77/24", "description": "by hand" });
        let id = netbox.post("ipam/ip-addresses/", body).await["id"].clone();
        let recorded = time_until("the lookup returns the new address", async || {
            !server.lookup(0, "203.0.113.77").await.records.is_empty()
        });
        times.push(recorded.await);
        netbox.rest("DELETE", &format!("ipam/ip-addresses/{id}/"), None).await;
        let deleted = time_until("the lookup no longer returns the deleted address", async || {
            server.lookup(0, "203.0.113.77").await.records.is_empty()
        });
        times.push(deleted.await);
    }
    times.sort_unstable();
    assert!(times[times.len() / 2] < std::time::Duration::from_secs(3), "{times:?}");
}

#[tokio::test]
async fn an_answer_follows_changes_of_the_lease_the_address_and_the_vrf() {
    let (netbox, server) = filled().await;
    let answer = async || {
        let (outside, inside) =
            (server.lookup(0, "203.0.113.5").await, server.lookup(1, "203.0.113.5").await);
        let lease = outside.lease.unwrap();
        assert_eq!(outside.chain[1].lease.as_ref(), Some(&lease));
        (lease.owner, outside.records[0].dns_name.clone(), inside.chain[0].vrf.clone().unwrap().name)
    };
    let expected = |owner: &str, name: &str, vrf: &str| (owner.to_owned(), name.to_owned(), vrf.to_owned());
    assert_eq!(answer().await, expected("ACME-LIR", "web-01.customer.example", "customers"));
    let lease = json!({ "custom_fields": { "lease_owner": "OTHER-LIR" } });
    netbox.rest("PATCH", "ipam/prefixes/2/", Some(lease)).await;
    netbox.rest("PATCH", "ipam/vrfs/1/", Some(json!({ "name": "tenants" }))).await;
    let name = json!({ "dns_name": "web-02.customer.example" });
    netbox.rest("PATCH", "ipam/ip-addresses/1/", Some(name)).await;
    let wanted = expected("OTHER-LIR", "web-02.customer.example", "tenants");
    eventually("the changes are in the answer", async || answer().await == wanted).await;
}
