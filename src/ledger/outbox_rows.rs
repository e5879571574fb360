//! The outbox's rows in SQLite and in PostgreSQL: one text of SQL for both.

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Postgres, QueryBuilder, Row as _, Sqlite};

use super::database::{Error, PostgresLedger, SqliteLedger};
use super::journal::to_sql;
use super::outbox::{Delivery, DeliveryState, ListDeliveries, Outbox, Outcome};

/// Rows of one statement.
const ROWS: usize = 500;

const COLUMNS: &str = "id, sink, state, attempts, due_at, created_at, updated_at, error, body";

/// A row before it is understood.
struct Columns {
    id: String,
    sink: String,
    state: String,
    attempts: i64,
    due: i64,
    created: i64,
    updated: i64,
    error: String,
    body: String,
}

trait OfRow<R>: Sized {
    fn of(row: &R) -> Result<Self, Error>;
}

fn instant(micros: i64) -> Result<Timestamp, Error> {
    Timestamp::from_microsecond(micros).map_err(|error| Error::Unreadable(error.to_string()))
}

fn delivery(columns: Columns) -> Result<Delivery, Error> {
    Ok(Delivery {
        event: serde_json::from_str(&columns.body).map_err(|error| Error::Unreadable(error.to_string()))?,
        id: columns.id,
        sink: columns.sink,
        state: columns.state.parse()?,
        attempts: u32::try_from(columns.attempts).unwrap_or(0),
        due: instant(columns.due)?,
        created: instant(columns.created)?,
        updated: instant(columns.updated)?,
        error: columns.error,
    })
}

