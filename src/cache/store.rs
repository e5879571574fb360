//! The cache file: opening it, checking that it can be trusted, and writing it.

use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use jiff::Timestamp;
use sqlx::Row as _;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

use super::batch::Batch;
use super::error::Error;
use super::index::Index;
use super::migrations::migrator;
use super::position::Position;
use super::store_rows::{self, RowKind};
use crate::clock::Clock;
use crate::model::{Address, IpRange, Prefix, Vrf};

/// The version of the JSON form of records. Raise it whenever that form changes (the golden files of a prefix, an address, an IP
/// range and a VRF under tests/golden/ pin it): serde reads a missing optional field as absent, so an old record could
/// otherwise be misread without an error. A file of another version is rebuilt.
const RECORD_FORMAT: u32 = 2;

/// The source of the records: NetBox's URL and the names of the custom fields. A file of another identity is never served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreIdentity(pub String);

impl StoreIdentity {
    /// The identity as the file holds it.
    fn stored(&self) -> String {
        format!("{} (record format {RECORD_FORMAT})", self.0)
    }
}

/// The state of the cache file when it was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    /// There was no file, or it contained no complete generation.
    Empty,
    /// The file contained a generation that can be served.
    Loaded,
    /// The file could not be trusted. It has the new name `to`, and a new file took its place.
    SetAside { to: PathBuf, reason: String },
}

/// The content of a cache file.
pub(super) struct StoredCache {
    pub(super) index: Index,
    /// The generation in service; `None` before the first full pass has finished.
    pub(super) generation: Option<u64>,
    pub(super) position: Option<Position>,
    pub(super) synced_at: Option<Timestamp>,
}

/// A file that was read, or the reason why its content cannot be used.
type Attempt = Result<(Store, StoredCache), String>;

/// An open cache file.
pub(super) struct Store {
    /// One connection: the file has one writer, and all reads are from memory.
    pool: SqlitePool,
}

impl Store {
    /// Opens or creates the file. A file that cannot be trusted is renamed, and a new one is created. Errors are those of the
    /// disk: a full disk, a missing permission, a lock of another process.
    pub(super) async fn open(
        path: &Path,
        identity: &StoreIdentity,
        clock: &dyn Clock,
    ) -> Result<(Self, StoredCache, Opened), Error> {
        let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
        let reason = match Self::try_open(options.clone(), identity).await {
            Ok(Ok((store, cache))) => {
                let opened = if cache.generation.is_some() { Opened::Loaded } else { Opened::Empty };
                return Ok((store, cache, opened));
            }
            Ok(Err(reason)) => reason,
            Err(error) if error.is_unreadable_content() => error.to_string(),
            Err(error) => return Err(error),
        };
        let to = set_aside(path, clock.now())?;
        tracing::warn!(from = %path.display(), to = %to.display(), %reason, "set the cache file aside");
        let (store, cache) = Self::try_open(options, identity).await?.map_err(sqlx::Error::Protocol)?;
        Ok((store, cache, Opened::SetAside { to, reason }))
    }

    /// Opens a database in memory, for a cache without a file.
    pub(super) async fn in_memory() -> Result<(Self, StoredCache), Error> {
        let options = SqliteConnectOptions::from_str("sqlite::memory:")?;
        let identity = StoreIdentity(String::new());
        Ok(Self::try_open(options, &identity).await?.map_err(sqlx::Error::Protocol)?)
    }

    async fn try_open(options: SqliteConnectOptions, identity: &StoreIdentity) -> Result<Attempt, Error> {
        let options = options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Normal);
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options)
            .await?;
        let loaded = Self::load(&pool, identity).await;
        if !matches!(loaded, Ok(Ok(_))) {
            // The file may be renamed next.
            pool.close().await;
        }
        Ok(loaded?.map(|cache| (Self { pool }, cache)))
    }

    /// Brings the schema up to date and reads everything. Returns the reason if the file is of another identity.
    async fn load(pool: &SqlitePool, identity: &StoreIdentity) -> Result<Result<StoredCache, String>, Error> {
        migrator().run(pool).await?;
        sqlx::query("INSERT INTO cache (only_row, identity) VALUES (1, ?1) ON CONFLICT DO NOTHING")
            .bind(identity.stored())
            .execute(pool)
            .await?;
        let row = sqlx::query("SELECT identity, generation, position, synced_at FROM cache")
            .fetch_one(pool)
            .await?;
        let found: String = row.try_get(0)?;
        if found != identity.stored() {
            return Ok(Err(format!("it holds records of {found}, not of {}", identity.stored())));
        }
        let generation: Option<i64> = row.try_get(1)?;
        let position: Option<String> = row.try_get(2)?;
        let synced_at: Option<i64> = row.try_get(3)?;
        let mut index = Index::default();
        if let Some(generation) = generation {
            let vrfs: Vec<Vrf> = store_rows::read(pool, generation, RowKind::Vrf).await?;
            index.apply(&Batch::from(vrfs));
            let prefixes: Vec<Prefix> = store_rows::read(pool, generation, RowKind::Prefix).await?;
            index.apply(&Batch::from(prefixes));
            let addresses: Vec<Address> = store_rows::read(pool, generation, RowKind::Address).await?;
            index.apply(&Batch::from(addresses));
            let ranges: Vec<IpRange> = store_rows::read(pool, generation, RowKind::Range).await?;
            index.apply(&Batch::from(ranges));
        }
        Ok(Ok(StoredCache {
            index,
            generation: generation.and_then(|generation| u64::try_from(generation).ok()),
            position: position.map(|text| serde_json::from_str(&text)).transpose()?,
            synced_at: synced_at.and_then(|micros| Timestamp::from_microsecond(micros).ok()),
        }))
    }

    /// Writes a batch into each of the generations, together with the new position, in one transaction. A second write of the
    /// same batch has no effect.
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
            store_rows::put(&mut transaction, generation, RowKind::Vrf, &batch.vrfs).await?;
            store_rows::put(&mut transaction, generation, RowKind::Prefix, &batch.prefixes).await?;
            store_rows::put(&mut transaction, generation, RowKind::Address, &batch.addresses).await?;
            store_rows::put(&mut transaction, generation, RowKind::Range, &batch.ranges).await?;
            store_rows::delete(&mut transaction, generation, RowKind::Vrf, &batch.deleted_vrfs).await?;
            store_rows::delete(&mut transaction, generation, RowKind::Prefix, &batch.deleted_prefixes)
                .await?;
            store_rows::delete(&mut transaction, generation, RowKind::Address, &batch.deleted_addresses)
                .await?;
            store_rows::delete(&mut transaction, generation, RowKind::Range, &batch.deleted_ranges).await?;
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

    /// Puts a generation into service, with its position.
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

    /// Deletes a part of the rows of other generations, so that no write waits for long. Returns whether none is left.
    pub(super) async fn delete_other_generations(&self, keep: &[u64]) -> Result<bool, Error> {
        Ok(store_rows::delete_other_generations(&self.pool, keep).await? == 0)
    }
}

fn to_sql(generation: u64) -> i64 {
    i64::try_from(generation).unwrap_or(i64::MAX)
}

/// Renames the file and deletes its write-ahead log and shared memory file. Returns the new name.
fn set_aside(path: &Path, now: Timestamp) -> Result<PathBuf, Error> {
    let stamp = now.strftime("%Y%m%dT%H%M%S%3f");
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

#[cfg(test)]
mod tests;
