//! A server from its start to its stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::edge::{self, Listeners};
use super::error::Error;
use super::leadership::Candidate;
use super::{capabilities, jobs, stores};
use crate::allocation::Allocator;
use crate::cache::Cache;
use crate::clock::{Clock, SystemClock};
use crate::config::Settings;
use crate::events::EventLog;
use crate::jobs::{Leadership, Scheduler};
use crate::ledger::Owner;
use crate::rpc::HealthReport;
use crate::telemetry;

/// A server that runs. Dropping it does not stop it: call [`Running::stop`].
pub struct Running {
    /// The address of the gRPC listener, with the port that was bound.
    pub grpc: SocketAddr,
    /// The address of the HTTP listener, with the port that was bound.
    pub http: SocketAddr,
    /// The cache that it serves from.
    pub cache: Arc<Cache>,
    /// The event log that it writes.
    pub log: Arc<EventLog>,
    /// Cancelled once, by [`Running::stop`]: the listeners, the jobs' triggers and the streams watch it.
    stop: CancellationToken,
    edge: JoinHandle<()>,
    allocator: Arc<Allocator>,
    scheduler: Scheduler,
    /// `None` if no other server shares the ledger.
    candidate: Option<Candidate>,
    drain: Duration,
}

/// Starts a server and returns once it listens. NetBox need not be in reach.
pub async fn start(settings: Settings) -> Result<Running, Error> {
    // A metric handle that is made before the recorder is installed records nothing, so this comes first.
    telemetry::metrics();
    let listeners = Listeners::bind(&settings).await?;
    let (grpc, http) = (listeners.grpc_address, listeners.http_address);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new(settings.time_zone.clone()));

    let owner = Owner::random();
    let stores = stores::open(&settings, &clock).await?;
    // A ledger of its own has no other server to agree with.
    let candidate = stores
        .ledger
        .intents
        .is_shared()
        .then(|| Candidate::new(stores.ledger.job_leases.clone(), owner.clone(), clock.clone()));
    let components = capabilities::build(&settings, stores, owner, clock).await?;
    Box::pin(components.allocator.show_pools()).await;
    let (health, health_service) = tonic_health::server::health_reporter();
    let health = HealthReport::new(health, components.cache.clone(), components.allocator.clone());
    health.update().await;
    let stop = CancellationToken::new();
    let leadership = candidate.clone().map(|candidate| {
        let (tell, leadership) = watch::channel(Leadership::Elsewhere);
        tokio::spawn(candidate.run(tell, stop.clone()));
        leadership
    });
    let scheduler = jobs::start(&settings, &components, Arc::new(health), leadership, &stop);
    let edge = edge::serve(listeners, &settings, &components, &scheduler, health_service, &stop)?;

    tokio::spawn(components.log.clone().run());
    Ok(Running {
        grpc,
        http,
        cache: components.cache,
        log: components.log,
        stop,
        edge,
        allocator: components.allocator,
        scheduler,
        candidate,
        drain: settings.drain,
    })
}

impl Running {
    /// Stops the server: it takes no new calls and waits, up to the drain time, for calls under way and for the writes that
    /// they began. A write that is not finished by then stays in the ledger as an intent, which the next start settles.
    pub async fn stop(self) {
        self.stop.cancel();
        // Streams do not end by themselves: this closes each with its resume token.
        self.log.stop();
        let abort = self.edge.abort_handle();
        let edge = async {
            let _ = self.edge.await;
            self.allocator.drain().await;
            Box::pin(self.allocator.finish_pools()).await;
        };
        // Both at once, so that a slow caller does not use up the time that the jobs need to end in order.
        let drained = async { tokio::join!(edge, self.scheduler.stop()) };
        if tokio::time::timeout(self.drain, drained).await.is_err() {
            tracing::warn!(drain = ?self.drain, "not everything ended within the drain time");
            abort.abort();
        }
        // Only now: the jobs have ended.
        if let Some(candidate) = self.candidate {
            candidate.retire().await;
        }
    }
}
