//! Reads the command line and runs the command.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{CommandFactory as _, Parser as _};
use jiff::tz::TimeZone;

use super::command::{Arguments, Command};
use super::exit::{CliFailure, CommandResult};
use super::options::{DEFAULT_TIMEOUT, WriteArgs};
use super::retry::retry_line;
use super::terminal::errln;
use super::{
    admin, allocate, allocations, assign, completions, config, demo, emulate, events, expiring, history, irr,
    lease, lookup, notify, prefix, preflight, release, reputation, serve, setup, status, utilization,
    validate, vrf, watch,
};
use crate::clock::SystemClock;
use crate::model::RequestId;

/// Runs the command that the process was started with, and returns its exit code. Wrong usage ends the process with 2.
pub async fn run() -> ExitCode {
    let mut command = Arguments::parse().command;
    let retry = command.write().and_then(announce_request_id).map(|id| {
        retry_line(std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()), id.as_str())
    });
    let limit = limit(&command);
    within(limit, Box::pin(dispatch(command))).await.unwrap_or_else(|failure| {
        failure.print();
        if let Some(line) = retry.filter(|_| failure.is_open()) {
            errln!("To repeat it, and to learn whether it was done: {line}");
        }
        failure.exit_code()
    })
}

/// Gives a write its id. It is printed before the request is sent: if the answer is lost, a retry needs it. A write that only
/// tries has no id, because it uses none up.
fn announce_request_id(write: &mut WriteArgs) -> Option<RequestId> {
    if write.validate_only {
        return None;
    }
    Some(
        write
            .request_id
            .get_or_insert_with(|| {
                let id = RequestId::random();
                errln!("request id: {id}; repeat with --request-id {id} if the answer is lost");
                id
            })
            .clone(),
    )
}

/// The longest time that the command may take. Commands that run until they are stopped have none, and neither have those
/// that wait for something, unless `--timeout` is given.
fn limit(command: &Command) -> Option<Duration> {
    let client = command.client()?;
    client.server.timeout.or(if command.waits() { None } else { Some(DEFAULT_TIMEOUT) })
}

/// Bounds a command as a whole: the connection, every call, every page of a list and every stream that ends by itself.
async fn within(limit: Option<Duration>, command: impl Future<Output = CommandResult>) -> CommandResult {
    let Some(limit) = limit else { return command.await };
    tokio::time::timeout(limit, command).await.unwrap_or_else(|_| Err(CliFailure::timed_out(limit)))
}

async fn dispatch(command: Command) -> CommandResult {
    // The server counts days in its own time zone; the commands need an instant, and UTC dates.
    let clock = Arc::new(SystemClock::new(TimeZone::UTC));
    match command {
        Command::Serve(args) => serve::run(args).await,
        Command::Demo(args) => demo::run(args, clock).await,
        Command::Setup(args) => setup::run(args).await,
        Command::EmulateNetbox(args) => emulate::run(args, clock).await,
        Command::Status(args) => status::run(args).await,
        Command::Lookup(args) => lookup::run(args).await,
        Command::Prefix(args) => prefix::run(args).await,
        Command::Vrf(args) => vrf::run(args).await,
        Command::Utilization(args) => utilization::run(args).await,
        Command::Lease(args) => lease::run(args).await,
        Command::Allocate(args) => allocate::run(args).await,
        Command::Assign(args) => assign::run(args).await,
        Command::Allocations(args) => allocations::run(args).await,
        Command::Release(args) => release::run(args).await,
        Command::Preflight(args) => preflight::run(args).await,
        Command::Validate(args) => validate::run(args).await,
        Command::Irr(args) => irr::run(args).await,
        Command::Reputation(args) => reputation::run(args).await,
        Command::Expiring(args) => expiring::run(args, &*clock).await,
        Command::Watch(args) => watch::run(args).await,
        Command::Events(args) => events::run(args).await,
        Command::History(args) => history::run(args).await,
        Command::Notify(args) => notify::run(args).await,
        Command::Admin(args) => admin::run(args).await,
        Command::Config(args) => Ok(config::run(args)),
        Command::Completions(args) => Ok(completions::complete(&args, Arguments::command())),
        Command::Man(args) => completions::man(&args, &Arguments::command()),
    }
}
