//! `cargo bench --bench watchers`: 5,000 watchers of one server, and one that never reads.
//!
//! The server is a process of its own and uses an emulated NetBox; the watchers run in this process, over ten connections and
//! on the same cores. The bench prints the time from the call that renews a lease to the arrival of its event at the first,
//! the middle and the last watcher, the server's memory per watcher, and what a flood of events costs while one watcher does
//! not read. It exits with 1 if the last watcher waits longer than 500 ms in the median round. It uses the loopback only and
//! ends by itself within two minutes.

// A program for developers: it panics on what it cannot do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    missing_docs
)]

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use leasehold::clock::SystemClock;
use leasehold::emulator::Emulator;
use leasehold::netbox::{Client, NetBoxSettings, schema};
use leasehold::rpc::proto::v1::event_service_client::EventServiceClient;
use leasehold::rpc::proto::v1::lease_service_client::LeaseServiceClient;
use leasehold::rpc::proto::v1::watch_events_response::Item;
use leasehold::rpc::proto::{Date, v1};
use secrecy::SecretString;
use serde_json::json;
use tokio::sync::mpsc;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

const WATCHERS: usize = 5_000;
const CONNECTIONS: usize = 10;
const ROUNDS: usize = 20;
const FLOOD: usize = 30_000;
const TOKEN: &str = "0123456789abcdef0123456789abcdef01234567";
const LIMIT: Duration = Duration::from_millis(500);

fn free() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

/// A server process that is killed when this is dropped.
struct Server {
    process: Child,
    grpc: SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    fn start(netbox: &str, directory: &std::path::Path) -> Self {
        let (grpc, http) = (free(), free());
        let process = Command::new(env!("CARGO_BIN_EXE_leasehold"))
            .arg("serve")
            .env("LEASEHOLD_NETBOX__URL", netbox)
            .env("LEASEHOLD_NETBOX__TOKEN", TOKEN)
            .env("LEASEHOLD_SERVER__GRPC_LISTEN", grpc.to_string())
            .env("LEASEHOLD_SERVER__HTTP_LISTEN", http.to_string())
            .env("LEASEHOLD_STORAGE__DIRECTORY", directory)
            .env("LEASEHOLD_SYNC__POLL_SECONDS", "0.1")
            .env("LEASEHOLD_LOG__LEVEL", "error")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self { process, grpc }
    }

    /// The resident memory of the process in KiB.
    fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    fn endpoint(&self) -> Endpoint {
        Channel::from_shared(format!("http://{}", self.grpc)).unwrap()
    }

