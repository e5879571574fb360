//! RIPEstat, Routinator and geofeeds against a local server that gives their documented answers and undocumented ones.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::IntoResponse;
use leasehold::bgp::{RipeStatCollector, RouteCollector as _};
use leasehold::clock::SystemClock;
use leasehold::geofeed::GeofeedClient;
use leasehold::model::{Asn, InvalidReason, Route, RouteState};
use leasehold::ripestat::{RipeStat, RipeStatSettings};
use leasehold::rpki::{RpkiSettings, RpkiSource, Validator};
use serde_json::{Value, json};

/// Status, headers and body of an answer.
type Answer = (u16, Vec<(&'static str, String)>, String);

/// A local server: the answer of each path, and the requests that it received.
#[derive(Clone, Default)]
struct StandIn {
    answers: Arc<Mutex<HashMap<String, Answer>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl StandIn {
    async fn start() -> (Self, url::Url) {
        let this = Self::default();
        let app = Router::new().fallback(answer).with_state(this.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        (this, url)
    }

    fn set(&self, path: &str, status: u16, headers: &[(&'static str, &str)], body: impl ToString) {
        let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        self.answers.lock().unwrap().insert(path.to_owned(), (status, headers, body.to_string()));
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

async fn answer(State(this): State<StandIn>, uri: Uri) -> impl IntoResponse {
    this.asked.lock().unwrap().push(uri.to_string());
    let answers = this.answers.lock().unwrap();
    let (status, headers, body) =
        answers.get(uri.path()).cloned().unwrap_or((404, Vec::new(), "nothing here".to_owned()));
    let mut response = (StatusCode::from_u16(status).unwrap(), body).into_response();
    for (name, value) in headers {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}

fn stat(url: &url::Url) -> RipeStat {
    RipeStat::new(RipeStatSettings { url: url.clone(), source_app: "leasehold-tests".to_owned() }).unwrap()
}

fn validator(source: RpkiSource, url: &url::Url) -> Validator {
    let clock = Arc::new(SystemClock::new(jiff::tz::TimeZone::UTC));
    Validator::start(
        &RpkiSettings { sources: vec![source], ..RpkiSettings::default() },
        Some(&stat(url)),
        clock,
    )
    .unwrap()
}

fn route() -> Route {
    Route { prefix: "203.0.113.0/24".parse().unwrap(), origin: Asn::try_from(64500).unwrap() }
}

async fn state(validator: &Validator) -> Result<RouteState, String> {
    let checked = validator.validate(route()).await;
    checked
        .map(|observed| observed.value.state)
        .map_err(|could_not| could_not.causes[0].failure.message.clone())
}

const VALIDATION: &str = "/data/rpki-validation/data.json";

fn validation(status: &str, roas: Value) -> Value {
    json!({ "status": "ok", "status_code": 200, "data_call_status": "supported", "data": {
        "validating_roas": roas, "status": status, "validator": "routinator", "resource": "64500", "prefix": "203.0.113.0/24" } })
}

#[tokio::test]
async fn ripestat_validates_as_it_documents() {
    let (server, url) = StandIn::start().await;
    let validator = validator(RpkiSource::RipeStat, &url);
    let roa = |origin: Value, max_length: u8| json!([{ "origin": origin, "prefix": "203.0.113.0/24", "max_length": max_length, "validity": "valid" }]);
    // RIPEstat writes AS numbers as strings and as numbers.
    for origin in [json!("64500"), json!(64500), json!("AS64500")] {
        server.set(VALIDATION, 200, &[], validation("valid", roa(origin, 24)));
        let observed = validator.validate(route()).await.unwrap();
        assert_eq!((observed.value.state, observed.value.matching.len()), (RouteState::Valid, 1));
        assert_eq!(observed.source, "ripestat rpki-validation");
    }
    assert_eq!(
        server.asked()[0],
        "/data/rpki-validation/data.json?resource=AS64500&prefix=203.0.113.0%2F24&sourceapp=leasehold-tests"
    );
    for (status, origin, expected) in [
        ("invalid_asn", 64501, RouteState::Invalid(InvalidReason::Origin)),
        ("invalid_asn", 0, RouteState::Invalid(InvalidReason::As0)),
        ("invalid_length", 64500, RouteState::Invalid(InvalidReason::Length)),
    ] {
        // A ROA for a shorter prefix is the evidence of a wrong length.
        let evidence = json!([{ "origin": origin, "prefix": "203.0.112.0/22", "max_length": 22 }]);
        server.set(VALIDATION, 200, &[], validation(status, evidence));
        assert_eq!(state(&validator).await, Ok(expected));
        server.set(VALIDATION, 200, &[], validation(status, json!([])));
        assert!(matches!(state(&validator).await, Ok(RouteState::Invalid(_))), "without evidence");
    }
    server.set(VALIDATION, 200, &[], validation("unknown", json!([])));
    assert_eq!(state(&validator).await, Ok(RouteState::NotFound));
}

#[tokio::test]
async fn an_undocumented_answer_of_ripestat_is_no_verdict() {
    let (server, url) = StandIn::start().await;
    for odd in [
        validation("pending", json!([])),
        json!({ "status": "ok", "data": {} }),
        json!({ "status": "ok" }),
        json!({ "status": "ok", "data": [] }),
        json!({ "status": "error", "messages": [["error", "no such resource"]], "data": {} }),
        json!([]),
        json!("<html>"),
    ] {
        server.set(VALIDATION, 200, &[], &odd);
        let validator = validator(RpkiSource::RipeStat, &url);
        assert!(state(&validator).await.is_err(), "{odd}");
    }
    server.set(VALIDATION, 200, &[], "{\"status\": \"ok\", \"data\": {");
    assert!(state(&validator(RpkiSource::RipeStat, &url)).await.is_err(), "half an answer");
}

#[tokio::test]
async fn ripestat_is_not_asked_during_a_pause_that_it_requested() {
    let (server, url) = StandIn::start().await;
    for (status, headers) in [(429, vec![("retry-after", "120")]), (503, vec![]), (500, vec![])] {
        server.set(VALIDATION, status, &headers, "busy");
        let validator = validator(RpkiSource::RipeStat, &url);
        let why = state(&validator).await.unwrap_err();
        assert!(why.contains(&format!("it answered {status}")) && why.contains("busy"), "{why}");
        server.set(VALIDATION, 200, &[], validation("valid", json!([])));
        server.asked();
        let again = state(&validator).await;
        if status == 500 {
            assert_eq!(again, Ok(RouteState::Valid));
        } else {
            assert!(again.unwrap_err().contains("asked for a pause"), "{status}");
            assert_eq!(server.asked(), [""; 0], "no request is sent during the pause");
        }
    }
}

#[tokio::test]
async fn routinator_validates_as_it_documents() {
    let (server, url) = StandIn::start().await;
    let validator = validator(RpkiSource::Routinator(url.clone()), &url);
    let path = "/api/v1/validity/AS64500/203.0.113.0/24";
    let answer = |state: &str, reason: Option<&str>, matched: Value, other_as: Value, other_length: Value| {
        json!({ "validated_route": { "route": { "origin_asn": "AS64500", "prefix": "203.0.113.0/24" }, "validity": {
            "state": state, "reason": reason, "description": "",
            "VRPs": { "matched": matched, "unmatched_as": other_as, "unmatched_length": other_length } } },
            "generatedTime": "2026-11-24T10:00:00Z" })
    };
    let vrp =
        |asn: &str, prefix: &str, max: &str| json!([{ "asn": asn, "prefix": prefix, "max_length": max }]);
    server.set(path, 503, &[], "Initial validation ongoing. Please wait.");
    assert!(state(&validator).await.unwrap_err().contains("Initial validation ongoing"));
    let none = || json!([]);
    server.set(path, 200, &[], answer("valid", None, vrp("AS64500", "203.0.113.0/24", "24"), none(), none()));
    let observed = validator.validate(route()).await.unwrap();
    assert_eq!((observed.value.state, observed.value.matching.len()), (RouteState::Valid, 1));
    assert_eq!(observed.time.to_string(), "2026-11-24T10:00:00Z");
    server.set(
        path,
        200,
        &[],
        answer("invalid", Some("as"), none(), vrp("AS1", "203.0.113.0/24", "24"), none()),
    );
    assert_eq!(state(&validator).await, Ok(RouteState::Invalid(InvalidReason::Origin)));
    server.set(
        path,
        200,
        &[],
        answer("invalid", Some("length"), none(), none(), vrp("AS64500", "203.0.112.0/22", "22")),
    );
    assert_eq!(state(&validator).await, Ok(RouteState::Invalid(InvalidReason::Length)));
    server.set(path, 200, &[], answer("not-found", None, none(), none(), none()));
    assert_eq!(state(&validator).await, Ok(RouteState::NotFound));
    for odd in [
        answer("maybe", None, none(), none(), none()),
        answer("valid", None, json!([{ "asn": "x" }]), none(), none()),
        json!({}),
    ] {
        server.set(path, 200, &[], &odd);
        assert!(state(&validator).await.is_err(), "{odd}");
    }
}

#[tokio::test]
async fn ripestat_shows_the_routing_table_through_two_calls() {
    let (server, url) = StandIn::start().await;
    let watch = RipeStatCollector::new(stat(&url));
    let prefix = "203.0.113.0/24".parse().unwrap();
    let bgp_state = json!({ "status": "ok", "data": { "resource": "203.0.113.0/24", "nr_routes": 2,
        "query_time": "2026-11-24T11:59:00", "bgp_state": [
            { "target_prefix": "203.0.113.0/24", "source_id": "00-1", "path": [3333, 64500], "community": [] },
            { "target_prefix": "203.0.113.0/24", "source_id": "00-2", "path": [1103, 64501], "community": [] }] } });
    let status = json!({ "status": "ok", "data": { "resource": "203.0.113.0/24", "query_time": "2026-11-24T08:00:00",
        "origins": [{ "origin": 64500, "route_objects": ["RIPE"] }], "less_specifics": [{ "prefix": "203.0.112.0/22", "origin": 64502 }],
        "more_specifics": [{ "prefix": "203.0.113.128/25", "origin": "64503" }],
        "visibility": { "v4": { "ris_peers_seeing": 320, "total_ris_peers": 330 }, "v6": { "ris_peers_seeing": 0, "total_ris_peers": 310 } } } });
    server.set("/data/bgp-state/data.json", 200, &[], &bgp_state);
    server.set("/data/routing-status/data.json", 200, &[], &status);
    let seen = watch.observe(prefix).await.unwrap();
    assert_eq!(
        (seen.source.as_str(), seen.time.to_string().as_str()),
        ("ripestat bgp-state", "2026-11-24T11:59:00Z")
    );
    assert_eq!(seen.value.origins.len(), 2, "MOAS");
    assert_eq!(seen.value.visibility.unwrap().seeing, 320);
    assert_eq!(seen.value.more_specifics.unwrap()[0].to_string(), "203.0.113.128/25 from AS64503");
    server.set("/data/bgp-state/data.json", 500, &[], "");
    let seen = watch.observe(prefix).await.unwrap();
    assert_eq!((seen.source.as_str(), seen.value.gaps.len()), ("ripestat routing-status", 1));
    server.set(
        "/data/routing-status/data.json",
        200,
        &[],
        json!({ "status": "ok", "data": { "origins": 5 } }),
    );
    assert_eq!(watch.observe(prefix).await.unwrap_err().causes.len(), 2);
}

#[tokio::test]
async fn a_geofeed_is_fetched_cached_and_never_from_a_private_address() {
    let (server, url) = StandIn::start().await;
    server.set("/geofeed.csv", 200, &[("etag", "\"1\"")], "203.0.113.0/24,DE,DE-BE,Berlin,\n");
    let feeds = GeofeedClient::new(true).unwrap();
    let at = url.join("/geofeed.csv").unwrap();
    let now = jiff::Timestamp::UNIX_EPOCH;
    for _ in 0..2 {
        let feed = feeds.get(at.as_str(), now).await.unwrap();
        assert!(feed.value.location_of("203.0.113.0/25".parse().unwrap()).covered);
    }
    assert_eq!(server.asked().len(), 1, "it is cached");
    assert!(feeds.get("nonsense", now).await.is_err());
    assert!(feeds.get("file:///etc/passwd", now).await.is_err());
    assert!(
        feeds
            .get(url.join("/none.csv").unwrap().as_str(), now)
            .await
            .unwrap_err()
            .to_string()
            .contains("404")
    );
    // Somebody who may edit a record in NetBox must not be able to send requests into the server's own network.
    let careful = GeofeedClient::new(false).unwrap();
    for inside in [at.as_str(), "http://localhost:1/", "http://169.254.169.254/latest/meta-data"] {
        let error = careful.get(inside, now).await.unwrap_err().to_string();
        assert!(error.contains("private, loopback or link-local"), "{inside}: {error}");
    }
}
