//! Writes the golden files. Not part of the tests: README.md says how it was run.

use std::path::Path;
use std::time::Duration;

use leasehold::ledger::{self, Detail, IntentState, LedgerSettings, Observation, ObservationKind};
use leasehold::model::PrefixId;
use leasehold::rpc::proto::v1;
use leasehold::rpki::feed::{FeedSettings, Place};
use leasehold::rpki::{RpkiSettings, Source};
use serde_json::{Value, json};

use crate::golden::{answer, commands, event, notifications, over, pages};
use crate::support::{NetBox, Server, date, eventually};

async fn records(netbox: &NetBox, path: &str) -> Vec<Value> {
    let (status, page, _) = netbox.rest("GET", &format!("{path}?limit=1000&ordering=id"), None).await;
    assert_eq!(status, 200, "{page}");
    let mut rows = page["results"].as_array().unwrap().clone();
    rows.sort_by_key(|row| row["id"].as_u64());
    rows
}

/// A record as it is posted again.
fn again(row: &Value) -> Value {
    let mut body = serde_json::Map::new();
    for key in [
        "id",
        "prefix",
        "address",
        "description",
        "dns_name",
        "is_pool",
        "mark_utilized",
        "name",
        "slug",
        "rd",
        "enforce_unique",
    ] {
        if let Some(value) = row.get(key) {
            body.insert(key.to_owned(), value.clone());
        }
    }
    for key in ["vrf", "tenant", "role"] {
        if let Some(id) = row.get(key).and_then(|named| named.get("id")) {
            body.insert(key.to_owned(), id.clone());
        }
    }
    if let Some(status) = row.get("status") {
        body.insert("status".to_owned(), status["value"].clone());
    }
    if let Some(tags) = row.get("tags").and_then(Value::as_array) {
        body.insert("tags".to_owned(), tags.iter().map(|tag| tag["id"].clone()).collect());
    }
    if let Some(fields) = row.get("custom_fields").and_then(Value::as_object) {
        let plain = |value: &Value| value.get("value").cloned().unwrap_or_else(|| value.clone());
        let fields = fields.iter().filter(|(_, value)| !value.is_null());
        body.insert(
            "custom_fields".to_owned(),
            fields.map(|(name, value)| (name.clone(), plain(value))).collect(),
        );
    }
    Value::Object(body)
}

