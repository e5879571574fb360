//! The two databases that can hold a ledger: their connections and their schema.
//!
//! The files `*_rows.rs` implement the ledger's traits for both. SQLite and PostgreSQL understand the same SQL here (`$1`
//! parameters, `ON CONFLICT`, `RETURNING`), so each statement is written once, in a macro that is expanded for each database.
//! A macro and not a generic implementation, because sqlx's pools, transactions and query builders are separate types, and the
//! bounds that would join them are longer than the code.
//!
//! # Locks
//!
//! SQLite has one connection that writes, so that statements wait for each other in the pool instead of failing with
//! SQLITE_BUSY. A transaction that reads before it writes starts with `BEGIN IMMEDIATE`, which takes SQLite's write lock at
//! once; under PostgreSQL it is a plain `BEGIN`, and the first `UPDATE` takes the row's lock.

use std::path::Path;

use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use tempfile::TempDir;

use super::error::Error;
use super::migrations::migrator;

/// A ledger in a SQLite file.
pub(super) struct SqliteLedger {
    /// One connection. All writes go through it, and reads that have to see them at once.
    pub(super) pool: SqlitePool,
    /// Read-only connections: a watcher that reads many pages, or hangs up in the middle of one, delays no write.
    pub(super) reads: SqlitePool,
    /// Deletes a temporary ledger's directory when the ledger is dropped.
    _temporary: Option<TempDir>,
}

/// A ledger in a PostgreSQL database.
pub(super) struct PostgresLedger {
    pub(super) pool: PgPool,
    /// The same pool as `pool`: PostgreSQL's readers do not delay its writers.
    pub(super) reads: PgPool,
}

impl SqliteLedger {
    /// Opens or creates the file, with full synchronisation: a committed write survives a power loss.
    pub(super) async fn open(path: &Path) -> Result<Self, Error> {
        Self::connect(options(path).synchronous(SqliteSynchronous::Full), None).await
    }

    /// Creates a ledger in a directory that is deleted with it.
    pub(super) async fn temporary() -> Result<Self, Error> {
        let directory = tempfile::tempdir().map_err(Error::TemporaryDirectory)?;
        let options = options(&directory.path().join("ledger.db")).synchronous(SqliteSynchronous::Off);
        Self::connect(options, Some(directory)).await
    }

    async fn connect(options: SqliteConnectOptions, temporary: Option<TempDir>) -> Result<Self, Error> {
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options.clone())
            .await?;
        migrator().run(&pool).await?;
        sqlx::query(CREATE_LOG).bind(new_epoch()).execute(&pool).await?;
        let reads = SqlitePoolOptions::new().max_connections(4).connect_lazy_with(options.read_only(true));
        Ok(Self { pool, reads, _temporary: temporary })
    }
}

#[cfg(test)]
impl SqliteLedger {
    /// How SQLite carries a statement out, with as many parameters as it names.
    pub(super) async fn plan(&self, sql: &str) -> String {
        use sqlx::Row as _;
        let sql = format!("EXPLAIN QUERY PLAN {sql}");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&self.pool).await.unwrap();
        rows.iter().map(|row| row.get::<String, _>("detail")).collect::<Vec<_>>().join("; ")
    }
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(path).create_if_missing(true).journal_mode(SqliteJournalMode::Wal)
}

impl PostgresLedger {
    /// Connects to the database at a URL.
    pub(super) async fn open(url: &str) -> Result<Self, Error> {
        let pool = PgPoolOptions::new().max_connections(8).connect(url).await?;
        migrator().run(&pool).await?;
        sqlx::query(CREATE_LOG).bind(new_epoch()).execute(&pool).await?;
        Ok(Self { reads: pool.clone(), pool })
    }
}

/// Creates the event log's only row when the ledger is new. Replay: a row that exists stays as it is, so an epoch never changes,
/// and of two replicas that start on an empty ledger both use the first one's epoch. Cost: one look at the primary key.
const CREATE_LOG: &str =
    "INSERT INTO event_log (only_row, epoch, last, compacted, routed) VALUES (1, $1, 0, 0, 0)
     ON CONFLICT (only_row) DO NOTHING";

/// 16 hexadecimal digits that no other event log has.
fn new_epoch() -> String {
    uuid::Uuid::new_v4().simple().to_string().chars().take(16).collect()
}
