//! AdminService: the state of the server, and its jobs on demand.

use std::sync::Arc;

use jiff::Timestamp;
use tonic::{Code, Request, Response, Status};

use super::convert;
use super::problem::Problem;
use super::proto::v1;
use super::proto::v1::admin_service_server::AdminService;
use crate::allocation::Allocator;
use crate::cache::Cache;
use crate::clock::Clock;
use crate::jobs::{JobState, Scheduler};
use crate::sync::{self, SyncPhase, Syncer};
use crate::validation::OnDemandChecks;

/// Handles AdminService. It reads the state of its parts and changes none of them, but for the jobs that it starts.
#[derive(Clone)]
pub struct AdminHandler {
    pub cache: Arc<Cache>,
    pub syncer: Arc<Syncer>,
    pub allocator: Arc<Allocator>,
    pub scheduler: Scheduler,
    /// Names the sources of checks.
    pub on_demand: Arc<OnDemandChecks>,
    pub clock: Arc<dyn Clock>,
    /// When the server started.
    pub started: Timestamp,
}

impl AdminHandler {
    async fn sync_status(&self) -> v1::SyncStatus {
        let state = self.syncer.state().await;
        let counts = self.cache.counts();
        let phase = match state.phase {
            SyncPhase::Empty => v1::SyncPhase::Empty,
            SyncPhase::FullPass => v1::SyncPhase::FullPass,
            SyncPhase::Live => v1::SyncPhase::Live,
            SyncPhase::Stale => v1::SyncPhase::Stale,
        };
        v1::SyncStatus {
            phase: phase.into(),
            cache: Some(convert::cache_state(&self.cache, self.clock.now())),
            prefix_count: counts.prefixes,
            address_count: counts.addresses,
            ip_range_count: counts.ranges,
            vrf_count: counts.vrfs,
            lease_count: counts.leases,
            change_log_id: state.change_log_id,
            generation: state.generation,
            last_full_pass_time: state.last_full_pass.map(convert::timestamp),
            last_full_pass_duration: state.last_full_pass_took.map(convert::duration),
            pass_done_row_count: state.progress.0,
            pass_total_row_count: state.progress.1,
            last_full_pass_cause: state.last_full_pass_reason,
            last_failure: sync_failure(state.last_failure.as_ref()),
        }
    }

    /// Starts a job. With `wait`, returns after a run that began after this call.
    async fn run(&self, job: &str, wait: bool) -> Result<v1::JobStatus, Problem> {
        match self.scheduler.trigger(job, wait).await {
            Some(state) => Ok(job_status(job, &state)),
            None => {
                let names: Vec<_> = self.scheduler.states().into_iter().map(|(name, _)| name).collect();
                let message = format!("no job is named {job:?}; the jobs are {}", names.join(", "));
                Err(Problem::new(Code::NotFound, "JOB_NOT_FOUND", message))
            }
        }
    }
}

fn job_status(name: &str, state: &JobState) -> v1::JobStatus {
    v1::JobStatus {
        name: name.to_owned(),
        interval: Some(convert::duration(state.interval)),
        running: state.running,
        last_start_time: state.last_start.map(convert::timestamp),
        last_duration: state.last_took.map(convert::duration),
        last_failure: state.last_failure.clone().map(convert::failure),
        next_run_time: state.next_run.map(convert::timestamp),
        last_success_time: state.last_success.map(convert::timestamp),
    }
}

/// Why the latest round of the sync failed. A call that fails in the same way has the same reason and text.
fn sync_failure(failed: Option<&(Arc<sync::Error>, Timestamp)>) -> Option<v1::Failure> {
    let (error, at) = failed?;
    Some(convert::failure(Problem::from(error.as_ref()).failure().at(*at)))
}

