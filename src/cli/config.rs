//! `leasehold config check`.

use std::process::ExitCode;

use super::args::{ConfigArgs, ConfigCommand};
use super::{Outcome, SAID_NO};
use crate::config::{Draft, ProcessEnvironment};

pub(crate) fn run(args: ConfigArgs) -> Outcome {
    let ConfigCommand::Check(settings) = args.command;
    let draft = match Draft::read(settings.config.as_deref(), &ProcessEnvironment) {
        Ok(draft) => draft.with_flags(settings.flags()),
        Err(error) => {
            eprintln!("error: {error}");
            return Ok(ExitCode::from(SAID_NO));
        }
    };
    print!("{}", draft.shown());
    match draft.check() {
        Ok(_) => Ok(ExitCode::SUCCESS),
        Err(error) => {
            eprintln!("error: {error}");
            Ok(ExitCode::from(SAID_NO))
        }
    }
}
