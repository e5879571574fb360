//! The health of each service (grpc.health.v1).

use std::sync::Arc;

use tokio::sync::Mutex;
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

/// Reports the health of each service, and each change once: a client that watches a service receives a message only when its
/// health has changed.
pub struct HealthReport {
    reporter: HealthReporter,
    cache: Arc<Cache>,
    allocator: Arc<Allocator>,
    /// What was reported last; `None` before the first report. Held while a change is reported, so that two reports at the same
    /// time do not end with the older one.
    reported: Mutex<Option<Health>>,
}

/// What the health of every service follows from.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Health {
    reads: bool,
    writes: bool,
}

impl HealthReport {
    /// A report that has told nothing yet.
    pub fn new(reporter: HealthReporter, cache: Arc<Cache>, allocator: Arc<Allocator>) -> Self {
        Self { reporter, cache, allocator, reported: Mutex::new(None) }
    }

    /// Reports what has changed since the last call. Services that read the cache serve once there is a generation to serve.
    /// Allocations serve while NetBox can be followed as well, and once it is known that NetBox refuses a second record with the same allocation id.
    /// The services that show the state of the server always serve. The server as a whole (the empty name) serves as soon as it
    /// can read.
    pub async fn update(&self) {
        let mut reported = self.reported.lock().await;
        let reads = self.cache.is_ready();
        let writes = reads && self.cache.freshness().is_live() && self.allocator.serves_writes();
        let before = reported.replace(Health { reads, writes });
        if before.is_none() {
            self.set(name::<NotificationServiceServer<NotificationHandler>>(), true).await;
            self.set(name::<AdminServiceServer<AdminHandler>>(), true).await;
        }
        if before.is_none_or(|before| before.reads != reads) {
            self.set("", reads).await;
            self.set(name::<PrefixServiceServer<PrefixHandler>>(), reads).await;
            self.set(name::<LeaseServiceServer<LeaseHandler>>(), reads).await;
            self.set(name::<EventServiceServer<EventHandler>>(), reads).await;
            self.set(name::<ValidationServiceServer<ValidationHandler>>(), reads).await;
        }
        if before.is_none_or(|before| before.writes != writes) {
            self.set(name::<AllocationServiceServer<AllocationHandler>>(), writes).await;
        }
    }

    async fn set(&self, service: &str, serving: bool) {
        let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
        self.reporter.set_service_status(service, status).await;
    }
}

fn name<S: tonic::server::NamedService>() -> &'static str {
    S::NAME
}
