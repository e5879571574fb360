//! `leasehold serve`: runs the server until Ctrl-C or SIGTERM.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::exit::{CliFailure, CommandResult};
use super::options::SettingsArgs;
use super::stop_signal::wait_for_stop;
use crate::config::{Flags, ProcessEnvironment, RawSettings};
use crate::{server, telemetry};

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    settings: SettingsArgs,
    /// Address of the gRPC listener (server.grpc_listen)
    #[arg(long, value_name = "ADDRESS:PORT")]
    grpc_listen: Option<SocketAddr>,
    /// Address of the HTTP listener (server.http_listen)
    #[arg(long, value_name = "ADDRESS:PORT")]
    http_listen: Option<SocketAddr>,
    /// Directory of cache and ledger (storage.directory)
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Allow listeners outside loopback although callers are not authenticated (server.allow_remote)
    #[arg(long)]
    allow_remote: bool,
}

pub(crate) async fn run(args: ServeArgs) -> CommandResult {
    let flags = Flags {
        grpc_listen: args.grpc_listen,
        http_listen: args.http_listen,
        directory: args.directory,
        allow_remote: args.allow_remote,
        ..args.settings.flags()
    };
    let raw = RawSettings::read(args.settings.config.as_deref(), &ProcessEnvironment).with_flags(flags);
    let settings = raw.check().map_err(CliFailure::of_several_lines)?;
    telemetry::start_logging(&settings.log_level, settings.log_format);
    raw.log_warnings();
    let running = server::start(settings).await?;
    wait_for_stop().await?;
    tracing::info!("stopping");
    running.stop().await;
    Ok(ExitCode::SUCCESS)
}
