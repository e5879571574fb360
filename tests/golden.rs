//! What outlives a process is read by the version that follows: the files under tests/golden/ were written by commit
//! d39b776 (golden/README.md says how), and this version opens copies of them.
//!
//! The bytes of each stored form are pinned by tests/stored.rs and by unit tests beside the code that writes them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::HeaderMap;
use leasehold::cache::{Cache, Opened, StoreIdentity};
use leasehold::clock::SystemClock;
use leasehold::config::Settings;
use leasehold::ledger::{self, LedgerSettings};
use leasehold::notify::{NotifySettings, SinkSettings, SinkTarget};
use leasehold::rpc::proto::v1;
use leasehold::rpc::proto::v1::notification_service_client::NotificationServiceClient;
use secrecy::SecretString;
use serde_json::{Value, json};
use tonic::Code;
use tonic::transport::Channel;
use tonic_types::StatusExt as _;

use crate::support::{LOOPBACK, NetBox, Server, directory, eventually, settings, vrf};

pub const SINK: &str = "hook";
const SECRET: &str = "whsec_bGVhc2Vob2xkLWdvbGRlbi1zaWduaW5nLWtleQ==";

/// One call that the old server answered.
#[derive(Clone, Debug)]
pub enum Command {
    Addresses(v1::AllocateAddressesRequest),
    Prefix(v1::AllocatePrefixRequest),
    Assign(v1::AssignAddressRequest),
    Release(v1::ReleaseAddressesRequest),
}

