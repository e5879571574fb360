//! A deterministic simulation of the write path: the real executor against a simulated NetBox, ledger and cache. Ids, clock and
//! scheduling come from a seed, so that a seed replays: `LEASEHOLD_SIMULATION_SEED=n` runs one and prints its trace.
//!
//! `world` is a NetBox, `others` are the people who write to it besides; `ports` is how a replica sees it: requests that are carried
//! out late or lose their answers, and a power switch; `ledger` is the ledger that replicas share; `run` plays one seed and checks what must always hold;
//! `mutants` takes one guard away each and looks for a seed that notices.

mod ledger;
mod mutants;
mod others;
mod ports;
mod random;
mod run;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use mutants::Mutant;
use run::play;

/// Seeds of a run of the tests, unless LEASEHOLD_SIMULATION_SEEDS says otherwise.
const SEEDS: u64 = 10_000;

/// A long run says after so many seeds how far it is.
const PROGRESS: u64 = 50_000;

fn variable(name: &str) -> Option<u64> {
    crate::support::peers::optional(name).map(|text| text.parse().unwrap())
}

/// Plays seeds on two threads until one fails, and returns the lowest that failed on its thread, with what it violated.
fn first_failure(seeds: std::ops::Range<u64>, mutant: Mutant) -> Option<(u64, String)> {
    let (next, failed) = (AtomicU64::new(seeds.start), std::sync::Mutex::new(None));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while failed.lock().unwrap().is_none() {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    if seed >= seeds.end {
                        return;
                    }
                    if seed > seeds.start && seed.is_multiple_of(PROGRESS) {
                        eprintln!("{seed} ...");
                    }
                    if let Err(violation) = play(seed, mutant, false) {
                        failed.lock().unwrap().get_or_insert((seed, violation));
                    }
                }
            });
        }
    });
    failed.into_inner().unwrap()
}

#[test]
fn every_seed_keeps_what_the_protocol_promises() {
    if let Some(seed) = variable("LEASEHOLD_SIMULATION_SEED") {
        play(seed, Mutant::None, true).unwrap();
        return;
    }
    let first = variable("LEASEHOLD_SIMULATION_FIRST").unwrap_or(0);
    let seeds = variable("LEASEHOLD_SIMULATION_SEEDS").unwrap_or(SEEDS);
    let began = Instant::now();
    if let Some((seed, violation)) = first_failure(first..first + seeds, Mutant::None) {
        panic!("seed {seed}: {violation}\nreplay it with LEASEHOLD_SIMULATION_SEED={seed}");
    }
    println!("{seeds} seeds from {first} in {:.1} s", began.elapsed().as_secs_f64());
}

#[test]
fn each_guard_that_is_taken_away_is_missed_by_some_seed() {
    let mut missing = Vec::new();
    for mutant in Mutant::ALL {
        match first_failure(0..6_000, mutant) {
            Some((seed, violation)) => println!("{mutant:?}: seed {seed}: {violation}"),
            None => missing.push(mutant),
        }
    }
    assert!(missing.is_empty(), "no seed misses these guards: {missing:?}");
}

#[test]
fn a_seed_replays() {
    for seed in 0..20 {
        let trace = || run::trace(seed);
        assert_eq!(trace(), trace(), "seed {seed}");
    }
}
