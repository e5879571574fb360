//! IRR clients against a real IRRd with objects loaded, and against servers that misbehave.

use std::num::NonZeroUsize;

use leasehold::irr::{IrrClient, IrrProtocol, IrrServerSettings, IrrSettings, IrrState, IrrVerdict};
use leasehold::model::{Asn, CouldNotCheck, Observed, Route};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::support::peers::variable;

fn server(server: &str, protocol: IrrProtocol, sources: &[&str]) -> IrrServerSettings {
    let sources = sources.iter().map(|source| (*source).to_owned()).collect();
    IrrServerSettings {
        server: server.to_owned(),
        protocol,
        sources,
        connections: NonZeroUsize::MIN.saturating_add(1),
    }
}

fn registry(servers: Vec<IrrServerSettings>) -> IrrClient {
    IrrClient::new(&IrrSettings { servers, authoritative: vec!["exact".to_owned()] })
}

async fn check(
    registry: &IrrClient,
    prefix: &str,
    origin: u32,
) -> Result<Observed<IrrVerdict>, CouldNotCheck> {
    let route = Route { prefix: prefix.parse().unwrap(), origin: Asn::try_from(origin).unwrap() };
    registry.check(route, jiff::Timestamp::UNIX_EPOCH).await
}

async fn state(registry: &IrrClient, prefix: &str, origin: u32) -> IrrState {
    check(registry, prefix, origin).await.unwrap().value.state
}

/// The objects are loaded by tests/peers/routing.py.
#[tokio::test]
async fn a_real_irrd_gives_every_state() {
    let Some(irrd) = variable("a_real_irrd_gives_every_state", "LEASEHOLD_TEST_IRRD", "IRRd") else {
        return;
    };
    let registry = registry(vec![server(&irrd, IrrProtocol::Irrd, &[])]);
    let exact = check(&registry, "203.0.113.0/24", 64500).await.unwrap();
    assert_eq!((exact.value.state, exact.value.authoritative), (IrrState::Registered, true));
    assert_eq!(exact.source, "irr source EXACT");
    assert_eq!(state(&registry, "192.0.2.0/24", 64500).await, IrrState::OtherOrigin);
    assert_eq!(state(&registry, "203.0.114.0/24", 64500).await, IrrState::LessSpecific);
    assert_eq!(state(&registry, "203.0.114.0/24", 64501).await, IrrState::Absent);
    assert_eq!(state(&registry, "10.0.0.0/24", 64500).await, IrrState::Absent);
    assert_eq!(state(&registry, "2001:db8::/32", 64500).await, IrrState::Registered);
    // A ROA for another AS makes this object invalid, so IRRd shows it only without the RPKI filter.
    let hidden = check(&registry, "198.51.100.0/24", 64501).await.unwrap();
    assert_eq!(hidden.value.state, IrrState::Hidden);
    assert!(hidden.value.hidden[0].rpki_invalid, "{:?}", hidden.value.hidden);
    // IRRd shows the ROA as an object of the source RPKI, which is not a registration.
    assert_eq!(state(&registry, "198.51.100.0/24", 64500).await, IrrState::Absent);
}

#[tokio::test]
async fn only_the_configured_sources_of_a_real_irrd_are_asked() {
    let Some(irrd) =
        variable("only_the_configured_sources_of_a_real_irrd_are_asked", "LEASEHOLD_TEST_IRRD", "IRRd")
    else {
        return;
    };
    let other = registry(vec![server(&irrd, IrrProtocol::Irrd, &["OTHER"])]);
    assert_eq!(state(&other, "203.0.113.0/24", 64500).await, IrrState::Absent);
    let unknown = registry(vec![server(&irrd, IrrProtocol::Irrd, &["NOSUCH"])]);
    let error = check(&unknown, "203.0.113.0/24", 64500).await.unwrap_err();
    assert!(error.to_string().contains("sources are unavailable"), "{error}");
}

#[tokio::test]
async fn many_queries_share_few_connections_to_a_real_irrd() {
    let Some(irrd) =
        variable("many_queries_share_few_connections_to_a_real_irrd", "LEASEHOLD_TEST_IRRD", "IRRd")
    else {
        return;
    };
    let registry = registry(vec![server(&irrd, IrrProtocol::Irrd, &[])]);
    let asked =
        (0..40).map(|nth| {
            let registry = &registry;
            async move {
                state(registry, if nth % 2 == 0 { "203.0.113.0/24" } else { "10.0.0.0/24" }, 64500).await
            }
        });
    let states = futures::future::join_all(asked).await;
    assert_eq!(states.iter().filter(|state| **state == IrrState::Registered).count(), 20);
    assert_eq!(states.iter().filter(|state| **state == IrrState::Absent).count(), 20);
}

