//! Fills a SQLite ledger with many rows of each kind, by one statement a kind.

use std::path::Path;

use jiff::tz::TimeZone;
use leasehold::clock::{Clock as _, SystemClock};
use leasehold::model::{DomainEvent, Event, Prefix, PrefixId, RecordChange, Revision, VrfScope};

/// The network that every event is about.
pub const NETWORK: &str = "203.0.113.0/24";

/// Adds this many allocations, events and deliveries to a ledger that has none. Every hundredth delivery is dead and goes to the sink
/// `pager`; the others were sent to `ops`. No allocation is released. All are of this hour, so that the server that opens the
/// ledger prunes none.
pub async fn fill(file: &Path, rows: u32) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
    let pool = sqlx::sqlite::SqlitePool::connect_with(options).await.unwrap();
    let now = SystemClock::new(TimeZone::UTC).now();
    let bare = Prefix::bare(PrefixId(7), NETWORK.parse().unwrap(), VrfScope::Global);
    let after = std::sync::Arc::new(Prefix { revision: Revision(Some(now)), ..bare });
    let domain_event = DomainEvent::prefix(RecordChange { before: None, after: Some(after) }, None, now);
    let body = serde_json::to_string(&domain_event).unwrap();
    let event = serde_json::to_string(&Event { sequence: 1, recorded: now, domain_event }).unwrap();
    let (begin, fingerprint) = (now.as_microsecond() - i64::from(rows), "0".repeat(64));
    let numbers =
        format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) ");
    let statements = [
        format!(
            "INSERT INTO intent (request_id, kind, fingerprint, state, parent, detail, created_at, updated_at) \
             {numbers} SELECT printf('order-%07d', i), 'addresses', '{fingerprint}', 'done', i % 10 + 1, \
                 '{{\"wanted\":0,\"made\":[],\"released\":[]}}', {begin} + i, {begin} + i FROM n"
        ),
        format!(
            "INSERT INTO event (sequence, kind, recorded_at, body) \
             {numbers} SELECT i, 'prefix_created', {begin} + i, '{body}' FROM n"
        ),
        format!(
            "INSERT INTO event_network (network, vrf, sequence) {numbers} SELECT '{NETWORK}', 0, i FROM n"
        ),
        format!("UPDATE event_log SET last = {rows}, routed = {rows}, continuous_since = {begin}"),
        format!(
            "INSERT INTO delivery (id, sink, sequence, ordering_key, state, attempts, due_at, created_at, \
                 updated_at, error, body) \
             {numbers} SELECT printf('d-%07d', i), CASE WHEN i % 100 = 0 THEN 'pager' ELSE 'ops' END, i, \
                 'prefix/7', CASE WHEN i % 100 = 0 THEN 'dead' ELSE 'sent' END, 1, {begin}, {begin} + i, \
                 {begin} + i, CASE WHEN i % 100 = 0 THEN '410 Gone' ELSE '' END, '{event}' FROM n"
        ),
    ];
    for statement in statements {
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&pool).await.unwrap();
    }
    pool.close().await;
}
