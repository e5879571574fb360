//! Rounds of origin validation and IRR checks: verdicts are confirmed, published, written back to NetBox and obeyed.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use leasehold::config::Settings;
use leasehold::irr::{IrrProtocol, IrrServerSettings, IrrSettings};
use leasehold::ledger::{Observation, ObservationKind};
use leasehold::model::{PrefixId, RoaStatus, Verdict, VerdictChange, VerdictState};
use leasehold::rpc::proto::v1;
use leasehold::rpki::rtr::RtrSettings;
use leasehold::rpki::vrp_feed::{VrpFeedSettings, VrpLocation};
use leasehold::rpki::{RpkiSettings, RpkiSource};
use serde_json::{Value, json};
use tonic_types::StatusExt as _;

use crate::support::peers::variable;
use crate::support::process::{StayRtr, free_port};
use crate::support::{NetBox, Server, addresses, eventually, settings};

const BLOCK: &str = "203.0.113.0/24";
const OURS: &str = r#"{"prefix":"203.0.113.0/24","maxLength":24,"asn":"AS64500","ta":"test"}"#;
const OTHER: &str = r#"{"prefix":"203.0.113.0/24","maxLength":24,"asn":"AS64501","ta":"test"}"#;
const UNRELATED: &str = r#"{"prefix":"198.51.100.0/24","maxLength":24,"asn":"AS64511","ta":"test"}"#;

/// A file of VRPs that a test can replace.
struct VrpFile {
    _directory: tempfile::TempDir,
    path: PathBuf,
}

impl VrpFile {
    fn with(vrps: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("vrps.json");
        let file = Self { _directory: directory, path };
        file.replace(vrps);
        file
    }