/// A server that answers every connection with the same text and hangs up.
async fn stand_in(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut query = [0; 512];
                let _ = stream.read(&mut query).await;
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    at
}

/// The answers are those that the RIPE database documents.
#[tokio::test]
async fn a_ripe_server_is_read_until_it_hangs_up() {
    let found = stand_in(
        "% This is the RIPE Database query service.\n\nroute:          203.0.113.0/24\norigin:         AS64500\n\
         source:         RIPE\n\n% This query was served by the RIPE Database Query Service version 1.114\n\n\n",
    )
    .await;
    let registry = registry(vec![server(&found, IrrProtocol::Ripe, &["RIPE"])]);
    assert_eq!(state(&registry, "203.0.113.0/24", 64500).await, IrrState::Registered);
    let none = stand_in("%ERROR:101: no entries found\n%\n% No entries found in source RIPE.\n\n").await;
    let registry = self::registry(vec![server(&none, IrrProtocol::Ripe, &[])]);
    assert_eq!(state(&registry, "203.0.113.0/24", 64500).await, IrrState::Absent);
}

#[tokio::test]
async fn the_geofeed_of_an_inetnum_is_found() {
    let found = stand_in(
        "% Information related to '203.0.113.0 - 203.0.113.255'\n\ninetnum:        203.0.113.0 - 203.0.113.255\n\
         geofeed:        https://acme-lir.example/geofeed.csv\nsource:         RIPE\n\n",
    )
    .await;
    let prefix = "203.0.113.0/24".parse().unwrap();
    let named = registry(vec![server(&found, IrrProtocol::Ripe, &[])]);
    assert_eq!(named.geofeed(prefix).await.unwrap().as_deref(), Some("https://acme-lir.example/geofeed.csv"));
    // IRRd holds no inetnum objects, and without servers there is no geofeed.
    let irrd = registry(vec![server("127.0.0.1:1", IrrProtocol::Irrd, &[])]);
    assert_eq!((irrd.geofeed(prefix).await, registry(vec![]).geofeed(prefix).await), (Ok(None), Ok(None)));
    let dead = registry(vec![server("127.0.0.1:1", IrrProtocol::Ripe, &[])]);
    assert!(dead.geofeed(prefix).await.is_err());
}

#[tokio::test]
async fn a_server_that_gives_no_answer_never_means_absent() {
    let cases = [
        (IrrProtocol::Ripe, "%ERROR:201: access denied for 192.0.2.1\n"),
        (IrrProtocol::Ripe, ""),
        (IrrProtocol::Ripe, "% This is the RIPE Database query service.\n\n"),
        (IrrProtocol::Irrd, ""),
        (IrrProtocol::Irrd, "F Missing required parameter\n"),
        (IrrProtocol::Irrd, "C\nA99999999999\n"),
        (IrrProtocol::Irrd, "C\nA10\nshort"),
        (IrrProtocol::Irrd, "HTTP/1.1 400 Bad Request\r\n"),
    ];
    for (protocol, answer) in cases {
        let registry = registry(vec![server(&stand_in(answer).await, protocol, &[])]);
        let checked = check(&registry, "203.0.113.0/24", 64500).await;
        assert!(checked.is_err(), "{answer:?}: {checked:?}");
    }
    let nobody = registry(vec![server("127.0.0.1:1", IrrProtocol::Irrd, &[])]);
    assert_eq!(
        check(&nobody, "203.0.113.0/24", 64500).await.unwrap_err().causes.len(),
        2,
        "with and without the filter"
    );
    assert!(check(&registry(Vec::new()), "203.0.113.0/24", 64500).await.unwrap_err().is_not_configured());
}

/// One server is enough for *registered*; *absent* needs the answers of all servers.
#[tokio::test]
async fn absent_needs_the_answers_of_all_servers() {
    let found = stand_in("route: 203.0.113.0/24\norigin: AS64500\nsource: RIPE\n").await;
    let dead = server("127.0.0.1:1", IrrProtocol::Ripe, &[]);
    let registry = registry(vec![dead, server(&found, IrrProtocol::Ripe, &[])]);
    assert_eq!(state(&registry, "203.0.113.0/24", 64500).await, IrrState::Registered);
    assert!(check(&registry, "203.0.113.0/24", 64501).await.is_err());
}
