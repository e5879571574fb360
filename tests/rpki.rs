//! Origin validation: the worked cases of RFC 6811, RFC 6907 and RFC 9319, a comparison with rtrlib, and RTR caches that misbehave.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use leasehold::clock::{Clock, SystemClock};
use leasehold::model::{Asn, CouldNotCheck, InvalidReason, Network, Route, RouteState, RouteVerdict, Vrp};
use leasehold::ripestat::{RipeStat, RipeStatSettings};
use leasehold::rpki::collapse_guard::CollapseGuard;
use leasehold::rpki::rtr::RtrSettings;
use leasehold::rpki::vrp_feed::{VrpFeedSettings, VrpLocation};
use leasehold::rpki::{RpkiSettings, RpkiSource, Validator, VrpSet};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use rpki::rtr::payload::Action;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::support::HUNG;
use crate::support::peers::variable;
use crate::support::process::{StayRtr, free_port, until};
use crate::support::rtr::Cache;

fn vrp(prefix: &str, max_length: impl Into<Option<u8>>, asn: u32) -> Vrp {
    Vrp::new(prefix.parse().unwrap(), max_length.into(), asn).unwrap()
}

fn route(prefix: &str, origin: u32) -> Route {
    Route { prefix: prefix.parse().unwrap(), origin: Asn::try_from(origin).unwrap() }
}

fn state(vrps: &[Vrp], asked: Route) -> RouteState {
    let set: VrpSet = vrps.iter().copied().collect();
    let state = set.state(asked);
    assert_eq!(state, set.validate(asked).state);
    state
}

const LENGTH: RouteState = RouteState::Invalid(InvalidReason::Length);
const ORIGIN: RouteState = RouteState::Invalid(InvalidReason::Origin);
const AS0: RouteState = RouteState::Invalid(InvalidReason::As0);

#[test]
fn rfc_6811_section_2() {
    let covering = vrp("192.0.2.0/24", None, 64500);
    // "Covered": the VRP's length is less or equal, and the bits up to it are identical.
    assert_eq!(state(&[covering], route("192.0.2.0/23", 64500)), RouteState::NotFound);
    assert_eq!(state(&[covering], route("192.0.3.0/24", 64500)), RouteState::NotFound);
    // "Matched": covered, no longer than maxLength, and of this AS.
    assert_eq!(state(&[covering], route("192.0.2.0/24", 64500)), RouteState::Valid);
    assert_eq!(
        state(&[covering], route("192.0.2.0/25", 64500)),
        LENGTH,
        "absent maxLength is the prefix's own length"
    );
    // "No VRP with AS0 can match any route", and any one match makes it Valid whatever the others say.
    let nobody = vrp("192.0.2.0/24", 32, 0);
    assert_eq!(state(&[nobody], route("192.0.2.0/24", 64500)), AS0);
    assert_eq!(state(&[nobody, covering], route("192.0.2.0/24", 64500)), RouteState::Valid);
    // A VRP of the other address family covers nothing.
    assert_eq!(state(&[vrp("0.0.0.0/0", 32, 64500)], route("::/0", 64500)), RouteState::NotFound);
    assert_eq!(state(&[vrp("::/0", 128, 64500)], route("2001:db8::/128", 64500)), RouteState::Valid);
    assert_eq!(state(&[vrp("0.0.0.0/0", 32, 64500)], route("203.0.113.9/32", 64500)), RouteState::Valid);
}

