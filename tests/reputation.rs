//! Blocklists over whole blocks: sweeps with a budget, what was inherited, and what is never said.

use std::time::{Duration, Instant};

use leasehold::config::Settings;
use leasehold::dnsbl::DnsblSettings;
use leasehold::rpc::proto::v1;
use leasehold::rpc::proto::v1::check_reputation_request::Target;
use leasehold::rpc::proto::v1::check_reputation_response::Item;
use serde_json::{Value, json};

use crate::dnsbl::{Rbldnsd, zone};
use crate::support::peers::variable;
use crate::support::{NetBox, Server, settings};

const SELF_TEST: &str = "127.0.0.2\n";

/// Rounds on demand, against these zones.
fn checking(netbox: &NetBox, server: &Rbldnsd, zones: &[&str]) -> Settings {
    let mut settings = settings(netbox);
    settings.checks.dnsbl = DnsblSettings {
        resolvers: vec![server.at],
        zones: zones.iter().map(|name| zone(name)).collect(),
        timeout: Duration::from_secs(2),
    };
    settings.checks.validation.reputation_every = Duration::from_secs(3600);
    settings
}

async fn lease(netbox: &NetBox, prefix: &str) -> u64 {
    let fields = json!({ "lease_owner": "ACME-LIR", "lease_expiry": "2126-06-01" });
    let made = netbox.post("ipam/prefixes/", json!({ "prefix": prefix, "custom_fields": fields })).await;
    made["id"].as_u64().unwrap()
}

async fn recorded(netbox: &NetBox, id: u64) -> Value {
    let (_, record, _) = netbox.rest("GET", &format!("ipam/prefixes/{id}/"), None).await;
    let value = record["custom_fields"]["reputation"].clone();
    value.get("value").cloned().unwrap_or(value)
}

/// Every message of a check.
async fn ask(server: &Server, target: Target, recorded: bool) -> Vec<Item> {
    let request = v1::CheckReputationRequest { target: Some(target), vrf_id: 0, recorded };
    let mut stream = server.validation.clone().check_reputation(request).await.unwrap().into_inner();
    let mut items = Vec::new();
    while let Some(message) = stream.message().await.unwrap() {
        items.push(message.item.unwrap());
    }
    items
}

async fn result(server: &Server, target: Target, recorded: bool) -> v1::BlockReputation {
    match ask(server, target, recorded).await.pop() {
        Some(Item::Result(result)) => result,
        other => panic!("{other:?}"),
    }
}

fn prefix(text: &str) -> Target {
    Target::Prefix(text.to_owned())
}

/// rbldnsd looks for a changed file every second, and tells files apart by the second.
async fn rewrite(directory: &tempfile::TempDir, zone: &str, text: &str) {
    tokio::time::sleep(Duration::from_millis(1100)).await;
    std::fs::write(directory.path().join(zone), text).unwrap();
    tokio::time::sleep(Duration::from_millis(2200)).await;
}

#[tokio::test]
async fn a_block_is_swept_told_and_what_was_inherited_is_told_from_what_came_since() {
    let name = "a_block_is_swept_told_and_what_was_inherited_is_told_from_what_came_since";
    let Some(rbldnsd) = variable(name, "LEASEHOLD_TEST_RBLDNSD", "rbldnsd") else { return };
    let directory = tempfile::tempdir().unwrap();
    let inherited = format!("{SELF_TEST}203.0.113.9 :127.0.0.2:it came with the block\n");
    let lists = Rbldnsd::up(&rbldnsd, directory.path(), &[("bl.test", "ip4set", &inherited)]).await;
    let netbox = NetBox::emulated().await;
    let id = lease(&netbox, "203.0.113.0/28").await;
    let clean = lease(&netbox, "198.51.100.0/28").await;
    netbox.post("ipam/ip-addresses/", json!({ "address": "203.0.113.5/28" })).await;
    let server = Server::with(checking(&netbox, &lists, &["bl.test"])).await;
    server.live().await;
    assert_eq!(server.run("validation.reputation").await, "");
    assert_eq!(
        (recorded(&netbox, id).await, recorded(&netbox, clean).await),
        (json!("listed"), json!("clean"))
    );
    assert_eq!(server.told(v1::EventType::ReputationChanged).await, [], "the first round is a baseline");

    // Another one is listed since, and the one that came with the block is not any more.
    let since = format!("{SELF_TEST}203.0.113.5 :127.0.0.2:one of our customers\n");
    rewrite(&directory, "bl.test", &since).await;
    server.run("validation.reputation").await;
    let found = result(&server, prefix("203.0.113.0/28"), true).await;
    let rows: Vec<(&str, Option<bool>, &str)> =
        found.listings.iter().map(|row| (row.address.as_str(), row.inherited, row.reason.as_str())).collect();
    assert_eq!(rows, [("203.0.113.5", Some(false), "one of our customers")]);
    rewrite(&directory, "bl.test", &inherited).await;
    server.run("validation.reputation").await;
    let found = result(&server, prefix("203.0.113.0/28"), true).await;
    assert_eq!(found.listings[0].inherited, Some(true));

    // Delisted: confirmed by a second round, then told.
    rewrite(&directory, "bl.test", SELF_TEST).await;
    server.run("validation.reputation").await;
    assert_eq!(recorded(&netbox, id).await, "listed", "one look is not enough");
    server.run("validation.reputation").await;
    assert_eq!(recorded(&netbox, id).await, "clean");
    let told = server.told(v1::EventType::ReputationChanged).await;
    let Some(v1::event::Subject::Verdict(change)) = &told[0].subject else { panic!("{told:?}") };
    assert_eq!((told.len(), change.before.as_str(), change.after.as_str()), (1, "listed", "clean"));
}

