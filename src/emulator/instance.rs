//! An emulated NetBox as its owner handles it: created, filled, started and stopped.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::faults::Faults;
use super::seed::{self, SeedError};
use super::shared::SharedEmulator;
use super::state::EmulatorState;
use crate::clock::Clock;

/// A NetBox in memory. Clones share the same records, so cloning is cheap.
#[derive(Clone)]
pub struct Emulator {
    shared: Arc<SharedEmulator>,
}

/// An emulator that accepts connections.
pub struct Listening {
    /// The address it accepts connections on, with the port that the system chose if port 0 was asked for.
    pub address: SocketAddr,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Emulator {
    /// An empty NetBox that accepts `token` for reading and writing, and `token` with `-readonly` appended for reading. The
    /// clock dates its records and its change log.
    pub fn new(token: &str, clock: Arc<dyn Clock>) -> Self {
        Self { shared: Arc::new(SharedEmulator::new(token, EmulatorState::new(clock))) }
    }

    /// The same NetBox behaving as version 4.5: no cursor pages, no If-Match, select fields as bare words.
    #[must_use]
    pub fn older(self) -> Self {
        self.shared.state().older = true;
        self
    }

    /// The same NetBox with `DEFAULT_LANGUAGE = 'de'`: a request without Accept-Language gets German error texts.
    #[must_use]
    pub fn german(self) -> Self {
        self.shared.state().german = true;
        self
    }

    /// Replaces the faults that requests meet from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.shared.set_faults(faults);
    }

    /// Gives the permissions to change and to delete prefixes and addresses the constraint `{"status": STATUS}`. Like NetBox,
    /// the emulator answers about other records as if they did not exist.
    pub fn constrain_writes(&self, status: &str) {
        self.shared.state().writable_status = Some(status.to_owned());
    }

    /// Adds leased prefixes of length /24 and addresses that are spread evenly over them, without change log entries, as a
    /// bulk load past the API would. Fails, and adds nothing, if that many do not fit ([`SeedError`] says the limit).
    pub fn seed(&self, prefixes: u32, addresses: u32) -> Result<(), SeedError> {
        seed::fill(&mut self.shared.state(), prefixes, addresses)
    }

    /// Removes all but the newest `keep` entries of the change log, as NetBox's housekeeping does.
    pub fn prune_change_log(&self, keep: usize) {
        self.shared.state().change_log.prune(keep);
    }

    /// Accepts connections on an address until [`Listening::stop`].
    pub async fn listen(&self, listen: SocketAddr) -> std::io::Result<Listening> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let stopping = stop.clone();
        let router = super::http::router(self.shared.clone());
        let task = tokio::spawn(async move {
            tokio::select! {
                // Open connections are dropped at once: an outage of NetBox is not graceful either.
                () = stopping.cancelled() => {}
                _ = axum::serve(listener, router).into_future() => {}
            }
        });
        Ok(Listening { address, stop, task })
    }
}

impl Listening {
    /// The base URL, without `/api`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops accepting connections at once. The records stay with the [`Emulator`], which can listen again.
    pub async fn stop(self) {
        self.stop.cancel();
        let _ = self.task.await;
    }
}
