//! Expiry: a year of simulated days with renewals, kills and clock jumps against a model, and WatchExpiry through the API.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use jiff::civil::{Date, date};
use jiff::{Timestamp, ToSpan as _};
use leasehold::cache::{Batch, Cache, Position};
use leasehold::clock::{Clock as _, SystemClock};
use leasehold::events::EventLog;
use leasehold::expiry::{ExpiryEngine, Schedule};
use leasehold::ledger::{self, LedgerSettings};
use leasehold::model::{Lease, Network, Prefix, PrefixId, Revision, Subject, Term, TermDate, VrfScope};
use leasehold::rpc::proto::v1;
use leasehold::rpc::proto::v1::watch_expiry_response::Item;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::json;

use crate::support::clock::SetClock;
use crate::support::peers::environment;
use crate::support::{HUNG, NetBox, Server, directory, eventually};

const LEASES: u64 = 10_000;
const DATABASE: &str = "LEASEHOLD_TEST_EXPIRY_LEDGER";
const FROM: &str = "LEASEHOLD_TEST_EXPIRY_FROM";

/// The days on which leases are checked, in that order: a year with downtime in it, and with clocks that jump back.
fn visits() -> Vec<Date> {
    let mut random = StdRng::seed_from_u64(6811);
    let (mut day, mut visits) = (date(2027, 1, 1), Vec::new());
    while day < date(2028, 1, 1) {
        visits.push(day);
        let step = match random.random_range(0..20) {
            0 => random.random_range(2..25),
            1 => -random.random_range(1..10),
            2 => 0,
            _ => 1,
        };
        day += step.days();
    }
    visits
}

/// The expiry and notice date of every lease at a check. An ended lease is left out.
type World = BTreeMap<u64, (Date, Option<Date>)>;

/// The leases at each check. At random they are renewed, shortened, ended and registered again.
fn worlds(visits: usize) -> Vec<World> {
    let mut random = StdRng::seed_from_u64(64500);
    let start = date(2026, 12, 1);
    let fresh = |random: &mut StdRng| {
        let expiry = start + random.random_range(0i32..500).days();
        let notice = random.random_bool(0.3).then(|| expiry - random.random_range(0i32..90).days());
        (expiry, notice)
    };
    let mut world: World = (1..=LEASES).map(|id| (id, fresh(&mut random))).collect();
    let mut worlds = vec![world.clone()];
    for _ in 1..visits {
        for _ in 0..60 {
            let id = random.random_range(1..=LEASES);
            match (random.random_range(0..10), world.get(&id).copied()) {
                (0, Some(_)) => {
                    world.remove(&id);
                }
                (1, Some((expiry, notice))) => {
                    world.insert(id, (expiry - random.random_range(1i32..40).days(), notice));
                }
                (_, Some((expiry, notice))) => {
                    world.insert(
                        id,
                        (expiry + random.random_range(1i32..400).days(), notice.map(|n| n + 30.days())),
                    );
                }
                (_, None) => {
                    world.insert(id, fresh(&mut random));
                }
            }
        }
        worlds.push(world.clone());
    }
    worlds
}

fn prefix(id: u64, terms: Option<(Date, Option<Date>)>, revision: i64) -> Prefix {
    let address = std::net::Ipv4Addr::from(0x0a00_0000 + (u32::try_from(id).unwrap() << 8));
    let lease = terms.map(|(expiry, notice)| {
        let term = Term { start: None, expiry: Some(expiry), notice };
        Box::new(Lease { owner: Some("ACME-LIR".into()), term, ..Lease::default() })
    });
    let network = Network::from(ipnet::Ipv4Net::new(address, 24).unwrap());
    Prefix {
        lease,
        revision: Revision(Some(Timestamp::from_second(1_790_000_000 + revision).unwrap())),
        ..Prefix::bare(PrefixId(id), network, VrfScope::Global)
    }
}

fn noon(day: Date) -> Timestamp {
    day.at(12, 0, 0, 0).to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp()
}

