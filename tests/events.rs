//! EventService: the event log as a watcher sees it, against the emulator and the real NetBox.

use std::time::Duration;

use leasehold::config::{EventSettings, Settings};
use leasehold::events::{EventFilter, Watch, WatchItem};
use leasehold::ledger::{LedgerSettings, Retention};
use leasehold::model::{DomainEvent, EventKind, Subject};
use leasehold::rpc::proto::v1;
use leasehold::rpc::proto::v1::watch_events_response::Item;
use serde_json::json;
use tonic::{Code, Streaming};
use tonic_types::StatusExt as _;

use crate::support::{HUNG, NetBox, Server, date, directory, settings};

type Stream = Streaming<v1::WatchEventsResponse>;

async fn watch(server: &Server, request: v1::WatchEventsRequest) -> Stream {
    server.events.clone().watch_events(request).await.unwrap().into_inner()
}

/// The next message. Fails if none arrives.
async fn next(stream: &mut Stream) -> v1::WatchEventsResponse {
    let message = tokio::time::timeout(HUNG, stream.message());
    message.await.expect("no message arrived").unwrap().expect("the stream has ended")
}

async fn next_event(stream: &mut Stream) -> (v1::Event, String) {
    loop {
        let message = next(stream).await;
        match message.item {
            Some(Item::Event(event)) => return (event, message.resume_token),
            Some(Item::Bookmark(_)) => {}
            other => panic!("not an event: {other:?}"),
        }
    }
}

/// The leases of a snapshot, and the token it ends with.
async fn snapshot(stream: &mut Stream) -> (Vec<v1::Lease>, String) {
    let mut leases = Vec::new();
    loop {
        let message = next(stream).await;
        match message.item {
            Some(Item::Lease(lease)) => {
                assert_eq!(message.resume_token, "", "a stream cannot resume within a snapshot");
                leases.push(lease);
            }
            Some(Item::Synced(_)) => return (leases, message.resume_token),
            other => panic!("not part of a snapshot: {other:?}"),
        }
    }
}

fn reason(status: &tonic::Status) -> (Code, String) {
    (status.code(), status.get_error_details().error_info().unwrap().reason.clone())
}