macro_rules! outbox_over {
    ($ledger:ident, $database:ident, $row:ident, $begin:literal) => {
        impl OfRow<$row> for Columns {
            fn of(row: &$row) -> Result<Self, Error> {
                Ok(Self {
                    id: row.try_get(0)?,
                    sink: row.try_get(1)?,
                    state: row.try_get(2)?,
                    attempts: row.try_get(3)?,
                    due: row.try_get(4)?,
                    created: row.try_get(5)?,
                    updated: row.try_get(6)?,
                    error: row.try_get(7)?,
                    body: row.try_get(8)?,
                })
            }
        }

        #[async_trait]
        impl Outbox for $ledger {
            async fn route(&self, upto: u64, deliveries: &[Delivery]) -> Result<(), Error> {
                let mut transaction = self.pool.begin_with($begin).await?;
                for chunk in deliveries.chunks(ROWS) {
                    let mut rows = Vec::with_capacity(chunk.len());
                    for delivery in chunk {
                        let body = serde_json::to_string(&delivery.event)
                            .map_err(|error| Error::Unreadable(error.to_string()))?;
                        rows.push((delivery, body));
                    }
                    QueryBuilder::<$database>::new(
                        "INSERT INTO delivery
                             (id, sink, sequence, matter, state, attempts, due_at, created_at, updated_at, error, body) ",
                    )
                    .push_values(rows, |mut row, (delivery, body)| {
                        row.push_bind(delivery.id.clone())
                            .push_bind(delivery.sink.clone())
                            .push_bind(to_sql(delivery.event.sequence))
                            .push_bind(delivery.event.happening.matter())
                            .push_bind(delivery.state.as_str())
                            .push_bind(i64::from(delivery.attempts))
                            .push_bind(delivery.due.as_microsecond())
                            .push_bind(delivery.created.as_microsecond())
                            .push_bind(delivery.updated.as_microsecond())
                            .push_bind(delivery.error.clone())
                            .push_bind(body);
                    })
                    .push(" ON CONFLICT (id) DO NOTHING")
                    .build()
                    .execute(&mut *transaction)
                    .await?;
                }
                sqlx::query("UPDATE event_log SET routed = $1 WHERE routed < $1")
                    .bind(to_sql(upto))
                    .execute(&mut *transaction)
                    .await?;
                transaction.commit().await?;
                Ok(())
            }

            async fn claim(
                &self,
                sink: &str,
                now: Timestamp,
                until: Timestamp,
                limit: u32,
            ) -> Result<Vec<Delivery>, Error> {
                // The outer condition is looked at again under the row's lock: what another replica has just taken is not
                // due any more.
                let sql = format!(
                    "UPDATE delivery SET due_at = $3, attempts = attempts + 1, updated_at = $2
                     WHERE state = 'waiting' AND due_at <= $2 AND id IN (
                         SELECT id FROM delivery AS due WHERE sink = $1 AND state = 'waiting' AND due_at <= $2
                             AND NOT EXISTS (
                                 SELECT 1 FROM delivery AS earlier
                                 WHERE earlier.sink = due.sink AND earlier.matter = due.matter
                                     AND earlier.sequence < due.sequence
                                     AND earlier.state = 'waiting' AND earlier.due_at > $2)
                         ORDER BY sequence, id LIMIT $4)
                     RETURNING {COLUMNS}"
                );
                let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
                    .bind(sink)
                    .bind(now.as_microsecond())
                    .bind(until.as_microsecond())
                    .bind(i64::from(limit))
                    .fetch_all(&self.pool)
                    .await?;
                let mut claimed: Vec<Delivery> =
                    rows.iter().map(|row| delivery(Columns::of(row)?)).collect::<Result<_, _>>()?;
                claimed.sort_by(|a, b| (a.event.sequence, &a.id).cmp(&(b.event.sequence, &b.id)));
                Ok(claimed)
            }

            async fn settle(&self, ids: &[String], outcome: &Outcome, now: Timestamp) -> Result<(), Error> {
                let (state, due, error) = match outcome {
                    Outcome::Sent => (DeliveryState::Sent, now, ""),
                    Outcome::Later(due, error) => (DeliveryState::Waiting, *due, error.as_str()),
                    Outcome::Dead(error) => (DeliveryState::Dead, now, error.as_str()),
                };
                for chunk in ids.chunks(ROWS) {
                    let mut query = QueryBuilder::<$database>::new("UPDATE delivery SET state = ");
                    query.push_bind(state.as_str());
                    query.push(", due_at = ").push_bind(due.as_microsecond());
                    query.push(", updated_at = ").push_bind(now.as_microsecond());
                    query.push(", error = ").push_bind(error.to_owned());
                    query.push(" WHERE id IN (");
                    let mut list = query.separated(", ");
                    for id in chunk {
                        list.push_bind(id.clone());
                    }
                    query.push(")");
                    query.build().execute(&self.pool).await?;
                }
                Ok(())
            }

            async fn deliveries(&self, wanted: &ListDeliveries) -> Result<Vec<Delivery>, Error> {
                let sql = format!(
                    "SELECT {COLUMNS} FROM delivery
                     WHERE ($1 = '' OR state = $1) AND ($2 = '' OR sink = $2)
                       AND (created_at < $3 OR (created_at = $3 AND id < $4))
                     ORDER BY created_at DESC, id DESC LIMIT $5"
                );
                let (before, id) = match &wanted.after {
                    Some((created, id)) => (created.as_microsecond(), id.as_str()),
                    None => (i64::MAX, ""),
                };
                let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
                    .bind(wanted.state.map_or("", DeliveryState::as_str))
                    .bind(wanted.sink.as_str())
                    .bind(before)
                    .bind(id)
                    .bind(i64::from(wanted.limit))
                    .fetch_all(&self.reads)
                    .await?;
                rows.iter().map(|row| delivery(Columns::of(row)?)).collect()
            }

            async fn replay(&self, sink: &str, ids: &[String], now: Timestamp) -> Result<u64, Error> {
                let mut query = QueryBuilder::<$database>::new(
                    "UPDATE delivery SET state = 'waiting', attempts = 0, due_at = ",
                );
                query.push_bind(now.as_microsecond());
                query.push(", created_at = ").push_bind(now.as_microsecond());
                query.push(" WHERE state = 'dead'");
                if !sink.is_empty() {
                    query.push(" AND sink = ").push_bind(sink.to_owned());
                }
                if !ids.is_empty() {
                    query.push(" AND id IN (");
                    let mut list = query.separated(", ");
                    for id in ids {
                        list.push_bind(id.clone());
                    }
                    query.push(")");
                }
                Ok(query.build().execute(&self.pool).await?.rows_affected())
            }

            async fn backlog(&self) -> Result<(u64, u64), Error> {
                let row = sqlx::query(
                    "SELECT (SELECT COUNT(*) FROM delivery WHERE state = 'waiting'),
                            (SELECT COUNT(*) FROM delivery WHERE state = 'dead')",
                )
                .fetch_one(&self.reads)
                .await?;
                let count = |number: i64| u64::try_from(number).unwrap_or(0);
                Ok((count(row.try_get(0)?), count(row.try_get(1)?)))
            }

            async fn forget_sent(&self, before: Timestamp) -> Result<(), Error> {
                sqlx::query("DELETE FROM delivery WHERE state = 'sent' AND updated_at < $1")
                    .bind(before.as_microsecond())
                    .execute(&self.pool)
                    .await?;
                Ok(())
            }

            async fn ticket(&self, sink: &str, key: &str) -> Result<Option<String>, Error> {
                let row = sqlx::query("SELECT reference FROM ticket WHERE sink = $1 AND dedupe_key = $2")
                    .bind(sink)
                    .bind(key)
                    .fetch_optional(&self.reads)
                    .await?;
                row.map(|row| Ok(row.try_get(0)?)).transpose()
            }

            async fn open_ticket(
                &self,
                sink: &str,
                key: &str,
                reference: &str,
                now: Timestamp,
            ) -> Result<(), Error> {
                sqlx::query(
                    "INSERT INTO ticket (sink, dedupe_key, reference, created_at) VALUES ($1, $2, $3, $4)
                     ON CONFLICT (sink, dedupe_key) DO NOTHING",
                )
                .bind(sink)
                .bind(key)
                .bind(reference)
                .bind(now.as_microsecond())
                .execute(&self.pool)
                .await?;
                Ok(())
            }

            async fn close_ticket(&self, sink: &str, key: &str) -> Result<(), Error> {
                sqlx::query("DELETE FROM ticket WHERE sink = $1 AND dedupe_key = $2")
                    .bind(sink)
                    .bind(key)
                    .execute(&self.pool)
                    .await?;
                Ok(())
            }
        }
    };
}

outbox_over!(SqliteLedger, Sqlite, SqliteRow, "BEGIN IMMEDIATE");
outbox_over!(PostgresLedger, Postgres, PgRow, "BEGIN");
