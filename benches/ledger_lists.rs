//! `cargo bench --bench ledger_lists`: pages of ListAllocations, ListEvents, GetAddressHistory and ListDeliveries from a SQLite
//! ledger with a million rows of each kind.
//!
//! Starts a server on such a ledger, reads at most a hundred pages of each list over the wire, and prints the median and the
//! longest time of a page and the size of the largest. The exit code is 1 if a page takes longer than 50 ms in the median or
//! exceeds the 4 MiB that a gRPC client takes.

// A bench may panic: it has no user to report to.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    missing_docs
)]

use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use leasehold::clock::SystemClock;
use leasehold::emulator::Emulator;
use leasehold::ledger::{self, LedgerSettings};
use leasehold::rpc::proto::v1;
use leasehold::rpc::proto::v1::admin_service_client::AdminServiceClient;
use leasehold::rpc::proto::v1::allocation_service_client::AllocationServiceClient;
use leasehold::rpc::proto::v1::event_service_client::EventServiceClient;
use leasehold::rpc::proto::v1::notification_service_client::NotificationServiceClient;
use prost::Message;
use tonic::transport::Channel;

#[path = "../tests/support/ledger_rows.rs"]
#[allow(unreachable_pub)]
mod ledger_rows;

const ROWS: u32 = 1_000_000;
const PAGES: usize = 100;
const TIME: Duration = Duration::from_millis(50);
const BYTES: usize = 4 << 20;
const TOKEN: &str = "0123456789abcdef0123456789abcdef01234567";

/// Reads pages until the last one, but at most [`PAGES`], and prints what they took. Returns whether that meets the goal.
async fn walk<M: Message>(name: &str, mut page: impl AsyncFnMut(String) -> (M, String)) -> bool {
    let (mut times, mut largest, mut token) = (Vec::new(), 0, String::new());
    while times.len() < PAGES {
        let began = Instant::now();
        let (answer, next) = page(token).await;
        times.push(began.elapsed());
        largest = largest.max(answer.encoded_len());
        token = next;
        if token.is_empty() {
            break;
        }
    }
    times.sort_unstable();
    let (median, longest) = (times[times.len() / 2], times[times.len() - 1]);
    let good = median <= TIME && largest <= BYTES;
    println!(
        "{name:34} {:5} {:>10} {:>10} {largest:>10} B   {}",
        times.len(),
        format!("{median:.1?}"),
        format!("{longest:.1?}"),
        if good { "met" } else { "NOT MET" }
    );
    good
}

fn free() -> SocketAddr {
    std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

async fn connect(grpc: SocketAddr) -> Channel {
    let endpoint = Channel::from_shared(format!("http://{grpc}")).unwrap();
    for _ in 0..300 {
        if let Ok(channel) = endpoint.connect().await {
            let status = AdminServiceClient::new(channel.clone()).get_status(v1::GetStatusRequest {}).await;
            if status.is_ok_and(|status| status.into_inner().writes_served) {
                return channel;
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the server does not answer");
}

#[tokio::main]
async fn main() -> ExitCode {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ledger.db");
    drop(ledger::open(&LedgerSettings::Sqlite(file.clone())).await.unwrap());
    let began = Instant::now();
    ledger_rows::fill(&file, ROWS).await;
    println!("{ROWS} allocations, events and deliveries are in the ledger after {:.1?}", began.elapsed());
    let emulator = Emulator::new(TOKEN, Arc::new(SystemClock::new(jiff::tz::TimeZone::UTC)));
    let netbox = emulator.listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
    let (grpc, http) = (free(), free());
    let mut server = Command::new(env!("CARGO_BIN_EXE_leasehold"))
        .arg("serve")
        .env("LEASEHOLD_NETBOX__URL", netbox.url())
        .env("LEASEHOLD_NETBOX__TOKEN", TOKEN)
        .env("LEASEHOLD_SERVER__GRPC_LISTEN", grpc.to_string())
        .env("LEASEHOLD_SERVER__HTTP_LISTEN", http.to_string())
        .env("LEASEHOLD_STORAGE__DIRECTORY", directory.path())
        .env("LEASEHOLD_LOG__LEVEL", "error")
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let channel = connect(grpc).await;
    println!("{:34} {:>5} {:>10} {:>10} {:>12}", "list", "pages", "median", "longest", "largest");
    let met = [allocations(&channel).await, events(&channel).await, deliveries(&channel).await];
    server.kill().unwrap();
    server.wait().unwrap();
    if met == [true; 3] { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn allocations(channel: &Channel) -> bool {
    let all = || v1::ListAllocationsRequest { page_size: 1000, ..v1::ListAllocationsRequest::default() };
    let released = v1::AllocationState::Released.into();
    let mut met = true;
    for (name, request) in [
        ("allocations", all()),
        ("allocations of one prefix", v1::ListAllocationsRequest { parent_prefix_id: 3, ..all() }),
        ("allocations, state of none", v1::ListAllocationsRequest { state: released, ..all() }),
    ] {
        let mut client = AllocationServiceClient::new(channel.clone());
        met &= walk(name, async |page_token| {
            let request = v1::ListAllocationsRequest { page_token, ..request.clone() };
            let page = client.list_allocations(request).await.unwrap().into_inner();
            let next = page.next_page_token.clone();
            (page, next)
        })
        .await;
    }
    met
}

async fn events(channel: &Channel) -> bool {
    let mut client = EventServiceClient::new(channel.clone());
    let all = || v1::ListEventsRequest { page_size: 1000, ..v1::ListEventsRequest::default() };
    let mut met = true;
    for (name, request) in [
        ("events", all()),
        ("events, owner of none", v1::ListEventsRequest { owner: "NOBODY".into(), ..all() }),
    ] {
        met &= walk(name, async |page_token| {
            let request = v1::ListEventsRequest { page_token, ..request.clone() };
            let page = client.list_events(request).await.unwrap().into_inner();
            let next = page.next_page_token.clone();
            (page, next)
        })
        .await;
    }
    met &= walk("history of an address", async |page_token| {
        let address = "203.0.113.5".to_owned();
        let request =
            v1::GetAddressHistoryRequest { address, page_size: 1000, page_token, ..Default::default() };
        let page = client.get_address_history(request).await.unwrap().into_inner();
        let next = page.next_page_token.clone();
        (page, next)
    })
    .await;
    met
}

async fn deliveries(channel: &Channel) -> bool {
    let all = || v1::ListDeliveriesRequest { page_size: 1000, ..v1::ListDeliveriesRequest::default() };
    let dead = v1::DeliveryState::Dead.into();
    let mut met = true;
    for (name, request) in [
        ("deliveries", all()),
        ("deliveries that are dead", v1::ListDeliveriesRequest { state: dead, ..all() }),
        ("deliveries to one sink", v1::ListDeliveriesRequest { sink: "pager".into(), ..all() }),
    ] {
        let mut client = NotificationServiceClient::new(channel.clone());
        met &= walk(name, async |page_token| {
            let request = v1::ListDeliveriesRequest { page_token, ..request.clone() };
            let page = client.list_deliveries(request).await.unwrap().into_inner();
            let next = page.next_page_token.clone();
            (page, next)
        })
        .await;
    }
    met
}
