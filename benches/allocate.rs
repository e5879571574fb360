//! The clients of `benches/run --real`: the same number of tasks allocates addresses one by one, from NetBox's own `available-ips`
//! and from Leasehold, in turns and in one process. Prints one JSON object a line; `benches/run` starts the servers, and judges.
//!
//! Its arguments are NetBox's URL, a token of it, and the URL of Leasehold's gRPC.

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
use leasehold::rpc::proto::v1::allocation_service_client::AllocationServiceClient;
use leasehold::rpc::proto::v1::prefix_service_client::PrefixServiceClient;
use serde_json::{Value, json};
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
        let left = Arc::new(AtomicU32::new(scenario.addresses));
        let began = Instant::now();
        let clients: Vec<_> = (0..scenario.clients)
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
        let rate = f64::from(scenario.addresses) / began.elapsed().as_secs_f64();
        times.sort_by(f64::total_cmp);
        json!({ "rate": rate, "p50": times[times.len() / 2], "p99": times[times.len() * 99 / 100] })
    }
}

#[tokio::main]
async fn main() {
    let bench = Bench::new().await;
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
