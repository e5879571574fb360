//! The intents in SQLite and PostgreSQL.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::{Acquire as _, QueryBuilder};

use super::database::{PostgresLedger, SqliteLedger};
use super::error::Error;
use super::fingerprint::Fingerprint;
use super::intent::{
    Advanced, Begun, Claim, Detail, Intent, IntentSelection, IntentState, IntentStep, IntentStore,
    ListIntents, NewIntent, NextStep, Owner, ReservationChange, ReservedRange,
};
use super::reservation_rows::ReservationRow;
use super::sql_values::{from_sql, impl_from_row, timestamp, to_sql};
use crate::model::{PrefixId, RequestId};

pub(super) const SELECT_INTENT: &str = "SELECT request_id, kind, fingerprint, state, step, owner, attempt, parent, detail, unanswered_at, \
     sweep_at, created_at, updated_at FROM intent";

/// Intents that one statement of an upkeep deletes, so that no other write waits long.
const PRUNED_AT_ONCE: i64 = 500;

/// A row of the table `intent`, before its texts are parsed.
pub(super) struct IntentRow {
    request_id: String,
    kind: String,
    fingerprint: String,
    state: String,
    step: String,
    owner: String,
    attempt: i64,
    parent: Option<i64>,
    detail: String,
    unanswered_at: Option<i64>,
    sweep_at: Option<i64>,
    created_at: i64,
    updated_at: i64,
}

impl_from_row!(IntentRow {
    request_id,
    kind,
    fingerprint,
    state,
    step,
    owner,
    attempt,
    parent,
    detail,
    unanswered_at,
    sweep_at,
    created_at,
    updated_at
});

impl IntentRow {
    pub(super) fn into_intent(self) -> Result<Intent, Error> {
        let step = match (self.step.as_str(), self.state.parse()?) {
            // A server of an older version stored it after the migration.
            ("", IntentState::Done) => IntentStep::Done,
            ("", IntentState::Failed) => IntentStep::Refused,
            ("", IntentState::Pending) => IntentStep::MaybeWritten,
            (step, _) => step.parse()?,
        };
        Ok(Intent {
            request: self.request_id.parse().map_err(Error::unreadable)?,
            kind: self.kind.parse()?,
            fingerprint: Fingerprint::from_stored(&self.fingerprint)?,
            step,
            claim: Claim {
                owner: Owner::named(self.owner),
                attempt: u32::try_from(self.attempt).map_err(Error::unreadable)?,
            },
            parent: self.parent.and_then(|id| u64::try_from(id).ok()).map(PrefixId),
            detail: serde_json::from_str(&self.detail).map_err(Error::unreadable)?,
            unanswered: self.unanswered_at.map(timestamp).transpose()?,
            sweep: self.sweep_at.map(timestamp).transpose()?,
            created: timestamp(self.created_at)?,
            updated: timestamp(self.updated_at)?,
        })
    }
}

fn detail_json(detail: &Detail) -> Result<String, Error> {
    serde_json::to_string(detail).map_err(Error::unreadable)
}

/// The places of a list in the order of their request ids: transactions that lock rows in one order never wait for each other.
pub(super) fn in_order<T>(list: &[T], request: impl Fn(&T) -> &RequestId) -> Vec<usize> {
    let mut places: Vec<(usize, &RequestId)> =
        list.iter().enumerate().map(|(place, item)| (place, request(item))).collect();
    places.sort_by_key(|(_, request)| *request);
    places.into_iter().map(|(place, _)| place).collect()
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
        "{SELECT_INTENT} WHERE kind IN ('addresses', 'prefix', 'assignment') AND {selected}
         (created_at, request_id) < ($1, $2) ORDER BY created_at DESC, request_id DESC LIMIT $3"
    )
}

