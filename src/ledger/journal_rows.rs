//! The event log in SQLite and PostgreSQL.

use std::collections::HashMap;

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::{Postgres, QueryBuilder, Row as _, Sqlite};

use super::database::{PostgresLedger, SqliteLedger};
use super::error::Error;
use super::event_rows::{EventRow, TermMarkRow};
use super::journal::{Journal, LogExtent, LogWalk, Retention, TermMarkKey};
use super::sql_values::{ROWS_PER_STATEMENT, from_sql, timestamp, to_sql};
use crate::model::{DomainEvent, Event, Network, Threshold, VrfScope};

/// Events that one transaction of a compaction removes, so that no append waits for long.
const REMOVED_PER_TRANSACTION: u64 = 5000;

const SELECT_EVENT: &str = "SELECT sequence, recorded_at, body FROM event";

/// Implements [`Journal`] for one database; `database.rs` says why this is a macro. The SQL texts that are put together here
/// (`AssertSqlSafe`) hold constants only; every value is bound.
macro_rules! impl_journal {
    ($ledger:ident, $database:ident, $begin:literal) => {
        #[async_trait]
        impl Journal for $ledger {
            async fn append(
                &self,
                domain_events: &[DomainEvent],
                now: Timestamp,
            ) -> Result<Vec<Event>, Error> {
                if domain_events.is_empty() {
                    return Ok(Vec::new());
                }
                let mut transaction = self.pool.begin_with($begin).await?;
                // Locks: this update changes nothing, but takes the lock of the log's only row. The next append waits here until
                // this one commits, so sequences become visible in their order and without holes.
                let last: i64 = sqlx::query("UPDATE event_log SET last = last RETURNING last")
                    .fetch_one(&mut *transaction)
                    .await?
                    .try_get(0)?;
                let mut sequence = from_sql(last);
                let mut deduplicator = Self::load_deduplicator(&mut transaction, domain_events).await?;
                let mut events = Vec::new();
                for domain_event in domain_events {
                    if deduplicator.admit(domain_event)? {
                        sequence += 1;
                        events.push(Event { sequence, recorded: now, domain_event: domain_event.clone() });
                    }
                }
                if events.is_empty() {
                    // Dropping the transaction rolls it back and releases the lock.
                    return Ok(events);
                }
                Self::store_events(&mut transaction, &deduplicator, &events).await?;
                sqlx::query("UPDATE event_log SET last = $1")
                    .bind(to_sql(sequence))
                    .execute(&mut *transaction)
                    .await?;
                transaction.commit().await?;
                Ok(events)
            }

            async fn extent(&self) -> Result<LogExtent, Error> {
                let row =
                    sqlx::query("SELECT epoch, last, compacted, continuous_since, routed FROM event_log")
                        .fetch_one(&self.reads)
                        .await?;
                let continuous_since: Option<i64> = row.try_get(3)?;
                Ok(LogExtent {
                    epoch: row.try_get(0)?,
                    last: from_sql(row.try_get(1)?),
                    compacted: from_sql(row.try_get(2)?),
                    continuous_since: continuous_since.map(timestamp).transpose()?,
                    routed: from_sql(row.try_get(4)?),
                })
            }

            async fn read(&self, after: u64, limit: u32) -> Result<Vec<Event>, Error> {
                let sql = format!("{SELECT_EVENT} WHERE sequence > $1 ORDER BY sequence LIMIT $2");
                let rows: Vec<EventRow> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
                    .bind(to_sql(after))
                    .bind(i64::from(limit))
                    .fetch_all(&self.reads)
                    .await?;
                rows.into_iter().map(EventRow::into_event).collect()
            }

            async fn read_back(&self, before: u64, limit: u32) -> Result<Vec<Event>, Error> {
                let sql = format!("{SELECT_EVENT} WHERE sequence < $1 ORDER BY sequence DESC LIMIT $2");
                let rows: Vec<EventRow> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
                    .bind(to_sql(before))
                    .bind(i64::from(limit))
                    .fetch_all(&self.reads)
                    .await?;
                rows.into_iter().map(EventRow::into_event).collect()
            }

            async fn about_networks(
                &self,
                scope: VrfScope,
                networks: &[Network],
                from: LogWalk,
                limit: u32,
            ) -> Result<Vec<Event>, Error> {
                let (bound, order, sequence) = match from {
                    LogWalk::After(sequence) => (">", "ASC", sequence),
                    LogWalk::Before(sequence) => ("<", "DESC", sequence),
                };
                // Locks: none. Cost: the primary key of event_network gives the first `limit` sequences of each network, and that of
                // event the rows of the first of them all, however many events there are about each network.
                let mut query = QueryBuilder::<$database>::new(SELECT_EVENT);
                query.push(" WHERE sequence IN (SELECT sequence FROM (");
                for (nth, network) in networks.iter().enumerate() {
                    if nth > 0 {
                        query.push(" UNION ALL ");
                    }
                    query.push("SELECT sequence FROM (SELECT sequence FROM event_network WHERE network = ");
                    query.push_bind(network.to_string());
                    query.push(" AND vrf = ").push_bind(to_sql(scope.number()));
                    query.push(format!(" AND sequence {bound} ")).push_bind(to_sql(sequence));
                    query.push(format!(" ORDER BY sequence {order} LIMIT ")).push_bind(i64::from(limit));
                    query.push(format!(") AS about_{nth}"));
                }
                query.push(format!(") AS about GROUP BY sequence ORDER BY sequence {order} LIMIT "));
                query.push_bind(i64::from(limit));
                query.push(format!(") ORDER BY sequence {order}"));
                let rows: Vec<EventRow> = query.build_query_as().fetch_all(&self.reads).await?;
                rows.into_iter().map(EventRow::into_event).collect()
            }

            async fn set_continuous_since(&self, now: Timestamp) -> Result<(), Error> {
                sqlx::query("UPDATE event_log SET continuous_since = $1")
                    .bind(now.as_microsecond())
                    .execute(&self.pool)
                    .await?;
                Ok(())
            }

            async fn term_marks(&self) -> Result<HashMap<TermMarkKey, Threshold>, Error> {
                let rows: Vec<TermMarkRow> =
                    sqlx::query_as("SELECT prefix, which, date, threshold FROM term_mark")
                        .fetch_all(&self.reads)
                        .await?;
                rows.into_iter().map(TermMarkRow::into_mark).collect()
            }

            async fn forget_term_marks(&self, prefixes: &[u64]) -> Result<(), Error> {
                for chunk in prefixes.chunks(ROWS_PER_STATEMENT) {
                    let mut query = QueryBuilder::<$database>::new("DELETE FROM term_mark WHERE prefix IN (");
                    let mut list = query.separated(", ");
                    for id in chunk {
                        list.push_bind(to_sql(*id));
                    }
                    query.push(")");
                    query.build().execute(&self.pool).await?;
                }
                Ok(())
            }

            async fn compact(&self, retention: Retention) -> Result<u64, Error> {
                loop {
                    let mut transaction = self.pool.begin_with($begin).await?;
                    // Locks: the log's only row, as in `append`: no event is appended until this part has committed.
                    let row =
                        sqlx::query("UPDATE event_log SET last = last RETURNING last, compacted, routed")
                            .fetch_one(&mut *transaction)
                            .await?;
                    let (last, compacted) = (from_sql(row.try_get(0)?), from_sql(row.try_get(1)?));
                    let routed = from_sql(row.try_get(2)?);
                    // Cost: a scan of the events, since recorded_at has no index; compaction runs a few times an hour.
                    let aged: Option<i64> =
                        sqlx::query("SELECT MAX(sequence) FROM event WHERE recorded_at < $1")
                            .bind(retention.before.as_microsecond())
                            .fetch_one(&mut *transaction)
                            .await?
                            .try_get(0)?;
                    let wanted =
                        aged.map_or(0, from_sql).max(last.saturating_sub(retention.at_most)).min(routed);
                    if wanted <= compacted {
                        return Ok(compacted);
                    }
                    let through = wanted.min(compacted + REMOVED_PER_TRANSACTION);
                    // From here on the log is continuous only since the last event that is removed was recorded, unless its
                    // continuity began later still. Replay: after a rollback the next round computes the same values again.
                    // Cost: one look at a primary key.
                    sqlx::query(
                        "UPDATE event_log SET compacted = $1, continuous_since =
                             (SELECT MAX(at) FROM (
                                 SELECT recorded_at AS at FROM event WHERE sequence = $1
                                 UNION ALL SELECT continuous_since AS at FROM event_log) AS known)",
                    )
                    .bind(to_sql(through))
                    .execute(&mut *transaction)
                    .await?;
                    sqlx::query("DELETE FROM event WHERE sequence <= $1")
                        .bind(to_sql(through))
                        .execute(&mut *transaction)
                        .await?;
                    sqlx::query("DELETE FROM event_network WHERE sequence <= $1")
                        .bind(to_sql(through))
                        .execute(&mut *transaction)
                        .await?;
                    transaction.commit().await?;
                }
            }
        }
    };
}

impl_journal!(SqliteLedger, Sqlite, "BEGIN IMMEDIATE");
impl_journal!(PostgresLedger, Postgres, "BEGIN");
