//! Blocklists (RFC 5782): a real rbldnsd that gives each class of answer, and resolvers that fail.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use leasehold::dnsbl::{Blocklists, DnsblSettings, LookupFailure, Zone};
use leasehold::model::{Listing, ListingClass};
use tokio::net::UdpSocket;

use crate::support::peers::variable;
use crate::support::process::{Spawned, free_port};

const SELF_TEST: &str = "127.0.0.2\n";

/// A real rbldnsd that serves some zones.
pub struct Rbldnsd {
    _process: Spawned,
    pub at: SocketAddr,
}

impl Rbldnsd {
    pub fn start(program: &str, directory: &Path, zones: &[(&str, &str, &str)]) -> Self {
        let port = free_port();
        let mut command = Command::new(program);
        command.args([
            "-n",
            "-b",
            &format!("127.0.0.1/{port}"),
            "-w",
            directory.to_str().unwrap(),
            "-c",
            "1s",
        ]);
        // Started as root, rbldnsd switches to another user, who must be able to read the zones.
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o755)).unwrap();
        for (zone, kind, text) in zones {
            std::fs::write(directory.join(zone), text).unwrap();
            command.arg(format!("{zone}:{kind}:{zone}"));
        }
        Self { _process: Spawned::start(&mut command), at: format!("127.0.0.1:{port}").parse().unwrap() }
    }

    /// Starts rbldnsd and waits until it answers. A self-test before that would fail, and its outcome is kept for a minute.
    pub async fn up(program: &str, directory: &Path, zones: &[(&str, &str, &str)]) -> Self {
        let server = Self::start(program, directory, zones);
        crate::support::process::until("rbldnsd", true, || async {
            let fresh = impatient_lists(server.at, vec![zone(zones[0].0)]);
            fresh.self_test(zones[0].0).await.is_ok()
        })
        .await;
        server
    }
}

fn rate(queries_per_second: u32) -> NonZeroU32 {
    NonZeroU32::new(queries_per_second).unwrap()
}

pub fn zone(name: &str) -> Zone {
    Zone {
        name: name.to_owned(),
        codes: Zone::default_codes(),
        queries_per_second: rate(2000),
        ipv4: true,
        ipv6: false,
    }
}

/// Waits for answers long enough for any machine that still works.
pub fn lists(resolver: SocketAddr, zones: Vec<Zone>) -> Blocklists {
    lists_with_timeout(resolver, zones, Duration::from_secs(10))
}

/// For a resolver that may not answer at all.
fn impatient_lists(resolver: SocketAddr, zones: Vec<Zone>) -> Blocklists {
    lists_with_timeout(resolver, zones, Duration::from_millis(500))
}

fn lists_with_timeout(resolver: SocketAddr, zones: Vec<Zone>, timeout: Duration) -> Blocklists {
    Blocklists::new(&DnsblSettings { resolvers: vec![resolver], zones, timeout }).unwrap()
}

async fn check(lists: &Blocklists, zone: &str, address: &str) -> Result<Option<Listing>, LookupFailure> {
    lists.check(zone, address.parse::<IpAddr>().unwrap()).await
}

#[tokio::test]
async fn each_class_of_answer_of_a_real_list() {
    let name = "each_class_of_answer_of_a_real_list";
    let Some(rbldnsd) = variable(name, "LEASEHOLD_TEST_RBLDNSD", "rbldnsd") else { return };
    let directory = tempfile::tempdir().unwrap();
    let abuse = format!(
        "{SELF_TEST}203.0.113.5 :127.0.0.4:seen spamming, see https://bl.example/$\n203.0.113.6 :127.0.0.10:dynamic space\n\
         203.0.113.7 :127.255.255.254:public resolver\n203.0.113.8 :127.0.1.9:a code of no meaning\n203.0.113.9 :192.0.2.1:sold\n"
    );
    let server = Rbldnsd::up(
        &rbldnsd,
        directory.path(),
        &[
            ("bl.test", "ip4set", &abuse),
            ("untested.test", "ip4set", "203.0.113.5\n"),
            ("everything.test", "ip4set", "0.0.0.0/0\n"),
            ("six.test", "ip6trie", "::ffff:7f00:2/128\n2001:db8::5/128 :127.0.0.3:six\n"),
        ],
    )
    .await;
    let six = Zone { ipv4: false, ipv6: true, ..zone("six.test") };
    let zones =
        vec![zone("bl.test"), zone("untested.test"), zone("everything.test"), zone("unserved.test"), six];
    let lists = lists(server.at, zones);
    let listed = check(&lists, "bl.test", "203.0.113.5").await.unwrap().unwrap();
    assert_eq!((listed.class, listed.codes[0].to_string()), (ListingClass::Abuse, "127.0.0.4".to_owned()));
    assert_eq!(listed.reason, "seen spamming, see https://bl.example/203.0.113.5");
    let policy = check(&lists, "bl.test", "203.0.113.6").await.unwrap().unwrap();
    assert_eq!(policy.class, ListingClass::Policy);
    assert_eq!(check(&lists, "bl.test", "203.0.113.7").await, Err(LookupFailure::PublicResolver));
    assert!(matches!(check(&lists, "bl.test", "203.0.113.8").await, Err(LookupFailure::UnknownCode(_))));
    assert!(matches!(check(&lists, "bl.test", "203.0.113.9").await, Err(LookupFailure::Outside(_))));
    assert_eq!(check(&lists, "bl.test", "203.0.113.10").await, Ok(None), "only NXDOMAIN means not listed");
    // A zone that fails its self-test gives no answer, neither listed nor not listed.
    for wrong in ["untested.test", "everything.test", "unserved.test"] {
        for address in ["203.0.113.5", "203.0.113.10"] {
            let answer = check(&lists, wrong, address).await;
            assert!(matches!(answer, Err(LookupFailure::Untested(_))), "{wrong} {address}: {answer:?}");
        }
    }
    let six = check(&lists, "six.test", "2001:db8::5").await.unwrap().unwrap();
    assert_eq!((six.class, six.reason.as_str()), (ListingClass::Abuse, "six"));
    assert_eq!(check(&lists, "six.test", "2001:db8::6").await, Ok(None));
    assert_eq!(lists.zones("2001:db8::5".parse().unwrap()).len(), 1);
    assert_eq!(lists.zones("203.0.113.5".parse().unwrap()).len(), 4);
}

