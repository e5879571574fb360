//! `leasehold serve`: runs the server until Ctrl-C or SIGTERM.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::exit::{CliFailure, CommandResult};
use super::options::SettingsArgs;
use super::stop_signal::StopSignals;
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
    let mut signals = StopSignals::listen()?;
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
    // A database that does not answer can hold up the start. Nothing has been served by then, so there is nothing to drain.
    let running = tokio::select! {
        started = server::start(settings) => started?,
        _ = signals.next() => {
            tracing::info!("stopped during the start");
            return Ok(ExitCode::SUCCESS);
        }
    };
    signals.next().await;
    tracing::info!("stopping; a second signal stops at once");
    Ok(signals.drain(running.stop()).await)
}