#[tokio::test]
async fn a_list_that_fails_makes_nothing_clean_and_unlists_nothing() {
    let name = "a_list_that_fails_makes_nothing_clean_and_unlists_nothing";
    let Some(rbldnsd) = variable(name, "LEASEHOLD_TEST_RBLDNSD", "rbldnsd") else { return };
    let directory = tempfile::tempdir().unwrap();
    // One zone is well, one fails its self-test, and one answers error codes about the block.
    let errors = format!("{SELF_TEST}198.51.100.0/28 :127.255.255.254:public resolver\n");
    let listed = format!("{SELF_TEST}203.0.113.1\n203.0.113.2\n");
    let lists = Rbldnsd::up(
        &rbldnsd,
        directory.path(),
        &[
            ("well.test", "ip4set", &listed),
            ("untested.test", "ip4set", "203.0.113.3\n"),
            ("error.test", "ip4set", &errors),
        ],
    )
    .await;
    let netbox = NetBox::emulated().await;
    let clean = lease(&netbox, "192.0.2.0/28").await;
    let refused = lease(&netbox, "198.51.100.0/28").await;
    let bad = lease(&netbox, "203.0.113.0/28").await;
    let server = Server::with(checking(&netbox, &lists, &["well.test", "error.test"])).await;
    server.live().await;
    let error = server.run("validation.reputation").await;
    assert!(error.contains("198.51.100.0/28: error.test: 16 queries in a row failed"), "{error}");
    assert_eq!(recorded(&netbox, clean).await, "clean");
    assert_eq!(recorded(&netbox, refused).await, Value::Null, "an error code is neither listed nor clean");
    assert_eq!(recorded(&netbox, bad).await, "listed");
    server.running.stop().await;

    let server = Server::with(checking(&netbox, &lists, &["well.test", "untested.test"])).await;
    server.live().await;
    server.run("validation.reputation").await;
    assert_eq!(recorded(&netbox, clean).await, "clean", "what was said before stands");
    let found = result(&server, prefix("192.0.2.0/28"), true).await;
    assert_eq!(found.reputation(), v1::Reputation::Unspecified);
    assert!(found.causes[0].reason.contains("self-test"), "{:?}", found.causes);
    let found = result(&server, prefix("203.0.113.0/28"), false).await;
    assert_eq!(found.reputation(), v1::Reputation::Listed, "a listing needs nobody else's word");
    let named: Vec<&str> = found.listings.iter().map(|row| row.zone.as_str()).collect();
    assert_eq!(named, ["well.test", "well.test"], "a zone that failed its self-test lists nothing");
    let status = server.admin.clone().get_status(v1::GetStatusRequest {}).await.unwrap().into_inner();
    let troubled: Vec<&str> =
        status.sources.iter().filter(|row| !row.trouble.is_empty()).map(|row| row.name.as_str()).collect();
    assert_eq!(troubled, ["untested.test"]);
}

