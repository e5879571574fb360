//! `cargo bench --bench free_space`: how long it takes to choose one free address, with more and more addresses recorded or in
//! quarantine before it.
//!
//! Prints for each number the median time of the choice, and beside it that of listing everything that is taken. The exit code is
//! 1 if the choice takes more than 20 times as long behind 200,000 addresses as behind none.

// A bench may panic: it has no user to report to.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::indexing_slicing, missing_docs)]

use std::net::{IpAddr, Ipv4Addr};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use leasehold::allocation::plan::{Limits, Quarantined, count_free, pick_addresses, taken_addresses};
use leasehold::cache::{Batch, Index};
use leasehold::model::{Address, AddressId, Prefix, PrefixId, VrfScope};

const REPEATED: usize = 101;

fn host(nth: u32) -> IpAddr {
    Ipv4Addr::from(0x0a00_0001 + nth).into()
}

fn recorded(nth: u32) -> Address {
    Address::bare(AddressId(u64::from(nth) + 1), ipnet::IpNet::new(host(nth), 8).unwrap(), VrfScope::Global)
}

fn median(mut work: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..REPEATED)
        .map(|_| {
            let began = Instant::now();
            work();
            began.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[REPEATED / 2]
}

fn main() -> ExitCode {
    let parent = Prefix::bare(PrefixId(1), "10.0.0.0/8".parse().unwrap(), VrfScope::Global);
    let mut first = None;
    let mut worst = 0.0f64;
    println!("{:>10} {:>10} {:>14} {:>18}", "recorded", "quarantine", "choose, us", "list all taken, us");
    for (addresses, released) in
        [(0, 0), (20_000, 0), (200_000, 0), (0, 20_000), (0, 200_000), (200_000, 200_000)]
    {
        let mut index = Index::default();
        index.apply(&Batch {
            prefixes: vec![parent.clone()],
            addresses: (0..addresses).map(recorded).collect(),
            ..Batch::default()
        });
        let quarantined: Quarantined =
            (addresses..addresses + released).map(|nth| (VrfScope::Global, host(nth))).collect();
        let limits = Limits {
            exclude: &[],
            quarantined: &quarantined,
            reserved: &[],
            include_children: false,
            only_populated_ranges: true,
        };
        let chosen = pick_addresses(&index, &parent, limits, 1);
        assert_eq!(chosen, [host(addresses + released)]);
        let choose = median(|| {
            std::hint::black_box(pick_addresses(&index, &parent, limits, 1));
        });
        let list = median(|| {
            let taken = taken_addresses(&index, &parent, limits);
            std::hint::black_box(count_free(&parent, &taken));
        });
        let micros = |time: Duration| time.as_secs_f64() * 1e6;
        println!("{addresses:>10} {released:>10} {:>14.2} {:>18.2}", micros(choose), micros(list));
        let base = *first.get_or_insert(choose);
        worst = worst.max(choose.as_secs_f64() / base.as_secs_f64().max(1e-9));
    }
    println!("the longest choice took {worst:.1} times as long as the one behind nothing");
    if worst > 20.0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
