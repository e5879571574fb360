//! Step four of a start: serve gRPC and HTTP.

use std::net::SocketAddr;
use std::time::Duration;

use axum::serve::ListenerExt as _;
use futures::TryStreamExt as _;
use prost_reflect::DescriptorPool;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::Server as Grpc;
use tonic::transport::server::TcpIncoming;
use tonic_health::pb::health_server::{Health, HealthServer};
use tower::Layer as _;

use super::capabilities::Components;
use super::descriptors;
use super::error::Error;
use super::gathered::Gathered;
use crate::config::Settings;
use crate::http;
use crate::jobs::Scheduler;
use crate::rpc::proto::v1::admin_service_server::AdminServiceServer;
use crate::rpc::proto::v1::allocation_service_server::AllocationServiceServer;
use crate::rpc::proto::v1::event_service_server::EventServiceServer;
use crate::rpc::proto::v1::lease_service_server::LeaseServiceServer;
use crate::rpc::proto::v1::notification_service_server::NotificationServiceServer;
use crate::rpc::proto::v1::prefix_service_server::PrefixServiceServer;
use crate::rpc::proto::v1::validation_service_server::ValidationServiceServer;
use crate::rpc::{
    AdminHandler, AllocationHandler, EventHandler, Layers, LeaseHandler, MAX_REQUEST_BYTES,
    NotificationHandler, PrefixHandler, ValidationHandler,
};

/// No call lasts longer than this, whatever deadline it asks for.
const LONGEST_CALL: Duration = Duration::from_mins(2);

/// The two listening sockets. They are bound before anything else starts, so that a port in use is reported at once.
pub(super) struct Listeners {
    grpc: TcpListener,
    http: TcpListener,
    pub(super) grpc_address: SocketAddr,
    pub(super) http_address: SocketAddr,
}

impl Listeners {
    pub(super) async fn bind(settings: &Settings) -> Result<Self, Error> {
        let (grpc, grpc_address) = listen(settings.grpc_listen).await?;
        let (http, http_address) = listen(settings.http_listen).await?;
        Ok(Self { grpc, http, grpc_address, http_address })
    }
}

