//! Wires it all: the only place that knows every room. Start, run, drain, stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use jiff::Timestamp;
use prost::Message as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server as Grpc;
use tonic::transport::server::TcpIncoming;

use crate::allocation::Allocator;
use crate::cache::{self, Cache, Opened, StoreIdentity};
use crate::clock::{Clock, SystemClock};
use crate::config::Settings;
use crate::events::{EventLog, Historian, SyncWatch};
use crate::expiry::Engine;
use crate::jobs::Scheduler;
use crate::lease::Registrar;
use crate::ledger::{self, LedgerSettings, Retention};
use crate::netbox::{self, Client, Field};
use crate::rpc::proto::v1::admin_service_server::AdminServiceServer;
use crate::rpc::proto::v1::allocation_service_server::AllocationServiceServer;
use crate::rpc::proto::v1::event_service_server::EventServiceServer;
use crate::rpc::proto::v1::lease_service_server::LeaseServiceServer;
use crate::rpc::proto::v1::prefix_service_server::PrefixServiceServer;
use crate::rpc::{
    Admin, Allocations, Events, Facts, Layers, Leases, MAX_REQUEST_BYTES, Prefixes, proto, report_health,
};
use crate::sync::Syncer;
use crate::{http, telemetry};

/// The server cannot start, or ended badly.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The NetBox client cannot be made of the settings.
    #[error(transparent)]
    NetBox(#[from] netbox::SettingsError),
    /// The cache's file cannot be used.
    #[error(transparent)]
    Cache(#[from] cache::Error),
    /// The ledger cannot be used.
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    /// The directory cannot be made.
    #[error("{path}: {source}")]
    Directory {
        /// Which.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The port cannot be had.
    #[error("cannot listen on {listen}: {source}")]
    Listen {
        /// Where.
        listen: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The descriptors cannot be served.
    #[error("reflection: {0}")]
    Reflection(String),
}

/// How often an intent that stayed open is settled, and health is told anew.
const SETTLE_EVERY: Duration = Duration::from_secs(10);
const HEALTH_EVERY: Duration = Duration::from_millis(500);
/// How often it is looked whether NetBox is still followed, and what retention lets go.
const SYNC_WATCH_EVERY: Duration = Duration::from_secs(1);
/// How often it is looked which leases run out: a walk in memory, so that a term that is shortened is told at once.
const EXPIRY_EVERY: Duration = Duration::from_secs(2);
const COMPACT_EVERY: Duration = Duration::from_mins(10);
/// No call lasts longer than this, whatever deadline it asks for.
const LONGEST_CALL: Duration = Duration::from_mins(2);

/// A server that runs.
pub struct Running {
    /// Where gRPC listens.
    pub grpc: SocketAddr,
    /// Where the HTTP side listens.
    pub http: SocketAddr,
    /// The cache that it serves.
    pub cache: Arc<Cache>,
    /// The event log that it keeps.
    pub log: Arc<EventLog>,
    stop: CancellationToken,
    edge: tokio::task::JoinHandle<()>,
    allocator: Arc<Allocator>,
    scheduler: Scheduler,
    drain: Duration,
}

/// Starts everything and returns once it listens. NetBox need not be in reach.
pub async fn start(settings: Settings) -> Result<Running, Error> {
    let grpc_listener = listen(settings.grpc_listen).await?;
    let http_listener = listen(settings.http_listen).await?;
    let bound = |listener: &TcpListener, listen| {
        listener.local_addr().map_err(|source| Error::Listen { listen, source })
    };
    let grpc = bound(&grpc_listener, settings.grpc_listen)?;
    let http_at = bound(&http_listener, settings.http_listen)?;
    // Before any metric is made: handles that are made earlier lead nowhere.
    telemetry::metrics();

    for path in settings.cache_file.iter().chain(match &settings.ledger {
        LedgerSettings::Sqlite(path) => Some(path),
        LedgerSettings::Temporary | LedgerSettings::Postgres(_) => None,
    }) {
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)
                .map_err(|source| Error::Directory { path: directory.to_owned(), source })?;
        }
    }

    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new(settings.time_zone.clone()));
    let client = Client::new(&settings.netbox)?;
    let (cache, opened) = Cache::open(settings.cache_file.as_deref(), &identity(&client)).await?;
    let books = ledger::open(&settings.ledger).await?;
    let log = EventLog::open(books.journal.clone(), clock.clone()).await?;
    let cache = Arc::new(cache.witnessed_by(log.clone()));
    match opened {
        Opened::Loaded => tracing::info!(counts = ?cache.counts(), "serving from the cache file"),
        Opened::Empty | Opened::SetAside { .. } => {
            tracing::info!("no cache file to serve from: reading NetBox first");
        }
    }
    let syncer = Arc::new(Syncer::new(client.clone(), cache.clone()).await);
    let registrar = Arc::new(Registrar::new(client.clone(), cache.clone()));
    let historian = Arc::new(Historian::new(client.clone(), cache.clone(), log.clone()));
    let allocator = Arc::new(Allocator::new(client, cache.clone(), books.intents.clone(), clock.clone()));

    let (health, health_service) = tonic_health::server::health_reporter();
    report_health(&health, &cache, &allocator).await;
    let scheduler = Scheduler::default();
    schedule(&scheduler, &settings, &syncer, &allocator);
    schedule_events(&scheduler, &settings, &cache, &log, &clock);
    let engine = Arc::new(Engine::new(cache.clone(), log.clone(), clock.clone(), settings.expiry.clone()));
    scheduler.add(
        "expiry.look",
        EXPIRY_EVERY,
        Arc::new(move || {
            let engine = engine.clone();
            async move { engine.look().await.map(drop).map_err(|error| error.to_string()) }.boxed()
        }),
    );
    tokio::spawn(log.clone().run());
    {
        let (cache, allocator) = (cache.clone(), allocator.clone());
        scheduler.add(
            "health",
            HEALTH_EVERY,
            Arc::new(move || {
                let (health, cache, allocator) = (health.clone(), cache.clone(), allocator.clone());
                async move {
                    report_health(&health, &cache, &allocator).await;
                    Ok(())
                }
                .boxed()
            }),
        );
    }

    let facts = Facts {
        cache: cache.clone(),
        syncer,
        allocator: allocator.clone(),
        scheduler: scheduler.clone(),
        clock: clock.clone(),
        started: clock.now(),
    };
    let stop = CancellationToken::new();
    let reflection = |error: tonic_reflection::server::Error| Error::Reflection(error.to_string());
    let descriptors = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let router = Grpc::builder()
        .accept_http1(true)
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .http2_keepalive_timeout(Some(Duration::from_secs(10)))
        .max_concurrent_streams(1024)
        .layer(Layers::new(methods()?, LONGEST_CALL))
        .layer(tonic_web::GrpcWebLayer::new())
        .add_service(health_service)
        .add_service(descriptors().build_v1().map_err(reflection)?)
        .add_service(descriptors().build_v1alpha().map_err(reflection)?)
        .add_service(
            PrefixServiceServer::new(Prefixes::new(cache.clone(), clock.clone(), historian.clone()))
                .max_decoding_message_size(MAX_REQUEST_BYTES),
        )
        .add_service(
            LeaseServiceServer::new(Leases::new(
                cache.clone(),
                registrar,
                clock.clone(),
                log.clone(),
                settings.events.bookmarks,
            ))
            .max_decoding_message_size(MAX_REQUEST_BYTES),
        )
        .add_service(
            EventServiceServer::new(Events::new(
                cache.clone(),
                log.clone(),
                historian,
                clock.clone(),
                settings.events.bookmarks,
            ))
            .max_decoding_message_size(MAX_REQUEST_BYTES),
        )
        .add_service(
            AllocationServiceServer::new(Allocations::new(cache.clone(), allocator.clone(), clock))
                .max_decoding_message_size(MAX_REQUEST_BYTES),
        )
        .add_service(AdminServiceServer::new(Admin::new(facts)).max_decoding_message_size(MAX_REQUEST_BYTES));

    let incoming = TcpIncoming::from(grpc_listener).with_nodelay(Some(true));
    let stopping = stop.clone();
    let http_stopping = stop.clone();
    let http_router = http::router(cache.clone());
    let edge = tokio::spawn(async move {
        let grpc = router.serve_with_incoming_shutdown(incoming, stopping.cancelled_owned());
        let http = axum::serve(http_listener, http_router)
            .with_graceful_shutdown(http_stopping.cancelled_owned())
            .into_future();
        let (grpc, http) = tokio::join!(grpc, http);
        if let Err(error) = grpc {
            tracing::error!(%error, "the gRPC listener ended");
        }
        if let Err(error) = http {
            tracing::error!(%error, "the HTTP listener ended");
        }
    });
    tracing::info!(%grpc, http = %http_at, "listening");
    Ok(Running { grpc, http: http_at, cache, stop, edge, allocator, scheduler, log, drain: settings.drain })
}

