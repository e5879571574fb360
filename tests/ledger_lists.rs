//! The lists that are read from a ledger with many rows.

use std::path::PathBuf;

use leasehold::config::Settings;
use leasehold::ledger::{self, LedgerSettings};
use leasehold::rpc::proto::v1;
use leasehold::rpc::proto::v1::notification_service_client::NotificationServiceClient;

use crate::support::ledger_rows::fill;
use crate::support::{NetBox, Server, directory, settings};

/// More than twice as many as one call examines.
const ROWS: u32 = 45_000;

async fn filled() -> (tempfile::TempDir, PathBuf) {
    let (guard, path) = directory();
    let file = path.join("ledger.db");
    // Opening it makes the schema.
    drop(ledger::open(&LedgerSettings::Sqlite(file.clone())).await.unwrap());
    fill(&file, ROWS).await;
    (guard, file)
}

async fn server(netbox: &NetBox, file: PathBuf) -> Server {
    let server = Server::with(Settings { ledger: LedgerSettings::Sqlite(file), ..settings(netbox) }).await;
    server.live().await;
    server
}

#[tokio::test]
async fn a_list_whose_filter_matches_nothing_looks_at_a_bounded_number_of_allocations_a_call() {
    let netbox = NetBox::emulated().await;
    let (_guard, file) = filled().await;
    let mut server = server(&netbox, file).await;
    let state = v1::AllocationState::Released.into();
    let mut request = v1::ListAllocationsRequest { state, ..v1::ListAllocationsRequest::default() };
    let mut calls = 0;
    loop {
        let page = server.allocations.list_allocations(request.clone()).await.unwrap().into_inner();
        calls += 1;
        assert!(page.allocations.is_empty());
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(calls, 10, "5,000 of 45,000 a call, and the end");
    // A list whose filter matches everything is whole, and each page is full.
    let mut request =
        v1::ListAllocationsRequest { page_size: 5000, parent_prefix_id: 3, ..Default::default() };
    let mut seen = Vec::new();
    loop {
        let page = server.allocations.list_allocations(request.clone()).await.unwrap().into_inner();
        seen.extend(page.allocations.into_iter().map(|allocation| allocation.request_id));
        assert_eq!(seen.len() % 500, 0);
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    let expected: Vec<String> =
        (1..=ROWS).rev().filter(|nth| nth % 10 + 1 == 3).map(|nth| format!("order-{nth:07}")).collect();
    assert_eq!(seen, expected);
    server.running.stop().await;
}

#[tokio::test]
async fn every_filter_of_the_deliveries_finds_what_it_names_and_a_failure_of_an_older_version() {
    let netbox = NetBox::emulated().await;
    let (_guard, file) = filled().await;
    let server = server(&netbox, file).await;
    let url = format!("http://{}", server.running.grpc);
    let mut notifications = NotificationServiceClient::connect(url).await.unwrap();
    let dead = v1::DeliveryState::Dead.into();
    let request = v1::ListDeliveriesRequest { page_size: 1000, ..v1::ListDeliveriesRequest::default() };
    for (filter, expected) in [
        (v1::ListDeliveriesRequest { state: dead, sink: "pager".to_owned(), ..request.clone() }, 450),
        (v1::ListDeliveriesRequest { state: dead, ..request.clone() }, 450),
        (v1::ListDeliveriesRequest { sink: "pager".to_owned(), ..request.clone() }, 450),
        (v1::ListDeliveriesRequest { state: dead, sink: "ops".to_owned(), ..request.clone() }, 0),
        (request, 1000),
    ] {
        let page = notifications.list_deliveries(filter.clone()).await.unwrap().into_inner();
        assert_eq!(page.deliveries.len(), expected, "{filter:?}");
        assert_eq!(page.next_page_token.is_empty(), expected < 1000, "{filter:?}");
        assert_eq!((page.waiting_count, page.dead_count), (0, 450));
        for delivery in page.deliveries.iter().filter(|delivery| delivery.state() == v1::DeliveryState::Dead)
        {
            let failure = delivery.last_failure.clone().unwrap();
            assert_eq!((failure.reason.as_str(), failure.message.as_str()), ("SINK_REFUSED", "410 Gone"));
        }
    }
    server.running.stop().await;
}
