//! `cargo bench --bench lists`: pages of ListPrefixes among a million prefixes, and of ListLeases among a million leases.
//!
//! Walks each list from the first page to the last in this process, without the network, and prints the median and the longest
//! time of a page and the size of the largest. The exit code is 1 if a page takes longer than 50 ms in the median or exceeds the
//! 4 MiB that a gRPC client takes. It needs about 4 GB of memory and ends by itself within two minutes.

// A bench may panic: it has no user to report to.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    missing_docs
)]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use leasehold::rpc::proto::v1;
use leasehold::rpc::proto::v1::lease_service_server::LeaseService as _;
use leasehold::rpc::proto::v1::prefix_service_server::PrefixService as _;
use leasehold::rpc::{LeaseHandler, PrefixHandler};
use prost::Message as _;
use tonic::Request;

#[path = "../tests/support/prefixes.rs"]
#[allow(dead_code, unreachable_pub)] // the tests use more of it
mod prefixes;

#[path = "../tests/support/leases.rs"]
#[allow(dead_code, unreachable_pub)] // the tests use more of it
mod leases;

const PREFIXES: u32 = 1_000_000;
const TIME: Duration = Duration::from_millis(50);
const BYTES: usize = 4 << 20;

/// The time and the size of every page of a list.
async fn walk(handler: &PrefixHandler, mut request: v1::ListPrefixesRequest) -> Vec<(Duration, usize)> {
    let mut pages = Vec::new();
    loop {
        let began = Instant::now();
        let page = handler.list_prefixes(Request::new(request.clone())).await.unwrap().into_inner();
        let encoded = page.encode_to_vec();
        pages.push((began.elapsed(), encoded.len()));
        if page.next_page_token.is_empty() {
            return pages;
        }
        request.page_token = page.next_page_token;
    }
}

/// The time and the size of every page of a list of leases.
async fn walk_leases(handler: &LeaseHandler, mut request: v1::ListLeasesRequest) -> Vec<(Duration, usize)> {
    let mut pages = Vec::new();
    loop {
        let began = Instant::now();
        let page = handler.list_leases(Request::new(request.clone())).await.unwrap().into_inner();
        let encoded = page.encode_to_vec();
        pages.push((began.elapsed(), encoded.len()));
        if page.next_page_token.is_empty() {
            return pages;
        }
        request.page_token = page.next_page_token;
    }
}

/// Prints what the pages of a list took. Returns whether that meets the goal.
fn report(name: &str, pages: &[(Duration, usize)]) -> bool {
    let mut times: Vec<Duration> = pages.iter().map(|(time, _)| *time).collect();
    times.sort_unstable();
    let (median, longest) = (times[times.len() / 2], times[times.len() - 1]);
    let largest = pages.iter().map(|(_, bytes)| *bytes).max().unwrap_or_default();
    let good = median <= TIME && largest <= BYTES;
    println!(
        "{name:27} {:6} {:>10} {:>10} {largest:>10} B   {}",
        pages.len(),
        format!("{median:.1?}"),
        format!("{longest:.1?}"),
        if good { "met" } else { "NOT MET" }
    );
    good
}

#[tokio::main]
async fn main() -> ExitCode {
    let began = Instant::now();
    let handler = prefixes::service(PREFIXES).await;
    println!("{PREFIXES} prefixes are in the cache after {:.1?}", began.elapsed());
    let all = || v1::ListPrefixesRequest { page_size: 1000, ..v1::ListPrefixesRequest::default() };
    let full = v1::RecordView::Full.into();
    let tenant = |slug: &str| Some(v1::TenantRef { r#ref: Some(v1::tenant_ref::Ref::Slug(slug.to_owned())) });
    let vrf = Some(v1::VrfRef { r#ref: Some(v1::vrf_ref::Ref::Rd("64500:1".to_owned())) });
    let lists = [
        ("all", all()),
        ("all, in full", v1::ListPrefixesRequest { view: full, ..all() }),
        ("leased only", v1::ListPrefixesRequest { leased_only: true, ..all() }),
        ("tenant", v1::ListPrefixesRequest { tenant: tenant("tenant-7"), ..all() }),
        ("tenant of nothing", v1::ListPrefixesRequest { tenant: tenant("nobody"), ..all() }),
        ("role, in full", v1::ListPrefixesRequest { role: "role-3".to_owned(), view: full, ..all() }),
        ("tag, in full", v1::ListPrefixesRequest { tag: "tag-21".to_owned(), view: full, ..all() }),
        ("status", v1::ListPrefixesRequest { status: "reserved".to_owned(), ..all() }),
        ("within", v1::ListPrefixesRequest { within: "10.192.0.0/12".to_owned(), ..all() }),
        ("vrf", v1::ListPrefixesRequest { vrf, ..all() }),
    ];
    let mut met = true;
    println!("{:27} {:>6} {:>10} {:>10} {:>12}", "list", "pages", "median", "longest", "largest");
    for (name, request) in lists {
        met &= report(name, &walk(&handler, request).await);
    }
    drop(handler);

    let (handler, took) = leases::service(PREFIXES).await;
    println!("{PREFIXES} leases are in the cache; to apply them took {took:.1?}");
    let all = |order: &str| v1::ListLeasesRequest {
        page_size: 1000,
        order_by: order.to_owned(),
        ..v1::ListLeasesRequest::default()
    };
    for order in ["expiry_date", "expiry_date desc", "owner", "owner desc", "prefix", "prefix desc"] {
        met &= report(&format!("leases by {order}"), &walk_leases(&handler, all(order)).await);
        let none = v1::ListLeasesRequest { tenant: tenant("nobody"), ..all(order) };
        met &= report(&format!("nobody's by {order}"), &walk_leases(&handler, none).await);
    }
    println!("goal: at most {TIME:?} in the median and {BYTES} B a page");
    if met { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
