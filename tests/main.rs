//! Every integration test, one file a capability, one binary: linking once is what makes them quick to run.
//!
//! Tests speak the wire: gRPC to a server, REST to a NetBox. The NetBox is the emulator, and the real one where tests/run
//! has started it; without it those tests say that they were skipped (see support/peers.rs).

// A panic is how a test fails, and nothing here is anybody's API.
#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub
)]

mod allocation;
mod api;
mod api_rules;
mod architecture;
mod cli;
mod cli_end;
mod contract;
mod crash;
mod dnsbl;
mod edge;
mod errors;
mod events;
mod expiry;
mod failures;
mod golden;
mod group_commit;
mod history;
mod house_rules;
mod irr;
mod journal;
mod json;
mod leases;
mod ledger;
mod ledger_lists;
mod lists;
mod lookup;
mod notify;
mod older;
mod policy;
mod pools;
mod replicas;
mod reputation;
mod rpki;
mod scale;
mod simulation;
mod sources;
mod stored;
mod support;
mod sync;
mod terminal;
mod validation;
mod write_faults;