    /// Replaces the file in one step, as validators do.
    fn replace(&self, vrps: &[&str]) {
        let new = self.path.with_extension("new");
        std::fs::write(&new, format!(r#"{{"roas":[{}]}}"#, vrps.join(","))).unwrap();
        std::fs::rename(new, &self.path).unwrap();
    }
}

fn feed(path: &Path) -> RpkiSource {
    RpkiSource::VrpFeed(VrpFeedSettings {
        location: VrpLocation::File(path.to_owned()),
        expire: Duration::from_secs(3600),
    })
}

/// Settings of a server whose rounds run only when a test asks, and which confirms a change with a second check after a moment.
fn checking(netbox: &NetBox, sources: Vec<RpkiSource>) -> Settings {
    let mut settings = settings(netbox);
    settings.checks.rpki = RpkiSettings { sources, ..RpkiSettings::default() };
    settings.checks.validation.confirm_after = Duration::from_millis(50);
    settings.checks.validation.roa_every = Duration::from_secs(3600);
    settings
}

async fn lease(netbox: &NetBox, prefix: &str, more: Value) -> u64 {
    let mut fields = json!({
        "lease_owner": "ACME-LIR", "lease_expiry": "2126-06-01", "loa_reference": "LOA-2026-0481", "origin_asn": 64500
    });
    fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let made = netbox.post("ipam/prefixes/", json!({ "prefix": prefix, "custom_fields": fields })).await;
    made["id"].as_u64().unwrap()
}

async fn recorded(netbox: &NetBox, id: u64, field: &str) -> Value {
    let (_, record, _) = netbox.rest("GET", &format!("ipam/prefixes/{id}/"), None).await;
    let value = record["custom_fields"][field].clone();
    value.get("value").cloned().unwrap_or(value)
}

/// Reads the VRPs again and runs a round of origin validation. Returns the error of the round, empty if there is none.
async fn round(server: &Server) -> String {
    server.run("rpki.refresh").await;
    server.run("validation.roa").await
}

/// The ROA status before and after each event, the oldest event first.
fn changes(events: &[v1::Event]) -> Vec<(String, String)> {
    let word = |status: v1::RoaStatus| status.as_str_name().trim_start_matches("ROA_STATUS_").to_lowercase();
    let change = |event: &v1::Event| {
        let Some(v1::event::Subject::Verdict(change)) = &event.subject else { panic!("{event:?}") };
        let Some(v1::verdict_change::Verdict::Roa(change)) = &change.verdict else { panic!("{change:?}") };
        (word(change.before()), word(change.after()))
    };
    events.iter().rev().map(change).collect()
}

fn pair(before: &str, after: &str) -> (String, String) {
    (before.to_owned(), after.to_owned())
}

async fn preflight(server: &Server) -> v1::PreflightResponse {
    let request = v1::PreflightRequest { prefix: BLOCK.to_owned(), ..Default::default() };
    server.validation.clone().preflight(request).await.unwrap().into_inner()
}

fn finding(found: &v1::PreflightResponse, reason: &str) -> v1::PreflightFinding {
    let named = found.findings.iter().find(|finding| finding.reason == reason);
    named.unwrap_or_else(|| panic!("no {reason} in {:?}", found.findings)).clone()
}

#[tokio::test]
async fn a_vrp_withdrawn_in_a_real_stayrtr_is_published_once_and_written_back() {
    let name = "a_vrp_withdrawn_in_a_real_stayrtr_is_published_once_and_written_back";
    let Some(stayrtr) = variable(name, "LEASEHOLD_TEST_STAYRTR", "StayRTR") else { return };
    let vrps = VrpFile::with(&[OURS, UNRELATED]);
    let cache = StayRtr::start(&stayrtr, &vrps.path, free_port());
    let netbox = NetBox::emulated().await;
    let id = lease(&netbox, BLOCK, json!({})).await;
    let rtr = RtrSettings {
        server: format!("127.0.0.1:{}", cache.rtr),
        expire: None,
        read_timeout: Duration::from_secs(5),
    };
    let mut settings = checking(&netbox, vec![RpkiSource::Rtr(rtr)]);
    settings.allocation.refuse_roa = [RoaStatus::Invalid, RoaStatus::Unknown].into();
    let server = Server::with(settings).await;
    server.live().await;
    eventually("the first verdict is written back", async || {
        recorded(&netbox, id, "roa_status").await == "valid"
    })
    .await;
    assert!(recorded(&netbox, id, "roa_checked").await.is_string());
    assert_eq!(
        server.events_of(v1::EventType::RoaChanged).await,
        [],
        "the first round is a baseline and no alarm"
    );
    server.allocate(addresses(0, BLOCK, 1, "before")).await.unwrap();

    vrps.replace(&[UNRELATED]);
    // The change of the VRPs starts a round.
    eventually("the change is written back", async || recorded(&netbox, id, "roa_status").await == "unknown")
        .await;
    let events = server.events_of(v1::EventType::RoaChanged).await;
    assert_eq!(changes(&events), [pair("valid", "unknown")]);
    let Some(v1::event::Subject::Verdict(change)) = &events[0].subject else { panic!("{events:?}") };
    assert_eq!(change.message, "no ROA covers 203.0.113.0/24");
    assert_eq!(change.source, format!("rtr 127.0.0.1:{}", cache.rtr));

    let found = preflight(&server).await;
    assert_eq!(found.state(), v1::PreflightState::Blocked);
    let missing = finding(&found, "ROA_MISSING");
    assert_eq!(missing.severity(), v1::FindingSeverity::Blocking);
    assert_eq!(missing.actor(), v1::FindingActor::Holder);
    assert!(
        missing.action.starts_with("Ask ACME-LIR to create a ROA for 203.0.113.0/24 with origin AS64500"),
        "{missing:?}"
    );
    eventually("the cache has the verdict as well", async || {
        let lookup = server.lookup(0, "203.0.113.1").await;
        lookup.lease.unwrap().roa_status() == v1::RoaStatus::Unknown
    })
    .await;
    let status = server.allocate(addresses(0, BLOCK, 1, "after")).await.unwrap_err();
    let details = status.get_error_details();
    assert_eq!(details.error_info().unwrap().reason, "BLOCK_REFUSED");
    assert_eq!(details.precondition_failure().unwrap().violations[0].r#type, "ROA_REFUSED");
    // A retry of an earlier request is answered as before, although policy refuses new ones.
    assert!(server.allocate(addresses(0, BLOCK, 1, "before")).await.unwrap().repeated);
    assert_eq!(server.events_of(v1::EventType::RoaChanged).await.len(), 1, "published once");
}

/// A Routinator whose answers are written by the test, query by query.
#[derive(Clone)]
struct ScriptedRoutinator {
    url: url::Url,
    /// The states that the next queries get. The last one is repeated.
    states: Arc<Mutex<VecDeque<&'static str>>>,
}

impl ScriptedRoutinator {
    async fn start(state: &'static str) -> Self {
        let states = Arc::new(Mutex::new(VecDeque::from([state])));
        let script = states.clone();
        let answer = async move || {
            let mut states = script.lock().unwrap();
            let state = if states.len() > 1 { states.pop_front() } else { states.front().copied() };
            axum::Json(json!({ "validated_route": { "validity": { "state": state } } }))
        };
        let path = "/api/v1/validity/{asn}/{address}/{length}";
        let router = axum::Router::new().route(path, axum::routing::get(answer));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, states }
    }

    fn answers(&self, states: &[&'static str]) {
        *self.states.lock().unwrap() = states.iter().copied().collect();
    }
}

#[tokio::test]
async fn a_flap_between_two_checks_is_not_published() {
    let routinator = ScriptedRoutinator::start("valid").await;
    let netbox = NetBox::emulated().await;
    let id = lease(&netbox, BLOCK, json!({})).await;
    let server = Server::with(checking(&netbox, vec![RpkiSource::Routinator(routinator.url.clone())])).await;
    server.live().await;
    assert_eq!(server.run("validation.roa").await, "");
    assert_eq!(recorded(&netbox, id, "roa_status").await, "valid");
    routinator.answers(&["invalid", "valid"]);
    assert_eq!(server.run("validation.roa").await, "");
    assert_eq!(routinator.states.lock().unwrap().len(), 1, "the round asked twice");
    assert_eq!(recorded(&netbox, id, "roa_status").await, "valid");
    assert_eq!(server.events_of(v1::EventType::RoaChanged).await, []);
    routinator.answers(&["invalid"]);
    assert_eq!(server.run("validation.roa").await, "");
    assert_eq!(recorded(&netbox, id, "roa_status").await, "invalid");
    routinator.answers(&["valid"]);
    assert_eq!(server.run("validation.roa").await, "");
    let events = changes(&server.events_of(v1::EventType::RoaChanged).await);
    assert_eq!(events, [pair("valid", "invalid"), pair("invalid", "valid")]);
}

#[tokio::test]
async fn a_source_that_fails_overwrites_no_verdict_and_is_never_valid() {
    let vrps = VrpFile::with(&[OURS]);
    let netbox = NetBox::emulated().await;
    let id = lease(&netbox, BLOCK, json!({})).await;
    let mut settings = checking(&netbox, vec![feed(&vrps.path)]);
    settings.checks.rpki.sources = vec![RpkiSource::VrpFeed(VrpFeedSettings {
        location: VrpLocation::File(vrps.path.clone()),
        expire: Duration::from_secs(2),
    })];
    let server = Server::with(settings).await;
    server.live().await;
    // A slow machine may need more than one try before the file has expired.
    eventually("a round with VRPs that have not expired", async || {
        vrps.replace(&[OURS]);
        round(&server).await.is_empty()
    })
    .await;
    let checked = recorded(&netbox, id, "roa_checked").await;
    // Nothing replaces the file any more, as if the validator had died.
    let validate = async || {
        let request = v1::ValidateRouteRequest { prefix: BLOCK.to_owned(), ..Default::default() };
        server.validation.clone().validate_route(request).await.unwrap().into_inner()
    };
    eventually("the VRPs expire", async || validate().await.state() == v1::RouteState::CouldNotCheck).await;
    let error = round(&server).await;
    assert!(error.starts_with("1 of 1 blocks could not be checked; 203.0.113.0/24:"), "{error}");
    assert_eq!(recorded(&netbox, id, "roa_status").await, "valid");
    assert_eq!(recorded(&netbox, id, "roa_checked").await, checked, "and it gets no new date");
    assert_eq!(server.events_of(v1::EventType::RoaChanged).await, []);
    let answer = validate().await;
    assert_eq!(answer.state(), v1::RouteState::CouldNotCheck);
    assert_eq!(answer.roa_status(), v1::RoaStatus::Unspecified);
    assert_eq!(answer.causes.len(), 1, "{answer:?}");
    let found = preflight(&server).await;
    assert_eq!(found.state(), v1::PreflightState::Blocked);
    assert_eq!(finding(&found, "COULD_NOT_CHECK").actor(), v1::FindingActor::Operator);
    let status = server.admin.clone().get_status(v1::GetStatusRequest {}).await.unwrap().into_inner();
    assert!(status.sources[0].last_failure.is_some(), "{:?}", status.sources);
}

#[tokio::test]
async fn an_edit_at_the_same_time_is_not_overwritten() {
    let vrps = VrpFile::with(&[OURS]);
    let netbox = NetBox::emulated().await;
    let (first, second) =
        (lease(&netbox, BLOCK, json!({})).await, lease(&netbox, "198.51.100.0/24", json!({})).await);
    let mut settings = checking(&netbox, vec![feed(&vrps.path)]);
    // The server learns of edits in NetBox only when the test asks for it.
    settings.poll = Duration::from_secs(3600);
    let server = Server::with(settings).await;
    server.live().await;
    round(&server).await;
    assert_eq!(recorded(&netbox, first, "roa_status").await, "valid");
    let by_hand = json!({ "description": "by hand", "custom_fields": { "roa_status": "unknown" } });
    let (status, ..) = netbox.rest("PATCH", &format!("ipam/prefixes/{first}/"), Some(by_hand)).await;
    assert_eq!(status, 200);
    let elsewhere = json!({ "description": "also by hand" });
    netbox.rest("PATCH", &format!("ipam/prefixes/{second}/"), Some(elsewhere)).await;
    vrps.replace(&[OTHER, UNRELATED]);
    round(&server).await;
    assert_eq!(
        recorded(&netbox, first, "roa_status").await,
        "unknown",
        "a person changed this verdict: it stays"
    );
    assert_eq!(
        recorded(&netbox, second, "roa_status").await,
        "invalid",
        "a person changed something else: the verdict is written beside it"
    );
    let (_, record, _) = netbox.rest("GET", &format!("ipam/prefixes/{second}/"), None).await;
    assert_eq!(record["description"], "also by hand");
    // Nor does the job that repeats failed writes put the verdict back: no write failed.
    server.run("validation.write-back").await;
    assert_eq!(recorded(&netbox, first, "roa_status").await, "unknown");
    // Once the server knows of the edit, the next round writes the verdict and leaves the other fields as they are.
    server.run("sync.poll").await;
    round(&server).await;
    assert_eq!(recorded(&netbox, first, "roa_status").await, "invalid");
    let (_, record, _) = netbox.rest("GET", &format!("ipam/prefixes/{first}/"), None).await;
    assert_eq!(record["description"], "by hand");
    assert_eq!(record["custom_fields"]["lease_owner"], "ACME-LIR");
}

#[tokio::test]
async fn a_verdict_that_stays_is_not_written_again() {
    let vrps = VrpFile::with(&[OURS]);
    let netbox = NetBox::emulated().await;
    lease(&netbox, BLOCK, json!({})).await;
    let server = Server::with(checking(&netbox, vec![feed(&vrps.path)])).await;
    server.live().await;
    round(&server).await;
    let changes = async || netbox.rest("GET", "core/object-changes/?limit=1", None).await.1["count"].clone();
    let before = changes().await;
    for _ in 0..3 {
        round(&server).await;
    }
    assert_eq!(changes().await, before);
}

#[tokio::test]
async fn verdicts_survive_a_restart_and_a_change_meanwhile_is_published() {
    let vrps = VrpFile::with(&[OURS]);
    let netbox = NetBox::emulated().await;
    lease(&netbox, BLOCK, json!({})).await;
    let (_keep, directory) = crate::support::directory();
    let mut settings = checking(&netbox, vec![feed(&vrps.path)]);
    settings.ledger = leasehold::ledger::LedgerSettings::Sqlite(directory.join("ledger.db"));
    let server = Server::with(settings.clone()).await;
    server.live().await;
    round(&server).await;
    server.running.stop().await;
    vrps.replace(&[OTHER]);
    let server = Server::with(settings).await;
    server.live().await;
    round(&server).await;
    assert_eq!(changes(&server.events_of(v1::EventType::RoaChanged).await), [pair("valid", "invalid")]);
}

/// The ledger is as a server leaves it that is killed after saving a change and before publishing it.
#[tokio::test]
async fn an_unpublished_change_is_published_first_and_once() {
    let vrps = VrpFile::with(&[OURS]);
    let netbox = NetBox::emulated().await;
    let id = lease(&netbox, BLOCK, json!({})).await;
    let (_keep, directory) = crate::support::directory();
    let mut settings = checking(&netbox, vec![feed(&vrps.path)]);
    settings.ledger = leasehold::ledger::LedgerSettings::Sqlite(directory.join("ledger.db"));
    let now = jiff::Timestamp::from_second(1_700_000_000).unwrap();
    let prefixes: Vec<leasehold::model::Prefix> = netbox.client().await.by_ids(&[id]).await.unwrap();
    let change = VerdictChange {
        prefix: Arc::new(prefixes[0].clone()),
        before: Verdict::Roa(RoaStatus::Valid),
        before_since: now,
        after: Verdict::Roa(RoaStatus::Invalid),
        reason: "withdrawn".to_owned(),
        source: "test".to_owned(),
        observed: now,
    };
    let state = VerdictState {
        about: "203.0.113.0/24 AS64500 ACME-LIR ".to_owned(),
        verdict: change.after,
        since: now,
        observed: now,
        reason: change.reason.clone(),
        source: change.source.clone(),
        candidate: None,
        last_failure: None,
        unpublished: Some(change),
    };
    let books = leasehold::ledger::open(&settings.ledger).await.unwrap();
    let row = Observation::of(PrefixId(id), "roa", &state).unwrap();
    books.observations.put(ObservationKind::Verdict, &[row], now).await.unwrap();
    drop(books);
    let server = Server::with(settings).await;
    server.live().await;
    round(&server).await;
    round(&server).await;
    // The unpublished change comes first, then the change since: the route is valid again.
    let events = changes(&server.events_of(v1::EventType::RoaChanged).await);
    assert_eq!(events, [pair("valid", "invalid"), pair("invalid", "valid")]);
}

#[tokio::test]
async fn a_lease_that_is_registered_is_checked_at_once_and_one_that_ended_is_forgotten() {
    let vrps = VrpFile::with(&[OURS]);
    let netbox = NetBox::emulated().await;
    let server = Server::with(checking(&netbox, vec![feed(&vrps.path)])).await;
    server.live().await;
    server.run("rpki.refresh").await;
    let request = v1::RegisterLeaseRequest {
        prefix: BLOCK.to_owned(),
        owner: "ACME-LIR".to_owned(),
        expiry_date: crate::support::date("2126-06-01"),
        origin_asn: 64500,
        ..Default::default()
    };
    let lease = server.leases.clone().register_lease(request).await.unwrap().into_inner().lease.unwrap();
    eventually("the new lease is checked", async || {
        recorded(&netbox, lease.prefix_id, "roa_status").await == "valid"
    })
    .await;
    let key = v1::end_lease_request::Key::PrefixId(lease.prefix_id);
    eventually("the lease is ended", async || {
        let request = v1::EndLeaseRequest { key: Some(key.clone()), ..Default::default() };
        server.leases.clone().end_lease(request).await.is_ok()
    })
    .await;
    round(&server).await;
    assert_eq!(
        recorded(&netbox, lease.prefix_id, "roa_status").await,
        Value::Null,
        "nothing is written into it"
    );
}

#[tokio::test]
async fn after_an_update_of_the_origin_its_verdict_is_dropped_and_the_new_route_is_checked_at_once() {
    let vrps = VrpFile::with(&[OURS]);
    let netbox = NetBox::emulated().await;
    let id = lease(&netbox, BLOCK, json!({})).await;
    let server = Server::with(checking(&netbox, vec![feed(&vrps.path)])).await;
    server.live().await;
    round(&server).await;
    assert_eq!(recorded(&netbox, id, "roa_status").await, "valid");
    let update = async |origin_asn: u32| {
        let request = v1::UpdateLeaseRequest {
            lease: Some(v1::Lease { prefix_id: id, origin_asn, ..Default::default() }),
            update_mask: Some(prost_types::FieldMask { paths: vec!["origin_asn".to_owned()] }),
            ..Default::default()
        };
        server.leases.clone().update_lease(request).await.unwrap().into_inner().lease.unwrap()
    };
    assert_eq!(update(64501).await.roa_status(), v1::RoaStatus::Unspecified);
    eventually("the new route is checked", async || recorded(&netbox, id, "roa_status").await == "invalid")
        .await;
    // The verdict on the other route was no verdict on this one, so nothing has changed.
    assert_eq!(changes(&server.events_of(v1::EventType::RoaChanged).await), []);
    // Without an origin there is no route to check.
    assert_eq!(update(0).await.origin_asn, 0);
    round(&server).await;
    assert_eq!(recorded(&netbox, id, "roa_status").await, Value::Null);
}

#[tokio::test]
async fn more_specifics_are_judged_by_what_is_announced() {
    let vrps = VrpFile::with(&[OURS]);
    let netbox = NetBox::emulated().await;
    lease(&netbox, BLOCK, json!({})).await;
    let mut settings = checking(&netbox, vec![feed(&vrps.path)]);
    let policy = &mut settings.checks.validation.preflight;
    policy.required.remove(&leasehold::validation::preflight::PreflightAspect::Irr);
    policy.required.remove(&leasehold::validation::preflight::PreflightAspect::Reputation);
    let server = Server::with(settings).await;
    server.live().await;
    server.run("rpki.refresh").await;
    let whole = preflight(&server).await;
    assert_eq!(whole.state(), v1::PreflightState::Ready, "{:?}", whole.findings);
    assert_eq!(finding(&whole, "ROA_VALID").source, format!("vrps {}", vrps.path.display()));
    let halves = v1::PreflightRequest {
        prefix: BLOCK.to_owned(),
        announced_prefixes: vec!["203.0.113.0/25".to_owned(), "203.0.113.128/25".to_owned()],
        ..Default::default()
    };
    let halves = server.validation.clone().preflight(halves).await.unwrap().into_inner();
    assert_eq!(halves.state(), v1::PreflightState::Blocked);
    let short: Vec<&str> = halves
        .findings
        .iter()
        .filter(|finding| finding.reason == "ROA_TOO_SHORT")
        .map(|finding| finding.prefix.as_str())
        .collect();
    assert_eq!(short, ["203.0.113.0/25", "203.0.113.128/25"]);
}

#[tokio::test]
async fn the_answer_of_a_real_irrd_is_written_back() {
    let Some(irrd) = variable("the_answer_of_a_real_irrd_is_written_back", "LEASEHOLD_TEST_IRRD", "IRRd")
    else {
        return;
    };
    let netbox = NetBox::emulated().await;
    let here = lease(&netbox, BLOCK, json!({})).await;
    let other = lease(&netbox, "192.0.2.0/24", json!({})).await;
    let mut settings = settings(&netbox);
    settings.checks.irr = IrrSettings {
        servers: vec![IrrServerSettings {
            server: irrd,
            protocol: IrrProtocol::Irrd,
            sources: vec![],
            connections: std::num::NonZeroUsize::MIN,
        }],
        authoritative: vec!["EXACT".to_owned()],
    };
    let server = Server::with(settings).await;
    server.live().await;
    assert_eq!(server.run("validation.irr").await, "");
    assert_eq!(recorded(&netbox, here, "irr_registered").await, true);
    assert_eq!(recorded(&netbox, other, "irr_registered").await, false);
    let request = v1::CheckIrrRequest { prefix: "192.0.2.0/24".to_owned(), ..Default::default() };
    let found = server.validation.clone().check_irr(request).await.unwrap().into_inner();
    assert_eq!(found.state(), v1::IrrState::OtherOrigin);
    assert_eq!((found.objects[0].origin_asn, found.objects[0].registry.as_str()), (64501, "EXACT"));
    let found = preflight(&server).await;
    assert_eq!(finding(&found, "IRR_REGISTERED").severity(), v1::FindingSeverity::Pass);
}

#[tokio::test]
async fn the_vrf_of_a_route_serves_to_find_its_lease_and_is_ignored_with_an_origin() {
    let netbox = NetBox::emulated().await;
    let made = netbox.post("ipam/vrfs/", json!({ "name": "customers", "rd": "64500:7" })).await;
    let fields = json!({ "lease_owner": "ACME-LIR", "lease_expiry": "2126-06-01", "origin_asn": 64500 });
    let record = json!({ "prefix": BLOCK, "vrf": made["id"], "custom_fields": fields });
    netbox.post("ipam/prefixes/", record).await;
    let vrf = |by| Some(v1::VrfRef { r#ref: Some(by) });
    let named = |name: &str| vrf(v1::vrf_ref::Ref::Name(name.to_owned()));
    let route = |vrf, origin_asn| v1::ValidateRouteRequest { prefix: BLOCK.to_owned(), origin_asn, vrf };
    let reason = |status: tonic::Status| status.get_error_details().error_info().unwrap().reason.clone();

    // Without a cache, a request that names the origin needs none, whatever VRF it names.
    let mut settings = checking(&netbox, Vec::new());
    settings.netbox.url = "http://127.0.0.1:1".parse().unwrap();
    let empty = Server::with(settings).await;
    let answer = empty.validation.clone().validate_route(route(named("no such"), 64501)).await.unwrap();
    assert_eq!(answer.into_inner().origin_asn, 64501);
    let refused = empty.validation.clone().validate_route(route(named("customers"), 0)).await.unwrap_err();
    assert_eq!(reason(refused), "CACHE_EMPTY");

    let server = Server::with(checking(&netbox, Vec::new())).await;
    server.live().await;
    let by_rd = vrf(v1::vrf_ref::Ref::Rd("64500:7".to_owned()));
    let by_id = vrf(v1::vrf_ref::Ref::Id(made["id"].as_u64().unwrap()));
    for vrf in [named("customers"), by_rd, by_id] {
        let answer = server.validation.clone().validate_route(route(vrf.clone(), 0)).await.unwrap();
        assert_eq!(answer.into_inner().origin_asn, 64500, "the origin of the lease in {vrf:?}");
        let request = v1::PreflightRequest { prefix: BLOCK.to_owned(), vrf, ..Default::default() };
        let found = server.validation.clone().preflight(request).await.unwrap().into_inner();
        assert_eq!(found.lease.unwrap().vrf.unwrap().name, "customers");
    }
    let refused = server.validation.clone().validate_route(route(None, 0)).await.unwrap_err();
    assert_eq!(reason(refused), "ORIGIN_MISSING", "the global table has no lease");
    let unknown = named("no such");
    let refused = server.validation.clone().validate_route(route(unknown.clone(), 0)).await.unwrap_err();
    assert_eq!(reason(refused), "VRF_NOT_FOUND");
    let target = Some(v1::check_reputation_request::Target::Prefix(BLOCK.to_owned()));
    let request = v1::CheckReputationRequest { target, vrf: unknown.clone(), recorded: true };
    let refused = server.validation.clone().check_reputation(request).await.map(|_| ()).unwrap_err();
    assert_eq!(reason(refused), "VRF_NOT_FOUND");
    let request = v1::PreflightRequest { prefix: BLOCK.to_owned(), vrf: unknown, ..Default::default() };
    let refused = server.validation.clone().preflight(request).await.unwrap_err();
    assert_eq!(reason(refused), "VRF_NOT_FOUND");
}
