//! A LeaseService over many leases that are put into its cache directly: it takes too long to ask a NetBox for a million.
//! benches/lists.rs uses this file as well.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::Ipv4Net;
use jiff::ToSpan as _;
use jiff::civil::date;
use leasehold::allocation::{Allocator, Executor, ExecutorParts, Jitter, Policy};
use leasehold::cache::{Batch, Cache, Position};
use leasehold::clock::{Clock, SystemClock};
use leasehold::events::EventLog;
use leasehold::ledger::{self, LedgerHandles, LedgerSettings, Owner};
use leasehold::model::{
    Asn, Lease, NamedRef, Prefix, PrefixId, Reputation, RoaStatus, Term, VrfId, VrfScope,
};
use leasehold::netbox::{Client, FieldNames, NetBoxSettings};
use leasehold::rpc::LeaseHandler;
use secrecy::SecretString;

/// How many owners the leases have.
pub const OWNERS: u32 = 200;
/// How many tenants the prefixes have.
pub const TENANTS: u32 = 5_000;
/// Every so many leases, one has no expiry.
pub const ENDLESS: u32 = 10;
/// Every so many leases, one is in a VRF; the others are in the global table.
pub const IN_VRFS: u32 = 4;

/// A leased /28.
fn prefix(nth: u32) -> Prefix {
    let network = Ipv4Net::new(Ipv4Addr::from(0x0a00_0000 + nth * 16), 28).unwrap();
    let scope = if nth.is_multiple_of(IN_VRFS) {
        VrfScope::Vrf(VrfId(u64::from(1 + nth % 50)))
    } else {
        VrfScope::Global
    };
    // The expiry and the owner of neighbours differ, so that no order is that of the ids.
    let mixed = nth.wrapping_mul(2_654_435_761);
    let expiry = (!nth.is_multiple_of(ENDLESS)).then(|| date(2027, 1, 1) + i64::from(mixed % 3_650).days());
    let lease = Lease {
        owner: Some(format!("LIR-{:03}", mixed % OWNERS)),
        term: Term { start: Some(date(2026, 6, 1)), expiry, notice: None },
        loa_reference: Some(format!("LOA-2026-{nth:07}")),
        origin: Asn::try_from(64_500 + nth % 10).ok(),
        roa_status: Some(RoaStatus::Valid),
        irr_registered: Some(true),
        reputation: Some(if nth % 1_000 == 7 { Reputation::Listed } else { Reputation::Clean }),
        ..Lease::default()
    };
    let slug = format!("tenant-{}", nth % TENANTS);
    let name = format!("Example {slug} GmbH").into();
    Prefix {
        lease: Some(Box::new(lease)),
        tenant: Some(NamedRef { id: u64::from(1 + nth % TENANTS), name, slug: slug.into() }),
        description: format!("Customer {nth}: web tier, second uplink, see contract"),
        ..Prefix::bare(PrefixId(u64::from(1 + nth)), network.into(), scope)
    }
}

/// A LeaseService over `count` leases, and the time that it took to put them into its cache.
pub async fn service(count: u32) -> (LeaseHandler, Duration) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new(jiff::tz::TimeZone::UTC));
    let cache = Arc::new(Cache::in_memory().await.unwrap());
    cache.begin_pass().await;
    let mut took = Duration::ZERO;
    for first in (0..count).step_by(20_000) {
        let rows: Vec<Prefix> = (first..count.min(first + 20_000)).map(prefix).collect();
        let batch = Batch::from(rows);
        let began = std::time::Instant::now();
        cache.add_page(batch).await.unwrap();
        took += began.elapsed();
    }
    let start = Position { id: 0, time: None, request: String::new() };
    cache.finish_pass(start, clock.now()).await.unwrap();
    assert_eq!(cache.counts().leases, u64::from(count));

    let ledger = ledger::open(&LedgerSettings::Temporary).await.unwrap();
    let log = EventLog::open(ledger.journal.clone(), clock.clone()).await.unwrap();
    let (_, allocator) = unused_allocator(&cache, &ledger, &clock);
    (LeaseHandler::new(cache, allocator, clock, log, Duration::from_mins(1), FieldNames::default()), took)
}

/// An allocator for a handler of which only reads are called, and the client that it has.
pub fn unused_allocator(
    cache: &Arc<Cache>,
    ledger: &LedgerHandles,
    clock: &Arc<dyn Clock>,
) -> (Client, Arc<Allocator>) {
    // Nobody asks it anything.
    let nowhere = NetBoxSettings::new("http://127.0.0.1:9/".parse().unwrap(), SecretString::from("none"));
    let client = Client::new(&nowhere).unwrap();
    let executor = Executor::new(ExecutorParts {
        netbox: Arc::new(client.clone()),
        cache: cache.clone(),
        intents: ledger.intents.clone(),
        quarantine: ledger.quarantine.clone(),
        clock: clock.clone(),
        policy: Policy::default(),
        owner: Owner::named("tests"),
        jitter: Jitter::random(),
    });
    (client, Arc::new(Allocator::new(executor)))
}
