//! The ledger in SQLite and in PostgreSQL: one text of SQL for both.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::postgres::{PgPool, PgPoolOptions, PgRow};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{Postgres, QueryBuilder, Row as _, Sqlite};
use tempfile::TempDir;

use super::intent::{Begun, Detail, Fingerprint, Intent, IntentState, Ledger, ListIntents};
use super::journal::{Journal, to_sql};
use super::observation::Observations;
use super::outbox::Outbox;
use crate::model::{PrefixId, RequestId, Table};

/// The ledger cannot be used, or says what it cannot mean.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database's own words.
    #[error("the ledger: {0}")]
    Database(#[from] sqlx::Error),
    /// The schema could not be brought up to date.
    #[error("the ledger's schema: {0}")]
    Schema(#[from] sqlx::migrate::MigrateError),
    /// No temporary file can be had.
    #[error("a temporary ledger cannot be made: {0}")]
    Temporary(std::io::Error),
    /// A row that this version did not write.
    #[error("the ledger holds what this version cannot read: {0}")]
    Unreadable(String),
}

/// Where the ledger is kept.
#[derive(Clone, Debug)]
pub enum LedgerSettings {
    /// In a file that goes with the server: for the demo and for tests only.
    Temporary,
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL URL, which may hold a password.
    Postgres(SecretString),
}

/// A ledger that is open: its books, all kept in one database.
#[derive(Clone)]
pub struct Books {
    /// Writes under way.
    pub intents: Arc<dyn Ledger>,
    /// The event log.
    pub journal: Arc<dyn Journal>,
    /// What is to be told to whom.
    pub outbox: Arc<dyn Outbox>,
    /// What was observed of leased blocks.
    pub observations: Arc<dyn Observations>,
}

impl Books {
    fn of(database: Arc<impl Ledger + Journal + Outbox + Observations + 'static>) -> Self {
        Self {
            intents: database.clone(),
            journal: database.clone(),
            outbox: database.clone(),
            observations: database,
        }
    }
}

/// Opens the ledger and brings its schema up to date.
pub async fn open(settings: &LedgerSettings) -> Result<Books, Error> {
    match settings {
        LedgerSettings::Temporary => {
            let directory = tempfile::tempdir().map_err(Error::Temporary)?;
            let options = at(&directory.path().join("ledger.db")).synchronous(SqliteSynchronous::Off);
            Ok(Books::of(Arc::new(sqlite(options, Some(directory)).await?)))
        }
        LedgerSettings::Sqlite(path) => {
            Ok(Books::of(Arc::new(sqlite(at(path).synchronous(SqliteSynchronous::Full), None).await?)))
        }
        LedgerSettings::Postgres(url) => {
            let pool = PgPoolOptions::new().max_connections(8).connect(url.expose_secret()).await?;
            sqlx::migrate!("sql/ledger").run(&pool).await?;
            sqlx::query(NEW_LOG).bind(epoch()).execute(&pool).await?;
            Ok(Books::of(Arc::new(PostgresLedger { reads: pool.clone(), pool })))
        }
    }
}

fn at(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(path).create_if_missing(true).journal_mode(SqliteJournalMode::Wal)
}

async fn sqlite(options: SqliteConnectOptions, temporary: Option<TempDir>) -> Result<SqliteLedger, Error> {
    // One connection: statements queue here instead of meeting SQLITE_BUSY there.
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(options.clone())
        .await?;
    sqlx::migrate!("sql/ledger").run(&pool).await?;
    sqlx::query(NEW_LOG).bind(epoch()).execute(&pool).await?;
    let reads = SqlitePoolOptions::new().max_connections(4).connect_lazy_with(options.read_only(true));
    Ok(SqliteLedger { pool, reads, _temporary: temporary })
}

/// The event log's own row, made once.
const NEW_LOG: &str =
    "INSERT INTO event_log (only_row, epoch, last, compacted, routed) VALUES (1, $1, 0, 0, 0)
     ON CONFLICT (only_row) DO NOTHING";

fn epoch() -> String {
    uuid::Uuid::new_v4().simple().to_string().chars().take(16).collect()
}

pub(super) struct SqliteLedger {
    /// The one that writes.
    pub(super) pool: SqlitePool,
    /// Those that read beside it: a watcher that catches up, or hangs up in mid-query, is in no writer's way.
    pub(super) reads: SqlitePool,
    _temporary: Option<TempDir>,
}

pub(super) struct PostgresLedger {
    pub(super) pool: PgPool,
    pub(super) reads: PgPool,
}

const COLUMNS: &str =
    "SELECT request_id, kind, fingerprint, state, parent, detail, created_at, updated_at FROM intent";

macro_rules! ledger_over {
    ($ledger:ident, $database:ident, $row:ident, $backend:literal) => {
        #[async_trait]
        impl Ledger for $ledger {
            fn backend(&self) -> &'static str {
                $backend
            }

            async fn begin(&self, intent: &Intent) -> Result<Begun, Error> {
                let written = sqlx::query(
                    "INSERT INTO intent (request_id, kind, fingerprint, state, parent, detail, created_at, updated_at)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (request_id) DO NOTHING",
                )
                .bind(intent.request.as_str())
                .bind(intent.kind.as_str())
                .bind(&intent.fingerprint.0)
                .bind(intent.state.as_str())
                .bind(intent.parent.map(|id| to_sql(id.0)))
                .bind(detail_text(&intent.detail)?)
                .bind(intent.created.as_microsecond())
                .bind(intent.updated.as_microsecond())
                .execute(&self.pool)
                .await?;
                if written.rows_affected() == 1 {
                    return Ok(Begun::New);
                }
                let before = self.get(&intent.request).await?.ok_or(sqlx::Error::RowNotFound)?;
                Ok(Begun::Before(Box::new(before)))
            }

            async fn get(&self, request: &RequestId) -> Result<Option<Intent>, Error> {
                let row = sqlx::query(sqlx::AssertSqlSafe(format!("{COLUMNS} WHERE request_id = $1")))
                    .bind(request.as_str())
                    .fetch_optional(&self.pool)
                    .await?;
                row.map(|row| read(&Columns::of(&row)?)).transpose()
            }

            async fn set(
                &self,
                request: &RequestId,
                state: IntentState,
                detail: &Detail,
                now: Timestamp,
            ) -> Result<(), Error> {
                sqlx::query("UPDATE intent SET state = $2, detail = $3, updated_at = $4 WHERE request_id = $1")
                    .bind(request.as_str())
                    .bind(state.as_str())
                    .bind(detail_text(detail)?)
                    .bind(now.as_microsecond())
                    .execute(&self.pool)
                    .await?;
                Ok(())
            }

            async fn pending(&self) -> Result<Vec<Intent>, Error> {
                let sql = format!("{COLUMNS} WHERE state = 'pending' ORDER BY created_at");
                let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&self.pool).await?;
                rows.iter().map(|row| read(&Columns::of(row)?)).collect()
            }

            async fn rest(&self, table: Table, addresses: &[IpAddr], now: Timestamp) -> Result<(), Error> {
                for chunk in addresses.chunks(500) {
                    let mut query = QueryBuilder::<$database>::new("INSERT INTO resting (vrf, address, released_at) ");
                    query.push_values(chunk, |mut values, address| {
                        values
                            .push_bind(to_sql(table.number()))
                            .push_bind(address.to_string())
                            .push_bind(now.as_microsecond());
                    });
                    query.push(" ON CONFLICT (vrf, address) DO UPDATE SET released_at = excluded.released_at");
                    query.build().execute(&self.pool).await?;
                }
                Ok(())
            }

            async fn resting(&self, since: Timestamp) -> Result<Vec<(Table, IpAddr)>, Error> {
                let rows = sqlx::query("SELECT vrf, address FROM resting WHERE released_at > $1")
                    .bind(since.as_microsecond())
                    .fetch_all(&self.pool)
                    .await?;
                rows.iter()
                    .map(|row| {
                        let (vrf, text): (i64, String) = (row.try_get(0)?, row.try_get(1)?);
                        let address =
                            text.parse().map_err(|_| Error::Unreadable(format!("{text:?} is no address")))?;
                        Ok((Table::from_number(u64::try_from(vrf).unwrap_or_default()), address))
                    })
                    .collect()
            }

            async fn wake(&self, before: Timestamp) -> Result<(), Error> {
                sqlx::query("DELETE FROM resting WHERE released_at <= $1")
                    .bind(before.as_microsecond())
                    .execute(&self.pool)
                    .await?;
                Ok(())
            }

            async fn list(&self, wanted: &ListIntents) -> Result<Vec<Intent>, Error> {
                // Filters that are not set compare with NULL-safe defaults, so that one statement serves all.
                let sql = format!(
                    "{COLUMNS} WHERE kind <> 'release'
                       AND ($1 = '' OR state = $1)
                       AND ($2 = 0 OR parent = $2)
                       AND (created_at < $3 OR (created_at = $3 AND request_id < $4))
                     ORDER BY created_at DESC, request_id DESC LIMIT $5"
                );
                let (before, id) = match &wanted.after {
                    Some((created, id)) => (created.as_microsecond(), id.as_str()),
                    None => (i64::MAX, ""),
                };
                let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
                    .bind(wanted.state.map_or("", IntentState::as_str))
                    .bind(wanted.parent.map_or(0, |id| to_sql(id.0)))
                    .bind(before)
                    .bind(id)
                    .bind(i64::from(wanted.limit))
                    .fetch_all(&self.pool)
                    .await?;
                rows.iter().map(|row| read(&Columns::of(row)?)).collect()
            }
        }

        impl TryFromRow<$row> for Columns {
            fn of(row: &$row) -> Result<Self, Error> {
                Ok(Self {
                    request: row.try_get(0)?,
                    kind: row.try_get(1)?,
                    fingerprint: row.try_get(2)?,
                    state: row.try_get(3)?,
                    parent: row.try_get(4)?,
                    detail: row.try_get(5)?,
                    created: row.try_get(6)?,
                    updated: row.try_get(7)?,
                })
            }
        }
    };
}