/// A resolver that answers every query with this response code, or not at all.
async fn resolver(code: Option<u8>) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let at = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut query = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut query).await {
            let Some(code) = code else { continue };
            let mut answer = query[..length].to_vec();
            answer[2] |= 0x80;
            answer[3] = 0x80 | code;
            // The answer has no additional records, because it does not answer the EDNS option of the query.
            let question = 12 + answer[12..].iter().position(|byte| *byte == 0).unwrap() + 5;
            answer.truncate(question);
            answer[10..12].fill(0);
            let _ = socket.send_to(&answer, from).await;
        }
    });
    at
}

#[tokio::test]
async fn a_failing_resolver_is_neither_listed_nor_clean() {
    // The self-test detects a resolver that answers NXDOMAIN to everything (3), or nothing (0).
    for (code, words) in [
        (Some(2), "SERVFAIL"),
        (Some(5), "REFUSED"),
        (None, "in time"),
        (Some(3), "is not listed"),
        (Some(0), "without an address"),
    ] {
        let (at, zones) = (resolver(code).await, vec![zone("bl.test")]);
        let lists = if code.is_some() { lists(at, zones) } else { impatient_lists(at, zones) };
        let answer = check(&lists, "bl.test", "203.0.113.5").await.unwrap_err();
        let text = answer
            .to_string()
            .to_lowercase()
            .replace("server failure", "servfail")
            .replace("query refused", "refused");
        assert!(text.contains(&words.to_lowercase()), "{code:?}: {answer}");
    }
}

#[tokio::test]
async fn a_slash_24_over_five_real_lists_takes_less_than_two_seconds() {
    let name = "a_slash_24_over_five_real_lists_takes_less_than_two_seconds";
    let Some(rbldnsd) = variable(name, "LEASEHOLD_TEST_RBLDNSD", "rbldnsd") else { return };
    let directory = tempfile::tempdir().unwrap();
    let names = ["a.test", "b.test", "c.test", "d.test", "e.test"];
    let text = format!("{SELF_TEST}203.0.113.77\n");
    let zones: Vec<(&str, &str, &str)> = names.iter().map(|name| (*name, "ip4set", text.as_str())).collect();
    let server = Rbldnsd::up(&rbldnsd, directory.path(), &zones).await;
    let lists = lists(server.at, names.iter().map(|name| zone(name)).collect());
    let began = Instant::now();
    let asked = (0..=255u8).flat_map(|host| names.iter().map(move |name| (name, host)));
    let answers = futures::future::join_all(asked.map(|(name, host)| {
        let lists = &lists;
        async move { (host, check(lists, name, &format!("203.0.113.{host}")).await) }
    }))
    .await;
    let took = began.elapsed();
    for (host, answer) in answers {
        assert_eq!(answer.unwrap().is_some(), host == 77, "{host}");
    }
    assert!(took < Duration::from_secs(2), "{took:?}");
}

/// Asks about twenty addresses at ten queries a second, after a self-test of two queries and one for the reason.
#[tokio::test]
async fn the_rate_of_a_real_list_is_kept() {
    let Some(rbldnsd) = variable("the_rate_of_a_real_list_is_kept", "LEASEHOLD_TEST_RBLDNSD", "rbldnsd")
    else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let server = Rbldnsd::up(&rbldnsd, directory.path(), &[("bl.test", "ip4set", SELF_TEST)]).await;
    let lists = lists(server.at, vec![Zone { queries_per_second: rate(10), ..zone("bl.test") }]);
    let began = Instant::now();
    let answers = futures::future::join_all((0..20).map(|host| {
        let lists = &lists;
        async move { check(lists, "bl.test", &format!("203.0.113.{host}")).await }
    }))
    .await;
    assert!(answers.iter().all(|answer| *answer == Ok(None)), "{answers:?}");
    assert!(began.elapsed() >= Duration::from_millis(2100), "{:?}", began.elapsed());
}