async fn every_change_is_an_event(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    let server = Server::before(netbox).await;
    let request =
        v1::WatchEventsRequest { vrf: crate::support::vrf(vrf), ..v1::WatchEventsRequest::default() };
    let mut stream = watch(&server, request.clone()).await;
    assert!(snapshot(&mut stream).await.0.is_empty());

    // A change through Leasehold.
    let register = v1::RegisterLeaseRequest {
        prefix: "203.0.113.0/24".to_owned(),
        vrf: crate::support::vrf(vrf),
        owner: "ACME-LIR".to_owned(),
        expiry_date: date("2098-06-01"),
        ..v1::RegisterLeaseRequest::default()
    };
    server.leases.clone().register_lease(register).await.unwrap();
    let (event, _) = next_event(&mut stream).await;
    assert_eq!((event.r#type(), event.owner.as_str()), (v1::EventType::LeaseRegistered, "ACME-LIR"));

    // A change by hand in NetBox.
    let Some(v1::event::Subject::Prefix(change)) = event.subject else { panic!("not about a prefix") };
    let id = change.after.unwrap().id;
    let body = json!({ "custom_fields": { "lease_expiry": "2099-06-01" } });
    netbox.rest("PATCH", &format!("ipam/prefixes/{id}/"), Some(body)).await;
    let (event, token) = next_event(&mut stream).await;
    assert_eq!(event.r#type(), v1::EventType::LeaseRenewed);
    let Some(v1::event::Subject::Prefix(change)) = event.subject else { panic!("not about a prefix") };
    let expiry = |prefix: Option<v1::Prefix>| prefix.unwrap().lease.unwrap().expiry_date;
    assert_eq!((expiry(change.before), expiry(change.after)), (date("2098-06-01"), date("2099-06-01")));

    // An address is recorded by hand and deleted again.
    let made = netbox.post("ipam/ip-addresses/", json!({ "address": "203.0.113.9/24", "vrf": vrf })).await;
    assert_eq!(next_event(&mut stream).await.0.r#type(), v1::EventType::AddressRecorded);
    netbox.rest("DELETE", &format!("ipam/ip-addresses/{}/", made["id"]), None).await;
    assert_eq!(next_event(&mut stream).await.0.r#type(), v1::EventType::AddressRemoved);
    server
        .allocate(v1::AllocateAddressesRequest {
            request_id: format!("event-{vrf}"),
            ..crate::support::addresses(vrf, "203.0.113.0/24", 2, "")
        })
        .await
        .unwrap();
    for _ in 0..2 {
        assert_eq!(next_event(&mut stream).await.0.r#type(), v1::EventType::AddressAllocated);
    }

    // A second watcher resumes after the renewal; a third one filters by type.
    let resumed = v1::WatchEventsRequest { resume_token: token, ..request.clone() };
    let mut again = watch(&server, resumed.clone()).await;
    assert_eq!(next_event(&mut again).await.0.r#type(), v1::EventType::AddressRecorded);
    let types = vec![v1::EventType::AddressAllocated.into()];
    let mut filtered = watch(&server, v1::WatchEventsRequest { types, ..resumed }).await;
    assert_eq!(next_event(&mut filtered).await.0.r#type(), v1::EventType::AddressAllocated);

    // A watcher that comes late receives the present state.
    let mut late = watch(&server, request).await;
    let (leases, _) = snapshot(&mut late).await;
    assert_eq!(leases.len(), 1);
    assert_eq!(leases[0].expiry_date, date("2099-06-01"));

    // ListEvents has the same events, the newest first, in pages.
    let mut list = v1::ListEventsRequest {
        vrf: crate::support::vrf(vrf),
        page_size: 2,
        ..v1::ListEventsRequest::default()
    };
    let mut types = Vec::new();
    loop {
        let page = server.events.clone().list_events(list.clone()).await.unwrap().into_inner();
        assert!(page.events.len() <= 2);
        types.extend(page.events.iter().map(v1::Event::r#type));
        if page.next_page_token.is_empty() {
            break;
        }
        list.page_token = page.next_page_token;
    }
    use v1::EventType as T;
    let expected = [
        T::AddressAllocated,
        T::AddressAllocated,
        T::AddressRemoved,
        T::AddressRecorded,
        T::LeaseRenewed,
        T::LeaseRegistered,
    ];
    assert_eq!(types, expected);
    server.running.stop().await;
}

#[tokio::test]
async fn every_change_is_an_event_in_order() {
    every_change_is_an_event(&NetBox::emulated().await).await;
}

#[tokio::test]
async fn every_change_in_the_real_netbox_is_an_event_in_order() {
    if let Some(netbox) = NetBox::real("events::every_change_in_the_real_netbox_is_an_event_in_order").await {
        every_change_is_an_event(&netbox).await;
    }
}

/// An event that carries a number.
fn numbered(number: usize) -> DomainEvent {
    let subject = Subject::Sync(number.to_string());
    DomainEvent { kind: EventKind::SyncLost, time: jiff::Timestamp::UNIX_EPOCH, subject }
}

#[tokio::test]
async fn a_watcher_killed_a_hundred_times_gets_every_event_once_and_in_order() {
    const EVENTS: usize = 50_000;
    const KILLS: usize = 100;
    let netbox = NetBox::emulated().await;
    let (_guard, path) = directory();
    let ledger = LedgerSettings::Sqlite(path.join("ledger.db"));
    let server = Server::with(Settings { ledger, ..settings(&netbox) }).await;
    server.live().await;
    let request = v1::WatchEventsRequest {
        types: vec![v1::EventType::SyncLost.into()],
        ..v1::WatchEventsRequest::default()
    };
    let mut stream = watch(&server, request.clone()).await;
    snapshot(&mut stream).await;

    let log = server.running.log.clone();
    let writer = tokio::spawn(async move {
        for part in (0..EVENTS).collect::<Vec<_>>().chunks(50) {
            let domain_events: Vec<DomainEvent> = part.iter().map(|number| numbered(*number)).collect();
            log.publish(&domain_events).await.unwrap();
        }
    });
    let (mut seen, mut kills) = (0, 0);
    while seen < EVENTS {
        let (event, resume) = next_event(&mut stream).await;
        let Some(v1::event::Subject::Sync(change)) = event.subject else { panic!("another event") };
        assert_eq!(change.message, seen.to_string(), "missing, repeated or out of order");
        seen += 1;
        // The stream is dropped while messages are on their way.
        if seen % (EVENTS / KILLS) == EVENTS / KILLS - 1 {
            drop(stream);
            kills += 1;
            stream = watch(&server, v1::WatchEventsRequest { resume_token: resume, ..request.clone() }).await;
        }
    }
    assert_eq!(kills, KILLS);
    writer.await.unwrap();
    server.running.stop().await;
}

#[tokio::test]
async fn a_token_that_cannot_be_resumed_is_refused_with_the_oldest_that_can() {
    let netbox = NetBox::emulated().await;
    let server = Server::before(&netbox).await;
    let resume = async |token: &str| {
        let request =
            v1::WatchEventsRequest { resume_token: token.to_owned(), ..v1::WatchEventsRequest::default() };
        server.events.clone().watch_events(request).await
    };
    let garbage = resume("what is this").await.unwrap_err();
    assert_eq!(reason(&garbage), (Code::InvalidArgument, "INVALID_FIELDS".to_owned()));
    let foreign = resume("0123456789abcdef-1").await.unwrap_err();
    assert_eq!(reason(&foreign), (Code::OutOfRange, "TOKEN_FOREIGN".to_owned()));

    let log = &server.running.log;
    let domain_events: Vec<DomainEvent> = (0..20).map(numbered).collect();
    log.publish(&domain_events).await.unwrap();
    let future = resume(&log.token(1_000_000).to_string()).await.unwrap_err();
    assert_eq!(reason(&future), (Code::OutOfRange, "TOKEN_FOREIGN".to_owned()));
    // Compaction removes only events that the notifier has routed, which it does by its own timer.
    crate::support::eventually("compaction removes what is old", async || {
        let retention = Retention { before: jiff::Timestamp::MAX, at_most: 0 };
        log.journal().compact(retention).await.unwrap() >= 10
    })
    .await;
    let old = resume(&log.token(1).to_string()).await.unwrap_err();
    assert_eq!(reason(&old), (Code::OutOfRange, "EVENTS_COMPACTED".to_owned()));
    let oldest = old.get_error_details().error_info().unwrap().metadata["oldest_token"].clone();
    assert!(resume(&oldest).await.is_ok());
    server.running.stop().await;
}

#[tokio::test]
async fn a_quiet_watcher_gets_bookmarks_and_a_stopping_server_hands_back_the_token() {
    let netbox = NetBox::emulated().await;
    let events = EventSettings { bookmark_interval: Duration::from_millis(100), ..EventSettings::default() };
    // The server must not end its connections before the stream has received its last message.
    let server = Server::with(Settings { events, drain: HUNG, ..settings(&netbox) }).await;
    server.live().await;
    let request = v1::WatchEventsRequest {
        types: vec![v1::EventType::LeaseExpired.into()],
        skip_snapshot: true,
        ..v1::WatchEventsRequest::default()
    };
    let mut stream = watch(&server, request).await;
    assert!(matches!(next(&mut stream).await.item, Some(Item::Synced(_))));
    let first = next(&mut stream).await;
    assert!(matches!(first.item, Some(Item::Bookmark(_))));
    // An event that the filter rejects moves the token on all the same.
    server.running.log.publish(&[numbered(1)]).await.unwrap();
    let moved = loop {
        let message = next(&mut stream).await;
        assert!(matches!(message.item, Some(Item::Bookmark(_))));
        if message.resume_token != first.resume_token {
            break message;
        }
    };

    tokio::spawn(server.running.stop());
    let status = loop {
        match stream.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the stream ended without an error"),
            Err(status) => break status,
        }
    };
    assert_eq!(reason(&status), (Code::Unavailable, "SERVER_STOPPING".to_owned()));
    let details = status.get_error_details();
    assert_eq!(details.error_info().unwrap().metadata["resume_token"], moved.resume_token);
}

/// Reads a watch up to an event.
async fn follow(watch: &mut Watch, sequence: u64) {
    loop {
        match watch.next().await.unwrap() {
            WatchItem::Event(event) if event.sequence >= sequence => return,
            WatchItem::Event(_) | WatchItem::Bookmark => {}
        }
    }
}

#[tokio::test]
async fn a_watcher_that_falls_out_of_the_ring_is_closed_with_its_token() {
    let netbox = NetBox::emulated().await;
    let server = Server::before(&netbox).await;
    let request = v1::WatchEventsRequest { skip_snapshot: true, ..v1::WatchEventsRequest::default() };
    let mut slow = watch(&server, request).await;
    assert!(matches!(next(&mut slow).await.item, Some(Item::Synced(_))));
    // Once both have received an event, both read the ring and no longer the journal.
    let log = server.running.log.clone();
    let mut follower = Watch::after(log.clone(), log.last(), EventFilter::default(), Duration::from_secs(60));
    let first = log.publish(&[numbered(0)]).await.unwrap();
    follow(&mut follower, first[0].sequence).await;
    next_event(&mut slow).await;
    // More than the window of the slow watcher's connection and the ring hold together. The follower shows that the server has put
    // each part into the ring.
    let padding = "x".repeat(400);
    for round in 0..25 {
        let domain_events: Vec<DomainEvent> = (0..1000)
            .map(|number| DomainEvent {
                subject: Subject::Sync(format!("{round}-{number} {padding}")),
                ..numbered(0)
            })
            .collect();
        let published = log.publish(&domain_events).await.unwrap();
        follow(&mut follower, published.last().unwrap().sequence).await;
    }
    let (mut received, mut token) = (0, String::new());
    let status = loop {
        match slow.message().await {
            Ok(Some(message)) => {
                token = message.resume_token;
                received += 1;
            }
            Ok(None) => panic!("the stream ended without an error"),
            Err(status) => break status,
        }
    };
    assert_eq!(reason(&status), (Code::Aborted, "WATCH_TOO_SLOW".to_owned()), "after {received}");
    let details = status.get_error_details();
    assert_eq!(details.error_info().unwrap().metadata["resume_token"], token);
    // The events after the token are all there.
    let request = v1::WatchEventsRequest { resume_token: token, ..v1::WatchEventsRequest::default() };
    let mut resumed = watch(&server, request).await;
    while received < 25_000 {
        next_event(&mut resumed).await;
        received += 1;
    }
    server.running.stop().await;
}
