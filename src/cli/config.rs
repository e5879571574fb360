//! `leasehold config check`.

use std::process::ExitCode;

use super::SAID_NO;
use super::args::{ConfigArgs, ConfigCommand};
use crate::config::{Draft, ProcessEnvironment};

pub(crate) fn run(args: ConfigArgs) -> ExitCode {
    let ConfigCommand::Check(settings) = args.command;
    let draft = match Draft::read(settings.config.as_deref(), &ProcessEnvironment) {
        Ok(draft) => draft.with_flags(settings.flags()),
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(SAID_NO);
        }
    };
    say!("{}", draft.shown().trim());
    match draft.check() {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(SAID_NO)
        }
    }
}
