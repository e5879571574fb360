//! The whole command line: every subcommand with its arguments.

use clap::{Parser, Subcommand};

use super::admin::AdminArgs;
use super::allocate::AllocateArgs;
use super::allocations::AllocationsArgs;
use super::assign::AssignArgs;
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
use super::options::{ClientArgs, WriteArgs};
use super::prefix::PrefixArgs;
use super::preflight::PreflightArgs;
use super::release::ReleaseArgs;
use super::reputation::ReputationArgs;
use super::serve::ServeArgs;
use super::setup::SetupArgs;
use super::status::StatusArgs;
use super::utilization::UtilizationArgs;
use super::validate::ValidateArgs;
use super::vrf::VrfArgs;
use super::watch::WatchArgs;

/// What `leasehold --help` says after the list of commands.
const FOOTER: &str = "\
Exit codes:
  0  done; also for a list that is empty
  1  failed; also if the thing that was asked for is not there
  2  the command line is wrong; nothing was sent
  3  a check said no: preflight, validate, irr, reputation, expiring --fail-within, setup, config check

The formats of answers, the names of -o name and all exit codes are described in docs/cli.md.";

/// A gRPC sidecar to NetBox for leased IPv4 space.
#[derive(Debug, Parser)]
#[command(name = "leasehold", version, about, max_term_width = 110, after_help = FOOTER)]
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
    /// Show who is on an address (exit 1 if nothing is recorded)
    Lookup(LookupArgs),
    /// Show and list prefixes
    Prefix(PrefixArgs),
    /// List VRFs
    Vrf(VrfArgs),
    /// Count how the addresses of prefixes are used
    Utilization(UtilizationArgs),
    /// Register, show, list, change, renew and end leases
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
    /// Record one address that you name
    Assign(AssignArgs),
    /// Show what a request allocated, or list allocations
    Allocations(AllocationsArgs),
    /// Release addresses, so that they can be allocated again
    Release(ReleaseArgs),
    /// Follow events as they happen
    Watch(WatchArgs),
    /// List past events of the event log
    Events(EventsArgs),
    /// Show what happened to an address and to the prefixes that contain it
    History(HistoryArgs),
    /// Inspect, test and replay notifications
    Notify(NotifyArgs),
    /// Start a sync or another job of the server
    Admin(AdminArgs),
    /// Check the settings and print the effective ones
    Config(ConfigArgs),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
    /// Write a man page for each command
    Man(ManArgs),
}

impl Command {
    /// The options of a client command that ends by itself; nothing for the others.
    pub(crate) fn client(&self) -> Option<&ClientArgs> {
        Some(match self {
            Self::Serve(_)
            | Self::Demo(_)
            | Self::Setup(_)
            | Self::EmulateNetbox(_)
            | Self::Watch(_)
            | Self::Config(_)
            | Self::Completions(_)
            | Self::Man(_) => return None,
            Self::Status(args) => &args.client,
            Self::Lookup(args) => &args.client,
            Self::Prefix(args) => args.client(),
            Self::Vrf(args) => args.client(),
            Self::Utilization(args) => &args.client,
            Self::Lease(args) => args.client(),
            Self::Expiring(args) => &args.client,
            Self::Preflight(args) => &args.client,
            Self::Validate(args) => &args.client,
            Self::Irr(args) => &args.client,
            Self::Reputation(args) => &args.client,
            Self::Allocate(args) => &args.client,
            Self::Assign(args) => &args.client,
            Self::Allocations(args) => &args.client,
            Self::Release(args) => &args.client,
            Self::Events(args) => args.client(),
            Self::History(args) => &args.client,
            Self::Notify(args) => args.client(),
            Self::Admin(args) => args.client(),
        })
    }

    /// The options of a command that writes; nothing for the others.
    pub(crate) fn write(&mut self) -> Option<&mut WriteArgs> {
        match self {
            Self::Lease(args) => args.write(),
            Self::Allocate(args) => Some(&mut args.write),
            Self::Assign(args) => Some(&mut args.write),
            Self::Release(args) => Some(&mut args.write),
            _ => None,
        }
    }

    /// Whether the command waits for something that takes as long as it takes.
    pub(crate) fn waits(&self) -> bool {
        match self {
            Self::Status(args) => args.wait,
            Self::Admin(args) => args.waits(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    /// The commands without `-o` and `--no-headers`, and why.
    const EXCEPTIONS: &[(&str, &str)] = &[
        ("serve", "it prints a log and no answer"),
        ("demo", "it tells a story"),
        ("setup", "it is a dialogue with NetBox for the person who installs the server"),
        ("emulate-netbox", "it prints how to reach it, and no answer"),
        ("config check", "it prints a settings file"),
        ("completions", "it prints a script"),
        ("man", "it writes files"),
    ];

    /// Every command that does something, with its full name.
    fn leaves(command: &clap::Command, name: &str, found: &mut Vec<(String, clap::Command)>) {
        if !command.has_subcommands() {
            found.push((name.to_owned(), command.clone()));
        }
        for subcommand in command.get_subcommands() {
            let name = format!("{name} {}", subcommand.get_name());
            leaves(subcommand, name.trim(), found);
        }
    }

    fn all_leaves() -> Vec<(String, clap::Command)> {
        let mut found = Vec::new();
        leaves(&Arguments::command(), "", &mut found);
        assert!(found.len() > 30, "only {} commands", found.len());
        found
    }

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_takes_a_format_and_no_headers_unless_it_prints_no_answer() {
        for (name, command) in all_leaves() {
            let takes =
                |flag: &str| command.get_arguments().any(|argument| argument.get_long() == Some(flag));
            let excepted = EXCEPTIONS.iter().any(|(exception, _)| *exception == name);
            assert_eq!(takes("output"), !excepted, "{name}: --output");
            assert_eq!(takes("no-headers"), !excepted, "{name}: --no-headers");
        }
    }

    #[test]
    fn every_command_that_can_only_try_takes_a_request_id() {
        let mut writes = 0;
        for (name, command) in all_leaves() {
            let takes =
                |flag: &str| command.get_arguments().any(|argument| argument.get_long() == Some(flag));
            assert_eq!(takes("validate-only"), takes("request-id"), "{name}");
            writes += usize::from(takes("request-id"));
        }
        assert_eq!(writes, 7, "allocate, assign, release, and register, update, renew and end of leases");
    }

    #[test]
    fn every_write_is_known_as_one() {
        for line in [
            "allocate --prefix 203.0.113.0/24",
            "assign 203.0.113.1",
            "release 203.0.113.1",
            "lease register 203.0.113.0/24 --owner ACME-LIR --expiry 2027-06-01",
            "lease update 203.0.113.0/24 --owner ACME-LIR",
            "lease renew 203.0.113.0/24 --expiry 2027-06-01",
            "lease end 203.0.113.0/24",
        ] {
            let words = std::iter::once("leasehold").chain(line.split(' '));
            let mut command = Arguments::try_parse_from(words).unwrap().command;
            assert!(command.write().is_some(), "{line}");
            assert!(command.client().is_some(), "{line}");
        }
    }

    #[test]
    fn only_a_command_that_waits_has_no_limit() {
        let waits = |line: &str| {
            let words = std::iter::once("leasehold").chain(line.split(' '));
            Arguments::try_parse_from(words).unwrap().command.waits()
        };
        assert!(
            waits("status --wait") && waits("admin sync --wait") && waits("admin trigger sync.full --wait")
        );
        assert!(!waits("status") && !waits("admin sync --full") && !waits("admin trigger sync.full"));
    }
}