#[tokio::test]
async fn a_slash_24_over_five_zones_takes_less_than_two_seconds_and_tells_how_far_it_is() {
    let name = "a_slash_24_over_five_zones_takes_less_than_two_seconds_and_tells_how_far_it_is";
    let Some(rbldnsd) = variable(name, "LEASEHOLD_TEST_RBLDNSD", "rbldnsd") else { return };
    let directory = tempfile::tempdir().unwrap();
    let names = ["a.test", "b.test", "c.test", "d.test", "e.test"];
    let listed = format!("{SELF_TEST}203.0.113.77\n");
    let zones: Vec<(&str, &str, &str)> =
        names.iter().map(|name| (*name, "ip4set", listed.as_str())).collect();
    let lists = Rbldnsd::up(&rbldnsd, directory.path(), &zones).await;
    let netbox = NetBox::emulated().await;
    let server = Server::with(checking(&netbox, &lists, &names)).await;
    server.live().await;
    let began = Instant::now();
    let items = ask(&server, prefix("203.0.113.0/24"), false).await;
    let took = began.elapsed();
    let Some(Item::Result(found)) = items.last() else { panic!("{items:?}") };
    assert_eq!((found.reputation(), found.listings.len()), (v1::Reputation::Watch, 5), "{}", found.reason);
    assert!(
        found.zones.iter().all(|zone| zone.complete_time.is_some() && zone.failed == 0),
        "{:?}",
        found.zones
    );
    let done: Vec<u64> = items
        .iter()
        .filter_map(|item| match item {
            Item::Progress(progress) => {
                assert_eq!(progress.total, 5 * 256);
                Some(progress.done)
            }
            Item::Result(_) => None,
        })
        .collect();
    assert!(!done.is_empty() && done.is_sorted(), "{done:?}");
    assert!(took < Duration::from_secs(2), "it took {took:?}");
}

#[tokio::test]
async fn a_slash_19_stays_inside_its_budget_and_is_whole_after_enough_rounds() {
    let name = "a_slash_19_stays_inside_its_budget_and_is_whole_after_enough_rounds";
    let Some(rbldnsd) = variable(name, "LEASEHOLD_TEST_RBLDNSD", "rbldnsd") else { return };
    let directory = tempfile::tempdir().unwrap();
    let lists = Rbldnsd::up(&rbldnsd, directory.path(), &[("bl.test", "ip4set", SELF_TEST)]).await;
    // Counts what passes by.
    let counted = crate::support::proxy::CountingUdp::before(lists.at).await;
    let netbox = NetBox::emulated().await;
    let id = lease(&netbox, "203.0.96.0/19").await;
    netbox.post("ipam/ip-addresses/", json!({ "address": "203.0.127.200/19" })).await;
    let mut settings = checking(&netbox, &lists, &["bl.test"]);
    settings.checks.dnsbl.resolvers = vec![counted.at];
    settings.checks.validation.reputation.budget = 3000;
    let server = Server::with(settings).await;
    server.live().await;
    // The job of new blocks may have made the first run already.
    let mut rounds = 0;
    while recorded(&netbox, id).await == Value::Null {
        let before = counted.queries();
        server.run("validation.reputation").await;
        let spent = counted.queries() - before;
        // The recorded address and a self-test of two queries come on top, and a run of the other job may lie in between.
        assert!(spent <= 2 * (3000 + 1 + 2), "{spent} queries");
        rounds += 1;
        assert!(rounds <= 3, "8192 addresses are three rounds of 3000");
    }
    assert_eq!(recorded(&netbox, id).await, "clean");
}

#[tokio::test]
async fn one_address_is_asked_about_and_a_space_that_nobody_can_sweep_is_refused() {
    let name = "one_address_is_asked_about_and_a_space_that_nobody_can_sweep_is_refused";
    let Some(rbldnsd) = variable(name, "LEASEHOLD_TEST_RBLDNSD", "rbldnsd") else { return };
    let directory = tempfile::tempdir().unwrap();
    let listed = format!("{SELF_TEST}203.0.113.5 :127.0.0.10:dynamic\n203.0.113.6 :127.0.0.4:spam\n");
    let lists = Rbldnsd::up(&rbldnsd, directory.path(), &[("bl.test", "ip4set", &listed)]).await;
    let netbox = NetBox::emulated().await;
    let server = Server::with(checking(&netbox, &lists, &["bl.test"])).await;
    server.live().await;
    let word = async |address: &str| {
        let found = result(&server, Target::Address(address.to_owned()), false).await;
        (found.prefix.clone(), found.reputation())
    };
    assert_eq!(word("203.0.113.5").await, ("203.0.113.5/32".to_owned(), v1::Reputation::Watch));
    assert_eq!(word("203.0.113.6").await, ("203.0.113.6/32".to_owned(), v1::Reputation::Listed));
    assert_eq!(word("203.0.113.7").await, ("203.0.113.7/32".to_owned(), v1::Reputation::Clean));
    // No list here lists IPv6: that is not clean.
    assert_eq!(word("2001:db8::1").await.1, v1::Reputation::Unspecified);
}
