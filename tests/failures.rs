//! What states show of failures: a reason for programs, a sentence of our own, and never the text of a library. And the health
//! of each service, of which a change is reported once.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use leasehold::clock::SystemClock;
use leasehold::dnsbl::DnsblSettings;
use leasehold::irr::{IrrProtocol, IrrServerSettings, IrrSettings};
use leasehold::jobs::{Scheduler, Timing, Work};
use leasehold::ledger::LedgerSettings;
use leasehold::notify::{NotifySettings, SinkSettings, SinkTarget};
use leasehold::rpc::proto::v1;
use leasehold::rpki::{RpkiSettings, RpkiSource, RtrSettings, VrpFeedSettings, VrpLocation};
use secrecy::SecretString;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt as _;

use crate::dnsbl::zone;
use crate::support::process::free_port;
use crate::support::{LOOPBACK, NetBox, Server, addresses, directory, eventually, settings};

/// What only the texts of libraries and of panics hold.
const TELL_TALES: &[&str] = &[
    "reqwest",
    "sqlx",
    "hyper",
    "tonic",
    "hickory",
    "rustls",
    "serde",
    "error sending request",
    "error trying to connect",
    "os error",
    "tcp connect",
    "dns error",
    "getaddrinfo",
    "failed to lookup",
    "deadline has elapsed",
    "operation timed out",
    "operation was canceled",
    "received corrupt message",
    "error returned from database",
    "no such table",
    "connection closed before",
    "peer closed",
    "expected value at",
    "expected `",
    "invalid type",
    "panicked",
    "unwrap",
    "src/",
    ".rs:",
    "(code:",
    "Error(",
];

fn assert_ours(text: &str) {
    assert!(!text.is_empty(), "there is no text");
    for tell_tale in TELL_TALES {
        assert!(!text.contains(tell_tale), "{tell_tale:?} is in {text:?}");
    }
}

fn assert_failure(failure: Option<&v1::Failure>, reason: &str) {
    let failure = failure.unwrap_or_else(|| panic!("nothing failed with {reason}"));
    assert_eq!(failure.reason, reason, "{failure:?}");
    assert!(failure.fail_time.is_some(), "{failure:?}");
    assert_ours(&failure.message);
}

async fn status(server: &Server) -> v1::GetStatusResponse {
    server.admin.clone().get_status(v1::GetStatusRequest {}).await.unwrap().into_inner()
}

/// Every failure that the status shows.
fn failures(status: &v1::GetStatusResponse) -> Vec<v1::Failure> {
    let netbox = status.netbox.iter().filter_map(|netbox| netbox.last_failure.clone());
    let sync = status.sync.iter().filter_map(|sync| sync.last_failure.clone());
    let jobs = status.jobs.iter().filter_map(|job| job.last_failure.clone());
    let sources = status.sources.iter().filter_map(|source| source.last_failure.clone());
    netbox.chain(sync).chain(jobs).chain(sources).collect()
}

/// A peer that answers every connection in the same way and then closes it.
async fn peer(answer: &'static str) -> SocketAddr {
    let listener = TcpListener::bind(LOOPBACK).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = connection.read(&mut [0; 4096]).await;
                let _ = connection.write_all(answer.as_bytes()).await;
            });
        }
    });
    address
}