/// Sections 7.1.8 to 7.1.12 are about routes whose path ends in an AS_SET. Those have no origin (RFC 6811), but a `Route` has one.
#[test]
fn rfc_6907_section_7_1() {
    let quarters = ["10.1.0.0/18", "10.1.64.0/18", "10.1.128.0/18", "10.1.192.0/18"];
    let quarters = quarters.map(|quarter| vrp(quarter, 20, 64496));
    let cases: &[(&str, &[Vrp], Route, RouteState)] = &[
        ("7.1.1", &[vrp("10.1.0.0/16", 20, 64496)], route("10.1.0.0/17", 64496), RouteState::Valid),
        ("7.1.2", &[vrp("10.1.0.0/16", 20, 64496)], route("10.1.0.0/22", 64496), LENGTH),
        ("7.1.3", &[vrp("10.1.0.0/16", 24, 64496)], route("10.1.88.0/24", 64511), ORIGIN),
        ("7.1.4", &[vrp("10.1.0.0/16", 22, 64496)], route("10.1.88.0/24", 64511), ORIGIN),
        ("7.1.5", &[], route("10.1.3.0/24", 64511), RouteState::NotFound),
        ("7.1.6", &[vrp("10.1.0.0/16", 32, 0)], route("10.1.5.0/24", 64511), AS0),
        ("7.1.7", &quarters, route("10.1.0.0/16", 64496), RouteState::NotFound),
    ];
    for (section, vrps, asked, expected) in cases {
        assert_eq!(state(vrps, *asked), *expected, "section {section}");
    }
}

/// Both revocation (7.2.1 to 7.2.4) and expiry (7.2.5 to 7.2.8) arrive as a withdrawn VRP.
#[test]
fn rfc_6907_section_7_2() {
    let asked = route("10.1.3.0/24", 64496);
    let cases: &[(&str, Vrp, &[Vrp], RouteState)] = &[
        ("7.2.1 and 7.2.5", vrp("10.1.0.0/22", 24, 64496), &[], RouteState::NotFound),
        ("7.2.2 and 7.2.6", vrp("10.1.3.0/24", 24, 64496), &[vrp("10.1.0.0/22", 24, 64511)], ORIGIN),
        (
            "7.2.3 and 7.2.7",
            vrp("10.1.3.0/24", 24, 64496),
            &[vrp("10.1.0.0/22", 24, 64496)],
            RouteState::Valid,
        ),
        (
            "7.2.4 and 7.2.8",
            vrp("10.1.0.0/20", 24, 64496),
            &[vrp("10.1.0.0/22", 24, 64496)],
            RouteState::Valid,
        ),
    ];
    for (section, revoked, others, expected) in cases {
        let before: VrpSet = others.iter().chain([revoked]).copied().collect();
        assert_eq!(before.state(asked), RouteState::Valid, "section {section}, before");
        assert_eq!(
            before.with_delta([(false, *revoked)]).unwrap().state(asked),
            *expected,
            "section {section}"
        );
    }
}

#[test]
fn rfc_9319_sections_4_and_5() {
    let loose = vrp("192.168.0.0/16", 24, 64496);
    let minimal = [vrp("192.168.0.0/16", None, 64496), vrp("192.168.225.0/24", None, 64496)];
    // Section 4: the forged-origin hijack of a sub-prefix that nobody announces is Valid by the loose ROA ...
    let hijack = route("192.168.0.0/24", 64496);
    assert_eq!(state(&[loose], hijack), RouteState::Valid);
    let verdict = |vrps: &[Vrp], asked| RouteVerdict::validate(asked, vrps.iter().copied());
    assert_eq!(verdict(&[loose], hijack).loose_vrp(), Some(loose));
    assert_eq!(verdict(&[loose], route("192.168.0.0/16", 64496)).loose_vrp(), Some(loose));
    // ... and Invalid by the minimal ROAs, while what is announced stays Valid and needs no warning.
    assert_eq!(state(&minimal, hijack), LENGTH);
    for announced in ["192.168.0.0/16", "192.168.225.0/24"] {
        let verdict = verdict(&minimal, route(announced, 64496));
        assert_eq!((verdict.state, verdict.loose_vrp()), (RouteState::Valid, None), "{announced}");
    }
    // Section 5.1: a mitigation service needs a ROA of its own.
    assert_eq!(state(&minimal, route("192.168.0.0/22", 64500)), ORIGIN);
    let service = [minimal[0], minimal[1], vrp("192.168.0.0/22", None, 64500)];
    assert_eq!(state(&service, route("192.168.0.0/22", 64500)), RouteState::Valid);
    assert_eq!(state(&service, route("192.168.0.0/24", 64500)), LENGTH);
    let finer = [minimal[0], minimal[1], vrp("192.168.0.0/22", 24, 64500)];
    assert_eq!(state(&finer, route("192.168.0.0/24", 64500)), RouteState::Valid);
}

