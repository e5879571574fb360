//! Origin validation and registries, round by round: verdicts that are confirmed, told, folded back, and acted upon.

use std::path::{Path, PathBuf};
use std::time::Duration;

use leasehold::config::Settings;
use leasehold::irr::{IrrSettings, Protocol, ServerSettings};
use leasehold::ledger::{Observation, ObservationKind};
use leasehold::model::{PrefixId, RoaStatus, Standing, Verdict, VerdictChange};
use leasehold::rpc::proto::v1;
use leasehold::rpki::feed::{FeedSettings, Place};
use leasehold::rpki::rtr::RtrSettings;
use leasehold::rpki::{RpkiSettings, Source};
use serde_json::{Value, json};
use tonic_types::StatusExt as _;

use crate::support::peers::variable;
use crate::support::process::{StayRtr, free_port};
use crate::support::{NetBox, Server, addresses, eventually, settings};

const BLOCK: &str = "203.0.113.0/24";
const OURS: &str = r#"{"prefix":"203.0.113.0/24","maxLength":24,"asn":"AS64500","ta":"test"}"#;
const OTHER: &str = r#"{"prefix":"203.0.113.0/24","maxLength":24,"asn":"AS64501","ta":"test"}"#;
const UNRELATED: &str = r#"{"prefix":"198.51.100.0/24","maxLength":24,"asn":"AS64511","ta":"test"}"#;

/// A file of VRPs that can be changed.
struct Vrps {
    _directory: tempfile::TempDir,
    path: PathBuf,
}

impl Vrps {
    fn of(vrps: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("vrps.json");
        let vrps_file = Self { _directory: directory, path };
        vrps_file.become_(vrps);
        vrps_file
    }

