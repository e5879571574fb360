//! Which of the servers that share a ledger runs the jobs that one runs for all: the one that holds a lease in the ledger.
//!
//! The holder renews its lease; the others ask for it again and again, so that a server that dies is replaced within
//! [`TERM`] and one [`INTERVAL`]. A holder that cannot renew stops its jobs before its lease is over. What such a job may still
//! have sent is harmless: intents are stored by compare-and-set on their claim, the event log drops an event that it has, and a
//! delivery has an id by which its receiver knows it.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::jobs::Leadership;
use crate::ledger::{JobLeases, Owner};

/// The name of the lease.
const NAME: &str = "jobs";
/// How long a lease lasts unless it is renewed.
const TERM: Duration = Duration::from_secs(12);
/// How often it is renewed or asked for.
const INTERVAL: Duration = Duration::from_secs(3);
/// A holder that has not renewed for so long stops: before anybody else can have the lease.
const GIVE_UP: Duration = Duration::from_secs(9);

/// A server that asks for the lease.
#[derive(Clone)]
pub(super) struct Candidate {
    leases: Arc<dyn JobLeases>,
    owner: Owner,
    clock: Arc<dyn Clock>,
}

impl Candidate {
    pub(super) fn new(leases: Arc<dyn JobLeases>, owner: Owner, clock: Arc<dyn Clock>) -> Self {
        Self { leases, owner, clock }
    }

    /// Asks for the lease, renews it, and tells the jobs who holds it, until the server stops.
    pub(super) async fn run(self, tell: watch::Sender<Leadership>, stop: CancellationToken) {
        let mut held_since: Option<Instant> = None;
        loop {
            let asked = Instant::now();
            match tokio::time::timeout(INTERVAL, self.ask()).await {
                Ok(Ok(true)) => held_since = Some(asked),
                Ok(Ok(false)) => held_since = None,
                Ok(Err(error)) => tracing::warn!(%error, "the lease of the jobs could not be asked for"),
                Err(_) => tracing::warn!("the ledger did not say who holds the lease of the jobs"),
            }
            held_since = held_since.filter(|since| since.elapsed() < GIVE_UP);
            let leadership = if held_since.is_some() { Leadership::Held } else { Leadership::Elsewhere };
            tell.send_if_modified(|before| {
                let changed = *before != leadership;
                if changed {
                    tracing::info!(?leadership, "the jobs that one server runs for all");
                }
                *before = leadership;
                changed
            });
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(INTERVAL) => {}
            }
        }
    }

    async fn ask(&self) -> Result<bool, crate::ledger::Error> {
        let now = self.clock.now();
        let until = now.checked_add(TERM).unwrap_or(Timestamp::MAX);
        Ok(self.leases.hold(NAME, &self.owner, now, until).await?.is_some())
    }

    /// Gives the lease back, so that another server need not wait for its end.
    pub(super) async fn retire(&self) {
        if let Err(error) = self.leases.give_back(NAME, &self.owner, self.clock.now()).await {
            tracing::warn!(%error, "the lease of the jobs could not be given back");
        }
    }
}