fn random_prefix(random: &mut StdRng) -> Network {
    // The space is narrow, so that many prefixes contain each other and share ASes.
    let net = if random.random_bool(0.7) {
        let length = random.random_range(16..=28);
        ipnet::IpNet::new(
            std::net::Ipv4Addr::from(0x0A00_0000 | random.random::<u32>() & 0x003F_FFFF).into(),
            length,
        )
    } else {
        let bits = 0x2001_0db8_u128 << 96 | u128::from(random.random::<u16>() & 0xfff) << 80;
        ipnet::IpNet::new(std::net::Ipv6Addr::from(bits).into(), random.random_range(36..=48))
    };
    Network::containing(net.unwrap())
}

/// Compares with rtrlib, which routers use, over the same VRPs served by a real StayRTR.
#[tokio::test]
async fn the_real_rtrlib_agrees_on_120_000_routes() {
    let name = "the_real_rtrlib_agrees_on_120_000_routes";
    let Some(stayrtr) = variable(name, "LEASEHOLD_TEST_STAYRTR", "StayRTR") else { return };
    let Some(rov) = variable(name, "LEASEHOLD_TEST_RPKI_ROV", "rtrlib's rpki-rov") else { return };
    let directory = tempfile::tempdir().unwrap();
    let mut seen = [0u32; 3];
    for seed in 0..6u64 {
        let mut random = StdRng::seed_from_u64(seed);
        let vrps: Vec<Vrp> = (0..100 * (seed + 1))
            .map(|_| {
                let prefix = random_prefix(&mut random);
                let more = if random.random_bool(0.5) { 0 } else { random.random_range(0..=8) };
                let longest = (prefix.length() + more).min(prefix.max_length());
                Vrp::new(prefix, Some(longest), random.random_range(0..12)).unwrap()
            })
            .collect();
        let rows: Vec<_> = vrps
            .iter()
            .map(|vrp| {
                let asn = vrp.asn.map_or(0, Asn::number);
                json!({ "prefix": vrp.prefix.to_string(), "maxLength": vrp.max_length, "asn": asn, "ta": "test" })
            })
            .collect();
        let file = directory.path().join("vrps.json");
        std::fs::write(&file, json!({ "roas": rows }).to_string()).unwrap();
        let cache = StayRtr::start(&stayrtr, &file, free_port());
        until("StayRTR listens", true, || async {
            tokio::net::TcpStream::connect(("127.0.0.1", cache.rtr)).await.is_ok()
        })
        .await;
        let asked: Vec<Route> = (0..20_000)
            .map(|_| Route {
                prefix: random_prefix(&mut random),
                origin: Asn::try_from(random.random_range(1..12)).unwrap(),
            })
            .collect();
        let set: VrpSet = vrps.into_iter().collect();
        let theirs = {
            let (rov, port, asked) = (rov.clone(), cache.rtr, asked.clone());
            tokio::task::spawn_blocking(move || rtrlib(&rov, port, &asked)).await.unwrap()
        };
        assert_eq!(theirs.len(), asked.len());
        for (asked, theirs) in asked.iter().zip(theirs) {
            let ours = match set.state(*asked) {
                RouteState::Valid => 0,
                RouteState::NotFound => 1,
                RouteState::Invalid(_) => 2,
            };
            assert_eq!(ours, theirs, "seed {seed}: {asked}");
            seen[ours] += 1;
        }
    }
    assert!(seen.iter().all(|count| *count > 5_000), "not every state is well tried: {seen:?}");
}