/// A server that runs from one check on until it is killed or the year is over.
#[tokio::test]
#[ignore = "run by a_year_of_days_over_ten_thousand_leases_agrees_with_a_model_event_for_event"]
async fn a_server_that_checks_leases() {
    let path = environment(DATABASE).unwrap();
    let from: usize = environment(FROM).unwrap().parse().unwrap();
    let visits = visits();
    let worlds = worlds(visits.len());
    let clock = SetClock::at(noon(visits[from]));
    let handles = ledger::open(&LedgerSettings::Sqlite(path.into())).await.unwrap();
    let log = EventLog::open(handles.journal, clock.clone()).await.unwrap();
    let cache = Cache::in_memory().await.unwrap();
    let cache = Arc::new(cache.with_commit_hook(log.clone()));
    let engine = ExpiryEngine::new(cache.clone(), log, clock.clone(), Schedule::default());
    cache.begin_pass().await;
    let rows =
        (1..=LEASES).map(|id| prefix(id, worlds[from].get(&id).copied(), from as i64)).collect::<Vec<_>>();
    cache.add_page(Batch::from(rows)).await.unwrap();
    cache.finish_pass(Position { id: 0, time: None, request: String::new() }, clock.now()).await.unwrap();
    for visit in from..visits.len() {
        // Printed before the check begins: if this process is killed now, the next one repeats the check.
        println!("check {visit}");
        clock.set(noon(visits[visit]));
        if visit > from {
            let changed: Vec<Prefix> = (1..=LEASES)
                .filter(|id| worlds[visit].get(id) != worlds[visit - 1].get(id))
                .map(|id| prefix(id, worlds[visit].get(&id).copied(), visit as i64))
                .collect();
            cache.apply(Batch::from(changed)).await.unwrap();
        }
        engine.check().await.unwrap();
    }
    println!("check {}", visits.len());
}

type Fact = (Date, u64, TermDate, Date, i32, i32);

/// The events that must be published, computed without any of the program's code.
fn model(visits: &[Date], worlds: &[World]) -> BTreeSet<Fact> {
    let thresholds = [60, 30, 14, 7, 1, 0];
    let mut published: BTreeMap<(u64, TermDate, Date), i32> = BTreeMap::new();
    let mut facts = BTreeSet::new();
    for (today, world) in visits.iter().zip(worlds) {
        published.retain(|(id, ..), _| world.contains_key(id));
        for (id, (expiry, notice)) in world {
            for (which, day) in [(TermDate::Expiry, Some(*expiry)), (TermDate::Notice, *notice)] {
                let Some(day) = day else { continue };
                let left = (day - *today).get_days();
                let left = if left == 0 { today.until(day).unwrap().get_days() } else { left };
                let mut tightest = None;
                for threshold in thresholds {
                    if left <= threshold {
                        tightest = Some(threshold);
                    }
                }
                if left < 0 {
                    tightest = Some(-1);
                }
                let Some(tightest) = tightest else { continue };
                let key = (*id, which, day);
                if published.get(&key).is_none_or(|before| tightest < *before) {
                    published.insert(key, tightest);
                    facts.insert((*today, *id, which, day, tightest, left));
                }
            }
        }
    }
    facts
}

fn spawn_server_from(path: &Path, from: usize) -> std::process::Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "expiry::a_server_that_checks_leases", "--ignored", "--nocapture"])
        .env(DATABASE, path)
        .env(FROM, from.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn a_year_of_days_over_ten_thousand_leases_agrees_with_a_model_event_for_event() {
    const KILLS: usize = 12;
    let (_guard, path) = directory();
    let path = path.join("ledger.db");
    let visits = visits();
    let mut random = StdRng::seed_from_u64(9);
    let (mut from, mut kills) = (0, 0);
    while from < visits.len() {
        let mut child = spawn_server_from(&path, from);
        let until = from + 1 + random.random_range(0..2 * visits.len() / KILLS);
        let mut last = from;
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            let Some(visit) = line.split("check ").nth(1).and_then(|number| number.trim().parse().ok())
            else {
                continue;
            };
            last = visit;
            if visit >= until && visit < visits.len() {
                // SIGKILL, at any point of its work. What it has printed is still read to the end.
                let _ = child.kill();
            }
        }
        let status = child.wait().unwrap();
        assert!(status.success() || last >= until, "it ended by itself at check {last}");
        kills += usize::from(!status.success());
        from = last;
    }
    assert!(kills >= KILLS / 2, "only {kills} kills");

    let journal = ledger::open(&LedgerSettings::Sqlite(path)).await.unwrap().journal;
    let (mut facts, mut after) = (BTreeSet::new(), 0);
    loop {
        let events = journal.read(after, 5000).await.unwrap();
        let Some(last) = events.last() else { break };
        after = last.sequence;
        for event in &events {
            if let Subject::Term(reached) = &event.domain_event.subject {
                let today = event.domain_event.time.to_zoned(jiff::tz::TimeZone::UTC).date();
                let fact = (
                    today,
                    reached.prefix.id.0,
                    reached.which,
                    reached.date,
                    reached.threshold.0,
                    reached.days_left,
                );
                assert!(facts.insert(fact), "published twice: {fact:?}");
            }
        }
    }
    let expected = model(&visits, &worlds(visits.len()));
    assert!(expected.len() > 30_000, "a year without events tests nothing: {}", expected.len());
    let (missing, surplus) = (expected.difference(&facts).take(5), facts.difference(&expected).take(5));
    let (missing, surplus): (Vec<_>, Vec<_>) = (missing.collect(), surplus.collect());
    assert!(missing.is_empty() && surplus.is_empty(), "missing {missing:?}, not expected {surplus:?}");
}

