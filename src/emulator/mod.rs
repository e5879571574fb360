//! An in-process NetBox that speaks the REST that Leasehold uses, as the real one (4.7) behaves.
//!
//! For the demo, the tests, the benchmarks, and for an orchestrator's own CI (`leasehold emulate-netbox`). It knows nothing
//! of the rest of Leasehold: what it does was read off a real NetBox, and the contract suite (tests/contract.rs) holds
//! both to the same answers, so that it cannot lie.
//!
//! What it has: prefixes, addresses, IP ranges, VRFs, tenants, roles, tags, custom fields with types and uniqueness, the
//! change log, cursor pages, `fields=`, ETag and If-Match, bulk writes that are all or none, available-ips under one lock,
//! and filters that are ignored silently when unknown. What it has not: users and permissions beyond a reading and a
//! writing token, sites and devices, the UI, webhooks.
//!
//! It can also behave as version 4.5 did ([`Emulator::older`]), as far as that is documented: no real one can be had
//! from PyPI to hold it to.
//!
//! Faults on demand ([`Faults`]): delay, 429, 500, an answer dropped after the commit, half an answer.

mod available;
mod faults;
mod filter;
mod records;
mod render;
mod routes;
mod seed;
mod state;
mod writes;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use faults::Faults;

use state::State;

/// A NetBox in memory. Cheap to clone: all clones are the same one.
#[derive(Clone)]
pub struct Emulator {
    /// One lock for everything, as NetBox has one for its addresses.
    state: Arc<Mutex<State>>,
    faults: Arc<Mutex<Faults>>,
    token: Arc<str>,
}

/// An emulator that listens.
pub struct Listening {
    /// Where.
    pub address: SocketAddr,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Emulator {
    /// An empty NetBox that accepts this token (and the same with `-readonly` behind it, for reading).
    pub fn new(token: &str) -> Self {
        Self { state: Arc::default(), faults: Arc::default(), token: token.into() }
    }

    /// The same, as version 4.5 behaves: no cursor pages, no If-Match, select fields as bare words.
    #[must_use]
    pub fn older(self) -> Self {
        self.state().older = true;
        self
    }

    /// Faults from now on.
    pub fn set_faults(&self, faults: Faults) {
        *self.faults.lock().unwrap_or_else(PoisonError::into_inner) = faults;
    }

    /// Fills it with leased-looking space: prefixes of /24 out of 10.0.0.0/8, addresses spread over them. No change log
    /// entries, like a bulk load that bypasses the API.
    pub fn seed(&self, prefixes: u32, addresses: u32) {
        seed::fill(&mut self.state(), prefixes, addresses);
    }

    /// Forgets the change log before its newest entries, as NetBox's housekeeping does.
    pub fn prune_change_log(&self, keep: usize) {
        self.state().prune_changes(keep);
    }

    /// Serves it on an address until stopped.
    pub async fn listen(&self, listen: SocketAddr) -> std::io::Result<Listening> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let stopping = stop.clone();
        let router = routes::router(self.clone());
        let task = tokio::spawn(async move {
            tokio::select! {
                // No grace: a NetBox that goes away does not say goodbye.
                () = stopping.cancelled() => {}
                _ = axum::serve(listener, router).into_future() => {}
            }
        });
        Ok(Listening { address, stop, task })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listening {
    /// Its base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops listening at once. What it holds stays with the [`Emulator`].
    pub async fn stop(self) {
        self.stop.cancel();
        let _ = self.task.await;
    }
}