/// rpki-rov: `IP LENGTH ASN` a line; answers `…|state`, 0 valid, 1 not found, 2 invalid.
fn rtrlib(program: &str, port: u16, asked: &[Route]) -> Vec<usize> {
    let mut process = Command::new(program)
        .args(["127.0.0.1", &port.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = process.stdin.take().unwrap();
    let mut lines = String::new();
    for route in asked {
        let (prefix, origin) = (route.prefix, route.origin.number());
        lines.push_str(&format!("{} {} {origin}\n", prefix.first(), prefix.length()));
    }
    let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = process.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter_map(|line| line.rsplit_once('|')?.1.parse().ok()).collect()
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::new(jiff::tz::TimeZone::UTC))
}

fn nowhere() -> RipeStat {
    RipeStat::new(RipeStatSettings {
        url: "http://127.0.0.1:1/".parse().unwrap(),
        source_app: "tests".into(),
    })
    .unwrap()
}

fn validator(sources: Vec<RpkiSource>) -> Validator {
    Validator::start(&RpkiSettings { sources, guard: CollapseGuard::default() }, Some(&nowhere()), clock())
        .unwrap()
}

fn rtr(port: u16) -> RpkiSource {
    let read_timeout = Duration::from_secs(1);
    RpkiSource::Rtr(RtrSettings { server: format!("127.0.0.1:{port}"), expire: None, read_timeout })
}

/// The state of the route of these tests; `Err` with the first cause if it could not be checked.
async fn asked(validator: &Validator) -> Result<RouteState, String> {
    let found = validator.validate(route("203.0.113.0/24", 64500)).await;
    found
        .map(|observed| observed.value.state)
        .map_err(|CouldNotCheck { causes }| causes[0].failure.message.clone())
}

async fn becomes(validator: &Validator, wanted: RouteState) {
    until("the route", Ok(wanted), || asked(validator)).await;
}

fn roas(asns: &[u32]) -> String {
    let rows: Vec<_> =
        asns.iter().map(|asn| json!({ "prefix": "203.0.113.0/24", "maxLength": 24, "asn": asn })).collect();
    json!({ "roas": rows }).to_string()
}

#[tokio::test]
async fn a_real_cache_is_followed_through_updates_and_a_restart() {
    let name = "a_real_cache_is_followed_through_updates_and_a_restart";
    let Some(stayrtr) = variable(name, "LEASEHOLD_TEST_STAYRTR", "StayRTR") else { return };
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("vrps.json");
    std::fs::write(&file, roas(&[64500, 64501])).unwrap();
    let port = free_port();
    let validator = validator(vec![rtr(port)]);
    assert!(asked(&validator).await.is_err(), "nothing was received yet");
    let cache = StayRtr::start(&stayrtr, &file, port);
    becomes(&validator, RouteState::Valid).await;
    // A serial update.
    std::fs::write(&file, roas(&[64501, 64502])).unwrap();
    becomes(&validator, ORIGIN).await;
    // After a restart the cache has another session id and other data.
    drop(cache);
    std::fs::write(&file, roas(&[64500])).unwrap();
    assert_eq!(asked(&validator).await, Ok(ORIGIN), "data outlives the connection until it expires");
    let _cache = StayRtr::start(&stayrtr, &file, port);
    becomes(&validator, RouteState::Valid).await;
    assert_eq!(validator.states()[0].vrps, Some(1));
}

#[tokio::test]
async fn a_cache_that_resets_or_begins_a_new_session_is_reloaded() {
    let (mine, other) = (vrp("203.0.113.0/24", None, 64500), vrp("203.0.113.0/24", None, 64501));
    let (cache, port, _task) = Cache::start(&[mine], 600).await;
    let validator = validator(vec![rtr(port)]);
    becomes(&validator, RouteState::Valid).await;
    // The cache knows the difference and sends a delta.
    cache.change(7, 2, &[mine, other], Some(vec![(other, Action::Announce)]));
    until("two VRPs", Some(2), || async { validator.states()[0].vrps }).await;
    // The cache no longer knows the difference: Cache Reset, then all data.
    cache.change(7, 9, &[other], None);
    becomes(&validator, ORIGIN).await;
    // The cache begins another session.
    cache.change(8, 1, &[mine], None);
    becomes(&validator, RouteState::Valid).await;
    // A withdrawal of a VRP that was never announced: the sets differ, so all data are requested again.
    let third = vrp("203.0.113.0/24", None, 64502);
    cache.change(8, 2, &[third], Some(vec![(other, Action::Withdraw)]));
    becomes(&validator, ORIGIN).await;
    assert_eq!(validator.states()[0].vrps, Some(1));
}

#[tokio::test]
async fn data_past_its_expiry_is_not_used() {
    // Long enough that the data has not expired yet when it is asked for again below.
    let (cache, port, _task) = Cache::start(&[vrp("203.0.113.0/24", None, 64500)], 8).await;
    let validator = validator(vec![rtr(port)]);
    becomes(&validator, RouteState::Valid).await;
    cache.lose_everything();
    assert_eq!(asked(&validator).await, Ok(RouteState::Valid), "data is used until it expires");
    until("expired", true, || async {
        asked(&validator).await.is_err_and(|why| why.contains("have expired"))
    })
    .await;
}

/// Each cache violates the protocol; none of them may lead to a verdict.
#[tokio::test]
async fn a_cache_that_violates_the_protocol_gives_no_verdict() {
    // Cache Response of version 1, session 7; an IPv4 Prefix PDU: announce 203.0.113.0/24-24 AS64500.
    let response = [1, 3, 0, 7, 0, 0, 0, 8];
    let prefix = [1, 4, 0, 0, 0, 0, 0, 20, 1, 24, 24, 0, 203, 0, 113, 0, 0, 0, 0xfb, 0xf4];
    let bad_length = [1, 4, 0, 0, 0, 0, 0, 20, 1, 24, 8, 0, 203, 0, 113, 0, 0, 0, 0xfb, 0xf4];
    let half = |bytes: &[u8]| [response.as_slice(), bytes].concat();
    let cases: Vec<(&str, Vec<u8>, bool)> = vec![
        ("garbage", b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), false),
        ("an end in the middle", half(&prefix), false),
        ("silence in the middle", half(&prefix), true),
        ("a maxLength shorter than its prefix", half(&bad_length), true),
        ("silence from the beginning", Vec::new(), true),
    ];
    for (what, bytes, stays) in cases {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let bytes = bytes.clone();
                tokio::spawn(async move {
                    let mut query = [0; 8];
                    let _ = stream.read_exact(&mut query).await;
                    assert_eq!(query[0], 1, "it begins with version 1");
                    let _ = stream.write_all(&bytes).await;
                    if stays {
                        std::future::pending::<()>().await;
                    }
                });
            }
        });
        let validator = validator(vec![rtr(port)]);
        let silent = what == "silence from the beginning";
        // Before an answer the ten seconds of the protocol library apply.
        let patience = if silent { Duration::from_millis(300) } else { HUNG };
        let reported = tokio::time::timeout(patience, async {
            loop {
                let error = last_failure(&validator);
                if error != "no VRPs were received yet" {
                    break error;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        assert_eq!(reported.await.is_ok(), !silent, "{what}: {:?}", validator.states());
        assert!(asked(&validator).await.is_err(), "{what}: half an answer gives no verdict");
    }
}

#[tokio::test]
async fn a_collapse_raises_an_alarm_and_keeps_the_current_set() {
    let many: Vec<Vrp> = (0..2000u32)
        .map(|nth| vrp(&format!("10.{}.{}.0/24", nth / 256, nth % 256), None, 64501))
        .chain([vrp("203.0.113.0/24", None, 64500)])
        .collect();
    let (cache, port, _task) = Cache::start(&many, 600).await;
    let validator = validator(vec![rtr(port)]);
    becomes(&validator, RouteState::Valid).await;
    cache.change(7, 2, &many[..100], None);
    until("the alarm", true, || async { last_failure(&validator).contains("only 100 are left") }).await;
    assert_eq!(asked(&validator).await, Ok(RouteState::Valid), "the current set stays");
    assert_eq!(validator.states()[0].vrps, Some(2001));
    // Once the cache has recovered, the real change is applied.
    cache.change(7, 3, &many[..2000], None);
    becomes(&validator, RouteState::NotFound).await;
    assert_eq!(validator.states()[0].last_failure, None);
}

/// What is wrong with the first source, in words.
fn last_failure(validator: &Validator) -> String {
    validator.states()[0].last_failure.as_ref().map(ToString::to_string).unwrap_or_default()
}

fn feed(location: VrpLocation) -> RpkiSource {
    RpkiSource::VrpFeed(VrpFeedSettings { location, expire: Duration::from_secs(3600) })
}

#[tokio::test]
async fn a_file_is_read_again_when_it_changes() {
    let directory = tempfile::tempdir().unwrap();
    let file: PathBuf = directory.path().join("vrps.json");
    let validator = validator(vec![feed(VrpLocation::File(file.clone()))]);
    assert!(validator.refresh().await.unwrap_err().to_string().contains("vrps.json"));
    assert!(asked(&validator).await.unwrap_err().to_string().contains("vrps.json"));
    std::fs::write(&file, roas(&[64500])).unwrap();
    validator.refresh().await.unwrap();
    assert_eq!(asked(&validator).await, Ok(RouteState::Valid));
    let count = *validator.changed().borrow();
    validator.refresh().await.unwrap();
    assert_eq!(*validator.changed().borrow(), count, "an unchanged file is no change");
    // A truncated or empty document is an error, and the current set stays.
    for wrong in ["{\"roas\": [{\"asn\": 1, \"prefix\"", "{\"roas\": []}"] {
        std::fs::write(&file, wrong).unwrap();
        validator.refresh().await.unwrap_err();
        assert_eq!(asked(&validator).await, Ok(RouteState::Valid), "{wrong}");
    }
    std::fs::write(&file, roas(&[64501, 64502])).unwrap();
    validator.refresh().await.unwrap();
    assert_eq!(asked(&validator).await, Ok(ORIGIN));
    // Data that was made too long ago is not used.
    let old = json!({ "metadata": { "generated": 1_500_000_000 }, "roas": [] }).to_string();
    std::fs::write(&file, old).unwrap();
    assert!(validator.refresh().await.unwrap_err().to_string().contains("too old"));
}

#[tokio::test]
async fn a_real_export_answers_when_the_source_before_it_cannot() {
    let name = "a_real_export_answers_when_the_source_before_it_cannot";
    let Some(stayrtr) = variable(name, "LEASEHOLD_TEST_STAYRTR", "StayRTR") else { return };
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("vrps.json");
    std::fs::write(&file, roas(&[64500])).unwrap();
    let cache = StayRtr::start(&stayrtr, &file, free_port());
    // The URL is StayRTR's own export, which has an ETag.
    let url = format!("http://127.0.0.1:{}/rpki.json", cache.http).parse().unwrap();
    let validator = validator(vec![rtr(free_port()), feed(VrpLocation::Url(url))]);
    until("the export", true, || async { validator.refresh().await.is_ok() }).await;
    let observed = validator.validate(route("203.0.113.0/24", 64500)).await.unwrap();
    assert_eq!(observed.value.state, RouteState::Valid);
    assert_eq!(observed.source, "vrps 127.0.0.1/rpki.json");
    // No source can answer, so each gives its cause.
    let nobody = self::validator(vec![rtr(free_port()), RpkiSource::RipeStat]);
    let causes = nobody.validate(route("203.0.113.0/24", 64500)).await.unwrap_err().causes;
    let sources: Vec<&str> = causes.iter().map(|cause| cause.source.split(' ').next().unwrap()).collect();
    assert_eq!(sources, ["rtr", "ripestat"]);
}