impl Running {
    /// Stops: no new calls, waits for those under way and for the writes that they began, up to the drain time. What is
    /// not done by then is an intent in the ledger and is settled at the next start.
    pub async fn stop(self) {
        self.stop.cancel();
        // Streams never end by themselves: each gets its token now.
        self.log.stop();
        let abort = self.edge.abort_handle();
        let drained = async {
            let _ = self.edge.await;
            self.allocator.drain().await;
            self.scheduler.stop().await;
        };
        if tokio::time::timeout(self.drain, drained).await.is_err() {
            tracing::warn!("not everything ended within the drain time");
            abort.abort();
        }
    }
}

/// What makes rows of one NetBox worthless for another: its address and the names that the fields were read by.
fn identity(client: &Client) -> StoreIdentity {
    let mut text = client.url().to_string();
    for field in Field::ALL {
        let name = client.fields().name(field);
        if name != field.default_name() {
            text.push_str(&format!(" {field}={name}"));
        }
    }
    StoreIdentity(text)
}

fn schedule(scheduler: &Scheduler, settings: &Settings, syncer: &Arc<Syncer>, allocator: &Arc<Allocator>) {
    let poller = syncer.clone();
    scheduler.add(
        "sync.poll",
        settings.poll,
        Arc::new(move || {
            let syncer = poller.clone();
            async move { syncer.poll().await.map_err(|error| error.to_string()) }.boxed()
        }),
    );
    let reader = syncer.clone();
    let first = std::sync::atomic::AtomicBool::new(true);
    scheduler.add(
        "sync.full",
        settings.full_pass,
        Arc::new(move || {
            let syncer = reader.clone();
            // The first run, at start, is left to the poll: it makes a full pass only where one is needed.
            let at_start = first.swap(false, std::sync::atomic::Ordering::Relaxed);
            async move {
                if at_start {
                    return Ok(());
                }
                syncer.full_pass("on its timer, or asked for").await.map_err(|error| error.to_string())
            }
            .boxed()
        }),
    );
    let settler = allocator.clone();
    scheduler.add(
        "allocation.settle",
        SETTLE_EVERY,
        Arc::new(move || {
            let allocator = settler.clone();
            async move { allocator.settle().await.map(drop).map_err(|error| error.to_string()) }.boxed()
        }),
    );
}

