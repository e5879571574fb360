//! Leasehold: a gRPC sidecar to NetBox for leased IPv4 space.
//!
//! The house, from the top; a room knows the rooms below it and none above it (tests/architecture.rs):
//!
//! - [`cli`]: one file a subcommand; every one but serve, demo, setup and emulate-netbox is a gRPC client.
//! - [`server`]: wires it all.
//! - [`rpc`], [`http`]: the edge. Parse, call, render; every error to one status.
//! - [`lease`], [`allocation`], [`validation`], [`sync`], [`events`], [`expiry`], [`notify`]: the capabilities, policy apart
//!   from doing.
//! - [`cache`], [`ledger`], [`netbox`], [`rpki`], [`irr`], [`bgp`], [`dnsbl`], [`geofeed`]: what it talks to, one room a peer.
//! - [`model`]: the nouns. No I/O, no clock.
//!
//! Beside it: [`emulator`] (an in-process NetBox, knows nothing of the rest), [`config`], [`telemetry`], [`jobs`], [`clock`], [`web`]
//! (one GET of a document), [`ripestat`] (which two rooms ask).

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
