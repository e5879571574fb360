//! The addresses of pools in SQLite and PostgreSQL.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::{Acquire as _, Postgres, QueryBuilder, Sqlite};

use super::database::{PostgresLedger, SqliteLedger};
use super::error::Error;
use super::intent::{Begun, Intent, NewIntent, Owner};
use super::intent_rows::{IntentRow, SELECT_INTENT, in_order};
use super::pool::{HandOut, HandedTo, PoolAddress, PoolStore, PoolUse, StockClaim, Stocked};
use super::sql_values::{ROWS_PER_STATEMENT, from_sql, impl_from_row, timestamp, to_sql};
use crate::model::{Address, PrefixId, RequestId};

const SELECT_POOL: &str = "SELECT parent, owner, epoch, state, record, request_id, wanted, caller, refusal, changed_at \
     FROM pool_address";

/// What belongs to processes that are not known to live; $1 is this process, $2 the time. Cost: a walk over the pools of all
/// servers, some thousands of rows.
const TAKE_OVER: &str =
    "UPDATE pool_address SET owner = $1, epoch = epoch + 1 WHERE owner <> $1 AND NOT EXISTS
     (SELECT 1 FROM job_lease WHERE name = 'pools-of-' || pool_address.owner AND held_until > $2)";
/// The same where no other process can use the ledger.
const TAKE_ALL: &str = "UPDATE pool_address SET owner = $1, epoch = epoch + 1 WHERE owner <> $1";

/// Fills that are not in stock. Cost: the partial index intent_pool_fill holds the few rows that qualify.
const FILLS: &str = "WHERE kind = 'pool_fill' AND state <> 'failed' ORDER BY created_at";

/// A row of the table `pool_address`, before its texts are parsed.
struct PoolRow {
    parent: i64,
    owner: String,
    epoch: i64,
    state: String,
    record: String,
    request_id: Option<String>,
    wanted: Option<String>,
    caller: String,
    refusal: Option<String>,
    changed_at: i64,
}

impl_from_row!(PoolRow {
    parent,
    owner,
    epoch,
    state,
    record,
    request_id,
    wanted,
    caller,
    refusal,
    changed_at
});

impl PoolRow {
    fn into_address(self) -> Result<PoolAddress, Error> {
        let record = |text: &str| serde_json::from_str::<Address>(text).map_err(Error::unreadable);
        let used = match (self.state.as_str(), self.request_id, self.wanted) {
            ("stock", ..) => PoolUse::Stock,
            ("returning", ..) => PoolUse::Returning,
            ("handed_out", Some(request), Some(wanted)) => PoolUse::HandedOut(Box::new(HandedTo {
                request: request.parse().map_err(Error::unreadable)?,
                caller: self.caller,
                wanted: record(&wanted)?,
                at: timestamp(self.changed_at)?,
                refusal: self.refusal,
            })),
            (other, ..) => return Err(Error::Unreadable(format!("{other:?} is no use of a pool's address"))),
        };
        Ok(PoolAddress {
            record: record(&self.record)?,
            parent: PrefixId(from_sql(self.parent)),
            claim: StockClaim { owner: Owner::named(self.owner), epoch: from_sql(self.epoch) },
            used,
        })
    }
}

fn json(record: &Address) -> Result<String, Error> {
    serde_json::to_string(record).map_err(Error::unreadable)
}