#[test]
fn a_day_begins_at_midnight_of_its_zone_also_where_clocks_change() {
    // In Berlin the clocks go forward on 2027-03-28: the day has 23 hours.
    let zone = jiff::tz::TimeZone::get("Europe/Berlin").unwrap();
    let clock = SystemClock::new(zone);
    let lease =
        Lease { term: Term { expiry: Some(date(2027, 3, 28)), ..Term::default() }, ..Lease::default() };
    let due = |at: &str| {
        let today = clock.day_of(at.parse().unwrap());
        Schedule::default()
            .due(&lease, today, |_, _| None)
            .first()
            .map(|(_, _, threshold, left)| (threshold.0, *left))
    };
    assert_eq!(due("2027-03-27T22:59:59Z"), Some((1, 1)));
    assert_eq!(due("2027-03-27T23:00:00Z"), Some((0, 0)));
    assert_eq!(due("2027-03-28T21:59:59Z"), Some((0, 0)), "summer time: the day ends at 22:00 UTC");
    assert_eq!(due("2027-03-28T22:00:00Z"), Some((-1, -1)));
}

/// The next event. Fails if none arrives.
async fn next_event(stream: &mut tonic::Streaming<v1::WatchExpiryResponse>) -> v1::Event {
    loop {
        let message = tokio::time::timeout(HUNG, stream.message());
        match message.await.expect("no message arrived").unwrap().unwrap().item {
            Some(Item::Event(event)) => return event,
            other => assert!(matches!(other, Some(Item::Bookmark(_))), "{other:?}"),
        }
    }
}