/// A row before it is understood.
struct Columns {
    request: String,
    kind: String,
    fingerprint: String,
    state: String,
    parent: Option<i64>,
    detail: String,
    created: i64,
    updated: i64,
}

trait TryFromRow<R>: Sized {
    fn of(row: &R) -> Result<Self, Error>;
}

ledger_over!(SqliteLedger, Sqlite, SqliteRow, "sqlite");
ledger_over!(PostgresLedger, Postgres, PgRow, "postgres");

fn read(columns: &Columns) -> Result<Intent, Error> {
    let unreadable = |error: &dyn std::fmt::Display| Error::Unreadable(error.to_string());
    let instant = |micros| Timestamp::from_microsecond(micros).map_err(|error| unreadable(&error));
    Ok(Intent {
        request: columns.request.parse().map_err(|error| unreadable(&error))?,
        kind: columns.kind.parse()?,
        fingerprint: Fingerprint(columns.fingerprint.clone()),
        state: columns.state.parse()?,
        parent: columns.parent.and_then(|id| u64::try_from(id).ok()).map(PrefixId),
        detail: serde_json::from_str(&columns.detail).map_err(|error| unreadable(&error))?,
        created: instant(columns.created)?,
        updated: instant(columns.updated)?,
    })
}

fn detail_text(detail: &Detail) -> Result<String, Error> {
    serde_json::to_string(detail).map_err(|error| Error::Unreadable(error.to_string()))
}