#[tokio::test]
async fn a_netbox_that_cannot_be_used_is_shown_with_the_reason_of_a_call_and_in_our_words() {
    let netbox = NetBox::emulated().await;
    let port = netbox.url.rsplit(':').next().unwrap().to_owned();
    let silent = peer("").await;
    let garbage = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 5\r\n\r\n{\"a\":";
    let garbage = peer(garbage).await;
    let valid = crate::support::TOKEN;
    let cases = [
        (
            format!("http://127.0.0.1:{}", free_port()),
            valid,
            "NETBOX_UNAVAILABLE",
            "the connection was refused",
        ),
        (
            "http://no-such-host.invalid".to_owned(),
            valid,
            "NETBOX_UNAVAILABLE",
            "its name cannot be resolved",
        ),
        (
            format!("https://127.0.0.1:{port}"),
            valid,
            "NETBOX_UNAVAILABLE",
            "no TLS session could be agreed on",
        ),
        (format!("http://{silent}"), valid, "NETBOX_UNAVAILABLE", "the connection broke"),
        (format!("http://{garbage}"), valid, "NETBOX_UNAVAILABLE", "could not understand NetBox's answer"),
        (format!("{}/login/", netbox.url), valid, "NETBOX_URL_WRONG", "is the base URL right"),
        (netbox.url.clone(), "0123456789", "NETBOX_TOKEN_REFUSED", "does not accept the token"),
    ];
    for (url, token, reason, text) in cases {
        let mut settings = settings(&netbox);
        settings.netbox.url = url.parse().unwrap();
        settings.netbox.token = SecretString::from(token.to_owned());
        let server = Server::with(settings).await;
        let poll = server.run_failing("sync.poll").await;
        assert_failure(poll.as_ref(), reason);
        assert!(poll.as_ref().unwrap().message.contains(text), "{url}: {poll:?}");
        let status = status(&server).await;
        assert_failure(status.netbox.as_ref().unwrap().last_failure.as_ref(), reason);
        assert_failure(status.sync.as_ref().unwrap().last_failure.as_ref(), reason);
        for failure in failures(&status) {
            assert_ours(&failure.message);
        }
        // Until the cache is filled, a call says why it is not.
        let refused = server.allocate(addresses(0, "203.0.113.0/24", 1, "early")).await.unwrap_err();
        assert_eq!(refused.get_error_details().error_info().unwrap().reason, "CACHE_EMPTY");
        assert_ours(refused.message());
    }
}

#[tokio::test]
async fn the_event_of_a_lost_sync_holds_no_text_of_a_library() {
    let mut netbox = NetBox::emulated().await;
    let server = Server::before(&netbox).await;
    netbox.stop().await;
    eventually("the loss is published", async || !server.events_of(v1::EventType::SyncLost).await.is_empty())
        .await;
    let lost = server.events_of(v1::EventType::SyncLost).await.remove(0);
    let Some(v1::event::Subject::Sync(change)) = lost.subject else { panic!("{lost:?}") };
    assert!(change.message.contains("the connection was refused"), "{}", change.message);
    assert_ours(&change.message);
}

#[tokio::test]
async fn a_ledger_that_is_gone_fails_its_jobs_as_it_fails_calls() {
    let netbox = NetBox::emulated().await;
    let (_guard, path) = directory();
    let file = path.join("ledger.db");
    let mut settings = settings(&netbox);
    settings.ledger = LedgerSettings::Sqlite(file.clone());
    let server = Server::with(settings).await;
    server.live().await;
    let pool = sqlx::SqlitePool::connect(&format!("sqlite://{}", file.display())).await.unwrap();
    let tables: Vec<(String,)> =
        sqlx::query_as("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
            .fetch_all(&pool)
            .await
            .unwrap();
    for (table,) in tables {
        sqlx::query(sqlx::AssertSqlSafe(format!("ALTER TABLE {table} RENAME TO {table}_gone")))
            .execute(&pool)
            .await
            .unwrap();
    }
    for job in ["allocation.settle", "events.compact", "notify.prune", "notify.route"] {
        assert_failure(server.run_failing(job).await.as_ref(), "LEDGER_UNAVAILABLE");
    }
    let call =
        server.allocations.clone().list_allocations(v1::ListAllocationsRequest::default()).await.unwrap_err();
    assert_eq!(call.get_error_details().error_info().unwrap().reason, "LEDGER_UNAVAILABLE");
    assert_ours(call.message());
    let status = status(&server).await;
    assert_eq!(status.ledger.as_ref().unwrap().pending_intent_count, None, "it is not known");
    for failure in failures(&status) {
        assert_ours(&failure.message);
    }
}

#[tokio::test]
async fn a_source_that_does_not_answer_is_shown_in_the_status_in_causes_and_in_its_job() {
    let netbox = NetBox::emulated().await;
    let fields = json!({ "lease_owner": "ACME-LIR", "lease_expiry": "2126-06-01", "origin_asn": 64500 });
    netbox.post("ipam/prefixes/", json!({ "prefix": "203.0.113.0/24", "custom_fields": fields })).await;
    // It takes the queries and answers none of them.
    let resolver = tokio::net::UdpSocket::bind(LOOPBACK).await.unwrap();
    let mut settings = settings(&netbox);
    let rtr = RtrSettings {
        server: format!("127.0.0.1:{}", free_port()),
        expire: None,
        read_timeout: Duration::from_secs(1),
    };
    let file = VrpFeedSettings {
        location: VrpLocation::File("/no/such/vrps.json".into()),
        expire: Duration::from_secs(3600),
    };
    let document: url::Url = format!("http://{}/vrps.json", peer("").await).parse().unwrap();
    let document = VrpFeedSettings { location: VrpLocation::Url(document), ..file.clone() };
    let routinator = format!("http://no-such-host.invalid:{}", free_port()).parse().unwrap();
    settings.checks.rpki = RpkiSettings {
        sources: vec![
            RpkiSource::Rtr(rtr),
            RpkiSource::VrpFeed(file),
            RpkiSource::VrpFeed(document),
            RpkiSource::Routinator(routinator),
        ],
        ..RpkiSettings::default()
    };
    settings.checks.dnsbl = DnsblSettings {
        resolvers: vec![resolver.local_addr().unwrap()],
        zones: vec![zone("bl.test")],
        timeout: Duration::from_millis(100),
    };
    let whois = IrrServerSettings {
        server: format!("127.0.0.1:{}", free_port()),
        protocol: IrrProtocol::Irrd,
        sources: Vec::new(),
        connections: std::num::NonZeroUsize::MIN,
    };
    settings.checks.irr = IrrSettings { servers: vec![whois], authoritative: Vec::new() };
    let server = Server::with(settings).await;
    server.live().await;

    assert_failure(server.run_failing("rpki.refresh").await.as_ref(), "VRPS_NOT_REFRESHED");
    let route = v1::ValidateRouteRequest { prefix: "203.0.113.0/24".to_owned(), ..Default::default() };
    let checked = server.validation.clone().validate_route(route).await.unwrap().into_inner();
    assert_eq!(checked.state(), v1::RouteState::CouldNotCheck);
    assert_ours(&checked.message);
    assert_eq!(checked.causes.len(), 4, "{checked:?}");
    for cause in &checked.causes {
        assert_failure(cause.failure.as_ref(), "SOURCE_UNREACHABLE");
    }
    let request = v1::CheckIrrRequest { prefix: "203.0.113.0/24".to_owned(), ..Default::default() };
    let irr = server.validation.clone().check_irr(request).await.unwrap().into_inner();
    assert_failure(irr.causes[0].failure.as_ref(), "SOURCE_UNREACHABLE");
    assert_ours(&irr.message);

    let target = v1::check_reputation_request::Target::Address("203.0.113.5".to_owned());
    let request = v1::CheckReputationRequest { target: Some(target), ..Default::default() };
    let mut stream = server.validation.clone().check_reputation(request).await.unwrap().into_inner();
    let mut last = None;
    while let Some(message) = stream.message().await.unwrap() {
        last = message.item;
    }
    let Some(v1::check_reputation_response::Item::Result(found)) = last else { panic!("{last:?}") };
    assert_failure(found.causes[0].failure.as_ref(), "BLOCKLIST_UNUSABLE");
    assert_failure(found.zones[0].failure.as_ref(), "BLOCKLIST_UNUSABLE");
    assert!(found.message.contains("no answer in time"), "{}", found.message);
    assert_ours(&found.message);
    for job in ["validation.roa", "validation.irr", "validation.reputation"] {
        assert_failure(server.run_failing(job).await.as_ref(), "BLOCKS_UNCHECKED");
    }

    let status = status(&server).await;
    let sources: Vec<&str> = status
        .sources
        .iter()
        .map(|source| source.last_failure.as_ref().map_or("", |failure| failure.reason.as_str()))
        .collect();
    // The last source before the blocklist is asked for each route, so nothing is known of it in between.
    let unreachable = "SOURCE_UNREACHABLE";
    assert_eq!(
        sources,
        [unreachable, unreachable, unreachable, "", "BLOCKLIST_UNUSABLE"],
        "{:?}",
        status.sources
    );
    for failure in failures(&status) {
        assert_ours(&failure.message);
    }
    let request = v1::PreflightRequest { prefix: "203.0.113.0/24".to_owned(), ..Default::default() };
    let preflight = server.validation.clone().preflight(request).await.unwrap().into_inner();
    assert_eq!(preflight.finding_count, preflight.findings.len() as u64);
    for finding in &preflight.findings {
        assert_ours(&finding.message);
    }
}

#[tokio::test]
async fn a_sink_that_is_down_fails_its_job_with_the_reason_of_a_test_of_the_sink() {
    let netbox = NetBox::emulated().await;
    let url = format!("http://127.0.0.1:{}/hook", free_port()).parse().unwrap();
    let target = SinkTarget::Webhook { url, secrets: Vec::new() };
    let sink = SinkSettings { name: "hook".into(), target, allow_private: true };
    let mut settings = settings(&netbox);
    settings.notify = NotifySettings { sinks: vec![sink], routes: Vec::new() };
    let server = Server::with(settings).await;
    server.live().await;
    let lease = v1::RegisterLeaseRequest {
        prefix: "203.0.113.0/24".to_owned(),
        owner: "ACME-LIR".to_owned(),
        expiry_date: crate::support::date("2020-06-01"),
        start_date: crate::support::date("2019-06-01"),
        ..Default::default()
    };
    server.leases.clone().register_lease(lease).await.unwrap();
    eventually("the delivery has failed", async || server.run_failing("notify.deliver.hook").await.is_some())
        .await;
    assert_failure(server.run_failing("notify.deliver.hook").await.as_ref(), "SINK_FAILED");
}

#[tokio::test]
async fn a_job_that_panics_or_takes_too_long_has_failed_for_a_reason_of_its_own() {
    let scheduler = Scheduler::new(Arc::new(SystemClock::new(jiff::tz::TimeZone::UTC)), &[]);
    let panicking: Work = Arc::new(|| Box::pin(async { panic!("index out of bounds in src/x.rs:1") }));
    let hanging: Work = Arc::new(|| Box::pin(std::future::pending()));
    let hour = Duration::from_secs(3600);
    scheduler.add("test.panic", hour, panicking);
    scheduler.add("test.hang", Timing { deadline: Duration::from_millis(1), ..Timing::from(hour) }, hanging);
    for (job, reason) in [("test.panic", "INTERNAL"), ("test.hang", "JOB_DEADLINE_EXCEEDED")] {
        let failure = scheduler.trigger(job, true).await.unwrap().last_failure.unwrap();
        assert_eq!(failure.reason, reason);
        assert_ours(&failure.message);
        assert!(failure.time.is_some());
    }
    scheduler.stop().await;
}

#[tokio::test]
async fn a_watch_of_health_sends_a_message_only_when_the_health_of_the_service_changed() {
    let mut netbox = NetBox::emulated().await;
    let server = Server::before(&netbox).await;
    server.run("health").await;
    let channel = tonic::transport::Channel::from_shared(format!("http://{}", server.running.grpc)).unwrap();
    let mut health = HealthClient::new(channel.connect().await.unwrap());
    let mut watch = async |service: &str| {
        let request = HealthCheckRequest { service: service.to_owned() };
        health.watch(request).await.unwrap().into_inner()
    };
    let mut writes = watch("leasehold.v1.AllocationService").await;
    let mut reads = watch("leasehold.v1.PrefixService").await;
    let mut always = watch("leasehold.v1.AdminService").await;
    for stream in [&mut writes, &mut reads, &mut always] {
        assert_eq!(stream.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    }
    // Any number of reports without a change send nothing: the next message is that of the change.
    for _ in 0..10 {
        server.run("health").await;
    }
    let address = netbox.stop().await;
    assert_eq!(writes.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    for _ in 0..10 {
        server.run("health").await;
    }
    netbox.start(address).await;
    assert_eq!(writes.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    // Reads and the state of the server were served all the time. One connection carries all three streams in order, so a message
    // of theirs that was sent before has arrived.
    for mut stream in [reads, always] {
        assert!(stream.message().now_or_never().is_none(), "a message without a change");
    }
}
