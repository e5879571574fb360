//! The routes.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use metrics::gauge;

use super::calendar::{self, Calendar};
use crate::cache::Cache;
use crate::telemetry;

/// All routes; the calendar's only if there is one.
pub fn router(cache: Arc<Cache>, calendar: Option<Calendar>) -> Router {
    let router = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics_text))
        .with_state(cache);
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

async fn ready(State(cache): State<Arc<Cache>>) -> (StatusCode, &'static str) {
    match (cache.is_ready(), cache.freshness().is_live()) {
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "the first full pass has not ended yet\n"),
        (true, true) => (StatusCode::OK, "ok\n"),
        // Reads are served all the same: an orchestrator that restarts us for it would make things worse.
        (true, false) => (StatusCode::OK, "serving from the cache; NetBox is out of reach\n"),
    }
}

async fn metrics_text(State(cache): State<Arc<Cache>>) -> (StatusCode, String) {
    let counts = cache.counts();
    let set = |name: &'static str, count: u64| {
        gauge!("leasehold_cache_records", "kind" => name)
            .set(f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
    };
    set("prefix", counts.prefixes);
    set("address", counts.addresses);
    set("ip_range", counts.ranges);
    set("vrf", counts.vrfs);
    set("lease", counts.leases);
    if let Some(at) = cache.freshness().synced_at() {
        let age = jiff::Timestamp::now().duration_since(at).as_secs_f64().max(0.0);
        gauge!("leasehold_cache_age_seconds").set(age);
    }
    gauge!("leasehold_cache_live").set(if cache.freshness().is_live() { 1.0 } else { 0.0 });
    match telemetry::metrics() {
        Some(handle) => (StatusCode::OK, handle.render()),
        None => (StatusCode::SERVICE_UNAVAILABLE, "metrics are recorded elsewhere\n".to_owned()),
    }
}
