//! `leasehold lease …`: one file for each of its commands.

mod end;
mod key;
mod list;
mod register;
mod renew;
mod show;

use clap::{Args, Subcommand};

use super::exit::CommandResult;
use end::EndLeaseArgs;
use list::ListLeasesArgs;
use register::RegisterLeaseArgs;
use renew::RenewLeaseArgs;
use show::ShowLeaseArgs;

#[derive(Debug, Args)]
pub(crate) struct LeaseArgs {
    #[command(subcommand)]
    command: LeaseCommand,
}

#[derive(Debug, Subcommand)]
enum LeaseCommand {
    /// Register a leased block: the prefix and its lease in one call
    Register(RegisterLeaseArgs),
    /// Show the lease that covers a prefix or an address
    Show(ShowLeaseArgs),
    /// List leases, or those that match every filter
    List(ListLeasesArgs),
    /// Move the expiry of a lease
    Renew(RenewLeaseArgs),
    /// End a lease; its prefix is marked deprecated or deleted
    End(EndLeaseArgs),
}

pub(crate) async fn run(args: LeaseArgs) -> CommandResult {
    match args.command {
        LeaseCommand::Register(args) => register::run(args).await,
        LeaseCommand::Show(args) => show::run(args).await,
        LeaseCommand::List(args) => list::run(args).await,
        LeaseCommand::Renew(args) => renew::run(args).await,
        LeaseCommand::End(args) => end::run(args).await,
    }
}
