//! The clients of `benches/run --real`: the same number of tasks allocates addresses one by one, from NetBox's own `available-ips`
//! and from Leasehold, in turns and in one process. Prints one JSON object a line; `benches/run` starts the servers, and judges.
//!
//! Its arguments are NetBox's URL, a token of it, and the URL of Leasehold's gRPC. With `pool`, a size and a directory after that it
//! measures a pool of that size, which Leasehold keeps for prefixes with the tag `bench-pool`: a burst of its size, the rate after
//! that, and the time until all records are complete; and how long a durable commit takes in that directory.

// A program for developers: it panics on what it cannot do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    missing_docs
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use leasehold::rpc::proto::v1;
use leasehold::rpc::proto::v1::admin_service_client::AdminServiceClient;
use leasehold::rpc::proto::v1::allocation_service_client::AllocationServiceClient;
use leasehold::rpc::proto::v1::prefix_service_client::PrefixServiceClient;
use serde_json::{Value, json};
use sqlx::ConnectOptions as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use tonic::transport::{Channel, Endpoint};

/// Each scenario is measured so often, NetBox and Leasehold in turns.
const ROUNDS: usize = 3;

/// How many clients allocate, how many addresses in all, and from what.
struct Scenario {
    name: &'static str,
    clients: u32,
    addresses: u32,
    /// Whether the parent has a child prefix, inside which NetBox would allocate.
    child: bool,
}

const SCENARIOS: [Scenario; 4] = [
    Scenario { name: "1 client, NetBox picks", clients: 1, addresses: 60, child: false },
    Scenario { name: "16 clients, NetBox picks", clients: 16, addresses: 192, child: false },
    Scenario { name: "64 clients, NetBox picks", clients: 64, addresses: 448, child: false },
    Scenario { name: "64 clients, Leasehold picks", clients: 64, addresses: 448, child: true },
];

/// Where both allocate.
#[derive(Clone)]
struct Bench {
    http: reqwest::Client,
    netbox: String,
    token: String,
    grpc: Channel,
    vrf: u64,
}

impl Bench {
    async fn new() -> Self {
        let mut arguments = std::env::args().skip(1);
        let mut argument = || arguments.next().expect("arguments: NetBox's URL, its token, Leasehold's URL");
        let (netbox, token) = (argument(), argument());
        let grpc = Endpoint::from_shared(argument()).unwrap().connect().await.unwrap();
        // A connection for each request: a kept one would bind its client to one of NetBox's processes.
        let http = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
        let mut bench = Self { http, netbox, token, grpc, vrf: 0 };
        let name = format!("bench-{}", uuid::Uuid::new_v4().simple());
        let vrf = bench.post("ipam/vrfs/", &json!({ "name": name, "enforce_unique": true })).await;
        bench.vrf = vrf["id"].as_u64().unwrap();
        bench
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        let scheme = if self.token.starts_with("nbt_") { "Bearer" } else { "Token" };
        let request = self.http.post(format!("{}/api/{path}", self.netbox.trim_end_matches('/')));
        let request = request.header("Authorization", format!("{scheme} {}", self.token)).json(body);
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
        answer.json().await.unwrap()
    }

