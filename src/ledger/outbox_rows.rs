//! The outbox in SQLite and PostgreSQL.

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::{Postgres, QueryBuilder, Row as _, Sqlite};

use super::database::{PostgresLedger, SqliteLedger};
use super::error::Error;
use super::outbox::{Delivery, DeliveryOutcome, DeliveryState, FailedAttempt, ListDeliveries, Outbox};
use super::sql_values::{ROWS_PER_STATEMENT, from_sql, impl_from_row, timestamp, to_sql};

const COLUMNS: &str =
    "id, sink, state, attempts, due_at, created_at, updated_at, error, failure, failed_at, body";

/// A row of the table `delivery`, before its texts are parsed.
struct DeliveryRow {
    id: String,
    sink: String,
    state: String,
    attempts: i64,
    due_at: i64,
    created_at: i64,
    updated_at: i64,
    error: String,
    failure: String,
    failed_at: i64,
    /// JSON of the event.
    body: String,
}

const FAILED: &str = "failed";
const REFUSED: &str = "refused";

impl_from_row!(DeliveryRow {
    id,
    sink,
    state,
    attempts,
    due_at,
    created_at,
    updated_at,
    error,
    failure,
    failed_at,
    body
});

impl DeliveryRow {
    fn into_delivery(self) -> Result<Delivery, Error> {
        let state = self.state.parse()?;
        Ok(Delivery {
            event: serde_json::from_str(&self.body).map_err(Error::unreadable)?,
            last_failure: self.last_failure(state)?,
            id: self.id,
            sink: self.sink,
            state,
            attempts: u32::try_from(self.attempts).unwrap_or(0),
            due: timestamp(self.due_at)?,
            created: timestamp(self.created_at)?,
            updated: timestamp(self.updated_at)?,
        })
    }

    fn last_failure(&self, state: DeliveryState) -> Result<Option<FailedAttempt>, Error> {
        let refused = match self.failure.as_str() {
            "" if self.error.is_empty() => return Ok(None),
            "" => return Ok(Some(of_older_version(&self.error, state))),
            REFUSED => true,
            FAILED => false,
            other => return Err(Error::Unreadable(format!("a delivery with the failure {other:?}"))),
        };
        Ok(Some(FailedAttempt { refused, message: self.error.clone(), at: Some(timestamp(self.failed_at)?) }))
    }
}

/// A failure that a server of version 0.1 recorded. Its text began with the status of the sink's answer, unless there was none:
/// then it was that of a library, and is not shown.
fn of_older_version(error: &str, state: DeliveryState) -> FailedAttempt {
    let (given_up, said) = match error.strip_prefix("given up after ").and_then(|rest| rest.split_once(": "))
    {
        Some((_, said)) => (true, said),
        None => (false, error),
    };
    let status = said.len() >= 3 && said.bytes().take(3).all(|byte| byte.is_ascii_digit());
    let message = if status { error } else { "the sink did not take the delivery" };
    let refused = state == DeliveryState::Dead && !given_up;
    FailedAttempt { refused, message: message.to_owned(), at: None }
}

/// A page of deliveries: $1 and $2 are the last row of the page before, $3 the number of rows, and the filters follow. Rows that are
/// inserted meanwhile shift nothing. Locks: none. Cost: a walk along one index (delivery_by_age, delivery_by_state, delivery_by_sink
/// or delivery_by_sink_and_state), of which every row is returned.
fn list_sql(wanted: &ListDeliveries) -> String {
    let selected = match (wanted.state.is_some(), wanted.sink.is_empty()) {
        (false, true) => "",
        (true, true) => "state = $4 AND",
        (false, false) => "sink = $4 AND",
        (true, false) => "state = $4 AND sink = $5 AND",
    };
    format!(
        "SELECT {COLUMNS} FROM delivery WHERE {selected} (created_at, id) < ($1, $2)
         ORDER BY created_at DESC, id DESC LIMIT $3"
    )
}

