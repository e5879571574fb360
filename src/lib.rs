//! Leasehold: a gRPC sidecar to NetBox for leased IPv4 space.
//!
//! The rooms, from the top floor down. A room imports only rooms on lower floors (tests/architecture.rs), and
//! docs/architecture.md walks through them:
//!
//! - [`cli`]: one file for each subcommand. Commands that ask a running server are gRPC clients.
//! - [`server`]: starts and stops a server.
//! - [`rpc`], [`http`]: the edge. Handlers parse, call and render; every error becomes a status in one place.
//! - [`lease`], [`allocation`], [`validation`], [`sync`], [`events`], [`expiry`], [`notify`]: the capabilities, with pure
//!   policy apart from what acts on it.
//! - [`cache`], [`ledger`], [`netbox`], [`rpki`], [`irr`], [`bgp`], [`dnsbl`], [`geofeed`]: one room for each peer.
//! - [`model`]: the nouns. No I/O, no clock.
//!
//! Beside them: [`config`], [`telemetry`], [`jobs`], [`clock`], [`web`] (bounded GETs), [`ripestat`] (used by two rooms), and
//! [`emulator`] (a NetBox inside the process, for the demo and the tests).

pub mod allocation;
pub mod bgp;
pub mod cache;
pub mod cli;
pub mod clock;
pub mod config;
pub mod dnsbl;
pub mod emulator;
pub mod events;
pub mod expiry;
pub mod geofeed;
pub mod http;
pub mod irr;
pub mod jobs;
pub mod lease;
pub mod ledger;
pub mod model;
pub mod netbox;
pub mod notify;
pub mod ripestat;
pub mod rpc;
pub mod rpki;
pub mod server;
pub mod sync;
pub mod telemetry;
pub mod validation;
pub mod web;
