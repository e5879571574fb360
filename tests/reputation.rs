//! Blocklist checks of whole blocks: rounds with a budget, inherited listings, and lists that fail.

use std::time::{Duration, Instant};

use leasehold::config::Settings;
use leasehold::dnsbl::DnsblSettings;
use leasehold::rpc::proto::v1;
use leasehold::rpc::proto::v1::check_reputation_request::Target;
use leasehold::rpc::proto::v1::check_reputation_response::Item;
use serde_json::{Value, json};

use crate::dnsbl::{Rbldnsd, zone};
use crate::support::peers::variable;
use crate::support::{NetBox, Server, eventually, settings};

const SELF_TEST: &str = "127.0.0.2\n";

/// Settings of a server that asks these zones and whose rounds run only when a test asks.
fn checking(netbox: &NetBox, server: &Rbldnsd, zones: &[&str]) -> Settings {
    let mut settings = settings(netbox);
    settings.checks.dnsbl = DnsblSettings {
        resolvers: vec![server.at],
        zones: zones.iter().map(|name| zone(name)).collect(),
        timeout: Duration::from_secs(10),
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

/// Every message of a blocklist check.
async fn ask(server: &Server, target: Target, recorded: bool) -> Vec<Item> {
    let request = v1::CheckReputationRequest { target: Some(target), vrf: None, recorded };
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

/// Replaces the file of `bl.test` and waits until rbldnsd serves it. Each call of a test needs a `version` of its own, above 0.
async fn rewrite(server: &Rbldnsd, directory: &tempfile::TempDir, version: u8, text: &str) {
    let (new, path) = (directory.path().join("bl.test.new"), directory.path().join("bl.test"));
    // An address outside the tested blocks shows which version is served.
    let marker = format!("198.18.0.{version}");
    std::fs::write(&new, format!("{text}{marker}\n")).unwrap();
    // rbldnsd compares times of files by the second.
    let written = std::fs::metadata(&new).unwrap().modified().unwrap();
    let modified = written + Duration::from_secs(2 * u64::from(version));
    std::fs::File::options().write(true).open(&new).unwrap().set_modified(modified).unwrap();
    std::fs::rename(&new, &path).unwrap();
    eventually("rbldnsd serves the new file", async || {
        let lists = crate::dnsbl::lists(server.at, vec![zone("bl.test")]);
        lists.check("bl.test", marker.parse().unwrap()).await.is_ok_and(|listing| listing.is_some())
    })
    .await;
}

#[tokio::test]
async fn inherited_and_new_listings_are_told_apart_and_a_delisting_is_published() {
    let name = "inherited_and_new_listings_are_told_apart_and_a_delisting_is_published";
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
    assert_eq!(server.events_of(v1::EventType::ReputationChanged).await, [], "the first round is a baseline");

    // Another address is listed since the lease began, and the inherited listing is gone.
    let since = format!("{SELF_TEST}203.0.113.5 :127.0.0.2:one of our customers\n");
    rewrite(&lists, &directory, 1, &since).await;
    server.run("validation.reputation").await;
    let found = result(&server, prefix("203.0.113.0/28"), true).await;
    let rows: Vec<(&str, Option<bool>, &str)> =
        found.listings.iter().map(|row| (row.address.as_str(), row.inherited, row.text.as_str())).collect();
    assert_eq!(rows, [("203.0.113.5", Some(false), "one of our customers")]);
    rewrite(&lists, &directory, 2, &inherited).await;
    server.run("validation.reputation").await;
    let found = result(&server, prefix("203.0.113.0/28"), true).await;
    assert_eq!(found.listings[0].inherited, Some(true));

    // A delisting is published when a second round confirms it.
    rewrite(&lists, &directory, 3, SELF_TEST).await;
    server.run("validation.reputation").await;
    assert_eq!(recorded(&netbox, id).await, "listed", "one round is not enough");
    server.run("validation.reputation").await;
    assert_eq!(recorded(&netbox, id).await, "clean");
    let events = server.events_of(v1::EventType::ReputationChanged).await;
    let Some(v1::event::Subject::Verdict(change)) = &events[0].subject else { panic!("{events:?}") };
    let delisted = v1::ReputationVerdictChange {
        before: v1::Reputation::Listed.into(),
        after: v1::Reputation::Clean.into(),
    };
    assert_eq!(events.len(), 1);
    assert_eq!(change.verdict, Some(v1::verdict_change::Verdict::Reputation(delisted)));
}

#[tokio::test]
async fn a_list_that_fails_makes_no_block_clean_and_delists_none() {
    let name = "a_list_that_fails_makes_no_block_clean_and_delists_none";
    let Some(rbldnsd) = variable(name, "LEASEHOLD_TEST_RBLDNSD", "rbldnsd") else { return };
    let directory = tempfile::tempdir().unwrap();
    // One zone works, one fails its self-test, and one answers error codes about the block.
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
    assert_eq!(recorded(&netbox, clean).await, "clean", "the earlier verdict stays");
    let found = result(&server, prefix("192.0.2.0/28"), true).await;
    assert_eq!(found.reputation(), v1::Reputation::Unspecified);
    assert!(found.causes[0].failure.as_ref().unwrap().message.contains("self-test"), "{:?}", found.causes);
    let found = result(&server, prefix("203.0.113.0/28"), false).await;
    assert_eq!(found.reputation(), v1::Reputation::Listed, "one list is enough for a listing");
    let named: Vec<&str> = found.listings.iter().map(|row| row.zone.as_str()).collect();
    assert_eq!(named, ["well.test", "well.test"], "a zone that failed its self-test lists nothing");
    let status = server.admin.clone().get_status(v1::GetStatusRequest {}).await.unwrap().into_inner();
    let troubled: Vec<&str> =
        status.sources.iter().filter(|row| row.last_failure.is_some()).map(|row| row.name.as_str()).collect();
    assert_eq!(troubled, ["untested.test"]);
}

#[tokio::test]
async fn a_slash_24_over_five_zones_takes_less_than_two_seconds_and_reports_progress() {
    let name = "a_slash_24_over_five_zones_takes_less_than_two_seconds_and_reports_progress";
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
    assert_eq!((found.reputation(), found.listings.len()), (v1::Reputation::Watch, 5), "{}", found.message);
    assert!(
        found.zones.iter().all(|zone| zone.complete_time.is_some() && zone.unanswered_count == 0),
        "{:?}",
        found.zones
    );
    let done: Vec<u64> = items
        .iter()
        .filter_map(|item| match item {
            Item::Progress(progress) => {
                assert_eq!(progress.total_query_count, 5 * 256);
                Some(progress.answered_query_count)
            }
            Item::Result(_) => None,
        })
        .collect();
    assert!(!done.is_empty() && done.is_sorted(), "{done:?}");
    assert!(took < Duration::from_secs(2), "it took {took:?}");
}

#[tokio::test]
async fn a_slash_19_stays_within_its_budget_and_is_complete_after_enough_rounds() {
    let name = "a_slash_19_stays_within_its_budget_and_is_complete_after_enough_rounds";
    let Some(rbldnsd) = variable(name, "LEASEHOLD_TEST_RBLDNSD", "rbldnsd") else { return };
    let directory = tempfile::tempdir().unwrap();
    let lists = Rbldnsd::up(&rbldnsd, directory.path(), &[("bl.test", "ip4set", SELF_TEST)]).await;
    // A proxy that counts the queries.
    let counted = crate::support::proxy::CountingUdp::before(lists.at).await;
    let netbox = NetBox::emulated().await;
    let id = lease(&netbox, "203.0.96.0/19").await;
    netbox.post("ipam/ip-addresses/", json!({ "address": "203.0.127.200/19" })).await;
    let mut settings = checking(&netbox, &lists, &["bl.test"]);
    settings.checks.dnsbl.resolvers = vec![counted.at];
    settings.checks.validation.reputation.max_queries_per_round = 3000;
    let server = Server::with(settings).await;
    server.live().await;
    // The job that checks new blocks may have made the first run already.
    let mut rounds = 0;
    while recorded(&netbox, id).await == Value::Null {
        let before = counted.queries();
        server.run("validation.reputation").await;
        let spent = counted.queries() - before;
        // The recorded address and the two queries of a self-test are not counted, and a run of the other job may lie in between.
        assert!(spent <= 2 * (3000 + 1 + 2), "{spent} queries");
        rounds += 1;
        assert!(rounds <= 3, "8192 addresses are three rounds of 3000");
    }
    assert_eq!(recorded(&netbox, id).await, "clean");
}

#[tokio::test]
async fn one_address_is_checked_and_no_list_for_its_family_is_not_clean() {
    let name = "one_address_is_checked_and_no_list_for_its_family_is_not_clean";
    let Some(rbldnsd) = variable(name, "LEASEHOLD_TEST_RBLDNSD", "rbldnsd") else { return };
    let directory = tempfile::tempdir().unwrap();
    let listed = format!("{SELF_TEST}203.0.113.5 :127.0.0.10:dynamic\n203.0.113.6 :127.0.0.4:spam\n");
    let lists = Rbldnsd::up(&rbldnsd, directory.path(), &[("bl.test", "ip4set", &listed)]).await;
    let netbox = NetBox::emulated().await;
    let server = Server::with(checking(&netbox, &lists, &["bl.test"])).await;
    server.live().await;
    let reputation = async |address: &str| {
        let found = result(&server, Target::Address(address.to_owned()), false).await;
        (found.prefix.clone(), found.reputation())
    };
    assert_eq!(reputation("203.0.113.5").await, ("203.0.113.5/32".to_owned(), v1::Reputation::Watch));
    assert_eq!(reputation("203.0.113.6").await, ("203.0.113.6/32".to_owned(), v1::Reputation::Listed));
    assert_eq!(reputation("203.0.113.7").await, ("203.0.113.7/32".to_owned(), v1::Reputation::Clean));
    // No list here covers IPv6, so the address is not called clean.
    assert_eq!(reputation("2001:db8::1").await.1, v1::Reputation::Unspecified);
}
