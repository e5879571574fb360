//! `leasehold serve`.

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

use super::Outcome;
use super::args::ServeArgs;
use crate::config::{Draft, Flags, ProcessEnvironment};
use crate::{server, telemetry};

pub(crate) async fn run(args: ServeArgs) -> Outcome {
    let flags = Flags {
        grpc_listen: args.grpc_listen,
        http_listen: args.http_listen,
        directory: args.directory,
        allow_remote: args.allow_remote,
        ..args.settings.flags()
    };
    let draft = Draft::read(args.settings.config.as_deref(), &ProcessEnvironment)?.with_flags(flags);
    let settings = draft.check()?;
    let (level, format) = draft.log();
    telemetry::start_logging(level, format);
    let running = server::start(settings).await?;
    stopped().await?;
    tracing::info!("stopping");
    running.stop().await;
    Ok(ExitCode::SUCCESS)
}

/// Waits for Ctrl-C or SIGTERM.
pub(crate) async fn stopped() -> Result<(), std::io::Error> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        outcome = tokio::signal::ctrl_c() => outcome,
        _ = terminate.recv() => Ok(()),
    }
}