/// Every kind of command, with most of its fields set and with as few as possible, in the order in which they were made.
/// The name is the request id too.
pub fn commands() -> Vec<(&'static str, Command)> {
    use v1::allocate_addresses_request::Source as From;
    use v1::allocate_prefix_request::Source as Within;
    let acme = || Some(v1::TenantRef { r#ref: Some(v1::tenant_ref::Ref::Slug("acme".to_owned())) });
    let id = |name: &str| name.to_owned();
    let text = |text: &str| text.to_owned();
    let addresses = |source| v1::AllocateAddressesRequest { source: Some(source), ..Default::default() };
    let assign = |address: &str| v1::AssignAddressRequest { address: text(address), ..Default::default() };
    let requirement = v1::BlockRequirement {
        owner: text("OTHER-LIR"),
        tag: text("mail"),
        role: text("customer"),
        vrf: vrf(1),
        min_days_left: 30,
        clean_reputation: true,
        family: v1::AddressFamily::Ipv4.into(),
    };
    let mail = v1::AllocationPurpose::Mail.into();
    let all: Vec<(&'static str, Command)> = vec![
        (
            "addresses-by-prefix",
            Command::Addresses(v1::AllocateAddressesRequest {
                count: 2,
                description: text("Customer 4711 \"quoted\" äöü"),
                dns_name: text("host.customer.example"),
                status: text("reserved"),
                tenant: acme(),
                tags: vec![text("leased"), text("web")],
                exclusions: vec![text("203.0.113.0/29"), text("203.0.113.9/32")],
                include_child_prefixes: true,
                include_quarantined: true,
                ..addresses(From::Prefix(text("203.0.113.0/24")))
            }),
        ),
        (
            "addresses-by-id",
            Command::Addresses(v1::AllocateAddressesRequest {
                purpose: mail,
                ..addresses(From::PrefixId(3))
            }),
        ),
        (
            "addresses-by-requirement",
            Command::Addresses(v1::AllocateAddressesRequest {
                count: 3,
                purpose: mail,
                ..addresses(From::Requirement(requirement))
            }),
        ),
        (
            "addresses-in-a-vrf",
            Command::Addresses(v1::AllocateAddressesRequest {
                vrf: vrf(1),
                purpose: mail,
                ..addresses(From::Prefix(text("192.0.2.0/24")))
            }),
        ),
        ("addresses-v6", Command::Addresses(addresses(From::Prefix(text("2001:db8::/48"))))),
        (
            "prefix-by-prefix",
            Command::Prefix(v1::AllocatePrefixRequest {
                source: Some(Within::Prefix(text("203.0.113.0/24"))),
                prefix_length: 28,
                description: text("Customer 4712"),
                status: text("reserved"),
                tenant: acme(),
                role: text("customer"),
                tags: vec![text("web")],
                exclusions: vec![text("203.0.113.0/26")],
                ..Default::default()
            }),
        ),
        (
            "prefix-by-requirement",
            Command::Prefix(v1::AllocatePrefixRequest {
                source: Some(Within::Requirement(v1::BlockRequirement {
                    family: v1::AddressFamily::Ipv6.into(),
                    ..Default::default()
                })),
                prefix_length: 64,
                ..Default::default()
            }),
        ),
        (
            "assign",
            Command::Assign(v1::AssignAddressRequest {
                description: text("A router"),
                dns_name: text("router.example"),
                status: text("active"),
                tenant: acme(),
                tags: vec![text("web")],
                ..assign("203.0.113.200")
            }),
        ),
        (
            "assign-in-a-vrf",
            Command::Assign(v1::AssignAddressRequest { vrf: vrf(1), ..assign("192.0.2.77") }),
        ),
        ("given-back", Command::Addresses(addresses(From::Prefix(text("203.0.113.0/24"))))),
        (
            "release-by-allocation",
            Command::Release(v1::ReleaseAddressesRequest {
                allocation_request_id: text("given-back"),
                ..Default::default()
            }),
        ),
        (
            "release-by-address",
            Command::Release(v1::ReleaseAddressesRequest {
                addresses: vec![text("203.0.113.251"), text("203.0.113.250")],
                allow_foreign: true,
                ..Default::default()
            }),
        ),
        (
            "release-in-a-vrf",
            Command::Release(v1::ReleaseAddressesRequest {
                addresses: vec![text("192.0.2.77")],
                vrf: vrf(1),
                ..Default::default()
            }),
        ),
        ("left-open", Command::Addresses(addresses(From::PrefixId(1)))),
    ];
    all.into_iter()
        .map(|(name, command)| {
            let command = match command {
                Command::Addresses(it) => {
                    Command::Addresses(v1::AllocateAddressesRequest { request_id: id(name), ..it })
                }
                Command::Prefix(it) => {
                    Command::Prefix(v1::AllocatePrefixRequest { request_id: id(name), ..it })
                }
                Command::Assign(it) => {
                    Command::Assign(v1::AssignAddressRequest { request_id: id(name), ..it })
                }
                Command::Release(it) => {
                    Command::Release(v1::ReleaseAddressesRequest { request_id: id(name), ..it })
                }
            };
            (name, command)
        })
        .collect()
}

fn address(record: &v1::Address) -> Value {
    let (vrf, tenant) =
        (record.vrf.as_ref().map(|vrf| vrf.id), record.tenant.as_ref().map(|tenant| tenant.slug.as_str()));
    json!([record.id, record.address, vrf, record.status, tenant, record.dns_name, record.description])
}

/// What a call answers, without what depends on the time.
pub async fn answer(server: &Server, command: Command) -> Result<Value, tonic::Status> {
    let mut client = server.allocations.clone();
    let id = |prefix: Option<&v1::Prefix>| {
        prefix.map(|prefix| json!([prefix.id, prefix.prefix, prefix.vrf.as_ref().map(|vrf| vrf.id)]))
    };
    Ok(match command {
        Command::Addresses(request) => {
            let answer = client.allocate_addresses(request).await?.into_inner();
            json!({
                "addresses": answer.addresses.iter().map(address).collect::<Vec<_>>(),
                "prefix": id(answer.prefix.as_ref()),
                "owner": answer.lease.map(|lease| lease.owner),
                "request_id": answer.request_id,
            })
        }
        Command::Prefix(request) => {
            let answer = client.allocate_prefix(request).await?.into_inner();
            json!({
                "prefix": id(answer.prefix.as_ref()),
                "parent": id(answer.parent.as_ref()),
                "request_id": answer.request_id,
            })
        }
        Command::Assign(request) => {
            let answer = client.assign_address(request).await?.into_inner();
            json!({ "address": answer.address.as_ref().map(address), "request_id": answer.request_id })
        }
        Command::Release(request) => {
            let answer = client.release_addresses(request).await?.into_inner();
            json!({
                "addresses": answer.addresses.iter().map(address).collect::<Vec<_>>(),
                "request_id": answer.request_id,
            })
        }
    })
}

/// The rows of four lists: what the first page did not show, by its token.
pub async fn pages(server: &Server, tokens: Option<&Value>) -> (Value, Value) {
    let token = |list: &str| tokens.map_or(String::new(), |tokens| tokens[list].as_str().unwrap().to_owned());
    let first = tokens.is_none();
    let size = |pages: i32| if first { 1 } else { pages };
    let leases = v1::ListLeasesRequest {
        order_by: "owner desc".to_owned(),
        vrf: Some(v1::VrfRef { r#ref: Some(v1::vrf_ref::Ref::Id(0)) }),
        expires_before_date: crate::support::date("2200-01-01"),
        page_size: size(100),
        page_token: token("leases"),
        ..Default::default()
    };
    let leases = server.leases.clone().list_leases(leases).await.unwrap().into_inner();
    let prefixes = v1::ListPrefixesRequest {
        within: "203.0.113.0/24".to_owned(),
        page_size: size(100),
        page_token: token("prefixes"),
        ..Default::default()
    };
    let prefixes = server.prefixes.clone().list_prefixes(prefixes).await.unwrap().into_inner();
    let allocations = v1::ListAllocationsRequest {
        page_size: if first { 2 } else { 100 },
        page_token: token("allocations"),
        ..Default::default()
    };
    let allocations = server.allocations.clone().list_allocations(allocations).await.unwrap().into_inner();
    let deliveries = v1::ListDeliveriesRequest {
        sink: SINK.to_owned(),
        page_size: size(100),
        page_token: token("deliveries"),
        ..Default::default()
    };
    let deliveries = notifications(server).await.list_deliveries(deliveries).await.unwrap().into_inner();
    let tokens = json!({
        "leases": leases.next_page_token,
        "prefixes": prefixes.next_page_token,
        "allocations": allocations.next_page_token,
        "deliveries": deliveries.next_page_token,
    });
    let rows = json!({
        "leases": leases.leases.iter().map(|lease| lease.prefix_id).collect::<Vec<_>>(),
        "prefixes": prefixes.prefixes.iter().map(|prefix| prefix.id).collect::<Vec<_>>(),
        "allocations": allocations.allocations.iter().map(|one| one.request_id.as_str()).collect::<Vec<_>>(),
        "deliveries": deliveries.deliveries.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(),
    });
    (tokens, rows)
}

pub async fn notifications(server: &Server) -> NotificationServiceClient<Channel> {
    let channel =
        Channel::from_shared(format!("http://{}", server.running.grpc)).unwrap().connect().await.unwrap();
    NotificationServiceClient::new(channel)
}

/// Sequence, type and subject of an event.
pub fn event(event: &v1::Event) -> Value {
    use v1::event::Subject;
    let subject = match event.subject.as_ref().unwrap() {
        Subject::Prefix(change) => change.after.as_ref().or(change.before.as_ref()).unwrap().prefix.clone(),
        Subject::Address(change) => change.after.as_ref().or(change.before.as_ref()).unwrap().address.clone(),
        Subject::Term(reached) => reached.lease.as_ref().unwrap().prefix.clone(),
        Subject::Verdict(change) => change.lease.as_ref().unwrap().prefix.clone(),
        Subject::Sync(change) => change.message.clone(),
        Subject::Completion(refused) => refused.address.as_ref().unwrap().address.clone(),
    };
    json!([event.sequence, event.r#type().as_str_name(), event.owner, subject])
}

/// A server over files in a directory, with one webhook.
pub fn over(netbox: &NetBox, directory: &Path, hook: &str) -> Settings {
    let mut settings = settings(netbox);
    settings.ledger = LedgerSettings::Sqlite(directory.join("ledger.db"));
    settings.cache_file = Some(directory.join("cache.db"));
    // The golden events are as old as the files: they must not go by age.
    settings.events.retention = Duration::from_secs(100 * 365 * 24 * 3600);
    let target = SinkTarget::Webhook {
        url: hook.parse().unwrap(),
        secrets: vec![SecretString::from(SECRET.to_owned())],
    };
    let sinks = vec![SinkSettings { name: SINK.to_owned(), target, allow_private: true }];
    settings.notify = NotifySettings { sinks, routes: Vec::new() };
    settings
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn read(name: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(golden(name)).unwrap()).unwrap()
}

/// An emulated NetBox with the records that the old server's NetBox held, under the same ids.
async fn netbox() -> NetBox {
    let netbox = NetBox::emulated().await;
    let state = read("netbox.json");
    for path in [
        "ipam/vrfs/",
        "tenancy/tenants/",
        "ipam/roles/",
        "extras/tags/",
        "ipam/prefixes/",
        "ipam/ip-addresses/",
    ] {
        let mut next = 1;
        for row in state[path].as_array().unwrap() {
            let id = row["id"].as_u64().unwrap();
            // Ids of records that were deleted are used up, so that the next record gets its own.
            while next < id {
                let mut filler = row.clone();
                filler["custom_fields"] = json!({});
                let made = netbox.post(path, filler).await["id"].as_u64().unwrap();
                assert_eq!(made, next);
                netbox.rest("DELETE", &format!("{path}{made}/"), None).await;
                next += 1;
            }
            assert_eq!(netbox.post(path, row.clone()).await["id"].as_u64().unwrap(), id);
            next = id + 1;
        }
    }
    netbox
}

/// A directory with a copy of the old ledger, so that the golden file stays as it is.
fn old_ledger() -> (tempfile::TempDir, PathBuf) {
    let (guard, path) = directory();
    std::fs::copy(golden("ledger-0.1.db"), path.join("ledger.db")).unwrap();
    (guard, path)
}

/// The new server over the old ledger. Nobody listens where its webhook points to.
async fn upgraded(netbox: &NetBox, directory: &Path) -> Server {
    let server = Server::with(over(netbox, directory, "http://127.0.0.1:9/hook")).await;
    server.live().await;
    server
}

/// The same request id with another body.
fn changed(command: &Command) -> Command {
    match command.clone() {
        Command::Addresses(it) => {
            Command::Addresses(v1::AllocateAddressesRequest { description: "another".to_owned(), ..it })
        }
        Command::Prefix(it) => {
            Command::Prefix(v1::AllocatePrefixRequest { description: "another".to_owned(), ..it })
        }
        Command::Assign(it) => {
            Command::Assign(v1::AssignAddressRequest { description: "another".to_owned(), ..it })
        }
        Command::Release(it) if it.addresses.is_empty() => Command::Release(v1::ReleaseAddressesRequest {
            allocation_request_id: "another".to_owned(),
            ..it
        }),
        Command::Release(it) => {
            Command::Release(v1::ReleaseAddressesRequest { allow_foreign: !it.allow_foreign, ..it })
        }
    }
}

#[tokio::test]
async fn a_retry_after_the_upgrade_gets_the_same_answer_and_another_body_is_refused() {
    let netbox = netbox().await;
    let (_guard, directory) = old_ledger();
    let server = upgraded(&netbox, &directory).await;
    let answers = read("answers.json");
    for (name, command) in commands() {
        let other = answer(&server, changed(&command)).await.unwrap_err();
        let reason = other.get_error_details().error_info().unwrap().reason.clone();
        assert_eq!(reason, "REQUEST_ID_REUSED", "{name}: {other}");
        match answer(&server, command).await {
            Ok(answer) => assert_eq!(answer, answers[name], "{name}"),
            Err(error) => {
                let released = ["given-back", "assign-in-a-vrf"].contains(&name);
                assert!(released && error.code() == Code::FailedPrecondition, "{name}: {error}");
            }
        }
    }
    // Nothing was written anew.
    let (_, addresses, _) = netbox.rest("GET", "ipam/ip-addresses/?limit=1", None).await;
    let held = read("netbox.json")["ipam/ip-addresses/"].as_array().unwrap().len();
    assert_eq!(addresses["count"].as_u64().unwrap(), held as u64);
}

#[tokio::test]
async fn a_fingerprint_of_a_later_version_is_an_error_of_its_own() {
    let netbox = netbox().await;
    let (_guard, directory) = old_ledger();
    execute(&directory.join("ledger.db"), "UPDATE intent SET fingerprint = 'v2:' || fingerprint").await;
    let server = upgraded(&netbox, &directory).await;
    for (name, command) in commands() {
        let error = answer(&server, command).await.unwrap_err();
        let reason = error.get_error_details().error_info().unwrap().reason.clone();
        assert_eq!(reason, "REQUEST_FROM_NEWER_VERSION", "{name}: {error}");
    }
}

#[tokio::test]
async fn a_stream_resumes_after_the_upgrade_and_pages_go_on() {
    let netbox = netbox().await;
    let (_guard, directory) = old_ledger();
    let server = upgraded(&netbox, &directory).await;
    let (tokens, events) = (read("tokens.json"), read("events.json"));
    let events = events.as_array().unwrap();

    let resume_token = tokens["resume"].as_str().unwrap().to_owned();
    let seen = usize::from_str_radix(resume_token.split_once('-').unwrap().1, 16).unwrap();
    let request = v1::WatchEventsRequest { resume_token, ..Default::default() };
    let mut stream = server.events.clone().watch_events(request).await.unwrap().into_inner();
    let mut resumed = Vec::new();
    while resumed.len() < events.len() - seen {
        match stream.message().await.unwrap().unwrap().item.unwrap() {
            v1::watch_events_response::Item::Event(one) => resumed.push(event(&one)),
            v1::watch_events_response::Item::Synced(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(resumed, events[seen..], "no event is missing and none comes twice");

    let page = v1::ListEventsRequest {
        page_size: 1000,
        page_token: tokens["events_page"].as_str().unwrap().to_owned(),
        ..Default::default()
    };
    let page = server.events.clone().list_events(page).await.unwrap().into_inner();
    let mut listed: Vec<Value> = page.events.iter().map(event).collect();
    listed.reverse();
    assert_eq!(listed, events[..events.len() - 3], "the first page showed the three newest");

    let (_, rest) = pages(&server, Some(&tokens["pages"])).await;
    assert_eq!(rest, tokens["rest"]);

    // A date that was told about before the upgrade is not told about again.
    server.run("expiry.check").await;
    assert_eq!(server.events_of(v1::EventType::LeaseExpired).await.len(), 1);
}

#[tokio::test]
async fn a_change_that_is_in_the_log_is_not_logged_again() {
    let (_guard, directory) = old_ledger();
    let ledger = ledger::open(&LedgerSettings::Sqlite(directory.join("ledger.db"))).await.unwrap();
    let events = ledger.journal.read(0, 1000).await.unwrap();
    assert_eq!(events.len(), read("events.json").as_array().unwrap().len());
    let again: Vec<_> = events.into_iter().map(|event| event.domain_event).collect();
    assert_eq!(ledger.journal.append(&again, jiff::Timestamp::UNIX_EPOCH).await.unwrap(), []);
}

/// A webhook's receiver: the id and the body of each request.
async fn receiver() -> (String, Arc<Mutex<Vec<(String, Value)>>>) {
    let took: Arc<Mutex<Vec<(String, Value)>>> = Arc::default();
    let listener = tokio::net::TcpListener::bind(LOOPBACK).await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let taking = took.clone();
    let hook = async move |headers: HeaderMap, body: Bytes| {
        assert!(headers["webhook-signature"].to_str().unwrap().starts_with("v1,"));
        let id = headers["webhook-id"].to_str().unwrap().to_owned();
        taking.lock().unwrap().push((id, serde_json::from_slice(&body).unwrap()));
    };
    let router = axum::Router::new().route("/hook", axum::routing::post(hook));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, took)
}

#[tokio::test]
async fn deliveries_that_waited_are_sent_after_the_upgrade() {
    let netbox = netbox().await;
    let (_guard, directory) = old_ledger();
    let (url, took) = receiver().await;
    let server = Server::with(over(&netbox, &directory, &url)).await;
    server.live().await;
    let waiting = read("deliveries.json");
    let waiting = waiting.as_object().unwrap();
    let ids = || -> Vec<String> { took.lock().unwrap().iter().map(|(id, _)| id.clone()).collect() };
    eventually("every delivery is sent", async || waiting.keys().all(|id| ids().contains(id))).await;
    for (id, expected) in waiting {
        let (_, body) = took.lock().unwrap().iter().find(|(sent, _)| sent == id).unwrap().clone();
        assert_eq!(body["id"], **id);
        assert_eq!(body["data"]["sequence"], expected[0]);
        let kind = expected[1].as_str().unwrap().trim_start_matches("EVENT_TYPE_").to_lowercase();
        assert_eq!(body["type"], format!("leasehold.{kind}.v1"));
        assert_eq!(body["data"]["owner"], expected[2]);
        assert_eq!(body["subject"], expected[3]);
    }
}

async fn execute(file: &Path, statement: &'static str) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
    let pool = sqlx::sqlite::SqlitePool::connect_with(options).await.unwrap();
    sqlx::raw_sql(statement).execute(&pool).await.unwrap();
    pool.close().await;
}

#[tokio::test]
async fn a_ledger_that_cannot_be_read_is_an_error_and_stays_as_it_is() {
    let (_guard, directory) = old_ledger();
    let file = directory.join("ledger.db");
    execute(&file, "UPDATE event SET body = '{\"kind\":'").await;
    let settings = LedgerSettings::Sqlite(file.clone());
    let handles = ledger::open(&settings).await.unwrap();
    let error = handles.journal.read(0, 10).await.unwrap_err();
    assert!(matches!(error, ledger::Error::Unreadable(_)), "{error}");
    drop(handles);

    let newer = "INSERT INTO _sqlx_migrations VALUES (9999, 'newer', '2027-01-01', true, x'00', 0)";
    execute(&file, newer).await;
    let Err(error) = ledger::open(&settings).await else { panic!("a newer schema was opened") };
    assert!(matches!(error, ledger::Error::Schema(_)), "{error}");
}

/// The NetBox that the old cache file is of.
const OLD_IDENTITY: &str = "http://127.0.0.1:40871/";

/// A copy of the old cache file after a change, opened: how it was opened, whether anything is served, and how the file is
/// opened the next time.
async fn open_cache(statement: &'static str) -> (Opened, bool, Opened) {
    let (_guard, directory) = directory();
    let file = directory.join("cache.db");
    std::fs::copy(golden("cache-0.1.db"), &file).unwrap();
    execute(&file, statement).await;
    let identity = StoreIdentity(OLD_IDENTITY.to_owned());
    let clock = SystemClock::new(jiff::tz::TimeZone::UTC);
    let (cache, opened) = Cache::open(&file, &identity, &clock).await.unwrap();
    let served = cache.is_ready();
    drop(cache);
    let (_, next) = Cache::open(&file, &identity, &clock).await.unwrap();
    (opened, served, next)
}

#[tokio::test]
async fn a_cache_file_of_another_version_is_rebuilt_and_never_misread() {
    // The record format of this version is part of the identity. With it, the rest of the old file is read.
    const THIS_FORMAT: &str = "UPDATE cache SET identity = identity || ' (record format 2)'";
    assert_eq!(open_cache(THIS_FORMAT).await.0, Opened::Loaded);
    for statement in [
        "SELECT 1",
        "UPDATE cache SET identity = identity || ' (record format 2)'; UPDATE record SET body = '{\"id\":'",
        "UPDATE cache SET identity = identity || ' (record format 2)'; UPDATE record SET body = '{}'",
        "UPDATE cache SET identity = identity || ' (record format 2)', position = 'garbage'",
        "INSERT INTO _sqlx_migrations VALUES (9999, 'newer', '2027-01-01', true, x'00', 0)",
        "DROP TABLE record; UPDATE cache SET identity = identity || ' (record format 2)'",
    ] {
        let (opened, served, next) = open_cache(statement).await;
        assert!(matches!(opened, Opened::SetAside { .. }), "{statement}: {opened:?}");
        assert!(!served, "{statement}: nothing of the old file is served");
        assert_eq!(next, Opened::Empty, "{statement}: a new file took its place");
    }
}
