//! The signals that stop a command that runs until it is stopped.
//!
//! A client command does not listen for them: the first one ends its process, as the system does it by default.

use std::io;
use std::process::ExitCode;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::terminal::errln;

/// Listens for Ctrl-C (SIGINT) and SIGTERM. From then on neither of them ends the process by itself.
pub(crate) struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
}

/// A signal that asks the process to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopSignal {
    Interrupt,
    Terminate,
}

impl StopSignals {
    /// Begins to listen. A command calls this before anything else, so that a slow start can be stopped as well.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for the next signal.
    pub(crate) async fn next(&mut self) -> StopSignal {
        tokio::select! {
            _ = self.interrupt.recv() => StopSignal::Interrupt,
            _ = self.terminate.recv() => StopSignal::Terminate,
        }
    }

    /// Waits until `stop` has ended in good order. A further signal ends the wait at once.
    pub(crate) async fn drain(&mut self, stop: impl Future<Output = ()>) -> ExitCode {
        tokio::select! {
            () = stop => ExitCode::SUCCESS,
            signal = self.next() => {
                errln!("stopped at once by a second signal");
                signal.exit_code()
            }
        }
    }
}

impl StopSignal {
    /// The exit code by which shells know a process that the signal ended.
    pub(crate) fn exit_code(self) -> ExitCode {
        match self {
            Self::Interrupt => ExitCode::from(130),
            Self::Terminate => ExitCode::from(143),
        }
    }
}