/// Implements [`PoolStore`] for one database; `database.rs` says why this is a macro. The SQL texts that are put together here
/// (`AssertSqlSafe`) hold constants only; every value is bound.
macro_rules! impl_pool_store {
    ($ledger:ident, $database:ident, $shared:literal, $begin:literal) => {
        impl $ledger {
            /// Hands everything out by two statements, if all of it can be. Answers whether it could; if not, the transaction is no use.
            async fn hand_out_together(
                transaction: &mut sqlx::Transaction<'_, sqlx::$database>,
                hand_outs: &[HandOut],
            ) -> Result<bool, Error> {
                let places = in_order(hand_outs, |hand_out| &hand_out.intent.request);
                let ordered: Vec<&HandOut> = places.into_iter().filter_map(|place| hand_outs.get(place)).collect();
                for chunk in ordered.chunks(ROWS_PER_STATEMENT) {
                    let intents: Vec<&Intent> = chunk.iter().map(|hand_out| &hand_out.intent).collect();
                    if Self::insert_intents(transaction, &intents).await? != chunk.len() {
                        return Ok(false);
                    }
                }
                let addresses = ordered.iter().flat_map(|hand_out| {
                    hand_out.addresses.iter().map(move |(claim, wanted)| (&hand_out.intent, claim, wanted))
                });
                let addresses: Vec<(&Intent, &StockClaim, &Address)> = addresses.collect();
                for chunk in addresses.chunks(ROWS_PER_STATEMENT) {
                    let mut query = QueryBuilder::<$database>::new(
                        "UPDATE pool_address SET state = 'handed_out', request_id = given.column4,
                                wanted = given.column5, caller = given.column6, changed_at = given.column7
                         FROM (VALUES ",
                    );
                    for (nth, (intent, claim, wanted)) in chunk.iter().enumerate() {
                        query.push(if nth == 0 { "(CAST(" } else { ", (CAST(" }).push_bind(to_sql(wanted.id.0));
                        query.push(" AS BIGINT), CAST(").push_bind(claim.owner.as_str());
                        query.push(" AS TEXT), CAST(").push_bind(to_sql(claim.epoch));
                        query.push(" AS BIGINT), CAST(").push_bind(intent.request.as_str());
                        query.push(" AS TEXT), CAST(").push_bind(json(wanted)?);
                        query.push(" AS TEXT), CAST(").push_bind(intent.detail.caller.as_str());
                        query.push(" AS TEXT), CAST(").push_bind(intent.created.as_microsecond());
                        query.push(" AS BIGINT))");
                    }
                    query.push(
                        ") AS given WHERE pool_address.address = given.column1 AND pool_address.owner = given.column2
                         AND pool_address.epoch = given.column3 AND pool_address.state = 'stock'",
                    );
                    let updated = query.build().execute(&mut **transaction).await?.rows_affected();
                    if usize::try_from(updated) != Ok(chunk.len()) {
                        return Ok(false);
                    }
                }
                Ok(true)
            }

            async fn hand_out_one(
                transaction: &mut sqlx::Transaction<'_, sqlx::$database>,
                HandOut { intent, addresses }: &HandOut,
            ) -> Result<Stocked, Error> {
                let begun = NewIntent { intent: intent.clone(), reserve: Vec::new() };
                if Self::begin_one(transaction, &begun).await? != Begun::New {
                    return Ok(Stocked::Before);
                }
                for (claim, wanted) in addresses {
                    let updated = sqlx::query(
                        "UPDATE pool_address SET state = 'handed_out', request_id = $4, wanted = $5, caller = $6,
                                changed_at = $7
                         WHERE address = $1 AND owner = $2 AND epoch = $3 AND state = 'stock'",
                    )
                    .bind(to_sql(wanted.id.0))
                    .bind(claim.owner.as_str())
                    .bind(to_sql(claim.epoch))
                    .bind(intent.request.as_str())
                    .bind(json(wanted)?)
                    .bind(&intent.detail.caller)
                    .bind(intent.created.as_microsecond())
                    .execute(&mut **transaction)
                    .await?;
                    if updated.rows_affected() != 1 {
                        return Ok(Stocked::Gone);
                    }
                }
                Ok(Stocked::HandedOut)
            }

            /// Adds the ids of these addresses to a statement, as a list in brackets.
            fn push_ids(query: &mut QueryBuilder<$database>, addresses: &[Address]) {
                query.push("(");
                let mut list = query.separated(", ");
                for address in addresses {
                    list.push_bind(to_sql(address.id.0));
                }
                query.push(")");
            }
        }

        #[async_trait]
        impl PoolStore for $ledger {
            async fn claim_pools(
                &self,
                owner: &Owner,
                now: Timestamp,
                until: Timestamp,
            ) -> Result<Vec<PoolAddress>, Error> {
                // Replay: it claims again what belongs to it. Locks: the rows that are taken over, so that of two processes that
                // do so at once the second finds an owner that lives.
                if $shared {
                    let mut transaction = self.pool.begin_with($begin).await?;
                    sqlx::query(
                        "INSERT INTO job_lease (name, owner, fence, held_until) VALUES ('pools-of-' || $1, $1, 1, $2)
                         ON CONFLICT (name) DO UPDATE SET held_until = excluded.held_until",
                    )
                    .bind(owner.as_str())
                    .bind(until.as_microsecond())
                    .execute(&mut *transaction)
                    .await?;
                    sqlx::query("DELETE FROM job_lease WHERE name LIKE 'pools-of-%' AND held_until <= $1")
                        .bind(now.as_microsecond())
                        .execute(&mut *transaction)
                        .await?;
                    transaction.commit().await?;
                }
                let take = if $shared {
                    sqlx::query(TAKE_OVER).bind(owner.as_str()).bind(now.as_microsecond())
                } else {
                    sqlx::query(TAKE_ALL).bind(owner.as_str())
                };
                take.execute(&self.pool).await?;
                let sql = format!("{SELECT_POOL} WHERE owner = $1 ORDER BY changed_at, address");
                let rows: Vec<PoolRow> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
                    .bind(owner.as_str())
                    .fetch_all(&self.pool)
                    .await?;
                rows.into_iter().map(PoolRow::into_address).collect()
            }

            async fn fills(&self) -> Result<Vec<Intent>, Error> {
                let sql = format!("{SELECT_INTENT} {FILLS}");
                let rows: Vec<IntentRow> =
                    sqlx::query_as(sqlx::AssertSqlSafe(sql)).fetch_all(&self.pool).await?;
                rows.into_iter().map(IntentRow::into_intent).collect()
            }

            async fn stock(
                &self,
                fill: &RequestId,
                addresses: &[PoolAddress],
                now: Timestamp,
            ) -> Result<bool, Error> {
                // Replay: who deletes the intent puts its addresses into stock, and nobody else does.
                let mut transaction = self.pool.begin_with($begin).await?;
                let deleted = sqlx::query(
                    "DELETE FROM intent WHERE request_id = $1 AND kind = 'pool_fill' AND state = 'done'
                     AND sweep_at IS NULL",
                )
                .bind(fill.as_str())
                .execute(&mut *transaction)
                .await?;
                if deleted.rows_affected() != 1 {
                    return Ok(false);
                }
                Self::drop_reservations(&mut transaction, fill).await?;
                for chunk in addresses.chunks(ROWS_PER_STATEMENT / 7) {
                    let rows = chunk
                        .iter()
                        .map(|address| Ok((address, json(&address.record)?)))
                        .collect::<Result<Vec<_>, Error>>()?;
                    let mut query = QueryBuilder::<$database>::new(
                        "INSERT INTO pool_address (address, parent, owner, epoch, state, record, changed_at) ",
                    );
                    query.push_values(rows, |mut values, (address, record)| {
                        values
                            .push_bind(to_sql(address.record.id.0))
                            .push_bind(to_sql(address.parent.0))
                            .push_bind(address.claim.owner.as_str().to_owned())
                            .push_bind(to_sql(address.claim.epoch))
                            .push_bind("stock")
                            .push_bind(record)
                            .push_bind(now.as_microsecond());
                    });
                    query.build().execute(&mut *transaction).await?;
                }
                transaction.commit().await?;
                Ok(true)
            }

            async fn hand_out_all(&self, hand_outs: &[HandOut]) -> Result<Vec<Stocked>, Error> {
                // Replay: the intent of a request is inserted once. Locks: the rows of the intents in their order, and then those
                // of the addresses, which belong to one process. Cost: two statements, a look at a primary key for each request and
                // address, and one sync to disk for all. If one of them cannot be handed out, each is done by itself.
                let mut transaction = self.pool.begin_with($begin).await?;
                if Self::hand_out_together(&mut transaction, hand_outs).await? {
                    transaction.commit().await?;
                    return Ok(vec![Stocked::HandedOut; hand_outs.len()]);
                }
                transaction.rollback().await?;
                let mut transaction = self.pool.begin_with($begin).await?;
                let mut outcomes = BTreeMap::new();
                for place in in_order(hand_outs, |hand_out| &hand_out.intent.request) {
                    if let Some(hand_out) = hand_outs.get(place) {
                        let mut savepoint = transaction.begin().await?;
                        let outcome = Self::hand_out_one(&mut savepoint, hand_out).await?;
                        if outcome == Stocked::HandedOut {
                            savepoint.commit().await?;
                        } else {
                            savepoint.rollback().await?;
                        }
                        outcomes.insert(place, outcome);
                    }
                }
                transaction.commit().await?;
                Ok(outcomes.into_values().collect())
            }

            async fn incomplete(&self) -> Result<Vec<PoolAddress>, Error> {
                let sql = format!("{SELECT_POOL} WHERE state = 'handed_out' ORDER BY changed_at, address");
                let rows: Vec<PoolRow> =
                    sqlx::query_as(sqlx::AssertSqlSafe(sql)).fetch_all(&self.pool).await?;
                rows.into_iter().map(PoolRow::into_address).collect()
            }

            async fn refuse(&self, address: &Address, refusal: &str) -> Result<(), Error> {
                sqlx::query("UPDATE pool_address SET refusal = $2 WHERE address = $1")
                    .bind(to_sql(address.id.0))
                    .bind(refusal)
                    .execute(&self.pool)
                    .await?;
                Ok(())
            }

            async fn stock_within(&self, parent: PrefixId) -> Result<Vec<PoolAddress>, Error> {
                let sql = format!(
                    "{SELECT_POOL} WHERE parent = $1 AND state IN ('stock', 'returning') ORDER BY changed_at, address"
                );
                let rows: Vec<PoolRow> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
                    .bind(to_sql(parent.0))
                    .fetch_all(&self.pool)
                    .await?;
                rows.into_iter().map(PoolRow::into_address).collect()
            }

            async fn take_back(&self, addresses: &[Address], now: Timestamp) -> Result<Vec<PoolAddress>, Error> {
                // Replay: what is being returned already is given again. Locks: the rows, so that one that is handed out at the
                // same time is either handed out or returned.
                let mut taken = Vec::new();
                for chunk in addresses.chunks(ROWS_PER_STATEMENT) {
                    let mut query = QueryBuilder::<$database>::new(
                        "UPDATE pool_address SET state = 'returning', epoch = epoch + 1, changed_at = ",
                    );
                    query.push_bind(now.as_microsecond());
                    query.push(" WHERE state IN ('stock', 'returning') AND address IN ");
                    Self::push_ids(&mut query, chunk);
                    query.push(
                        " RETURNING parent, owner, epoch, state, record, request_id, wanted, caller, refusal, changed_at",
                    );
                    let rows: Vec<PoolRow> = query.build_query_as().fetch_all(&self.pool).await?;
                    for row in rows {
                        taken.push(row.into_address()?);
                    }
                }
                Ok(taken)
            }

            async fn forget(&self, addresses: &[Address]) -> Result<(), Error> {
                for chunk in addresses.chunks(ROWS_PER_STATEMENT) {
                    let mut query =
                        QueryBuilder::<$database>::new("DELETE FROM pool_address WHERE address IN ");
                    Self::push_ids(&mut query, chunk);
                    query.build().execute(&self.pool).await?;
                }
                Ok(())
            }
        }
    };
}

impl_pool_store!(SqliteLedger, Sqlite, false, "BEGIN IMMEDIATE");
impl_pool_store!(PostgresLedger, Postgres, true, "BEGIN");

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn fills_are_found_without_a_look_at_other_intents() {
        let ledger = SqliteLedger::temporary().await.unwrap();
        let plan = ledger.plan(&format!("{SELECT_INTENT} {FILLS}")).await;
        assert_eq!(plan, "SCAN intent USING INDEX intent_pool_fill");
    }
}
