//! `leasehold config check`.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::exit::{CHECK_SAID_NO, CliFailure, CommandResult};
use super::options::SettingsArgs;
use super::terminal::outln;
use crate::config::{Draft, ProcessEnvironment};

#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Check the settings and print the effective ones, without secrets (exit 3 if they are not right)
    Check(SettingsArgs),
}

pub(crate) fn run(args: ConfigArgs) -> CommandResult {
    let ConfigCommand::Check(settings) = args.command;
    let checked = Draft::read(settings.config.as_deref(), &ProcessEnvironment).and_then(|draft| {
        let draft = draft.with_flags(settings.flags());
        for line in draft.shown().trim().lines() {
            outln!("{line}");
        }
        draft.check()
    });
    match checked {
        Ok(_) => Ok(ExitCode::SUCCESS),
        Err(error) => {
            CliFailure::of_several_lines(error).print();
            Ok(ExitCode::from(CHECK_SAID_NO))
        }
    }
}