fn schedule_events(
    scheduler: &Scheduler,
    settings: &Settings,
    cache: &Arc<Cache>,
    log: &Arc<EventLog>,
    clock: &Arc<dyn Clock>,
) {
    let watch = Arc::new(tokio::sync::Mutex::new(SyncWatch::default()));
    let (watched, teller, told_by) = (cache.clone(), log.clone(), clock.clone());
    scheduler.add(
        "events.sync",
        SYNC_WATCH_EVERY,
        Arc::new(move || {
            let (watch, cache, log, clock) =
                (watch.clone(), watched.clone(), teller.clone(), told_by.clone());
            async move {
                let mut watch = watch.lock().await;
                let mut next = *watch;
                if let Some(kind) = next.look(cache.freshness().is_live(), clock.now()) {
                    let trouble = cache.freshness().trouble().to_string();
                    log.tell_sync(kind, trouble).await.map_err(|error| error.to_string())?;
                }
                // Only now: what could not be told is told at the next look.
                *watch = next;
                Ok(())
            }
            .boxed()
        }),
    );
    let (journal, clock, keep) = (log.journal().clone(), clock.clone(), settings.events);
    scheduler.add(
        "events.compact",
        COMPACT_EVERY,
        Arc::new(move || {
            let (journal, now) = (journal.clone(), clock.now());
            async move {
                let before = now.checked_sub(keep.keep).unwrap_or(Timestamp::MIN);
                let retention = Retention { before, at_most: keep.keep_at_most };
                journal.compact(retention).await.map(drop).map_err(|error| error.to_string())
            }
            .boxed()
        }),
    );
}

async fn listen(listen: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(listen).await.map_err(|source| Error::Listen { listen, source })
}

/// Every method that is served, as the path of its calls.
fn methods() -> Result<Vec<String>, Error> {
    let set = prost_types::FileDescriptorSet::decode(proto::DESCRIPTORS)
        .map_err(|error| Error::Reflection(error.to_string()))?;
    let mut paths = vec!["/grpc.health.v1.Health/Check".to_owned()];
    for file in &set.file {
        for service in &file.service {
            for method in &service.method {
                paths.push(format!("/{}.{}/{}", file.package(), service.name(), method.name()));
            }
        }
    }
    Ok(paths)
}
