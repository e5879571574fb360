//! The whole command line: every subcommand with its arguments.

use clap::{Parser, Subcommand};

use super::allocate::AllocateArgs;
use super::allocations::AllocationsArgs;
use super::completions::{CompletionsArgs, ManArgs};
use super::config::ConfigArgs;
use super::demo::DemoArgs;
use super::emulate::EmulateArgs;
use super::events::EventsArgs;
use super::expiring::ExpiringArgs;
use super::history::HistoryArgs;
use super::irr::IrrArgs;
use super::lease::LeaseArgs;
use super::lookup::LookupArgs;
use super::notify::NotifyArgs;
use super::preflight::PreflightArgs;
use super::release::ReleaseArgs;
use super::reputation::ReputationArgs;
use super::serve::ServeArgs;
use super::setup::SetupArgs;
use super::status::StatusArgs;
use super::validate::ValidateArgs;
use super::watch::WatchArgs;

/// A gRPC sidecar to NetBox for leased IPv4 space.
#[derive(Debug, Parser)]
#[command(name = "leasehold", version, about, max_term_width = 110)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The subcommands, in the order of `leasehold --help`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the server until it is stopped
    Serve(ServeArgs),
    /// Run an emulated NetBox and a server in one process and go through the main job with real calls
    Demo(DemoArgs),
    /// Create the custom fields in NetBox and check what the token may do
    Setup(SetupArgs),
    /// Run a NetBox in memory that speaks the part of the REST API that Leasehold uses
    EmulateNetbox(EmulateArgs),
    /// Show the state of the server
    Status(StatusArgs),
    /// Show who is on an address (exit 3 if nothing is recorded)
    Lookup(LookupArgs),
    /// Register, show, list, renew and end leases
    Lease(LeaseArgs),
    /// List leases that expire soon (exit 3 if one does within --fail-within)
    Expiring(ExpiringArgs),
    /// Check whether a block may be announced (exit 3 if it is BLOCKED)
    Preflight(PreflightArgs),
    /// Check whether the RPKI authorises an announcement (exit 3 unless it is valid)
    Validate(ValidateArgs),
    /// Check whether the routing registries hold a route object for an announcement (exit 3 unless they do)
    Irr(IrrArgs),
    /// Check whether blocklists list a block or an address (exit 3 if they do)
    Reputation(ReputationArgs),
    /// Allocate addresses, a child prefix, or one named address
    Allocate(AllocateArgs),
    /// Show what a request allocated, or list allocations
    Allocations(AllocationsArgs),
    /// Release addresses, so that they can be allocated again
    Release(ReleaseArgs),
    /// Follow events as they happen, one JSON object a line
    Watch(WatchArgs),
    /// List past events of the event log
    Events(EventsArgs),
    /// Show what happened to an address and to the prefixes that contain it
    History(HistoryArgs),
    /// Inspect, test and replay notifications
    Notify(NotifyArgs),
    /// Check the settings and print the effective ones
    Config(ConfigArgs),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
    /// Write a man page for each command
    Man(ManArgs),
}
