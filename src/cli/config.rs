//! `leasehold config check`: prints the effective settings and all that is wrong with them.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::exit::{CHECK_SAID_NO, CliFailure};
use super::options::SettingsArgs;
use super::terminal::{errln, outln};
use crate::config::{ProcessEnvironment, RawSettings};

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

pub(crate) fn run(args: ConfigArgs) -> ExitCode {
    let ConfigCommand::Check(settings) = args.command;
    let raw = RawSettings::read(settings.config.as_deref(), &ProcessEnvironment).with_flags(settings.flags());
    for line in raw.to_toml().trim().lines() {
        outln!("{line}");
    }
    for warning in raw.warnings() {
        errln!("warning: {warning}");
    }
    match raw.check() {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            CliFailure::of_several_lines(error).print();
            ExitCode::from(CHECK_SAID_NO)
        }
    }
}