async fn changes_of_terms_are_watched(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    let today = SystemClock::new(jiff::tz::TimeZone::UTC).today();
    let body = |days: i32| {
        let expiry = (today + days.days()).to_string();
        json!({ "prefix": "203.0.113.0/24", "vrf": vrf, "custom_fields": { "lease_owner": "ACME-LIR", "lease_expiry": expiry } })
    };
    let made = netbox.post("ipam/prefixes/", body(100)).await;
    let path = format!("ipam/prefixes/{}/", made["id"]);
    let server = Server::before(netbox).await;
    let request =
        v1::WatchExpiryRequest { vrf: crate::support::vrf(vrf), ..v1::WatchExpiryRequest::default() };
    let mut stream = server.leases.clone().watch_expiry(request.clone()).await.unwrap().into_inner();
    let first = stream.message().await.unwrap().unwrap();
    assert!(matches!(first.item, Some(Item::Synced(_))), "100 days are outside the horizon: {first:?}");

    // A lease that is shortened by hand gives two events: the change, and the threshold that it reaches.
    netbox.rest("PATCH", &path, Some(body(10))).await;
    let changed = next_event(&mut stream).await;
    assert_eq!(changed.r#type(), v1::EventType::LeaseChanged);
    let expiring = next_event(&mut stream).await;
    assert_eq!(expiring.r#type(), v1::EventType::LeaseExpiring);
    let Some(v1::event::Subject::Term(reached)) = &expiring.subject else { panic!("not about a term") };
    // The server counts from its own day: midnight may have passed since this test took the date.
    assert_eq!(reached.threshold_days, 14);
    assert!((9..=10).contains(&reached.days_left), "{reached:?}");

    // A new description is not about the term; a renewal is, even one that ends beyond the horizon.
    netbox.rest("PATCH", &path, Some(json!({ "description": "web tier" }))).await;
    netbox.rest("PATCH", &path, Some(body(400))).await;
    assert_eq!(next_event(&mut stream).await.r#type(), v1::EventType::LeaseRenewed);
    netbox.rest("PATCH", &path, Some(body(-1))).await;
    eventually("an expired lease is in the snapshot", async || {
        let mut late = server.leases.clone().watch_expiry(request.clone()).await.unwrap().into_inner();
        match late.message().await.unwrap().unwrap().item {
            Some(Item::Lease(lease)) => lease.days_left.is_some_and(|left| left < 0),
            _ => false,
        }
    })
    .await;
    server.running.stop().await;
}

#[tokio::test]
async fn a_watch_is_limited_to_a_vrf_and_a_tenant_by_any_of_their_names() {
    use v1::tenant_ref::Ref as Tenant;
    use v1::vrf_ref::Ref as Vrf;
    let netbox = NetBox::emulated().await;
    let made = async |path: &str, body| netbox.post(path, body).await["id"].as_u64().unwrap();
    let vrf = made("ipam/vrfs/", json!({ "name": "customers", "rd": "64500:7" })).await;
    let tenant = made("tenancy/tenants/", json!({ "name": "Example Hosting", "slug": "example" })).await;
    let today = SystemClock::new(jiff::tz::TimeZone::UTC).today();
    let fields = json!({ "lease_owner": "ACME-LIR", "lease_expiry": (today + 10.days()).to_string() });
    let leased = |vrf: Option<u64>, tenant: Option<u64>| {
        let body =
            json!({ "prefix": "203.0.113.0/24", "vrf": vrf, "tenant": tenant, "custom_fields": fields });
        made("ipam/prefixes/", body)
    };
    let wanted = leased(Some(vrf), Some(tenant)).await;
    let elsewhere = leased(None, Some(tenant)).await;
    let other = made("ipam/vrfs/", json!({ "name": "other", "enforce_unique": false })).await;
    let of_nobody = leased(Some(other), None).await;
    let server = Server::before(&netbox).await;
    let shown = async |vrf: Option<Vrf>, tenant: Option<Tenant>| {
        let request = v1::WatchExpiryRequest {
            vrf: vrf.map(|named| v1::VrfRef { r#ref: Some(named) }),
            tenant: tenant.map(|named| v1::TenantRef { r#ref: Some(named) }),
            ..v1::WatchExpiryRequest::default()
        };
        let mut stream = server.leases.clone().watch_expiry(request).await?.into_inner();
        let mut ids = Vec::new();
        loop {
            match stream.message().await?.unwrap().item {
                Some(Item::Lease(lease)) => ids.push(lease.prefix_id),
                Some(Item::Synced(_)) => return Ok::<_, tonic::Status>(ids),
                other => panic!("{other:?}"),
            }
        }
    };
    assert_eq!(shown(None, None).await.unwrap(), [wanted, elsewhere, of_nobody]);
    for named in [Vrf::Id(vrf), Vrf::Name("customers".to_owned()), Vrf::Rd("64500:7".to_owned())] {
        assert_eq!(shown(Some(named), None).await.unwrap(), [wanted]);
    }
    assert_eq!(shown(Some(Vrf::Id(0)), None).await.unwrap(), [elsewhere], "0 is the global table");
    let names =
        [Tenant::Id(tenant), Tenant::Slug("example".to_owned()), Tenant::Name("Example Hosting".to_owned())];
    for named in names {
        assert_eq!(shown(None, Some(named.clone())).await.unwrap(), [wanted, elsewhere]);
        assert_eq!(shown(Some(Vrf::Id(vrf)), Some(named)).await.unwrap(), [wanted]);
    }
    let status = shown(Some(Vrf::Name("nothing".to_owned())), None).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::NotFound);

    // Events are limited in the same way: of two changes, only that in the VRF is sent.
    let request = v1::WatchExpiryRequest {
        vrf: Some(v1::VrfRef { r#ref: Some(Vrf::Name("customers".to_owned())) }),
        tenant: Some(v1::TenantRef { r#ref: Some(Tenant::Name("Example Hosting".to_owned())) }),
        horizon_days: Some(5),
        ..v1::WatchExpiryRequest::default()
    };
    let mut stream = server.leases.clone().watch_expiry(request).await.unwrap().into_inner();
    assert!(matches!(stream.message().await.unwrap().unwrap().item, Some(Item::Synced(_))));
    for id in [elsewhere, wanted] {
        let body = json!({ "custom_fields": { "lease_expiry": today.to_string() } });
        netbox.rest("PATCH", &format!("ipam/prefixes/{id}/"), Some(body)).await;
    }
    let changed = next_event(&mut stream).await;
    assert_eq!(changed.r#type(), v1::EventType::LeaseChanged);
    let Some(v1::event::Subject::Prefix(change)) = changed.subject else { panic!("not about a prefix") };
    assert_eq!(change.after.unwrap().id, wanted);
}

#[tokio::test]
async fn a_term_that_moves_is_watched() {
    changes_of_terms_are_watched(&NetBox::emulated().await).await;
}

#[tokio::test]
async fn a_term_that_moves_in_the_real_netbox_is_watched() {
    if let Some(netbox) = NetBox::real("expiry::a_term_that_moves_in_the_real_netbox_is_watched").await {
        changes_of_terms_are_watched(&netbox).await;
    }
}