    /// A fresh parent, and its id. Leasehold knows it when this returns.
    async fn parent(&self, nth: u32, child: bool) -> (String, u64) {
        let network = format!("10.{}.{}.0/21", nth / 32, nth % 32 * 8);
        let made = self.post("ipam/prefixes/", &json!({ "prefix": network, "vrf": self.vrf })).await;
        if child {
            let inside = network.replace("/21", "/28");
            self.post("ipam/prefixes/", &json!({ "prefix": inside, "vrf": self.vrf })).await;
        }
        let address = network.replace(".0/21", ".1");
        let mut client = PrefixServiceClient::new(self.grpc.clone());
        let began = Instant::now();
        loop {
            let vrf = Some(v1::VrfRef { r#ref: Some(v1::vrf_ref::Ref::Id(self.vrf)) });
            let request = v1::LookupAddressRequest { address: address.clone(), vrf, ..Default::default() };
            let found = client.lookup_address(request).await;
            let known = found.is_ok_and(|found| found.into_inner().chain.len() == 1 + usize::from(child));
            if known {
                return (network, made["id"].as_u64().unwrap());
            }
            assert!(began.elapsed() < Duration::from_mins(1), "Leasehold does not see {network}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The state of the pool of a prefix.
    async fn pool(&self, parent: u64) -> v1::PoolStatus {
        let mut client = AdminServiceClient::new(self.grpc.clone());
        let status = client.get_status(v1::GetStatusRequest {}).await.unwrap().into_inner();
        status.pools.into_iter().find(|pool| pool.prefix_id == parent).unwrap_or_default()
    }

    /// Waits until a pool is full and nothing is pending, and returns how long that took.
    async fn full(&self, parent: u64, size: u32) -> Duration {
        let began = Instant::now();
        loop {
            let pool = self.pool(parent).await;
            if pool.stock_count == u64::from(size) && pool.pending_count == 0 {
                return began.elapsed();
            }
            assert!(began.elapsed() < Duration::from_mins(5), "the pool is never full: {pool:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until every record says whose it is, and returns how long that took.
    async fn complete(&self, parent: u64) -> Duration {
        let began = Instant::now();
        while self.pool(parent).await.pending_count > 0 {
            assert!(began.elapsed() < Duration::from_mins(5), "records are never complete");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        began.elapsed()
    }

    /// A burst on a full pool, then a sustained load on it, and then rest.
    async fn measure_pool(&self, size: u32) -> Value {
        let tag = json!({ "name": "bench-pool", "slug": "bench-pool" });
        let found = self.get("extras/tags/?slug=bench-pool").await;
        if found["count"] == 0 {
            self.post("extras/tags/", &tag).await;
        }
        let network = "10.250.0.0/20";
        let body = json!({ "prefix": network, "vrf": self.vrf, "tags": [{ "slug": "bench-pool" }] });
        let parent = self.post("ipam/prefixes/", &body).await["id"].as_u64().unwrap();
        let filled = self.full(parent, size).await;
        let (_, plain) = self.parent(0, false).await;
        let mut bursts = Vec::new();
        for _ in 0..ROUNDS {
            let netbox = self.allocate(16, 96, plain, false).await;
            let burst = self.allocate(16, size, parent, true).await;
            let complete = self.complete(parent).await.as_secs_f64();
            bursts.push(json!({ "netbox": netbox, "burst": burst, "complete": complete }));
            self.full(parent, size).await;
        }
        let sustained = self.allocate(16, size * 3, parent, true).await;
        let complete = self.complete(parent).await.as_secs_f64();
        json!({ "bursts": bursts, "sustained": sustained, "complete": complete, "fill": filled.as_secs_f64() })
    }

    async fn get(&self, path: &str) -> Value {
        let scheme = if self.token.starts_with("nbt_") { "Bearer" } else { "Token" };
        let request = self.http.get(format!("{}/api/{path}", self.netbox.trim_end_matches('/')));
        let answer =
            request.header("Authorization", format!("{scheme} {}", self.token)).send().await.unwrap();
        answer.json().await.unwrap()
    }

    /// One address from NetBox itself.
    async fn ask_netbox(&self, parent: u64) {
        let body = json!({ "status": "active", "description": "bench" });
        self.post(&format!("ipam/prefixes/{parent}/available-ips/"), &body).await;
    }

    /// One address from Leasehold.
    async fn ask_leasehold(&self, client: &mut AllocationServiceClient<Channel>, parent: u64) {
        let request = v1::AllocateAddressesRequest {
            source: Some(v1::allocate_addresses_request::Source::PrefixId(parent)),
            count: 1,
            description: "bench".to_owned(),
            request_id: uuid::Uuid::new_v4().to_string(),
            ..Default::default()
        };
        client.allocate_addresses(request).await.unwrap();
    }

    /// Allocates from a fresh parent, from NetBox or from Leasehold.
    async fn run(&self, scenario: &Scenario, nth: u32, leasehold: bool) -> Value {
        let (_, parent) = self.parent(nth, scenario.child).await;
        self.allocate(scenario.clients, scenario.addresses, parent, leasehold).await
    }

    /// Allocates so many addresses of a parent by so many clients.
    async fn allocate(&self, clients: u32, addresses: u32, parent: u64, leasehold: bool) -> Value {
        let left = Arc::new(AtomicU32::new(addresses));
        let began = Instant::now();
        let clients: Vec<_> = (0..clients)
            .map(|_| {
                let (bench, left) = (self.clone(), left.clone());
                tokio::spawn(async move {
                    let mut client = AllocationServiceClient::new(bench.grpc.clone());
                    let mut times = Vec::new();
                    let one_less = |left: u32| left.checked_sub(1);
                    while left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok() {
                        let sent = Instant::now();
                        if leasehold {
                            bench.ask_leasehold(&mut client, parent).await;
                        } else {
                            bench.ask_netbox(parent).await;
                        }
                        times.push(sent.elapsed().as_secs_f64() * 1000.0);
                    }
                    times
                })
            })
            .collect();
        let mut times = Vec::new();
        for client in clients {
            times.extend(client.await.unwrap());
        }
        let rate = f64::from(addresses) / began.elapsed().as_secs_f64();
        times.sort_by(f64::total_cmp);
        json!({ "rate": rate, "p50": times[times.len() / 2], "p99": times[times.len() * 99 / 100] })
    }
}

/// How long a commit takes that is durable, in milliseconds: of a row in a SQLite database in this directory, as the ledger makes
/// it.
async fn durable_commits(directory: &str) -> Value {
    let options = SqliteConnectOptions::new()
        .filename(std::path::Path::new(directory).join("commits.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let mut database = options.connect().await.unwrap();
    sqlx::query("CREATE TABLE row (text TEXT NOT NULL)").execute(&mut database).await.unwrap();
    let mut times = Vec::new();
    for _ in 0..500 {
        let began = Instant::now();
        sqlx::query("INSERT INTO row (text) VALUES ($1)")
            .bind("x".repeat(500))
            .execute(&mut database)
            .await
            .unwrap();
        times.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    times.sort_by(f64::total_cmp);
    json!({ "p50": times[times.len() / 2], "p99": times[times.len() * 99 / 100] })
}

#[tokio::main]
async fn main() {
    let bench = Bench::new().await;
    let pool: Vec<String> = std::env::args().skip(4).collect();
    if let [mode, size, directory] = pool.as_slice()
        && mode == "pool"
    {
        let commit = durable_commits(directory).await;
        let mut measured = bench.measure_pool(size.parse().unwrap()).await;
        measured["commit"] = commit;
        println!("{measured}");
        return;
    }
    let mut nth = 0;
    for scenario in &SCENARIOS {
        for _ in 0..ROUNDS {
            let netbox = bench.run(scenario, nth, false).await;
            let leasehold = bench.run(scenario, nth + 1, true).await;
            nth += 2;
            println!("{}", json!({ "scenario": scenario.name, "netbox": netbox, "leasehold": leasehold }));
        }
    }
}
