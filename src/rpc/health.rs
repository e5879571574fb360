//! grpc.health.v1, service by service: what can be answered now.

use std::sync::Arc;

use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use super::proto::v1::admin_service_server::AdminServiceServer;
use super::proto::v1::allocation_service_server::AllocationServiceServer;
use super::proto::v1::event_service_server::EventServiceServer;
use super::proto::v1::lease_service_server::LeaseServiceServer;
use super::proto::v1::notification_service_server::NotificationServiceServer;
use super::proto::v1::prefix_service_server::PrefixServiceServer;
use super::proto::v1::validation_service_server::ValidationServiceServer;
use super::{Admin, Allocations, Events, Leases, Notifications, Prefixes, Validations};
use crate::allocation::Allocator;
use crate::cache::Cache;

/// Reports what can be answered: reads once there is a generation to serve, allocations while NetBox is in reach and what an
/// earlier server left open is settled. The server as a whole (the empty name) serves as soon as it can read.
pub async fn report_health(reporter: &HealthReporter, cache: &Arc<Cache>, allocator: &Arc<Allocator>) {
    let status = |serving: bool| if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
    let reads = status(cache.is_ready());
    let writes = status(cache.is_ready() && cache.freshness().is_live() && allocator.is_settled());
    reporter.set_service_status("", reads).await;
    reporter.set_service_status(name::<PrefixServiceServer<Prefixes>>(), reads).await;
    reporter.set_service_status(name::<LeaseServiceServer<Leases>>(), reads).await;
    reporter.set_service_status(name::<EventServiceServer<Events>>(), reads).await;
    reporter.set_service_status(name::<ValidationServiceServer<Validations>>(), reads).await;
    reporter
        .set_service_status(name::<NotificationServiceServer<Notifications>>(), ServingStatus::Serving)
        .await;
    reporter.set_service_status(name::<AllocationServiceServer<Allocations>>(), writes).await;
    reporter.set_service_status(name::<AdminServiceServer<Admin>>(), ServingStatus::Serving).await;
}

fn name<S: tonic::server::NamedService>() -> &'static str {
    S::NAME
}
