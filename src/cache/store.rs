//! The cache's file.

use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use futures::TryStreamExt as _;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Row as _, Sqlite, Transaction};

use super::batch::Batch;
use super::index::Index;
use crate::model::{Address, IpRange, Prefix, Vrf};

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// SQLite's own words: disk full, no permission, locked by another process.
    #[error("the cache file: {0}")]
    Database(#[from] sqlx::Error),
    /// The schema could not be brought up to date.
    #[error("the cache file's schema: {0}")]
    Schema(#[from] sqlx::migrate::MigrateError),
    /// A row is no record: the file was written by something else.
    #[error("the cache file holds a record that cannot be read: {0}")]
    Record(#[from] serde_json::Error),
    /// It could not be set aside.
    #[error("{path} cannot be set aside: {source}")]
    SetAside {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The witness could not take a change up, so the change was not made. It is found again by the next poll.
    #[error("the event log: {0}")]
    Witness(String),
}

/// What a cache file is of. Rows of another identity are never trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreIdentity(pub String);

/// A place in NetBox's change log, with what proves that the log is still the same one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Id of the entry; 0 before the first.
    pub id: u64,
    /// Its time; `None` before the first.
    pub time: Option<Timestamp>,
    /// NetBox's request id of it.
    pub request: String,
}

/// What was found when the file was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    /// No file, or an empty one.
    Empty,
    /// A generation that can be served.
    Loaded,
    /// There was one that could not be trusted; it now has this name.
    SetAside {
        /// Its new name.
        to: PathBuf,
        /// Why.
        why: String,
    },
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Vrf = 1,
    Prefix = 2,
    Address = 3,
    Range = 4,
}

/// What a file held.
pub(super) struct Held {
    pub(super) index: Index,
    pub(super) generation: Option<u64>,
    pub(super) position: Option<Position>,
    pub(super) synced_at: Option<Timestamp>,
}

pub(super) struct Store {
    pool: SqlitePool,
}

impl Store {
    /// Opens or makes the file. `None` keeps everything in memory (for the demo and for tests).
    pub(super) async fn open(
        path: Option<&Path>,
        identity: &StoreIdentity,
    ) -> Result<(Self, Held, Opened), Error> {
        let Some(path) = path else {
            let (store, held) = Self::try_open(None, identity).await?.map_err(sqlx::Error::Protocol)?;
            return Ok((store, held, Opened::Empty));
        };
        let why = match Self::try_open(Some(path), identity).await {
            Ok(Ok((store, held))) => {
                let opened = if held.generation.is_some() { Opened::Loaded } else { Opened::Empty };
                return Ok((store, held, opened));
            }
            Ok(Err(foreign)) => foreign,
            Err(error @ (Error::Record(_) | Error::Schema(_))) => error.to_string(),
            Err(Error::Database(error)) if is_corrupt(&error) => error.to_string(),
            Err(error) => return Err(error),
        };
        let to = set_aside(path)?;
        tracing::warn!(from = %path.display(), to = %to.display(), %why, "set a cache file aside");
        let (store, held) = Self::try_open(Some(path), identity).await?.map_err(sqlx::Error::Protocol)?;
        Ok((store, held, Opened::SetAside { to, why }))
    }

    async fn try_open(
        path: Option<&Path>,
        identity: &StoreIdentity,
    ) -> Result<Result<(Self, Held), String>, Error> {
        let options = match path {
            Some(path) => SqliteConnectOptions::new().filename(path).create_if_missing(true),
            None => SqliteConnectOptions::from_str("sqlite::memory:")?,
        };
        let options = options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Normal);
        // One connection: the cache has one writer and is read from memory.
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options)
            .await?;
        let outcome = Self::load(&pool, identity).await;
        match outcome {
            Ok(Ok(held)) => Ok(Ok((Self { pool }, held))),
            Ok(Err(foreign)) => {
                pool.close().await;
                Ok(Err(foreign))
            }
            Err(error) => {
                pool.close().await;
                Err(error)
            }
        }
    }

    async fn load(pool: &SqlitePool, identity: &StoreIdentity) -> Result<Result<Held, String>, Error> {
        sqlx::migrate!("sql/cache").run(pool).await?;
        sqlx::query("INSERT INTO cache (only_row, identity) VALUES (1, ?1) ON CONFLICT DO NOTHING")
            .bind(&identity.0)
            .execute(pool)
            .await?;
        let row = sqlx::query("SELECT identity, generation, position, synced_at FROM cache")
            .fetch_one(pool)
            .await?;
        let found: String = row.try_get(0)?;
        if found != identity.0 {
            return Ok(Err(format!("it is of {found}, not of {}", identity.0)));
        }
        let generation: Option<i64> = row.try_get(1)?;
        let position: Option<String> = row.try_get(2)?;
        let synced_at: Option<i64> = row.try_get(3)?;
        let mut index = Index::default();
        if let Some(generation) = generation {
            let vrfs: Vec<Vrf> = rows(pool, generation, Kind::Vrf).await?;
            index.apply(&Batch::from(vrfs));
            let prefixes: Vec<Prefix> = rows(pool, generation, Kind::Prefix).await?;
            index.apply(&Batch::from(prefixes));
            let addresses: Vec<Address> = rows(pool, generation, Kind::Address).await?;
            index.apply(&Batch::from(addresses));
            let ranges: Vec<IpRange> = rows(pool, generation, Kind::Range).await?;
            index.apply(&Batch::from(ranges));
        }
        Ok(Ok(Held {
            index,
            generation: generation.and_then(|generation| u64::try_from(generation).ok()),
            position: position.map(|text| serde_json::from_str(&text)).transpose()?,
            synced_at: synced_at.and_then(|micros| Timestamp::from_microsecond(micros).ok()),
        }))
    }

    /// Writes a batch into generations, and the position that it brings the one in service to, in one transaction.
    pub(super) async fn write(
        &self,
        generations: &[u64],
        batch: &Batch,
        position: Option<&Position>,
        synced_at: Option<Timestamp>,
    ) -> Result<(), Error> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        for generation in generations {
            let generation = to_sql(*generation);
            put(&mut transaction, generation, Kind::Vrf, &batch.vrfs).await?;
            put(&mut transaction, generation, Kind::Prefix, &batch.prefixes).await?;
            put(&mut transaction, generation, Kind::Address, &batch.addresses).await?;
            put(&mut transaction, generation, Kind::Range, &batch.ranges).await?;
            take(&mut transaction, generation, Kind::Vrf, &batch.gone_vrfs).await?;
            take(&mut transaction, generation, Kind::Prefix, &batch.gone_prefixes).await?;
            take(&mut transaction, generation, Kind::Address, &batch.gone_addresses).await?;
            take(&mut transaction, generation, Kind::Range, &batch.gone_ranges).await?;
        }
        if let Some(position) = position {
            sqlx::query("UPDATE cache SET position = ?1")
                .bind(serde_json::to_string(position)?)
                .execute(&mut *transaction)
                .await?;
        }
        if let Some(at) = synced_at {
            sqlx::query("UPDATE cache SET synced_at = ?1")
                .bind(at.as_microsecond())
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Puts a generation into service.
    pub(super) async fn switch(
        &self,
        generation: u64,
        position: &Position,
        synced_at: Timestamp,
    ) -> Result<(), Error> {
        sqlx::query("UPDATE cache SET generation = ?1, position = ?2, synced_at = ?3")
            .bind(to_sql(generation))
            .bind(serde_json::to_string(position)?)
            .bind(synced_at.as_microsecond())
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Deletes rows of other generations, a part at a time so that no write waits for long. True when none is left.
    pub(super) async fn sweep(&self, keep: &[u64]) -> Result<bool, Error> {
        let keep = serde_json::to_string(keep)?;
        let swept = sqlx::query(
            "DELETE FROM record WHERE (generation, kind, id) IN (
                 SELECT generation, kind, id FROM record
                 WHERE generation NOT IN (SELECT value FROM json_each(?1)) LIMIT 20000)",
        )
        .bind(keep)
        .execute(&self.pool)
        .await?;
        Ok(swept.rows_affected() == 0)
    }
}

