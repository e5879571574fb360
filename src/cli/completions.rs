//! `leasehold completions` and `leasehold man`.

use std::process::ExitCode;

use super::Outcome;
use super::args::{CompletionsArgs, ManArgs};

pub(crate) fn complete(args: &CompletionsArgs, mut command: clap::Command) -> ExitCode {
    clap_complete::generate(args.shell, &mut command, "leasehold", &mut std::io::stdout());
    ExitCode::SUCCESS
}

pub(crate) fn man(args: &ManArgs, command: &clap::Command) -> Outcome {
    std::fs::create_dir_all(&args.directory)?;
    clap_mangen::generate_to(command.clone(), &args.directory)?;
    say!("man pages written to {}", args.directory.display());
    Ok(ExitCode::SUCCESS)
}
