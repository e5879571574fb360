//! `leasehold watch`: events as they happen, one on each line.
//!
//! A restart of the server does not end it. With `--resume-file`, a new process goes on where the last one was.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use tonic::Status;

use super::event_filter::EventFilterArgs;
use super::exit::CommandResult;
use super::options::ServerArgs;
use super::references::{parse_tenant, parse_vrf};
use super::terminal::errln;
use super::watch_output::WatchOutputArgs;
use super::watch_position::WatchPosition;
use super::watch_stream::{StreamEnd, WatchRequest, WatchedItem};
use crate::rpc::proto::v1;

#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    #[command(subcommand)]
    command: WatchCommand,
}

#[derive(Debug, Subcommand)]
enum WatchCommand {
    /// Follow all events, or those that match every filter (EventService.WatchEvents)
    Events(WatchEventsArgs),
    /// Follow the leases that expire within the horizon, then the events about them (LeaseService.WatchExpiry)
    Expiry(WatchExpiryArgs),
}

#[derive(Debug, Args)]
struct WatchEventsArgs {
    #[command(flatten)]
    filter: EventFilterArgs,
    /// Only events about leases that expire within this many days
    #[arg(long, value_name = "DAYS")]
    horizon: Option<i32>,
    /// Skip the snapshot of the current leases and begin with the next event
    #[arg(long)]
    no_snapshot: bool,
    #[command(flatten)]
    follow: FollowArgs,
}

#[derive(Debug, Args)]
struct WatchExpiryArgs {
    /// Leases that expire within this many days; expired ones are always included
    #[arg(long, default_value_t = 60, value_name = "DAYS")]
    horizon: i32,
    /// Only of this owner
    #[arg(long, default_value = "", hide_default_value = true)]
    owner: String,
    /// Only of this tenant: its slug, id:12 or name:…
    #[arg(long, value_name = "TENANT", value_parser = parse_tenant)]
    tenant: Option<v1::TenantRef>,
    /// Only with this tag, by slug
    #[arg(long, default_value = "", hide_default_value = true, value_name = "SLUG")]
    tag: String,
    /// Only within this prefix
    #[arg(long, default_value = "", hide_default_value = true, value_name = "PREFIX")]
    within: String,
    /// Only of this VRF: its id, name or RD; 0 for the global table
    #[arg(long, value_name = "VRF", value_parser = parse_vrf)]
    vrf: Option<v1::VrfRef>,
    #[command(flatten)]
    follow: FollowArgs,
}

#[derive(Debug, Args)]
struct FollowArgs {
    /// Store the position in this file and resume from it, so that no event is missed
    #[arg(long, value_name = "FILE")]
    resume_file: Option<PathBuf>,
    /// End after this many events
    #[arg(long, value_name = "COUNT")]
    count: Option<u64>,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: WatchOutputArgs,
}

/// The longest wait before the server is tried again.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

pub(crate) async fn run(args: WatchArgs) -> CommandResult {
    match args.command {
        WatchCommand::Events(args) => {
            let request = v1::WatchEventsRequest {
                types: args.filter.types(),
                owner: args.filter.owner.clone(),
                tenant: args.filter.tenant.clone(),
                tag: args.filter.tag.clone(),
                within: args.filter.within.clone(),
                vrf: args.filter.vrf.clone(),
                horizon_days: args.horizon,
                skip_snapshot: args.no_snapshot,
                resume_token: String::new(),
            };
            follow(&args.follow, WatchRequest::Events(request)).await
        }
        WatchCommand::Expiry(args) => {
            let request = v1::WatchExpiryRequest {
                horizon_days: Some(args.horizon),
                owner: args.owner,
                tenant: args.tenant,
                tag: args.tag,
                within: args.within,
                vrf: args.vrf,
                resume_token: String::new(),
            };
            follow(&args.follow, WatchRequest::Expiry(request)).await
        }
    }
}

/// Prints the messages of a stream and opens it again, from where it was, whenever it ends for a reason that passes.
async fn follow(args: &FollowArgs, request: WatchRequest) -> CommandResult {
    let mut position = WatchPosition::open(args.resume_file.as_deref())?;
    args.output.print_headers();
    let (mut events, mut failed_tries, mut was_connected) = (0, 0u32, false);
    loop {
        let end = match request.open(&args.server, position.token()).await {
            Ok(mut stream) => {
                was_connected = true;
                loop {
                    match stream.next().await {
                        Ok(Some(message)) => {
                            if std::mem::take(&mut failed_tries) > 0 {
                                errln!("note: the server is back");
                            }
                            args.output.print(&message);
                            // Only after it was printed: if we are killed in between, it is printed twice but not missed.
                            position.advance(message.token)?;
                            events += u64::from(matches!(message.item, WatchedItem::Event(_)));
                            if args.count.is_some_and(|count| events >= count) {
                                return Ok(ExitCode::SUCCESS);
                            }
                        }
                        Ok(None) => {
                            break StreamEnd::Temporary(Status::unavailable(
                                "the server has ended the stream",
                            ));
                        }
                        Err(end) => break end,
                    }
                }
            }
            Err(end) => end,
        };
        let why = match end {
            StreamEnd::Fatal(failure) => return Err(failure),
            // On the first try, a wrong --server is more likely than an outage.
            StreamEnd::Unreachable(failure) if !was_connected => return Err(failure),
            StreamEnd::Unreachable(failure) => failure.summary().to_owned(),
            StreamEnd::Temporary(status) => status.message().to_owned(),
        };
        if failed_tries == 0 {
            errln!("note: {why}; trying again");
        }
        let wait = Duration::from_millis(250).saturating_mul(2u32.saturating_pow(failed_tries));
        failed_tries = failed_tries.saturating_add(1);
        tokio::time::sleep(wait.min(LONGEST_WAIT)).await;
    }
}
