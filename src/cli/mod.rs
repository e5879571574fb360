//! The command line: one file a subcommand.
//!
//! `serve`, `demo`, `setup` and `emulate-netbox` do things here; every other command is a gRPC client of a server that
//! runs. Tables for people, JSON for programs (`--output json`, the same JSON that grpcurl prints). Exit codes: 0 done, 1
//! failed, 2 usage, 3 a check said no.

#[macro_use]
mod speech;

mod allocate;
mod args;
mod completions;
mod config;
mod connect;
mod demo;
mod emulate;
mod events;
mod expiring;
mod history;
mod irr;
mod lease;
mod lookup;
mod notify;
mod output;
mod preflight;
mod release;
mod reputation;
mod serve;
mod setup;
mod status;
mod validate;
mod watch;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use args::{Arguments, Command};

/// Reads the command line and does what it says.
pub async fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.command {
        Command::Serve(command) => serve::run(command).await,
        Command::Demo(command) => demo::run(command).await,
        Command::Setup(command) => setup::run(command).await,
        Command::EmulateNetbox(command) => emulate::run(command).await,
        Command::Status(command) => status::run(command).await,
        Command::Lookup(command) => lookup::run(command).await,
        Command::Lease(command) => lease::run(command).await,
        Command::Allocate(command) => allocate::run(command).await,
        Command::Allocations(command) => allocate::show(command).await,
        Command::Release(command) => release::run(command).await,
        Command::Preflight(command) => preflight::run(command).await,
        Command::Validate(command) => validate::run(command).await,
        Command::Irr(command) => irr::run(command).await,
        Command::Reputation(command) => reputation::run(command).await,
        Command::Expiring(command) => expiring::run(command).await,
        Command::Watch(command) => watch::run(command).await,
        Command::Events(command) => events::run(command).await,
        Command::History(command) => history::run(command).await,
        Command::Notify(command) => notify::run(command).await,
        Command::Config(command) => Ok(config::run(command)),
        Command::Completions(command) => Ok(completions::complete(&command, Arguments::command())),
        Command::Man(command) => completions::man(&command, &Arguments::command()),
    };
    match outcome {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Why a command failed, for people. Commands end with it, so text is all that is left to keep.
pub(crate) struct Failure(String);

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

impl Failure {
    pub(crate) fn new(words: impl Into<String>) -> Self {
        Self(words.into())
    }
}

/// What a command comes to.
pub(crate) type Outcome = Result<ExitCode, Failure>;

/// A check said no.
pub(crate) const SAID_NO: u8 = 3;