fn to_sql(generation: u64) -> i64 {
    i64::try_from(generation).unwrap_or(i64::MAX)
}

async fn rows<T: DeserializeOwned>(pool: &SqlitePool, generation: i64, kind: Kind) -> Result<Vec<T>, Error> {
    let mut rows = sqlx::query("SELECT body FROM record WHERE generation = ?1 AND kind = ?2")
        .bind(generation)
        .bind(kind as i64)
        .fetch(pool);
    let mut found = Vec::new();
    while let Some(row) = rows.try_next().await? {
        found.push(serde_json::from_str(row.try_get(0)?)?);
    }
    Ok(found)
}

async fn put<T: Serialize>(
    transaction: &mut Transaction<'_, Sqlite>,
    generation: i64,
    kind: Kind,
    records: &[T],
) -> Result<(), Error> {
    if records.is_empty() {
        return Ok(());
    }
    // A list as one JSON parameter: twenty times the rows a second of a statement a row.
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

async fn take(
    transaction: &mut Transaction<'_, Sqlite>,
    generation: i64,
    kind: Kind,
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

/// SQLITE_CORRUPT (11) and SQLITE_NOTADB (26), with or without their extended codes.
fn is_corrupt(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code()?.parse::<u32>().ok());
    code.is_some_and(|code| matches!(code & 0xff, 11 | 26))
        || matches!(error, sqlx::Error::ColumnDecode { .. })
}

fn set_aside(path: &Path) -> Result<PathBuf, Error> {
    let stamp = Timestamp::now().strftime("%Y%m%dT%H%M%S%3f");
    let with = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let to = with(&format!(".aside-{stamp}"));
    std::fs::rename(path, &to).map_err(|source| Error::SetAside { path: path.to_owned(), source })?;
    for suffix in ["-wal", "-shm"] {
        match std::fs::remove_file(with(suffix)) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::SetAside { path: with(suffix), source });
            }
            _ => {}
        }
    }
    Ok(to)
}
