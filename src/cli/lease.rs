//! `leasehold lease …`: one file for each of its commands.

mod end;
mod list;
mod register;
mod renew;
mod show;
mod update;

use clap::{Args, Subcommand};

use super::exit::CommandResult;
use super::options::{ClientArgs, WriteArgs};
use end::EndLeaseArgs;
use list::ListLeasesArgs;
use register::RegisterLeaseArgs;
use renew::RenewLeaseArgs;
use show::ShowLeaseArgs;
use update::UpdateLeaseArgs;

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
    /// Change agreed values of a lease, but not its expiry
    Update(UpdateLeaseArgs),
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
        LeaseCommand::Update(args) => update::run(args).await,
        LeaseCommand::Renew(args) => renew::run(args).await,
        LeaseCommand::End(args) => end::run(args).await,
    }
}

impl LeaseArgs {
    pub(crate) fn client(&self) -> &ClientArgs {
        match &self.command {
            LeaseCommand::Register(args) => &args.client,
            LeaseCommand::Show(args) => &args.client,
            LeaseCommand::List(args) => &args.client,
            LeaseCommand::Update(args) => &args.client,
            LeaseCommand::Renew(args) => &args.client,
            LeaseCommand::End(args) => &args.client,
        }
    }

    pub(crate) fn write(&mut self) -> Option<&mut WriteArgs> {
        match &mut self.command {
            LeaseCommand::Register(args) => Some(&mut args.write),
            LeaseCommand::Update(args) => Some(&mut args.write),
            LeaseCommand::Renew(args) => Some(&mut args.write),
            LeaseCommand::End(args) => Some(&mut args.write),
            LeaseCommand::Show(_) | LeaseCommand::List(_) => None,
        }
    }
}
