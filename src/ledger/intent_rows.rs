//! The intents in SQLite and PostgreSQL.

use std::net::IpAddr;

use async_trait::async_trait;
use jiff::Timestamp;

use super::database::{PostgresLedger, SqliteLedger};
use super::error::Error;
use super::fingerprint::Fingerprint;
use super::intent::{
    Advanced, Begun, Claim, Detail, Intent, IntentChange, IntentSelection, IntentState, IntentStep,
    IntentStore, ListIntents, Owner, Reservation, ReservationChange, ReservationHold, ReservedRange,
};
use super::sql_values::{address_text, from_sql, impl_from_row, timestamp, to_sql};
use crate::model::{PrefixId, RequestId, VrfScope, address_from_number};

const SELECT_INTENT: &str = "SELECT request_id, kind, fingerprint, state, step, owner, attempt, parent, detail, unanswered_at, \
     sweep_at, created_at, updated_at FROM intent";

/// Intents that one statement of an upkeep deletes, so that no other write waits long.
const PRUNED_AT_ONCE: i64 = 500;

/// A row of the table `intent`, before its texts are parsed.
struct IntentRow {
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
    fn into_intent(self) -> Result<Intent, Error> {
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

/// A row of the table `reservation`.
struct ReservationRow {
    request_id: String,
    vrf: i64,
    first: String,
    last: String,
    settled_until: Option<i64>,
}

impl_from_row!(ReservationRow { request_id, vrf, first, last, settled_until });

impl ReservationRow {
    fn into_range(self) -> Result<ReservedRange, Error> {
        Ok(ReservedRange {
            range: Reservation {
                scope: VrfScope::from_number(from_sql(self.vrf)),
                first: address_of(&self.first)?,
                last: address_of(&self.last)?,
            },
            request: self.request_id.parse().map_err(Error::unreadable)?,
            hold: match self.settled_until {
                None => ReservationHold::Exclusive,
                Some(_) => ReservationHold::Taken,
            },
        })
    }
}

fn address_of(text: &str) -> Result<IpAddr, Error> {
    let unreadable = || Error::Unreadable(format!("{text:?} is no address of a reservation"));
    let (family, digits) = text.split_at_checked(1).ok_or_else(unreadable)?;
    let number = u128::from_str_radix(digits, 16).map_err(|_| unreadable())?;
    match family {
        "4" if number <= u128::from(u32::MAX) => Ok(address_from_number(number, true)),
        "6" => Ok(address_from_number(number, false)),
        _ => Err(unreadable()),
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
        "{SELECT_INTENT} WHERE kind IN ('addresses', 'prefix', 'assignment') AND {selected}
         (created_at, request_id) < ($1, $2) ORDER BY created_at DESC, request_id DESC LIMIT $3"
    )
}

/// Open intents. Cost: the partial index intent_pending holds the few rows that qualify.
const OPEN: &str = "WHERE state = 'pending' ORDER BY created_at LIMIT $1";
/// Intents to sweep. Cost: the partial index intent_by_sweep holds the few rows that qualify.
const DUE: &str = "WHERE sweep_at IS NOT NULL AND sweep_at <= $1 ORDER BY sweep_at LIMIT $2";
/// Settled intents that are old: a walk along intent_by_update.
const PRUNE: &str = "DELETE FROM intent WHERE request_id IN (SELECT request_id FROM intent
     WHERE state <> 'pending' AND updated_at < $1 AND sweep_at IS NULL ORDER BY updated_at LIMIT $2)";

/// Implements [`IntentStore`] for one database; `database.rs` says why this is a macro. The SQL texts that are put together here
/// (`AssertSqlSafe`) hold constants only; every value is bound.
macro_rules! impl_intent_store {
    ($ledger:ident, $database:ident, $backend:literal, $shared:literal, $begin:literal) => {
        impl $ledger {
            /// Reserves ranges for a request. Answers false if another open write holds an address of them. Locks: the row of
            /// `reservation_turn`, until the transaction ends, so that of two writers at once the second sees what the first has
            /// reserved. Cost: for each range a look at the index; reservations of open writes are few.
            async fn reserve(
                transaction: &mut sqlx::Transaction<'_, sqlx::$database>,
                request: &RequestId,
                ranges: &[Reservation],
            ) -> Result<bool, Error> {
                if ranges.is_empty() {
                    return Ok(true);
                }
                sqlx::query("UPDATE reservation_turn SET turn = turn + 1").execute(&mut **transaction).await?;
                for range in ranges {
                    let (first, last) = (address_text(range.first), address_text(range.last));
                    let taken = sqlx::query(
                        "SELECT 1 FROM reservation WHERE vrf = $1 AND settled_until IS NULL AND request_id <> $2
                         AND first <= $3 AND last >= $4 LIMIT 1",
                    )
                    .bind(to_sql(range.scope.number()))
                    .bind(request.as_str())
                    .bind(&last)
                    .bind(&first)
                    .fetch_optional(&mut **transaction)
                    .await?;
                    if taken.is_some() {
                        return Ok(false);
                    }
                    sqlx::query(
                        "INSERT INTO reservation (request_id, vrf, first, last) VALUES ($1, $2, $3, $4)
                         ON CONFLICT (request_id, vrf, first) DO UPDATE SET last = excluded.last, settled_until = NULL",
                    )
                    .bind(request.as_str())
                    .bind(to_sql(range.scope.number()))
                    .bind(first)
                    .bind(last)
                    .execute(&mut **transaction)
                    .await?;
                }
                Ok(true)
            }

            async fn drop_reservations(
                transaction: &mut sqlx::Transaction<'_, sqlx::$database>,
                request: &RequestId,
            ) -> Result<(), Error> {
                sqlx::query("DELETE FROM reservation WHERE request_id = $1")
                    .bind(request.as_str())
                    .execute(&mut **transaction)
                    .await?;
                Ok(())
            }

            async fn change_reservations(
                transaction: &mut sqlx::Transaction<'_, sqlx::$database>,
                request: &RequestId,
                change: &ReservationChange,
            ) -> Result<bool, Error> {
                match change {
                    ReservationChange::Keep => Ok(true),
                    ReservationChange::Replace(ranges) => {
                        Self::drop_reservations(transaction, request).await?;
                        Self::reserve(transaction, request, ranges).await
                    }
                    ReservationChange::Settle { until } => {
                        sqlx::query("UPDATE reservation SET settled_until = $2 WHERE request_id = $1")
                            .bind(request.as_str())
                            .bind(until.as_microsecond())
                            .execute(&mut **transaction)
                            .await?;
                        Ok(true)
                    }
                    ReservationChange::Release => {
                        Self::drop_reservations(transaction, request).await?;
                        Ok(true)
                    }
                }
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

            async fn begin(&self, intent: &Intent, reserve: &[Reservation]) -> Result<Begun, Error> {
                // Replay: an id that is in the table already changes nothing, and the stored intent is answered. Locks: of two
                // callers at once the primary key lets one insert; the other waits for its commit and then inserts nothing.
                // Cost: one look at the primary key, the reservations, and a sync to disk.
                let mut transaction = self.pool.begin_with($begin).await?;
                let inserted = sqlx::query(
                    "INSERT INTO intent (request_id, kind, fingerprint, state, step, owner, attempt, parent, detail,
                                         unanswered_at, sweep_at, created_at, updated_at)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT (request_id) DO NOTHING",
                )
                .bind(intent.request.as_str())
                .bind(intent.kind.as_str())
                .bind(intent.fingerprint.stored())
                .bind(intent.step.state().as_str())
                .bind(intent.step.as_str())
                .bind(intent.claim.owner.as_str())
                .bind(i64::from(intent.claim.attempt))
                .bind(intent.parent.map(|id| to_sql(id.0)))
                .bind(detail_json(&intent.detail)?)
                .bind(intent.unanswered.map(Timestamp::as_microsecond))
                .bind(intent.sweep.map(Timestamp::as_microsecond))
                .bind(intent.created.as_microsecond())
                .bind(intent.updated.as_microsecond())
                .execute(&mut *transaction)
                .await?;
                if inserted.rows_affected() != 1 {
                    transaction.rollback().await?;
                    let before = self.get(&intent.request).await?.ok_or(sqlx::Error::RowNotFound)?;
                    return Ok(Begun::Before(Box::new(before)));
                }
                if !Self::reserve(&mut transaction, &intent.request, reserve).await? {
                    transaction.rollback().await?;
                    return Ok(Begun::Reserved);
                }
                transaction.commit().await?;
                Ok(Begun::New)
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

            async fn advance(
                &self,
                request: &RequestId,
                held: &Claim,
                change: &IntentChange,
                now: Timestamp,
            ) -> Result<Advanced, Error> {
                // Replay: a step that is stored already is stored again, as long as the claim is the same. Locks: the row of the
                // intent, so that of two claims at once the second sees the first's. Cost: one look at the primary key, the
                // reservations, and a sync to disk.
                let mut transaction = self.pool.begin_with($begin).await?;
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
                .execute(&mut *transaction)
                .await?;
                if updated.rows_affected() != 1 {
                    transaction.rollback().await?;
                    let held = self.get(request).await?.ok_or(sqlx::Error::RowNotFound)?;
                    return Ok(Advanced::Lost(Box::new(held)));
                }
                if !Self::change_reservations(&mut transaction, request, &change.reservations).await? {
                    transaction.rollback().await?;
                    return Ok(Advanced::Reserved);
                }
                transaction.commit().await?;
                Ok(Advanced::Set)
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

    #[test]
    fn addresses_of_reservations_sort_as_addresses_do() {
        let addresses = ["0.0.0.0", "9.0.0.1", "203.0.113.5", "::", "2001:db8::1"];
        let addresses: Vec<IpAddr> = addresses.iter().map(|text| text.parse().unwrap()).collect();
        let texts: Vec<String> = addresses.iter().map(|address| address_text(*address)).collect();
        assert!(texts.is_sorted());
        let read: Vec<IpAddr> = texts.iter().map(|text| address_of(text).unwrap()).collect();
        assert_eq!(read, addresses);
        assert!(address_of("4ffffffffffffffffffffffffffffffff").is_err());
        assert!(address_of("").is_err());
    }
}