/// Open intents. Cost: the partial index intent_pending holds the few rows that qualify.
const OPEN: &str = "WHERE state = 'pending' ORDER BY created_at LIMIT $1";
/// Intents to sweep. Cost: the partial index intent_by_sweep holds the few rows that qualify.
const DUE: &str = "WHERE sweep_at IS NOT NULL AND sweep_at <= $1 ORDER BY sweep_at LIMIT $2";
/// Settled intents that are old: a walk along intent_by_update.
/// A fill of a pool stays until its addresses are in stock.
const PRUNE: &str = "DELETE FROM intent WHERE request_id IN (SELECT request_id FROM intent
     WHERE state <> 'pending' AND updated_at < $1 AND sweep_at IS NULL
     AND NOT (kind = 'pool_fill' AND state = 'done') ORDER BY updated_at LIMIT $2)";

/// Implements [`IntentStore`] for one database; `database.rs` says why this is a macro. The SQL texts that are put together here
/// (`AssertSqlSafe`) hold constants only; every value is bound.
macro_rules! impl_intent_store {
    ($ledger:ident, $database:ident, $backend:literal, $shared:literal, $begin:literal) => {
        impl $ledger {
            /// Inserts intents whose request ids are not in the table, and answers how many that were. Done twice it changes nothing.
            pub(super) async fn insert_intents(
                transaction: &mut sqlx::Transaction<'_, sqlx::$database>,
                intents: &[&Intent],
            ) -> Result<usize, Error> {
                let rows = intents.iter().map(|intent| Ok((intent, detail_json(&intent.detail)?)));
                let rows = rows.collect::<Result<Vec<_>, Error>>()?;
                let mut query = QueryBuilder::<sqlx::$database>::new(
                    "INSERT INTO intent (request_id, kind, fingerprint, state, step, owner, attempt, parent, detail,
                                         unanswered_at, sweep_at, created_at, updated_at) ",
                );
                query.push_values(rows, |mut row, (intent, detail)| {
                    row.push_bind(intent.request.as_str())
                        .push_bind(intent.kind.as_str())
                        .push_bind(intent.fingerprint.stored())
                        .push_bind(intent.step.state().as_str())
                        .push_bind(intent.step.as_str())
                        .push_bind(intent.claim.owner.as_str())
                        .push_bind(i64::from(intent.claim.attempt))
                        .push_bind(intent.parent.map(|id| to_sql(id.0)))
                        .push_bind(detail)
                        .push_bind(intent.unanswered.map(Timestamp::as_microsecond))
                        .push_bind(intent.sweep.map(Timestamp::as_microsecond))
                        .push_bind(intent.created.as_microsecond())
                        .push_bind(intent.updated.as_microsecond());
                });
                query.push(" ON CONFLICT (request_id) DO NOTHING");
                let inserted = query.build().execute(&mut **transaction).await?.rows_affected();
                Ok(usize::try_from(inserted).unwrap_or(usize::MAX))
            }

            pub(super) async fn begin_one(
                transaction: &mut sqlx::Transaction<'_, sqlx::$database>,
                NewIntent { intent, reserve }: &NewIntent,
            ) -> Result<Begun, Error> {
                if Self::insert_intents(transaction, &[intent]).await? != 1 {
                    return Ok(Begun::Before(Box::new(Self::stored(transaction, &intent.request).await?)));
                }
                let reserved = Self::reserve(transaction, &intent.request, reserve).await?;
                Ok(if reserved { Begun::New } else { Begun::Reserved })
            }

            async fn advance_one(
                transaction: &mut sqlx::Transaction<'_, sqlx::$database>,
                NextStep { request, held, change, now }: &NextStep,
            ) -> Result<Advanced, Error> {
                let updated = sqlx::query(
                    "UPDATE intent SET state = $4, step = $5, owner = $6, attempt = $7, parent = $8, detail = $9,
                                       unanswered_at = $10, sweep_at = $11, updated_at = $12
                     WHERE request_id = $1 AND owner = $2 AND attempt = $3",
                )
                .bind(request.as_str())
                .bind(held.owner.as_str())
                .bind(i64::from(held.attempt))
                .bind(change.step.state().as_str())
                .bind(change.step.as_str())
                .bind(change.claim.owner.as_str())
                .bind(i64::from(change.claim.attempt))
                .bind(change.parent.map(|id| to_sql(id.0)))
                .bind(detail_json(&change.detail)?)
                .bind(change.unanswered.map(Timestamp::as_microsecond))
                .bind(change.sweep.map(Timestamp::as_microsecond))
                .bind(now.as_microsecond())
                .execute(&mut **transaction)
                .await?;
                if updated.rows_affected() != 1 {
                    return Ok(Advanced::Lost(Box::new(Self::stored(transaction, request).await?)));
                }
                let reserved = Self::change_reservations(transaction, request, &change.reservations).await?;
                Ok(if reserved { Advanced::Set } else { Advanced::Reserved })
            }

            /// The intent of a request that is known to be in the table.
            async fn stored(
                transaction: &mut sqlx::Transaction<'_, sqlx::$database>,
                request: &RequestId,
            ) -> Result<Intent, Error> {
                let sql = format!("{SELECT_INTENT} WHERE request_id = $1");
                let row: IntentRow = sqlx::query_as(sqlx::AssertSqlSafe(sql))
                    .bind(request.as_str())
                    .fetch_one(&mut **transaction)
                    .await?;
                row.into_intent()
            }
        }

        #[async_trait]
        impl IntentStore for $ledger {
            fn backend(&self) -> &'static str {
                $backend
            }

            fn is_shared(&self) -> bool {
                $shared
            }

            async fn begin_all(&self, intents: &[NewIntent]) -> Result<Vec<Begun>, Error> {
                // Replay: an id that is in the table already changes nothing, and the stored intent is answered. Locks: of two
                // callers at once the primary key lets one insert; the other waits for its commit and then inserts nothing. The
                // turn comes first and the ids follow in order, so that no two transactions wait for each other. Cost: for each a
                // look at the primary key and its reservations, and one sync to disk for all.
                let mut transaction = self.pool.begin_with($begin).await?;
                if intents.iter().any(|new| !new.reserve.is_empty()) {
                    Self::take_turn(&mut transaction).await?;
                }
                let mut begun = BTreeMap::new();
                for place in in_order(intents, |new| &new.intent.request) {
                    if let Some(new) = intents.get(place) {
                        // A savepoint, so that one that is not stored leaves nothing, and the others stay.
                        let mut savepoint = transaction.begin().await?;
                        let outcome = Self::begin_one(&mut savepoint, new).await?;
                        if outcome == Begun::New {
                            savepoint.commit().await?;
                        } else {
                            savepoint.rollback().await?;
                        }
                        begun.insert(place, outcome);
                    }
                }
                transaction.commit().await?;
                Ok(begun.into_values().collect())
            }

            async fn advance_all(&self, steps: &[NextStep]) -> Result<Vec<Advanced>, Error> {
                // Replay: a step is stored over one claim, and raises it, so that it is stored once. Locks: the rows of the
                // intents, so that of two claims at once the second sees the first's; in the same order as above. Cost: for each
                // a look at the primary key and its reservations, and one sync to disk for all.
                let mut transaction = self.pool.begin_with($begin).await?;
                let replaces = |step: &NextStep| matches!(step.change.reservations, ReservationChange::Replace(_));
                if steps.iter().any(replaces) {
                    Self::take_turn(&mut transaction).await?;
                }
                let mut advanced = BTreeMap::new();
                for place in in_order(steps, |step| &step.request) {
                    if let Some(step) = steps.get(place) {
                        let mut savepoint = transaction.begin().await?;
                        let outcome = Self::advance_one(&mut savepoint, step).await?;
                        if outcome == Advanced::Set {
                            savepoint.commit().await?;
                        } else {
                            savepoint.rollback().await?;
                        }
                        advanced.insert(place, outcome);
                    }
                }
                transaction.commit().await?;
                Ok(advanced.into_values().collect())
            }

            async fn get(&self, request: &RequestId) -> Result<Option<Intent>, Error> {
                // From the writing pool: a retry must see what the call before it has stored.
                let sql = format!("{SELECT_INTENT} WHERE request_id = $1");
                let row: Option<IntentRow> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
                    .bind(request.as_str())
                    .fetch_optional(&self.pool)
                    .await?;
                row.map(IntentRow::into_intent).transpose()
            }

            async fn count_open(&self) -> Result<u64, Error> {
                let count: (i64,) = sqlx::query_as("SELECT COUNT(*) FROM intent WHERE state = 'pending'")
                    .fetch_one(&self.reads)
                    .await?;
                Ok(from_sql(count.0))
            }

            async fn open_intents(&self, limit: u32) -> Result<Vec<Intent>, Error> {
                let rows: Vec<IntentRow> = sqlx::query_as(sqlx::AssertSqlSafe(format!("{SELECT_INTENT} {OPEN}")))
                    .bind(i64::from(limit))
                    .fetch_all(&self.reads)
                    .await?;
                rows.into_iter().map(IntentRow::into_intent).collect()
            }

            async fn due_sweeps(&self, now: Timestamp, limit: u32) -> Result<Vec<Intent>, Error> {
                let rows: Vec<IntentRow> = sqlx::query_as(sqlx::AssertSqlSafe(format!("{SELECT_INTENT} {DUE}")))
                    .bind(now.as_microsecond())
                    .bind(i64::from(limit))
                    .fetch_all(&self.reads)
                    .await?;
                rows.into_iter().map(IntentRow::into_intent).collect()
            }

            async fn reservations(&self, now: Timestamp) -> Result<Vec<ReservedRange>, Error> {
                // From the writing pool: a plan that follows another write's begin must see what it has reserved.
                let rows: Vec<ReservationRow> = sqlx::query_as(
                    "SELECT request_id, vrf, first, last, settled_until FROM reservation
                     WHERE settled_until IS NULL OR settled_until > $1 ORDER BY vrf, first, request_id",
                )
                .bind(now.as_microsecond())
                .fetch_all(&self.pool)
                .await?;
                rows.into_iter().map(ReservationRow::into_range).collect()
            }

            async fn prune(&self, settled_before: Timestamp, now: Timestamp) -> Result<u64, Error> {
                sqlx::query("DELETE FROM reservation WHERE settled_until IS NOT NULL AND settled_until <= $1")
                    .bind(now.as_microsecond())
                    .execute(&self.pool)
                    .await?;
                // Small statements, each committed by itself: no other write waits long.
                let mut pruned = 0;
                loop {
                    let deleted = sqlx::query(PRUNE)
                        .bind(settled_before.as_microsecond())
                        .bind(PRUNED_AT_ONCE)
                        .execute(&self.pool)
                        .await?
                        .rows_affected();
                    pruned += deleted;
                    if deleted < PRUNED_AT_ONCE.unsigned_abs() {
                        return Ok(pruned);
                    }
                }
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

impl_intent_store!(SqliteLedger, Sqlite, "sqlite", false, "BEGIN IMMEDIATE");
impl_intent_store!(PostgresLedger, Postgres, "postgres", true, "BEGIN");

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

    #[tokio::test]
    async fn upkeep_and_recovery_never_scan_all_history() {
        let ledger = SqliteLedger::temporary().await.unwrap();
        let plan = async |sql: &str| ledger.plan(sql).await;
        let open = plan(&format!("{SELECT_INTENT} {OPEN}")).await;
        assert_eq!(open, "SCAN intent USING INDEX intent_pending");
        let due = plan(&format!("{SELECT_INTENT} {DUE}")).await;
        assert_eq!(due, "SEARCH intent USING INDEX intent_by_sweep (sweep_at>? AND sweep_at<?)");
        let prune = plan(PRUNE).await;
        assert!(prune.contains("SEARCH intent USING INDEX intent_by_update (updated_at<?)"), "{prune}");
    }
}
