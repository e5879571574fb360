//! The SQL for the records in the cache file. Every statement handles a whole list, given as one JSON parameter: that is about
//! twenty times as fast as one statement for each row.

use futures::TryStreamExt as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::sqlite::SqlitePool;
use sqlx::{Row as _, Sqlite, Transaction};

use super::error::Error;

/// The kind of a record, as the column `kind` stores it.
#[derive(Clone, Copy, Debug)]
pub(super) enum RowKind {
    Vrf = 1,
    Prefix = 2,
    Address = 3,
    Range = 4,
}

/// Reads every record of a kind and generation. Fails with [`Error::Record`] at the first one that cannot be parsed.
pub(super) async fn read<T: DeserializeOwned>(
    pool: &SqlitePool,
    generation: i64,
    kind: RowKind,
) -> Result<Vec<T>, Error> {
    let mut rows = sqlx::query("SELECT body FROM record WHERE generation = ?1 AND kind = ?2")
        .bind(generation)
        .bind(kind as i64)
        .fetch(pool);
    let mut records = Vec::new();
    while let Some(row) = rows.try_next().await? {
        records.push(serde_json::from_str(row.try_get(0)?)?);
    }
    Ok(records)
}

/// Inserts records or replaces them by id. Doing it twice has no further effect.
pub(super) async fn put<T: Serialize>(
    transaction: &mut Transaction<'_, Sqlite>,
    generation: i64,
    kind: RowKind,
    records: &[T],
) -> Result<(), Error> {
    if records.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO record (generation, kind, id, body)
         SELECT ?1, ?2, value ->> 'id', value FROM json_each(?3) WHERE true
         ON CONFLICT DO UPDATE SET body = excluded.body",
    )
    .bind(generation)
    .bind(kind as i64)
    .bind(serde_json::to_string(records)?)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// Deletes records by id. An id without a record is no error.
pub(super) async fn delete(
    transaction: &mut Transaction<'_, Sqlite>,
    generation: i64,
    kind: RowKind,
    ids: &[u64],
) -> Result<(), Error> {
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "DELETE FROM record WHERE generation = ?1 AND kind = ?2 AND id IN (SELECT value FROM json_each(?3))",
    )
    .bind(generation)
    .bind(kind as i64)
    .bind(serde_json::to_string(ids)?)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// Deletes up to 20,000 records of all generations but these, and returns how many it deleted. The limit bounds the time for
/// which the write lock of the file is held.
pub(super) async fn delete_other_generations(pool: &SqlitePool, keep: &[u64]) -> Result<u64, Error> {
    let deleted = sqlx::query(
        "DELETE FROM record WHERE (generation, kind, id) IN (
             SELECT generation, kind, id FROM record
             WHERE generation NOT IN (SELECT value FROM json_each(?1)) LIMIT 20000)",
    )
    .bind(serde_json::to_string(keep)?)
    .execute(pool)
    .await?;
    Ok(deleted.rows_affected())
}