    /// In one step, as validators do it.
    fn become_(&self, vrps: &[&str]) {
        let new = self.path.with_extension("new");
        std::fs::write(&new, format!(r#"{{"roas":[{}]}}"#, vrps.join(","))).unwrap();
        std::fs::rename(new, &self.path).unwrap();
    }
}

fn feed(path: &Path) -> Source {
    Source::Feed(FeedSettings { place: Place::File(path.to_owned()), expire: Duration::from_secs(3600) })
}

/// Rounds on demand only, and a change confirmed by a second look at once.
fn checking(netbox: &NetBox, sources: Vec<Source>) -> Settings {
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

/// A round of origin validation over the VRPs as they are now.
async fn round(server: &Server) -> String {
    server.run("rpki.look").await;
    server.run("validation.roa").await
}

fn words(events: &[v1::Event]) -> Vec<(String, String)> {
    let word = |event: &v1::Event| match &event.subject {
        Some(v1::event::Subject::Verdict(change)) => (change.before.clone(), change.after.clone()),
        other => panic!("{other:?}"),
    };
    events.iter().rev().map(word).collect()
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
async fn a_vrp_withdrawn_in_a_real_stayrtr_is_told_once_and_folded_back() {
    let name = "a_vrp_withdrawn_in_a_real_stayrtr_is_told_once_and_folded_back";
    let Some(stayrtr) = variable(name, "LEASEHOLD_TEST_STAYRTR", "StayRTR") else { return };
    let vrps = Vrps::of(&[OURS, UNRELATED]);
    let cache = StayRtr::start(&stayrtr, &vrps.path, free_port());
    let netbox = NetBox::emulated().await;
    let id = lease(&netbox, BLOCK, json!({})).await;
    let rtr = RtrSettings {
        server: format!("127.0.0.1:{}", cache.rtr),
        expire: None,
        silence: Duration::from_secs(5),
    };
    let mut settings = checking(&netbox, vec![Source::Rtr(rtr)]);
    settings.allocation.refuse_roa = [RoaStatus::Invalid, RoaStatus::Unknown].into();
    let server = Server::with(settings).await;
    server.live().await;
    eventually("the first verdict is folded back", async || {
        recorded(&netbox, id, "roa_status").await == "valid"
    })
    .await;
    assert!(recorded(&netbox, id, "roa_checked").await.is_string());
    assert_eq!(
        server.told(v1::EventType::RoaChanged).await,
        [],
        "the first round is a baseline and no alarm"
    );
    server.allocate(addresses(0, BLOCK, 1, "before")).await.unwrap();

    vrps.become_(&[UNRELATED]);
    // Nobody starts a round: the change of the VRPs does.
    eventually("the change is folded back", async || recorded(&netbox, id, "roa_status").await == "unknown")
        .await;
    let told = server.told(v1::EventType::RoaChanged).await;
    assert_eq!(words(&told), [pair("valid", "unknown")]);
    let Some(v1::event::Subject::Verdict(change)) = &told[0].subject else { panic!("{told:?}") };
    assert_eq!(change.reason, "no ROA covers 203.0.113.0/24");
    assert_eq!(change.source, format!("rtr 127.0.0.1:{}", cache.rtr));

    let found = preflight(&server).await;
    assert_eq!(found.state(), v1::PreflightState::Blocked);
    let missing = finding(&found, "ROA_MISSING");
    assert_eq!(missing.severity(), v1::FindingSeverity::Blocking);
    assert_eq!(missing.actor(), v1::FindingActor::Holder);
    assert!(
        missing.ask.starts_with("Ask ACME-LIR to create a ROA for 203.0.113.0/24 with origin AS64500"),
        "{missing:?}"
    );
    eventually("the cache has it, too", async || {
        let lookup = server.lookup(0, "203.0.113.1").await;
        lookup.lease.unwrap().roa_status() == v1::RoaStatus::Unknown
    })
    .await;
    let status = server.allocate(addresses(0, BLOCK, 1, "after")).await.unwrap_err();
    let details = status.get_error_details();
    assert_eq!(details.error_info().unwrap().reason, "BLOCK_REFUSED");
    assert_eq!(details.precondition_failure().unwrap().violations[0].r#type, "ROA_REFUSED");
    // What was answered before policy refused is answered again.
    assert!(server.allocate(addresses(0, BLOCK, 1, "before")).await.unwrap().repeated);
    assert_eq!(server.told(v1::EventType::RoaChanged).await.len(), 1, "told once");
}

#[tokio::test]
async fn a_flap_between_two_looks_is_no_news() {
    let vrps = Vrps::of(&[OURS]);
    let netbox = NetBox::emulated().await;
    let id = lease(&netbox, BLOCK, json!({})).await;
    let mut settings = checking(&netbox, vec![feed(&vrps.path)]);
    // Long enough that the flap is over before the second look, however busy the machine is.
    settings.checks.validation.confirm_after = Duration::from_secs(2);
    let server = Server::with(settings).await;
    server.live().await;
    assert_eq!(round(&server).await, "");
    assert_eq!(recorded(&netbox, id, "roa_status").await, "valid");
    vrps.become_(&[OTHER]);
    server.run("rpki.look").await;
    let (_, ()) = tokio::join!(server.run("validation.roa"), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        vrps.become_(&[OURS]);
        server.run("rpki.look").await;
    });
    assert_eq!(recorded(&netbox, id, "roa_status").await, "valid");
    assert_eq!(server.told(v1::EventType::RoaChanged).await, []);
    vrps.become_(&[OTHER]);
    round(&server).await;
    assert_eq!(recorded(&netbox, id, "roa_status").await, "invalid");
    vrps.become_(&[OURS]);
    round(&server).await;
    let told = words(&server.told(v1::EventType::RoaChanged).await);
    assert_eq!(told, [pair("valid", "invalid"), pair("invalid", "valid")]);
}

#[tokio::test]
async fn a_source_that_fails_overwrites_nothing_and_is_never_valid() {
    let vrps = Vrps::of(&[OURS]);
    let netbox = NetBox::emulated().await;
    let id = lease(&netbox, BLOCK, json!({})).await;
    let mut settings = checking(&netbox, vec![feed(&vrps.path)]);
    settings.checks.rpki.sources = vec![Source::Feed(FeedSettings {
        place: Place::File(vrps.path.clone()),
        expire: Duration::from_secs(2),
    })];
    let server = Server::with(settings).await;
    server.live().await;
    assert_eq!(round(&server).await, "");
    let checked = recorded(&netbox, id, "roa_checked").await;
    // The validator has died; its last file grows too old.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let error = round(&server).await;
    assert!(error.starts_with("1 of 1 blocks could not be checked; 203.0.113.0/24:"), "{error}");
    assert_eq!(recorded(&netbox, id, "roa_status").await, "valid");
    assert_eq!(recorded(&netbox, id, "roa_checked").await, checked, "nor is it dated anew");
    assert_eq!(server.told(v1::EventType::RoaChanged).await, []);
    let request = v1::ValidateRouteRequest { prefix: BLOCK.to_owned(), ..Default::default() };
    let answer = server.validation.clone().validate_route(request).await.unwrap().into_inner();
    assert_eq!(answer.state(), v1::RouteState::CouldNotCheck);
    assert_eq!(answer.roa_status(), v1::RoaStatus::Unspecified);
    assert_eq!(answer.causes.len(), 1, "{answer:?}");
    let found = preflight(&server).await;
    assert_eq!(found.state(), v1::PreflightState::Blocked);
    assert_eq!(finding(&found, "COULD_NOT_CHECK").actor(), v1::FindingActor::Operator);
    let status = server.admin.clone().get_status(v1::GetStatusRequest {}).await.unwrap().into_inner();
    assert!(!status.sources[0].trouble.is_empty(), "{:?}", status.sources);
}

#[tokio::test]
async fn an_edit_at_the_same_time_is_not_overwritten() {
    let vrps = Vrps::of(&[OURS]);
    let netbox = NetBox::emulated().await;
    let (first, second) =
        (lease(&netbox, BLOCK, json!({})).await, lease(&netbox, "198.51.100.0/24", json!({})).await);
    let mut settings = checking(&netbox, vec![feed(&vrps.path)]);
    // What people write is not seen here until it is asked for.
    settings.poll = Duration::from_secs(3600);
    let server = Server::with(settings).await;
    server.live().await;
    round(&server).await;
    assert_eq!(recorded(&netbox, first, "roa_status").await, "valid");
    let by_hand = json!({ "description": "by hand", "custom_fields": { "roa_status": "unknown" } });
    let (status, ..) = netbox.rest("PATCH", &format!("ipam/prefixes/{first}/"), Some(by_hand)).await;
    assert_eq!(status, 200);
    let elsewhere = json!({ "description": "by hand, too" });
    netbox.rest("PATCH", &format!("ipam/prefixes/{second}/"), Some(elsewhere)).await;
    vrps.become_(&[OTHER, UNRELATED]);
    round(&server).await;
    assert_eq!(
        recorded(&netbox, first, "roa_status").await,
        "unknown",
        "the very verdict was changed: left alone"
    );
    assert_eq!(
        recorded(&netbox, second, "roa_status").await,
        "invalid",
        "something else was: the verdict goes beside it"
    );
    let (_, record, _) = netbox.rest("GET", &format!("ipam/prefixes/{second}/"), None).await;
    assert_eq!(record["description"], "by hand, too");
    // Nor does the job that catches up with NetBox put it back: it writes what could not be written, and that was.
    server.run("validation.fold").await;
    assert_eq!(recorded(&netbox, first, "roa_status").await, "unknown");
    // Once it is known here, the next round says what holds, and leaves the rest as it is.
    server.run("sync.poll").await;
    round(&server).await;
    assert_eq!(recorded(&netbox, first, "roa_status").await, "invalid");
    let (_, record, _) = netbox.rest("GET", &format!("ipam/prefixes/{first}/"), None).await;
    assert_eq!(record["description"], "by hand");
    assert_eq!(record["custom_fields"]["lease_owner"], "ACME-LIR");
}

#[tokio::test]
async fn a_verdict_that_stays_is_not_written_again() {
    let vrps = Vrps::of(&[OURS]);
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
async fn what_is_kept_survives_a_restart_and_a_change_meanwhile_is_told() {
    let vrps = Vrps::of(&[OURS]);
    let netbox = NetBox::emulated().await;
    lease(&netbox, BLOCK, json!({})).await;
    let (_keep, directory) = crate::support::directory();
    let mut settings = checking(&netbox, vec![feed(&vrps.path)]);
    settings.ledger = leasehold::ledger::LedgerSettings::Sqlite(directory.join("ledger.db"));
    let server = Server::with(settings.clone()).await;
    server.live().await;
    round(&server).await;
    server.running.stop().await;
    vrps.become_(&[OTHER]);
    let server = Server::with(settings).await;
    server.live().await;
    round(&server).await;
    assert_eq!(words(&server.told(v1::EventType::RoaChanged).await), [pair("valid", "invalid")]);
}

/// As a server leaves it that is killed between holding a change and telling it.
#[tokio::test]
async fn a_change_that_was_held_and_not_told_is_told_first_and_once() {
    let vrps = Vrps::of(&[OURS]);
    let netbox = NetBox::emulated().await;
    let id = lease(&netbox, BLOCK, json!({})).await;
    let (_keep, directory) = crate::support::directory();
    let mut settings = checking(&netbox, vec![feed(&vrps.path)]);
    settings.ledger = leasehold::ledger::LedgerSettings::Sqlite(directory.join("ledger.db"));
    let now = jiff::Timestamp::from_second(1_700_000_000).unwrap();
    let found: Vec<leasehold::model::Prefix> = netbox.client().await.by_ids(&[id]).await.unwrap();
    let change = VerdictChange {
        prefix: std::sync::Arc::new(found[0].clone()),
        before: Verdict::Roa(RoaStatus::Valid),
        before_since: now,
        after: Verdict::Roa(RoaStatus::Invalid),
        reason: "withdrawn".to_owned(),
        source: "test".to_owned(),
        observed: now,
    };
    let standing = Standing {
        about: "203.0.113.0/24 AS64500 ACME-LIR ".to_owned(),
        verdict: change.after,
        since: now,
        observed: now,
        reason: change.reason.clone(),
        source: change.source.clone(),
        candidate: None,
        failure: None,
        untold: Some(change),
    };
    let books = leasehold::ledger::open(&settings.ledger).await.unwrap();
    let row = Observation::of(PrefixId(id), "roa", &standing).unwrap();
    books.observations.put(ObservationKind::Verdict, &[row], now).await.unwrap();
    drop(books);
    let server = Server::with(settings).await;
    server.live().await;
    round(&server).await;
    round(&server).await;
    // What was left is told, then what has come since: the route is valid again.
    let told = words(&server.told(v1::EventType::RoaChanged).await);
    assert_eq!(told, [pair("valid", "invalid"), pair("invalid", "valid")]);
}

#[tokio::test]
async fn a_lease_that_is_registered_is_checked_at_once_and_one_that_ended_is_forgotten() {
    let vrps = Vrps::of(&[OURS]);
    let netbox = NetBox::emulated().await;
    let server = Server::with(checking(&netbox, vec![feed(&vrps.path)])).await;
    server.live().await;
    server.run("rpki.look").await;
    let request = v1::RegisterLeaseRequest {
        prefix: BLOCK.to_owned(),
        owner: "ACME-LIR".to_owned(),
        expiry: crate::support::date("2126-06-01"),
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
        "nothing is folded into it"
    );
}

#[tokio::test]
async fn more_specifics_are_judged_by_what_is_announced() {
    let vrps = Vrps::of(&[OURS]);
    let netbox = NetBox::emulated().await;
    lease(&netbox, BLOCK, json!({})).await;
    let mut settings = checking(&netbox, vec![feed(&vrps.path)]);
    let policy = &mut settings.checks.validation.preflight;
    policy.required.remove(&leasehold::validation::preflight::Aspect::Irr);
    policy.required.remove(&leasehold::validation::preflight::Aspect::Reputation);
    let server = Server::with(settings).await;
    server.live().await;
    server.run("rpki.look").await;
    let whole = preflight(&server).await;
    assert_eq!(whole.state(), v1::PreflightState::Ready, "{:?}", whole.findings);
    assert_eq!(finding(&whole, "ROA_VALID").source, format!("vrps {}", vrps.path.display()));
    let halves = v1::PreflightRequest {
        prefix: BLOCK.to_owned(),
        announce: vec!["203.0.113.0/25".to_owned(), "203.0.113.128/25".to_owned()],
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
async fn a_real_irrd_is_folded_back() {
    let Some(irrd) = variable("a_real_irrd_is_folded_back", "LEASEHOLD_TEST_IRRD", "IRRd") else { return };
    let netbox = NetBox::emulated().await;
    let here = lease(&netbox, BLOCK, json!({})).await;
    let other = lease(&netbox, "192.0.2.0/24", json!({})).await;
    let mut settings = settings(&netbox);
    settings.checks.irr = IrrSettings {
        servers: vec![ServerSettings {
            server: irrd,
            protocol: Protocol::Irrd,
            sources: vec![],
            connections: 2,
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