fn write(name: &str, value: &Value) {
    std::fs::write(Path::new("tests/golden").join(name), serde_json::to_string_pretty(value).unwrap() + "\n")
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "writes the golden files"]
async fn make() {
    let directory = Path::new("/tmp/golden-made");
    let _ = std::fs::remove_dir_all(directory);
    std::fs::create_dir_all(directory).unwrap();
    let netbox = NetBox::emulated().await;
    netbox.post("ipam/vrfs/", json!({ "name": "customer-a", "rd": "64500:1", "enforce_unique": true })).await;
    netbox.post("tenancy/tenants/", json!({ "name": "Acme", "slug": "acme" })).await;
    netbox.post("ipam/roles/", json!({ "name": "Customer", "slug": "customer" })).await;
    for slug in ["mail", "leased", "web"] {
        netbox.post("extras/tags/", json!({ "name": slug, "slug": slug })).await;
    }
    let lease = |owner: &str, expiry: &str| {
        json!({ "lease_owner": owner, "lease_start": "2025-06-01", "lease_expiry": expiry,
            "lease_notice_date": "2126-03-01", "loa_reference": "LOA-2026-0481", "origin_asn": 64500 })
    };
    let block = |prefix: &str, tags: &[&str], fields: Value| {
        let tags: Vec<Value> = tags.iter().map(|slug| json!({ "slug": slug })).collect();
        json!({ "prefix": prefix, "tags": tags, "custom_fields": fields, "description": "Leased block" })
    };
    let with = |mut body: Value, more: Value| {
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let first = block("203.0.113.0/24", &["leased"], lease("ACME-LIR", "2126-06-01"));
    netbox.post("ipam/prefixes/", with(first, json!({ "tenant": 1, "role": 1 }))).await;
    let expired = json!({ "lease_owner": "PAST-LIR", "lease_expiry": "2026-01-31" });
    netbox.post("ipam/prefixes/", block("198.51.100.0/24", &[], expired)).await;
    let mut mail = lease("OTHER-LIR", "2126-06-01");
    mail["reputation"] = json!("clean");
    let third = block("192.0.2.0/24", &["mail"], mail);
    netbox.post("ipam/prefixes/", with(third, json!({ "vrf": 1, "role": 1 }))).await;
    netbox.post("ipam/prefixes/", block("2001:db8::/48", &[], json!({}))).await;
    for host in ["203.0.113.250/24", "203.0.113.251/24", "203.0.113.1/24"] {
        netbox.post("ipam/ip-addresses/", json!({ "address": host, "description": "By hand" })).await;
    }

    let vrps = directory.join("vrps.json");
    let roas = |asn: u32| {
        let text = format!(
            r#"{{"roas":[{{"prefix":"203.0.113.0/24","maxLength":24,"asn":"AS{asn}","ta":"test"}}]}}"#
        );
        let new = vrps.with_extension("new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, &vrps).unwrap();
    };
    roas(64500);
    let mut settings = over(&netbox, directory, "http://127.0.0.1:9/hook");
    let source =
        Source::Feed(FeedSettings { place: Place::File(vrps.clone()), expire: Duration::from_secs(3600) });
    settings.checks.rpki = RpkiSettings { sources: vec![source], ..RpkiSettings::default() };
    settings.checks.validation.confirm_after = Duration::from_millis(50);
    settings.checks.validation.roa_every = Duration::from_secs(3600);
    settings.allocation.refuse_roa.clear();
    let server = Server::with(settings).await;
    server.live().await;
    server.run("rpki.look").await;
    server.run("validation.roa").await;

    let mut answers = serde_json::Map::new();
    let mut resume = String::new();
    for (nth, (name, command)) in commands().into_iter().enumerate() {
        if nth == 4 {
            resume = server
                .events
                .clone()
                .list_events(v1::ListEventsRequest::default())
                .await
                .unwrap()
                .into_inner()
                .resume_token;
        }
        answers.insert(name.to_owned(), answer(&server, command).await.unwrap());
    }
    // A lease from its beginning to its end.
    let mut leases = server.leases.clone();
    let register = v1::RegisterLeaseRequest {
        prefix: "100.64.0.0/24".to_owned(),
        owner: "ACME-LIR".to_owned(),
        expiry: date("2126-01-31"),
        origin_asn: 64500,
        request_id: "register".to_owned(),
        ..Default::default()
    };
    leases.register_lease(register).await.unwrap();
    let key = Some(v1::renew_lease_request::Key::Prefix("100.64.0.0/24".to_owned()));
    let renew = v1::RenewLeaseRequest {
        key,
        expiry: date("2127-01-31"),
        request_id: "renew".to_owned(),
        ..Default::default()
    };
    leases.renew_lease(renew).await.unwrap();
    let key = Some(v1::end_lease_request::Key::Prefix("100.64.0.0/24".to_owned()));
    leases
        .end_lease(v1::EndLeaseRequest { key, request_id: "end".to_owned(), ..Default::default() })
        .await
        .unwrap();
    // Other tools write too.
    netbox.post("ipam/ip-addresses/", json!({ "address": "203.0.113.240/24" })).await;
    let (_, made, _) =
        netbox.rest("PATCH", "ipam/ip-addresses/3/", Some(json!({ "description": "Changed by hand" }))).await;
    assert_eq!(made["id"], 3);
    eventually("changes by hand are seen", async || {
        server.told(v1::EventType::AddressChanged).await.len() == 1
    })
    .await;
    // A verdict that changes, and what is to be delivered.
    roas(64501);
    server.run("rpki.look").await;
    server.run("validation.roa").await;
    eventually("the verdict changed", async || server.told(v1::EventType::RoaChanged).await.len() == 1).await;
    eventually("the lease that is over is told", async || {
        server.told(v1::EventType::LeaseExpired).await.len() == 1
    })
    .await;
    eventually("deliveries wait", async || {
        let wanted = v1::ListDeliveriesRequest { page_size: 100, ..Default::default() };
        notifications(&server).await.list_deliveries(wanted).await.unwrap().into_inner().deliveries.len() >= 2
    })
    .await;
    tokio::time::sleep(Duration::from_secs(2)).await;

    let (tokens, shown) = pages(&server, None).await;
    let (_, rest) = pages(&server, Some(&tokens)).await;
    let wanted = v1::ListEventsRequest { page_size: 1000, ..Default::default() };
    let listed = server.events.clone().list_events(wanted.clone()).await.unwrap().into_inner();
    let mut events: Vec<Value> = listed.events.iter().map(event).collect();
    events.reverse();
    let few = v1::ListEventsRequest { page_size: 3, ..Default::default() };
    let page = server.events.clone().list_events(few).await.unwrap().into_inner();
    write(
        "tokens.json",
        &json!({
            "resume": resume, "events_page": page.next_page_token, "pages": tokens, "shown": shown, "rest": rest,
        }),
    );
    write("answers.json", &Value::Object(answers));
    write("events.json", &json!(events));
    let mut deliveries = serde_json::Map::new();
    let wanted = v1::ListDeliveriesRequest { page_size: 100, ..Default::default() };
    for one in notifications(&server).await.list_deliveries(wanted).await.unwrap().into_inner().deliveries {
        deliveries.insert(one.id.clone(), one.event.as_ref().map_or(Value::Null, event));
    }
    write("deliveries.json", &Value::Object(deliveries));
    let mut state = serde_json::Map::new();
    for path in [
        "ipam/vrfs/",
        "tenancy/tenants/",
        "ipam/roles/",
        "extras/tags/",
        "ipam/prefixes/",
        "ipam/ip-addresses/",
    ] {
        state.insert(path.to_owned(), records(&netbox, path).await.iter().map(again).collect());
    }
    write("netbox.json", &Value::Object(state));
    server.running.stop().await;

    // What a server that died leaves behind, and what blocklists said.
    let books = ledger::open(&LedgerSettings::Sqlite(directory.join("ledger.db"))).await.unwrap();
    let open = books.intents.get(&"left-open".parse().unwrap()).await.unwrap().unwrap();
    let detail = Detail { made: Vec::new(), ..open.detail.clone() };
    books.intents.set(&open.request, IntentState::Pending, &detail, open.updated).await.unwrap();
    for (kind, subject, file) in [
        (ObservationKind::Sweep, "zen.example", "zone-coverage.json"),
        (ObservationKind::Baseline, "", "baseline.json"),
    ] {
        let body =
            std::fs::read_to_string(Path::new("tests/golden").join(file)).unwrap().trim_end().to_owned();
        let row = Observation { prefix: PrefixId(1), subject: subject.to_owned(), body };
        books.observations.put(kind, &[row], open.updated).await.unwrap();
    }
}