/// Implements [`Outbox`] for one database; `database.rs` says why this is a macro. The SQL texts that are put together here
/// (`AssertSqlSafe`) hold constants only; every value is bound.
macro_rules! impl_outbox {
    ($ledger:ident, $database:ident, $begin:literal) => {
        #[async_trait]
        impl Outbox for $ledger {
            async fn enqueue(&self, routed: u64, deliveries: &[Delivery]) -> Result<(), Error> {
                let mut transaction = self.pool.begin_with($begin).await?;
                for chunk in deliveries.chunks(ROWS_PER_STATEMENT) {
                    let mut rows = Vec::with_capacity(chunk.len());
                    for delivery in chunk {
                        rows.push((
                            delivery,
                            serde_json::to_string(&delivery.event).map_err(Error::unreadable)?,
                        ));
                    }
                    // Replay: the id names the event and the sink, so a second replica that routes the same events inserts
                    // nothing. Locks: such a replica waits for the first one's commit. Cost: one look at the primary key and
                    // three index entries a delivery.
                    QueryBuilder::<$database>::new(
                        "INSERT INTO delivery
                             (id, sink, sequence, ordering_key, state, attempts, due_at, created_at, updated_at, error, body) ",
                    )
                    .push_values(rows, |mut row, (delivery, body)| {
                        row.push_bind(delivery.id.clone())
                            .push_bind(delivery.sink.clone())
                            .push_bind(to_sql(delivery.event.sequence))
                            .push_bind(delivery.event.domain_event.ordering_key())
                            .push_bind(delivery.state.as_str())
                            .push_bind(i64::from(delivery.attempts))
                            .push_bind(delivery.due.as_microsecond())
                            .push_bind(delivery.created.as_microsecond())
                            .push_bind(delivery.updated.as_microsecond())
                            .push_bind("")
                            .push_bind(body);
                    })
                    .push(" ON CONFLICT (id) DO NOTHING")
                    .build()
                    .execute(&mut *transaction)
                    .await?;
                }
                // Only forward: a replica that was slower must not make events be routed again.
                sqlx::query("UPDATE event_log SET routed = $1 WHERE routed < $1")
                    .bind(to_sql(routed))
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
                // Replay: what is claimed is not due until `until`, so a second claim takes other rows. Locks: two replicas may
                // choose the same rows in the inner query; the update then locks each row and checks the outer condition again,
                // which the replica that comes second finds false. Cost: the partial index delivery_due gives the due rows of
                // the sink, delivery_in_order answers NOT EXISTS with one look a row, and the primary key finds what is
                // updated: the CASE keeps SQLite from walking delivery_by_state instead.
                let sql = format!(
                    "UPDATE delivery SET due_at = $3, attempts = attempts + 1, updated_at = $2
                     WHERE CASE state WHEN 'waiting' THEN due_at <= $2 ELSE FALSE END AND id IN (
                         SELECT id FROM delivery AS due WHERE sink = $1 AND state = 'waiting' AND due_at <= $2
                             AND NOT EXISTS (
                                 SELECT 1 FROM delivery AS earlier
                                 WHERE earlier.sink = due.sink AND earlier.ordering_key = due.ordering_key
                                     AND earlier.sequence < due.sequence
                                     AND earlier.state = 'waiting' AND earlier.due_at > $2)
                         ORDER BY sequence, id LIMIT $4)
                     RETURNING {COLUMNS}"
                );
                let rows: Vec<DeliveryRow> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
                    .bind(sink)
                    .bind(now.as_microsecond())
                    .bind(until.as_microsecond())
                    .bind(i64::from(limit))
                    .fetch_all(&self.pool)
                    .await?;
                let mut claimed: Vec<Delivery> =
                    rows.into_iter().map(DeliveryRow::into_delivery).collect::<Result<_, _>>()?;
                // RETURNING promises no order.
                claimed.sort_by(|a, b| (a.event.sequence, &a.id).cmp(&(b.event.sequence, &b.id)));
                Ok(claimed)
            }

            async fn record_outcome(
                &self,
                ids: &[String],
                outcome: &DeliveryOutcome,
                now: Timestamp,
            ) -> Result<(), Error> {
                let (state, due, failed) = match outcome {
                    DeliveryOutcome::Sent => (DeliveryState::Sent, now, None),
                    DeliveryOutcome::Later(due, failed) => (DeliveryState::Waiting, *due, Some(failed)),
                    DeliveryOutcome::Dead(failed) => (DeliveryState::Dead, now, Some(failed)),
                };
                let error = failed.map_or("", |failed| failed.message.as_str());
                let failure = failed.map_or("", |failed| if failed.refused { REFUSED } else { FAILED });
                let failed_at = failed.map_or(0, |failed| failed.at.unwrap_or(now).as_microsecond());
                for chunk in ids.chunks(ROWS_PER_STATEMENT) {
                    // Replay: sets the same values again. If the claim has run out and another server has claimed the delivery
                    // since, the outcome that is recorded last is kept. Cost: one look at the primary key a delivery.
                    let mut query = QueryBuilder::<$database>::new("UPDATE delivery SET state = ");
                    query.push_bind(state.as_str());
                    query.push(", due_at = ").push_bind(due.as_microsecond());
                    query.push(", updated_at = ").push_bind(now.as_microsecond());
                    query.push(", error = ").push_bind(error.to_owned());
                    query.push(", failure = ").push_bind(failure);
                    query.push(", failed_at = ").push_bind(failed_at);
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
                let sql = list_sql(wanted);
                let (before, id) = match &wanted.after {
                    Some((created, id)) => (created.as_microsecond(), id.as_str()),
                    None => (i64::MAX, ""),
                };
                let mut query =
                    sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(before).bind(id).bind(i64::from(wanted.limit));
                if let Some(state) = wanted.state {
                    query = query.bind(state.as_str());
                }
                if !wanted.sink.is_empty() {
                    query = query.bind(wanted.sink.as_str());
                }
                let rows: Vec<DeliveryRow> = query.fetch_all(&self.reads).await?;
                rows.into_iter().map(DeliveryRow::into_delivery).collect()
            }

            async fn replay(&self, sink: &str, ids: &[String], now: Timestamp) -> Result<u64, Error> {
                // Replay: what waits again is no longer dead, so a second call changes nothing. The new time of creation gives
                // the delivery its full 72 hours again. Cost: a scan of all deliveries unless ids are given, which is acceptable
                // for something that a person does.
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
                // Locks: none. Cost: two counts along delivery_by_state, whose rows are not looked at.
                let row = sqlx::query(
                    "SELECT (SELECT COUNT(*) FROM delivery WHERE state = 'waiting'),
                            (SELECT COUNT(*) FROM delivery WHERE state = 'dead')",
                )
                .fetch_one(&self.reads)
                .await?;
                Ok((from_sql(row.try_get(0)?), from_sql(row.try_get(1)?)))
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
                // Replay: the first reference stays.
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

impl_outbox!(SqliteLedger, Sqlite, "BEGIN IMMEDIATE");
impl_outbox!(PostgresLedger, Postgres, "BEGIN");

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_list_of_deliveries_is_one_walk_along_an_index() {
        let ledger = SqliteLedger::temporary().await.unwrap();
        for (state, sink, expected) in [
            (None, "", "delivery_by_age ((created_at,id)<(?,?))"),
            (Some(DeliveryState::Dead), "", "delivery_by_state (state=? AND (created_at,id)<(?,?))"),
            (None, "ops", "delivery_by_sink (sink=? AND (created_at,id)<(?,?))"),
            (
                Some(DeliveryState::Dead),
                "ops",
                "delivery_by_sink_and_state (sink=? AND state=? AND (created_at,id)<(?,?))",
            ),
        ] {
            let wanted = ListDeliveries { state, sink: sink.to_owned(), ..ListDeliveries::default() };
            let plan = ledger.plan(&list_sql(&wanted)).await;
            assert_eq!(plan, format!("SEARCH delivery USING INDEX {expected}"));
        }
    }

    #[test]
    fn of_an_older_failure_only_what_the_sink_said_is_shown() {
        let read = |error, state| {
            let failed = of_older_version(error, state);
            (failed.refused, failed.message)
        };
        let unsaid = "the sink did not take the delivery".to_owned();
        assert_eq!(read("410 Gone", DeliveryState::Dead), (true, "410 Gone".to_owned()));
        let given_up = "given up after 90 attempts: 503 Service Unavailable";
        assert_eq!(read(given_up, DeliveryState::Dead), (false, given_up.to_owned()));
        let refused = "Connection refused (os error 111)";
        assert_eq!(read(refused, DeliveryState::Waiting), (false, unsaid.clone()));
        assert_eq!(
            read(&format!("given up after 9 attempts: {refused}"), DeliveryState::Dead),
            (false, unsaid)
        );
    }
}
