//! Reads the command line and runs the command.

use std::process::ExitCode;
use std::sync::Arc;

use clap::{CommandFactory as _, Parser as _};
use jiff::tz::TimeZone;

use super::command::{Arguments, Command};
use super::{
    allocate, allocations, completions, config, demo, emulate, events, expiring, history, irr, lease, lookup,
    notify, preflight, release, reputation, serve, setup, status, validate, watch,
};
use crate::clock::SystemClock;

/// Runs the command that the process was started with, and returns its exit code. Wrong usage ends the process with 2.
pub async fn run() -> ExitCode {
    let arguments = Arguments::parse();
    // The server counts days in its own time zone; the commands need an instant, and UTC dates.
    let clock = Arc::new(SystemClock::new(TimeZone::UTC));
    let result = match arguments.command {
        Command::Serve(args) => serve::run(args).await,
        Command::Demo(args) => demo::run(args, clock).await,
        Command::Setup(args) => setup::run(args).await,
        Command::EmulateNetbox(args) => emulate::run(args, clock).await,
        Command::Status(args) => status::run(args).await,
        Command::Lookup(args) => lookup::run(args).await,
        Command::Lease(args) => lease::run(args).await,
        Command::Allocate(args) => allocate::run(args).await,
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
        Command::Config(args) => Ok(config::run(args)),
        Command::Completions(args) => Ok(completions::complete(&args, Arguments::command())),
        Command::Man(args) => completions::man(&args, &Arguments::command()),
    };
    result.unwrap_or_else(|failure| {
        failure.print();
        ExitCode::FAILURE
    })
}