    async fn connect(&self) -> Channel {
        for _ in 0..100 {
            if let Ok(channel) = self.endpoint().connect().await {
                return channel;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the server does not answer");
    }
}

fn watch() -> v1::WatchEventsRequest {
    v1::WatchEventsRequest {
        skip_snapshot: true,
        owner: "ACME-LIR".into(),
        ..v1::WatchEventsRequest::default()
    }
}

async fn renew(leases: &mut LeaseServiceClient<Channel>, day: i32) {
    let request = v1::RenewLeaseRequest {
        key: Some(v1::renew_lease_request::Key::Prefix("203.0.113.0/24".into())),
        expiry_date: Some(Date { year: 2030, month: 1, day }),
        ..v1::RenewLeaseRequest::default()
    };
    leases.renew_lease(request).await.unwrap();
}

fn percentile(sorted: &[Duration], of_hundred: usize) -> f64 {
    sorted[(sorted.len() - 1) * of_hundred / 100].as_secs_f64() * 1e3
}

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    let emulator = Emulator::new(TOKEN, Arc::new(SystemClock::new(jiff::tz::TimeZone::UTC)));
    let listening = emulator.listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
    let settings =
        NetBoxSettings::new(listening.url().parse().unwrap(), SecretString::from(TOKEN.to_owned()));
    let client = Client::new(&settings).unwrap();
    client.connect().await.unwrap();
    for step in schema::plan(&client).await.unwrap() {
        schema::apply(&client, &step).await.unwrap();
    }
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(&listening.url(), directory.path());
    let mut leases = LeaseServiceClient::new(server.connect().await);
    let register = v1::RegisterLeaseRequest {
        prefix: "203.0.113.0/24".into(),
        owner: "ACME-LIR".into(),
        expiry_date: Some(Date { year: 2029, month: 1, day: 1 }),
        ..v1::RegisterLeaseRequest::default()
    };
    while leases.register_lease(register.clone()).await.is_err() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    let slow = fan_out(&server, &mut leases).await;
    flood(&server, &listening.url(), &mut leases).await;
    if slow {
        println!("FAILED: the last watcher waits longer than {LIMIT:?} at the median round");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Measures how long an event takes to reach each of 5,000 watchers. True if the last one waits too long.
async fn fan_out(server: &Server, leases: &mut LeaseServiceClient<Channel>) -> bool {
    let before = server.resident();
    let (arrived, mut arrivals) = mpsc::unbounded_channel::<Instant>();
    let opened = Instant::now();
    let mut tasks = Vec::new();
    let mut channels = Vec::new();
    for _ in 0..CONNECTIONS {
        channels.push(server.connect().await);
    }
    let (ready, mut synced) = mpsc::unbounded_channel::<()>();
    for nth in 0..WATCHERS {
        let mut events = EventServiceClient::new(channels[nth % CONNECTIONS].clone());
        let (arrived, ready) = (arrived.clone(), ready.clone());
        tasks.push(tokio::spawn(async move {
            let mut stream = events.watch_events(watch()).await.unwrap().into_inner();
            while let Ok(Some(message)) = stream.message().await {
                match message.item {
                    Some(Item::Synced(_)) => ready.send(()).unwrap(),
                    Some(Item::Event(_)) => arrived.send(Instant::now()).unwrap(),
                    _ => {}
                }
            }
        }));
    }
    for _ in 0..WATCHERS {
        synced.recv().await.unwrap();
    }
    let held = server.resident();
    println!(
        "{WATCHERS} watchers over {CONNECTIONS} connections, opened in {:.1} s",
        opened.elapsed().as_secs_f64()
    );
    println!(
        "server's memory: {} MiB before, {} MiB with them, {} KiB a watcher",
        before / 1024,
        held / 1024,
        held.saturating_sub(before) / WATCHERS as u64
    );

    let mut rounds: Vec<[Duration; 3]> = Vec::new();
    for round in 0..ROUNDS {
        let called = Instant::now();
        renew(leases, i32::try_from(round).unwrap() + 2).await;
        let mut took = Vec::with_capacity(WATCHERS);
        for _ in 0..WATCHERS {
            let at = tokio::time::timeout(Duration::from_secs(20), arrivals.recv()).await;
            took.push(at.expect("an event did not arrive").unwrap().duration_since(called));
        }
        took.sort_unstable();
        rounds.push([took[0], took[WATCHERS / 2], took[WATCHERS - 1]]);
        assert!(arrivals.try_recv().is_err(), "an event arrived twice");
    }
    println!("from the call of RenewLease to the event's arrival, of {ROUNDS} rounds (ms):");
    println!("  {:<18} {:>8} {:>8}", "watcher", "p50", "worst");
    let mut slow = false;
    for (nth, name) in ["the first", "the middle one", "the last"].iter().enumerate() {
        let mut column: Vec<Duration> = rounds.iter().map(|round| round[nth]).collect();
        column.sort_unstable();
        println!("  {name:<18} {:>8.1} {:>8.1}", percentile(&column, 50), percentile(&column, 100));
        slow = nth == 2 && column[ROUNDS / 2] > LIMIT;
    }
    for task in tasks {
        task.abort();
    }
    slow
}

/// Sends more events than the server buffers to nine watchers that read and to one that does not.
async fn flood(server: &Server, netbox: &str, leases: &mut LeaseServiceClient<Channel>) {
    // The server needs a moment to drop the streams of the first part, which would count as memory of this one.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = server.resident();
    let all = || v1::WatchEventsRequest { skip_snapshot: true, ..v1::WatchEventsRequest::default() };
    // A narrow window: HTTP/2 lets the server send only what the reader has room for.
    let narrow = server.endpoint().initial_stream_window_size(65_535).connect().await.unwrap();
    let mut idle = EventServiceClient::new(narrow).watch_events(all()).await.unwrap().into_inner();
    let counted = Arc::new(AtomicU64::new(0));
    for _ in 0..9 {
        let mut events = EventServiceClient::new(server.connect().await);
        let counted = counted.clone();
        tokio::spawn(async move {
            let mut stream = events.watch_events(all()).await.unwrap().into_inner();
            while let Ok(Some(message)) = stream.message().await {
                if let Some(Item::Event(_)) = message.item {
                    counted.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let http = reqwest::Client::new();
    let began = Instant::now();
    for block in 0..FLOOD / 250 {
        let body: Vec<_> = (0..250)
            .map(|nth| {
                json!({ "prefix": format!("10.{block}.{nth}.0/24"), "vrf": null,
                "description": format!("{nth} {}", "x".repeat(100)) })
            })
            .collect();
        let post = http.post(format!("{netbox}/api/ipam/prefixes/")).json(&body);
        let answer = post.header("authorization", format!("Token {TOKEN}")).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap_or_default());
    }
    let wanted = 9 * FLOOD as u64;
    let mut most = 0;
    while counted.load(Ordering::Relaxed) < wanted && began.elapsed() < Duration::from_secs(90) {
        most = most.max(server.resident());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let seen = counted.load(Ordering::Relaxed);
    println!("a flood of {FLOOD} events, nine watchers that read and one that never does:");
    println!("  the nine have {seen} of {wanted} events after {:.1} s", began.elapsed().as_secs_f64());
    println!(
        "  server's memory: {} MiB before, {} MiB at most, which includes the prefixes themselves",
        before / 1024,
        most / 1024
    );
    let called = Instant::now();
    renew(leases, 30).await;
    println!("  a write takes {:.1} ms meanwhile", called.elapsed().as_secs_f64() * 1e3);
    // The watcher begins to read: it receives what was sent before, and then the status that closes its stream.
    let mut on_its_way = 0;
    let ended = loop {
        match idle.message().await {
            Ok(Some(_)) => on_its_way += 1,
            Ok(None) => break None,
            Err(status) => break Some(status),
        }
    };
    let status = ended.expect("the idle watcher's stream ends with a status");
    assert_eq!((seen, status.code()), (wanted, Code::Aborted), "{status:?}");
    println!(
        "  the one that never read had {on_its_way} messages on their way, and is closed: {}",
        status.message()
    );
}
