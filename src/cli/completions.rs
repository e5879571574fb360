//! `leasehold completions` and `leasehold man`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::exit::CommandResult;
use super::terminal::{outln, print_script};

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell that will read the script
    shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Directory for the man pages
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// Prints the completion script of a command line.
pub(crate) fn complete(args: &CompletionsArgs, mut command: clap::Command) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "leasehold", &mut script);
    print_script(&String::from_utf8_lossy(&script));
    ExitCode::SUCCESS
}

/// Writes a man page for each command.
pub(crate) fn man(args: &ManArgs, command: &clap::Command) -> CommandResult {
    std::fs::create_dir_all(&args.directory)?;
    clap_mangen::generate_to(command.clone(), &args.directory)?;
    outln!("man pages written to {}", args.directory.display());
    Ok(ExitCode::SUCCESS)
}
