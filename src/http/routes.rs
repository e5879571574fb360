//! The routes, and the answers for orchestrators and monitoring.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use metrics::gauge;

use super::calendar::{self, Calendar};
use crate::cache::Cache;
use crate::clock::Clock;
use crate::telemetry;

/// What the answers are made of.
#[derive(Clone)]
struct HttpState {
    cache: Arc<Cache>,
    clock: Arc<dyn Clock>,
}

/// All routes. Those of the calendar are left out if there is none.
pub fn router(cache: Arc<Cache>, clock: Arc<dyn Clock>, calendar: Option<Calendar>) -> Router {
    let router = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readiness))
        .route("/metrics", get(metrics_text))
        .with_state(HttpState { cache, clock });
    match calendar {
        Some(calendar) => router.merge(
            Router::new()
                .route("/calendar.ics", get(calendar::by_header))
                .route("/calendar/{token}/calendar.ics", get(calendar::by_path))
                .with_state(calendar),
        ),
        None => router,
    }
}

async fn readiness(State(HttpState { cache, .. }): State<HttpState>) -> (StatusCode, String) {
    match cache.ready_read() {
        // Without the reason: whoever may ask this may not be meant to read NetBox's address and texts.
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, calendar::NOT_READY.to_owned()),
        Ok(_) if cache.freshness().is_live() => (StatusCode::OK, "ok\n".to_owned()),
        // Still ready: reads are served, and an orchestrator that restarted the server would only make things worse.
        Ok(_) => (StatusCode::OK, "serving from the cache; NetBox is out of reach\n".to_owned()),
    }
}

/// The metrics as text. The gauges of the cache are set at each scrape.
async fn metrics_text(State(HttpState { cache, clock }): State<HttpState>) -> (StatusCode, String) {
    let counts = cache.counts();
    let set = |kind: &'static str, count: u64| {
        gauge!("leasehold_cache_records", "kind" => kind)
            .set(f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
    };
    set("prefix", counts.prefixes);
    set("address", counts.addresses);
    set("ip_range", counts.ranges);
    set("vrf", counts.vrfs);
    set("lease", counts.leases);
    if let Some(at) = cache.freshness().synced_at() {
        let age = clock.now().duration_since(at).as_secs_f64().max(0.0);
        gauge!("leasehold_cache_age_seconds").set(age);
    }
    gauge!("leasehold_cache_live").set(if cache.freshness().is_live() { 1.0 } else { 0.0 });
    match telemetry::metrics() {
        Some(handle) => (StatusCode::OK, handle.render()),
        None => {
            let message = "this process does not collect metrics here: another recorder was installed\n";
            (StatusCode::SERVICE_UNAVAILABLE, message.to_owned())
        }
    }
}