/// The state of the sources of checks: origin validation in order of preference, then the blocklists.
fn sources(on_demand: &OnDemandChecks) -> Vec<v1::SourceStatus> {
    let sources = on_demand.sources();
    let rpki = sources.validator.states().into_iter().map(|state| v1::SourceStatus {
        name: state.name,
        record_count: state.vrps.map(|count| count as u64),
        observe_time: state.time.map(convert::timestamp),
        last_failure: state.last_failure.map(convert::failure),
    });
    let zones = sources.lists.states().into_iter().map(|state| v1::SourceStatus {
        name: state.name,
        last_failure: state.self_test.and_then(Result::err).map(|failure| convert::failure(failure.into())),
        ..v1::SourceStatus::default()
    });
    rpki.chain(zones).collect()
}

impl AdminHandler {
    /// The pools; none while the ledger cannot be read, which the status says elsewhere.
    async fn pools(&self) -> Vec<v1::PoolStatus> {
        let Some(pools) = self.allocator.pools() else { return Vec::new() };
        let index = self.cache.snapshot();
        let states = pools.states().await.unwrap_or_default();
        let shown = states.into_iter().map(|pool| v1::PoolStatus {
            prefix_id: pool.parent.0,
            prefix: pool.network.to_string(),
            vrf: convert::vrf(&index, pool.scope),
            size: pool.size,
            stock_count: pool.stock,
            pending_count: pool.pending,
            oldest_pending_time: pool.oldest_pending.map(convert::timestamp),
            refusal: pool.refusal.unwrap_or_default(),
        });
        shown.collect()
    }
}

#[tonic::async_trait]
impl AdminService for AdminHandler {
    async fn get_status(
        &self,
        _: Request<v1::GetStatusRequest>,
    ) -> Result<Response<v1::GetStatusResponse>, Status> {
        let state = self.syncer.state().await;
        let client = self.syncer.client();
        let intents = self.allocator.intents();
        let pending = intents.count_open().await.ok();
        Ok(Response::new(v1::GetStatusResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            start_time: Some(convert::timestamp(self.started)),
            netbox: Some(v1::NetBoxStatus {
                url: client.url().to_string(),
                version: client.version().map(|version| version.to_string()).unwrap_or_default(),
                reachable: state.reachable,
                last_failure: sync_failure(state.last_failure.as_ref()),
                allocation_id_check: client.unique_check().map(|measured| v1::AllocationIdCheck {
                    duration_per_address: Some(convert::duration(measured.per_address)),
                    address_count: measured.addresses,
                    index_needed: measured.needs_index(),
                }),
            }),
            sync: Some(self.sync_status().await),
            ledger: Some(v1::LedgerStatus {
                backend: match intents.backend() {
                    "postgres" => v1::LedgerBackend::Postgres.into(),
                    _ => v1::LedgerBackend::Sqlite.into(),
                },
                pending_intent_count: pending,
            }),
            sources: sources(&self.on_demand),
            jobs: self.scheduler.states().iter().map(|(name, state)| job_status(name, state)).collect(),
            pools: self.pools().await,
            writes_served: self.allocator.serves_writes() && state.reachable && self.cache.is_ready(),
        }))
    }

    async fn trigger_sync(
        &self,
        request: Request<v1::TriggerSyncRequest>,
    ) -> Result<Response<v1::TriggerSyncResponse>, Status> {
        let request = request.get_ref();
        self.run(if request.full { "sync.full" } else { "sync.poll" }, request.wait).await?;
        Ok(Response::new(v1::TriggerSyncResponse { sync: Some(self.sync_status().await) }))
    }

    async fn trigger_check(
        &self,
        request: Request<v1::TriggerCheckRequest>,
    ) -> Result<Response<v1::TriggerCheckResponse>, Status> {
        let request = request.get_ref();
        if request.job.is_empty() {
            return Err(Problem::invalid_field("job", "is required").into());
        }
        let job = self.run(&request.job, request.wait).await?;
        Ok(Response::new(v1::TriggerCheckResponse { job: Some(job) }))
    }
}