async fn listen(listen: SocketAddr) -> Result<(TcpListener, SocketAddr), Error> {
    let failed = |source| Error::Listen { listen, source };
    let listener = TcpListener::bind(listen).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// Serves both listeners until `stop` is cancelled and the calls under way have ended.
pub(super) fn serve(
    listeners: Listeners,
    settings: &Settings,
    components: &Components,
    scheduler: &Scheduler,
    health: HealthServer<impl Health>,
    stop: &CancellationToken,
) -> Result<JoinHandle<()>, Error> {
    let pool = descriptors::pool()?;
    let mut methods = descriptors::methods(&pool);
    methods.push("/grpc.health.v1.Health/Check".to_owned());
    let layers = Layers::new(methods, LONGEST_CALL);
    let services = services(settings, components, scheduler, health, stop, &pool)?;
    let http = http_router(settings, components)
        .merge(http::openapi_router(pool.clone()))
        .merge(http::connect_router(pool, layers.layer(services.clone()), MAX_REQUEST_BYTES));
    let grpc = Grpc::builder()
        .accept_http1(true)
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .http2_keepalive_timeout(Some(Duration::from_secs(10)))
        .max_concurrent_streams(1024)
        .layer(layers)
        .layer(tonic_web::GrpcWebLayer::new())
        .add_routes(services)
        .serve_with_incoming_shutdown(
            TcpIncoming::from(listeners.grpc).with_nodelay(Some(true)).map_ok(Gathered::new),
            stop.clone().cancelled_owned(),
        );
    // Answers are short, and one that waits for the next packet to fill up would come late.
    let listener = listeners.http.tap_io(|connection| {
        let _ = connection.set_nodelay(true);
    });
    let http =
        axum::serve(listener, http).with_graceful_shutdown(stop.clone().cancelled_owned()).into_future();
    tracing::info!(grpc = %listeners.grpc_address, http = %listeners.http_address, "listening");
    Ok(tokio::spawn(async move {
        let (grpc, http) = tokio::join!(grpc, http);
        if let Err(error) = grpc {
            tracing::error!(%error, "the gRPC listener ended");
        }
        if let Err(error) = http {
            tracing::error!(%error, "the HTTP listener ended");
        }
    }))
}

/// Every gRPC service. No message that a client sends may be larger than [`MAX_REQUEST_BYTES`].
fn services(
    settings: &Settings,
    components: &Components,
    scheduler: &Scheduler,
    health: HealthServer<impl Health>,
    stop: &CancellationToken,
    pool: &DescriptorPool,
) -> Result<Routes, Error> {
    let Components { client, clock, cache, log, syncer, allocator, historian, notifier, on_demand, .. } =
        components.clone();
    let bookmarks = settings.events.bookmark_interval;
    let prefixes = PrefixHandler::new(cache.clone(), clock.clone(), historian.clone(), allocator.clone());
    let leases = LeaseHandler::new(
        cache.clone(),
        allocator.clone(),
        clock.clone(),
        log.clone(),
        bookmarks,
        client.fields().clone(),
    );
    let allocations =
        AllocationHandler::new(cache.clone(), allocator.clone(), clock.clone(), client.fields().clone());
    let validations = ValidationHandler::new(on_demand.clone(), cache.clone(), clock.clone(), stop.clone());
    let events = EventHandler::new(cache.clone(), log, historian, clock.clone(), bookmarks);
    let notifications = NotificationHandler::new(notifier, cache.clone(), clock.clone());
    let started = clock.now();
    let scheduler = scheduler.clone();
    let admin = AdminHandler { cache, syncer, allocator, scheduler, on_demand, clock, started };
    let failed = |error: tonic_reflection::server::Error| Error::Reflection(error.to_string());
    let mut routes = Routes::builder();
    routes
        .add_service(health)
        .add_service(reflection(pool).build_v1().map_err(failed)?)
        .add_service(reflection(pool).build_v1alpha().map_err(failed)?)
        .add_service(PrefixServiceServer::new(prefixes).max_decoding_message_size(MAX_REQUEST_BYTES))
        .add_service(LeaseServiceServer::new(leases).max_decoding_message_size(MAX_REQUEST_BYTES))
        .add_service(AllocationServiceServer::new(allocations).max_decoding_message_size(MAX_REQUEST_BYTES))
        .add_service(ValidationServiceServer::new(validations).max_decoding_message_size(MAX_REQUEST_BYTES))
        .add_service(EventServiceServer::new(events).max_decoding_message_size(MAX_REQUEST_BYTES))
        .add_service(
            NotificationServiceServer::new(notifications).max_decoding_message_size(MAX_REQUEST_BYTES),
        )
        .add_service(AdminServiceServer::new(admin).max_decoding_message_size(MAX_REQUEST_BYTES));
    Ok(routes.routes())
}

/// What reflection describes: our services, health, and the details of errors, which grpcurl decodes only if it finds them.
fn reflection(pool: &DescriptorPool) -> tonic_reflection::server::Builder<'static> {
    // No message is in two files of the pool. In the sets that it was made of, google.rpc.Status is.
    let files = prost_types::FileDescriptorSet { file: pool.file_descriptor_protos().cloned().collect() };
    tonic_reflection::server::Builder::configure()
        .register_file_descriptor_set(files)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}

/// What is no method: metrics, liveness, and the calendar where a token for it is configured.
fn http_router(settings: &Settings, components: &Components) -> axum::Router {
    let calendar = settings.calendar_token.clone().map(|token| http::Calendar {
        token,
        cache: components.cache.clone(),
        alarms: settings.expiry.clone(),
        netbox: components.client.url().clone(),
    });
    http::router(components.cache.clone(), components.clock.clone(), calendar)
}
