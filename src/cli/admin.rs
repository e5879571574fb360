//! `leasehold admin …`: starts a sync or another job of the server.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::connect::{Connection, admin, refusal, waiting_admin};
use super::exit::{CliFailure, CommandResult};
use super::options::ClientArgs;
use super::status::print_jobs;
use super::terminal::print_facts;
use super::values;
use crate::rpc::proto::v1;
use crate::rpc::proto::v1::admin_service_client::AdminServiceClient;

#[derive(Debug, Args)]
pub(crate) struct AdminArgs {
    #[command(subcommand)]
    command: AdminCommand,
}

#[derive(Debug, Subcommand)]
enum AdminCommand {
    /// Start a job now
    Trigger(TriggerArgs),
    /// Start a sync with NetBox now
    Sync(SyncArgs),
}

#[derive(Debug, Args)]
struct TriggerArgs {
    /// The name of the job; `leasehold status -o name` lists the names
    job: String,
    /// Wait for the end of the run; exit 1 if it fails
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Debug, Args)]
struct SyncArgs {
    /// Make a full pass over NetBox instead of a poll of its change log
    #[arg(long)]
    full: bool,
    /// Wait for the end of the run; exit 1 if it fails
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    client: ClientArgs,
}

pub(crate) async fn run(args: AdminArgs) -> CommandResult {
    match args.command {
        AdminCommand::Trigger(args) => trigger(args).await,
        AdminCommand::Sync(args) => sync(args).await,
    }
}

impl AdminArgs {
    pub(crate) fn client(&self) -> &ClientArgs {
        match &self.command {
            AdminCommand::Trigger(args) => &args.client,
            AdminCommand::Sync(args) => &args.client,
        }
    }

    pub(crate) fn waits(&self) -> bool {
        match &self.command {
            AdminCommand::Trigger(args) => args.wait,
            AdminCommand::Sync(args) => args.wait,
        }
    }
}

async fn connect(args: &ClientArgs, wait: bool) -> Result<AdminServiceClient<Connection>, CliFailure> {
    if wait { waiting_admin(args).await } else { admin(args).await }
}

async fn trigger(args: TriggerArgs) -> CommandResult {
    let mut client = connect(&args.client, args.wait).await?;
    let request = v1::TriggerCheckRequest { job: args.job, wait: args.wait };
    let answer = client.trigger_check(request).await.map_err(|status| refusal(&status))?.into_inner();
    let job = answer.job.clone().unwrap_or_default();
    args.client.output.print("TriggerCheckResponse", &answer, [job.name.clone()], |output| {
        print_jobs(output, answer.job.as_slice());
    })?;
    end_of_run(args.wait, &job.name, job.last_failure.as_ref())
}

async fn sync(args: SyncArgs) -> CommandResult {
    let mut client = connect(&args.client, args.wait).await?;
    let request = v1::TriggerSyncRequest { full: args.full, wait: args.wait };
    let answer = client.trigger_sync(request).await.map_err(|status| refusal(&status))?.into_inner();
    let sync = answer.sync.clone().unwrap_or_default();
    let job = if args.full { "sync.full" } else { "sync.poll" };
    args.client.output.print("TriggerSyncResponse", &answer, [job.to_owned()], |_| print_sync(&sync))?;
    end_of_run(args.wait, job, sync.last_failure.as_ref())
}

/// The exit of a command that started a run. Without `--wait`, a failure is that of an earlier run.
fn end_of_run(waited: bool, job: &str, failure: Option<&v1::Failure>) -> CommandResult {
    match failure.filter(|_| waited) {
        None => Ok(ExitCode::SUCCESS),
        Some(failure) => {
            Err(CliFailure::new(format!("{job} failed: {}", failure.message)).because(&failure.reason))
        }
    }
}

fn print_sync(sync: &v1::SyncStatus) {
    let cache = sync.cache.unwrap_or_default();
    print_facts(&[
        ("sync", values::enum_name(sync.phase().as_str_name(), "SYNC_PHASE_")),
        ("prefixes", sync.prefix_count.to_string()),
        ("addresses", sync.address_count.to_string()),
        ("leases", sync.lease_count.to_string()),
        ("change log", sync.change_log_id.to_string()),
        ("synced", values::instant(cache.sync_time.as_ref())),
        ("full pass", values::instant(sync.last_full_pass_time.as_ref())),
        ("problem", values::failure(sync.last_failure.as_ref())),
    ]);
}
