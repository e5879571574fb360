//! The health of each service (grpc.health.v1).

use std::sync::Arc;

use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use super::admin::AdminHandler;
use super::allocation::AllocationHandler;
use super::event::EventHandler;
use super::lease::LeaseHandler;
use super::notification::NotificationHandler;
use super::prefix::PrefixHandler;
use super::proto::v1::admin_service_server::AdminServiceServer;
use super::proto::v1::allocation_service_server::AllocationServiceServer;
use super::proto::v1::event_service_server::EventServiceServer;
use super::proto::v1::lease_service_server::LeaseServiceServer;
use super::proto::v1::notification_service_server::NotificationServiceServer;
use super::proto::v1::prefix_service_server::PrefixServiceServer;
use super::proto::v1::validation_service_server::ValidationServiceServer;
use super::validation::ValidationHandler;
use crate::allocation::Allocator;
use crate::cache::Cache;

/// Reports the health of each service. Services that read the cache serve once there is a generation to serve. Allocations serve
/// while NetBox can be followed as well, and once the writes that an earlier server left open are settled. The services that
/// show the state of the server always serve. The server as a whole (the empty name) serves as soon as it can read.
pub async fn report_health(reporter: &HealthReporter, cache: &Arc<Cache>, allocator: &Arc<Allocator>) {
    let status = |serving: bool| if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
    let reads = status(cache.is_ready());
    let writes = status(cache.is_ready() && cache.freshness().is_live() && allocator.is_settled());
    let always = ServingStatus::Serving;
    reporter.set_service_status("", reads).await;
    reporter.set_service_status(name::<PrefixServiceServer<PrefixHandler>>(), reads).await;
    reporter.set_service_status(name::<LeaseServiceServer<LeaseHandler>>(), reads).await;
    reporter.set_service_status(name::<EventServiceServer<EventHandler>>(), reads).await;
    reporter.set_service_status(name::<ValidationServiceServer<ValidationHandler>>(), reads).await;
    reporter.set_service_status(name::<NotificationServiceServer<NotificationHandler>>(), always).await;
    reporter.set_service_status(name::<AllocationServiceServer<AllocationHandler>>(), writes).await;
    reporter.set_service_status(name::<AdminServiceServer<AdminHandler>>(), always).await;
}

fn name<S: tonic::server::NamedService>() -> &'static str {
    S::NAME
}
