//! `cargo bench --bench size`: what one operation costs with 1,000 to 1,000,000 addresses in the cache.
//!
//! Prints one JSON object a size: the median time of a look-up of an address inside five prefixes, of one change of a record (a new
//! snapshot, the old one kept), and of the choice of a free address behind all that are recorded; and the memory that the process has
//! taken for the records. `benches/run --only size` makes the table and the plot of it.

// A bench may panic: it has no user to report to.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::indexing_slicing, missing_docs)]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use leasehold::allocation::plan::{Limits, Quarantined, pick_addresses};
use leasehold::cache::{Batch, Index};
use leasehold::model::{Address, AddressId, Lease, Prefix, PrefixId, VrfScope};
use serde_json::json;

const SIZES: [u32; 7] = [1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000];
const BATCHES: usize = 41;
/// Operations of one batch, so that the clock is not what is measured.
const EACH: u32 = 200;

fn host(nth: u32) -> IpAddr {
    Ipv4Addr::from(0x0a00_0001 + nth).into()
}

fn recorded(nth: u32, description: &str) -> Address {
    Address {
        description: description.to_owned(),
        dns_name: format!("host-{nth}.customer.example"),
        ..Address::bare(
            AddressId(u64::from(nth) + 1),
            ipnet::IpNet::new(host(nth), 8).unwrap(),
            VrfScope::Global,
        )
    }
}

/// Five prefixes around every address, and one prefix for each 250 of them.
fn prefixes(addresses: u32) -> Vec<Prefix> {
    let lease = Lease { owner: Some("ACME-LIR".to_owned()), ..Lease::default() };
    let bare = |id: u64, text: &str| Prefix {
        lease: Some(Box::new(lease.clone())),
        ..Prefix::bare(PrefixId(id), text.parse().unwrap(), VrfScope::Global)
    };
    let around = ["10.0.0.0/8", "10.0.0.0/9", "10.0.0.0/10", "10.0.0.0/11"];
    let mut prefixes: Vec<Prefix> = (1..).zip(around).map(|(id, text)| bare(id, text)).collect();
    for nth in 0..=addresses / 256 {
        let network = format!("{}/24", Ipv4Addr::from(0x0a00_0000 + nth * 256));
        prefixes.push(bare(u64::from(nth) + 10, &network));
    }
    prefixes
}

/// The median time of one operation in microseconds.
fn micros(mut work: impl FnMut(u32)) -> f64 {
    let mut next = 0;
    let mut times: Vec<f64> = (0..BATCHES)
        .map(|_| {
            let began = Instant::now();
            for _ in 0..EACH {
                // Far from the one before, so that it is not in the processor's cache already.
                next = u32::wrapping_add(next, 0x9e37_79b1);
                work(next);
            }
            began.elapsed().as_secs_f64() * 1e6 / f64::from(EACH)
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[BATCHES / 2]
}

/// The memory of this process in bytes, as the system counts it.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|text| text.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) * 1024
}

fn main() {
    // The largest size last: memory that was freed stays with the process.
    for addresses in SIZES {
        let before = resident();
        let mut index = Index::default();
        index.apply(&Batch {
            prefixes: prefixes(addresses),
            addresses: (0..addresses).map(|nth| recorded(nth, "web")).collect(),
            ..Batch::default()
        });
        let memory = resident().saturating_sub(before);
        let found = index.lookup(VrfScope::Global, host(addresses / 2));
        assert_eq!((found.chain.len(), found.records.len()), (5, 1));
        let lookup = micros(|random| {
            black_box(index.lookup(VrfScope::Global, host(random % addresses)));
        });
        let mut current = index.clone();
        let change = micros(|random| {
            let mut next = current.clone();
            next.apply(&Batch::from(vec![recorded(random % addresses, &format!("web-{random}"))]));
            current = next;
        });
        let parent = index.prefix(PrefixId(1)).unwrap().clone();
        let quarantined = Quarantined::default();
        let limits = Limits {
            exclude: &[],
            quarantined: &quarantined,
            reserved: &[],
            include_children: true,
            only_populated_ranges: true,
        };
        assert_eq!(pick_addresses(&index, &parent, limits, 1), [host(addresses)]);
        let choice = micros(|_| {
            black_box(pick_addresses(&index, &parent, limits, 1));
        });
        println!(
            "{}",
            json!({ "addresses": addresses, "lookup": lookup, "change": change, "choice": choice, "memory": memory })
        );
    }
}
