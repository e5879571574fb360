//! A PrefixService over many prefixes that are put into its cache directly: it takes too long to ask a NetBox for a million.
//! benches/lists.rs uses this file as well.

use std::net::Ipv4Addr;
use std::sync::Arc;

use ipnet::Ipv4Net;
use leasehold::cache::{Batch, Cache, Position};
use leasehold::clock::{Clock, SystemClock};
use leasehold::events::{EventLog, Historian};
use leasehold::ledger::{self, LedgerSettings};
use leasehold::model::{Lease, NamedRef, Prefix, PrefixId, Revision, Vrf, VrfId, VrfScope};
use leasehold::rpc::PrefixHandler;
use serde_json::json;

/// Every so many prefixes, one carries a lease.
pub const LEASED: u32 = 1_000;
/// Every so many prefixes, one is in a VRF; the others are in the global table.
pub const IN_VRFS: u32 = 4;
const VRFS: u32 = 50;

fn named(kind: &str, nth: u32) -> NamedRef {
    let slug = format!("{kind}-{nth}");
    NamedRef { id: u64::from(nth), name: format!("Example {slug} GmbH").into(), slug: slug.into() }
}

/// A /28 with what a hosting company records about it.
fn prefix(nth: u32) -> Prefix {
    let network = Ipv4Net::new(Ipv4Addr::from(0x0a00_0000 + nth * 16), 28).unwrap();
    let scope = match nth % IN_VRFS {
        0 => VrfScope::Vrf(VrfId(u64::from(1 + nth % VRFS))),
        _ => VrfScope::Global,
    };
    let lease = Lease { owner: Some("ACME-LIR".to_owned()), ..Lease::default() };
    let serde_json::Value::Object(custom_fields) = json!({
        "contract": format!("C-{nth:08}"),
        "monitoring": true,
        "handover": "Rack R12, ports 1 to 4; ask for badge at the front desk",
    }) else {
        unreachable!("an object")
    };
    Prefix {
        status: if nth.is_multiple_of(7) { "reserved" } else { "active" }.to_owned(),
        tenant: Some(named("tenant", nth % 5_000)),
        role: Some(named("role", nth % 10)),
        tags: vec![named("tag", nth % 20), named("tag", 20 + nth % 30)],
        description: format!("Customer {nth}: web tier, second uplink, see contract"),
        lease: (nth % LEASED == 1).then(|| Box::new(lease)),
        custom_fields,
        ..Prefix::bare(PrefixId(u64::from(1 + nth)), network.into(), scope)
    }
}

/// A PrefixService over `count` prefixes in 51 scopes.
pub async fn service(count: u32) -> PrefixHandler {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new(jiff::tz::TimeZone::UTC));
    let cache = Arc::new(Cache::in_memory().await.unwrap());
    cache.begin_pass().await;
    let vrf = |id| Vrf {
        id: VrfId(u64::from(id)),
        name: format!("customers-{id}"),
        rd: Some(format!("64500:{id}")),
        enforce_unique: true,
        revision: Revision::default(),
    };
    cache.add_page(Batch { vrfs: (1..=VRFS).map(vrf).collect(), ..Batch::default() }).await.unwrap();
    for first in (0..count).step_by(20_000) {
        let rows: Vec<Prefix> = (first..count.min(first + 20_000)).map(prefix).collect();
        cache.add_page(Batch::from(rows)).await.unwrap();
    }
    let start = Position { id: 0, time: None, request: String::new() };
    cache.finish_pass(start, clock.now()).await.unwrap();
    assert_eq!(cache.counts().prefixes, u64::from(count));

    let ledger = ledger::open(&LedgerSettings::Temporary).await.unwrap();
    let log = EventLog::open(ledger.journal.clone(), clock.clone()).await.unwrap();
    let (client, allocator) = super::leases::unused_allocator(&cache, &ledger, &clock);
    let historian = Arc::new(Historian::new(client, cache.clone(), log));
    PrefixHandler::new(cache, clock, historian, allocator)
}
