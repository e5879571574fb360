//! Wires it all: the only place that knows every room. Start, run, drain, stop.
//!
//! A start needs nothing but the settings, the files and the ports: NetBox may be out of reach. A stop takes no more calls, ends
//! the streams with their tokens, and waits for the writes that calls began. What is done on a timer stands in [`schedule`].

mod schedule;
mod sources;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server as Grpc;
use tonic::transport::server::TcpIncoming;

use crate::allocation::Allocator;
use crate::cache::{self, Cache, Opened, StoreIdentity};
use crate::clock::{Clock, SystemClock};
use crate::config::Settings;
use crate::events::{EventLog, Historian};
use crate::expiry::Engine;
use crate::jobs::Scheduler;
use crate::lease::Registrar;
use crate::ledger::{self, LedgerSettings};
use crate::netbox::{self, Client, Field};
use crate::notify::{self, Notifier};
use crate::rpc::proto::v1::admin_service_server::AdminServiceServer;
use crate::rpc::proto::v1::allocation_service_server::AllocationServiceServer;
use crate::rpc::proto::v1::event_service_server::EventServiceServer;
use crate::rpc::proto::v1::lease_service_server::LeaseServiceServer;
use crate::rpc::proto::v1::notification_service_server::NotificationServiceServer;
use crate::rpc::proto::v1::prefix_service_server::PrefixServiceServer;
use crate::rpc::proto::v1::validation_service_server::ValidationServiceServer;
use crate::rpc::{
    Admin, Allocations, Events, Facts, Layers, Leases, MAX_REQUEST_BYTES, Notifications, Prefixes,
    Validations, proto, report_health,
};
use crate::sync::Syncer;
use crate::validation::{Checks, Inspector};
use crate::{http, telemetry};
use schedule::{Works, react, schedule};

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
    /// A source of checks cannot be made of its settings.
    #[error(transparent)]
    Sources(#[from] sources::Error),
    /// A sink cannot be made of its settings.
    #[error(transparent)]
    Notify(#[from] notify::Error),
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
    let allocator = Arc::new(Allocator::new(
        client.clone(),
        cache.clone(),
        books.intents.clone(),
        clock.clone(),
        settings.allocation.clone(),
    ));
    let checked = &settings.checks;
    let sources = sources::start(checked, clock.clone())?;
    let checks = Arc::new(Checks::new(
        sources.clone(),
        client,
        cache.clone(),
        log.clone(),
        books.observations.clone(),
        clock.clone(),
        checked.validation.clone(),
    ));
    let inspector = Arc::new(Inspector::new(
        sources.clone(),
        cache.clone(),
        books.observations,
        clock.clone(),
        checked.validation.clone(),
    ));

    let notifier =
        Arc::new(Notifier::new(&settings.notify, log.clone(), books.outbox.clone(), clock.clone())?);

    let (health, health_service) = tonic_health::server::health_reporter();
    report_health(&health, &cache, &allocator).await;
    let scheduler = Scheduler::default();
    let works = Works {
        syncer: syncer.clone(),
        allocator: allocator.clone(),
        cache: cache.clone(),
        log: log.clone(),
        engine: Arc::new(Engine::new(cache.clone(), log.clone(), clock.clone(), settings.expiry.clone())),
        notifier: notifier.clone(),
        validator: sources.validator,
        checks,
        clock: clock.clone(),
        health,
    };
    schedule(&scheduler, &settings, &works);
    let stop = CancellationToken::new();
    tokio::spawn(react(scheduler.clone(), works, stop.clone()));
    tokio::spawn(log.clone().run());

    let calendar = settings.calendar_token.clone().map(|token| http::Calendar {
        token,
        cache: cache.clone(),
        alarms: settings.expiry.clone(),
        netbox: settings.netbox.url.clone(),
    });
    let facts = Facts {
        cache: cache.clone(),
        syncer,
        allocator: allocator.clone(),
        scheduler: scheduler.clone(),
        inspector: inspector.clone(),
        clock: clock.clone(),
        started: clock.now(),
    };
    let reflection = |error: tonic_reflection::server::Error| Error::Reflection(error.to_string());
    let descriptors = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            // What errors carry: grpcurl shows details only if it can look them up.
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
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
            NotificationServiceServer::new(Notifications::new(notifier, cache.clone(), clock.clone()))
                .max_decoding_message_size(MAX_REQUEST_BYTES),
        )
        .add_service(
            AllocationServiceServer::new(Allocations::new(cache.clone(), allocator.clone(), clock.clone()))
                .max_decoding_message_size(MAX_REQUEST_BYTES),
        )
        .add_service(
            ValidationServiceServer::new(Validations::new(inspector, clock.clone(), stop.clone()))
                .max_decoding_message_size(MAX_REQUEST_BYTES),
        )
        .add_service(AdminServiceServer::new(Admin::new(facts)).max_decoding_message_size(MAX_REQUEST_BYTES));

    let incoming = TcpIncoming::from(grpc_listener).with_nodelay(Some(true));
    let stopping = stop.clone();
    let http_stopping = stop.clone();
    let http_router = http::router(cache.clone(), calendar);
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
        let edge = async {
            let _ = self.edge.await;
            self.allocator.drain().await;
        };
        // Beside each other: a caller that takes its time must not leave the jobs to be cut short.
        let drained = async { tokio::join!(edge, self.scheduler.stop()) };
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
