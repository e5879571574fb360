//! The intents in SQLite and PostgreSQL.

use async_trait::async_trait;
use jiff::Timestamp;

use super::database::{PostgresLedger, SqliteLedger};
use super::error::Error;
use super::fingerprint::Fingerprint;
use super::intent::{Begun, Detail, Intent, IntentSelection, IntentState, IntentStore, ListIntents};
use super::sql_values::{impl_from_row, timestamp, to_sql};
use crate::model::{PrefixId, RequestId};

const SELECT_INTENT: &str =
    "SELECT request_id, kind, fingerprint, state, parent, detail, created_at, updated_at FROM intent";

/// A row of the table `intent`, before its texts are parsed.
struct IntentRow {
    request_id: String,
    kind: String,
    fingerprint: String,
    state: String,
    parent: Option<i64>,
    detail: String,
    created_at: i64,
    updated_at: i64,
}

impl_from_row!(IntentRow { request_id, kind, fingerprint, state, parent, detail, created_at, updated_at });

impl IntentRow {
    fn into_intent(self) -> Result<Intent, Error> {
        Ok(Intent {
            request: self.request_id.parse().map_err(Error::unreadable)?,
            kind: self.kind.parse()?,
            fingerprint: Fingerprint::from_stored(&self.fingerprint)?,
            state: self.state.parse()?,
            parent: self.parent.and_then(|id| u64::try_from(id).ok()).map(PrefixId),
            detail: serde_json::from_str(&self.detail).map_err(Error::unreadable)?,
            created: timestamp(self.created_at)?,
            updated: timestamp(self.updated_at)?,
        })
    }
}

fn detail_json(detail: &Detail) -> Result<String, Error> {
    serde_json::to_string(detail).map_err(Error::unreadable)
}

/// A page of intents: $1 and $2 are the last row of the page before, $3 the number of rows, and $4 the value of the selection. Rows
/// that are inserted meanwhile shift nothing. Locks: none. Cost: a walk along one index (intent_by_age, intent_by_state or
/// intent_by_parent), of which every row is returned. The condition on the kind is that of the indexes.
fn list_sql(selection: IntentSelection) -> String {
    let selected = match selection {
        IntentSelection::All => "",
        IntentSelection::State(_) => "state = $4 AND",
        IntentSelection::Parent(_) => "parent = $4 AND",
    };
    format!(
        "{SELECT_INTENT} WHERE kind <> 'release' AND {selected} (created_at, request_id) < ($1, $2)
         ORDER BY created_at DESC, request_id DESC LIMIT $3"
    )
}

/// Implements [`IntentStore`] for one database; `database.rs` says why this is a macro. The SQL texts that are put together here
/// (`AssertSqlSafe`) hold constants only; every value is bound.
macro_rules! impl_intent_store {
    ($ledger:ident, $backend:literal) => {
        #[async_trait]
        impl IntentStore for $ledger {
            fn backend(&self) -> &'static str {
                $backend
            }

            async fn begin(&self, intent: &Intent) -> Result<Begun, Error> {
                // Replay: an id that is in the table already changes nothing, and the stored intent is answered. Locks: of two
                // callers at once the primary key lets one insert; the other waits for its commit and then inserts nothing.
                // Cost: one look at the primary key, and a sync to disk.
                let inserted = sqlx::query(
                    "INSERT INTO intent (request_id, kind, fingerprint, state, parent, detail, created_at, updated_at)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (request_id) DO NOTHING",
                )
                .bind(intent.request.as_str())
                .bind(intent.kind.as_str())
                .bind(intent.fingerprint.stored())
                .bind(intent.state.as_str())
                .bind(intent.parent.map(|id| to_sql(id.0)))
                .bind(detail_json(&intent.detail)?)
                .bind(intent.created.as_microsecond())
                .bind(intent.updated.as_microsecond())
                .execute(&self.pool)
                .await?;
                if inserted.rows_affected() == 1 {
                    return Ok(Begun::New);
                }
                let before = self.get(&intent.request).await?.ok_or(sqlx::Error::RowNotFound)?;
                Ok(Begun::Before(Box::new(before)))
            }

            async fn get(&self, request: &RequestId) -> Result<Option<Intent>, Error> {
                let sql = format!("{SELECT_INTENT} WHERE request_id = $1");
                let row: Option<IntentRow> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
                    .bind(request.as_str())
                    .fetch_optional(&self.pool)
                    .await?;
                row.map(IntentRow::into_intent).transpose()
            }

            async fn set(
                &self,
                request: &RequestId,
                state: IntentState,
                detail: &Detail,
                now: Timestamp,
            ) -> Result<(), Error> {
                // Replay: the last writer wins, whatever the state was before. One process writes an intent at a time (the
                // allocator's own lock), and nothing here checks that.
                sqlx::query("UPDATE intent SET state = $2, detail = $3, updated_at = $4 WHERE request_id = $1")
                    .bind(request.as_str())
                    .bind(state.as_str())
                    .bind(detail_json(detail)?)
                    .bind(now.as_microsecond())
                    .execute(&self.pool)
                    .await?;
                Ok(())
            }

            async fn pending(&self) -> Result<Vec<Intent>, Error> {
                // Cost: the partial index intent_pending holds the few rows that qualify.
                let sql = format!("{SELECT_INTENT} WHERE state = 'pending' ORDER BY created_at");
                let rows: Vec<IntentRow> =
                    sqlx::query_as(sqlx::AssertSqlSafe(sql)).fetch_all(&self.pool).await?;
                rows.into_iter().map(IntentRow::into_intent).collect()
            }

            async fn list(&self, wanted: &ListIntents) -> Result<Vec<Intent>, Error> {
                let sql = list_sql(wanted.selection);
                let (before, id) = match &wanted.after {
                    Some((created, id)) => (created.as_microsecond(), id.as_str()),
                    None => (i64::MAX, ""),
                };
                let mut query =
                    sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(before).bind(id).bind(i64::from(wanted.limit));
                query = match wanted.selection {
                    IntentSelection::All => query,
                    IntentSelection::State(state) => query.bind(state.as_str()),
                    IntentSelection::Parent(id) => query.bind(to_sql(id.0)),
                };
                let rows: Vec<IntentRow> = query.fetch_all(&self.reads).await?;
                rows.into_iter().map(IntentRow::into_intent).collect()
            }
        }
    };
}

impl_intent_store!(SqliteLedger, "sqlite");
impl_intent_store!(PostgresLedger, "postgres");

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_list_of_intents_is_one_walk_along_an_index() {
        let ledger = SqliteLedger::temporary().await.unwrap();
        for (selection, expected) in [
            (IntentSelection::All, "intent_by_age ((created_at,request_id)<(?,?))"),
            (
                IntentSelection::State(IntentState::Done),
                "intent_by_state (state=? AND (created_at,request_id)<(?,?))",
            ),
            (
                IntentSelection::Parent(PrefixId(7)),
                "intent_by_parent (parent=? AND (created_at,request_id)<(?,?))",
            ),
        ] {
            let plan = ledger.plan(&list_sql(selection)).await;
            assert_eq!(plan, format!("SEARCH intent USING INDEX {expected}"));
        }
    }
}
