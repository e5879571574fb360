//! What can go wrong with the cache file.

use std::path::PathBuf;

use sqlx::migrate::MigrateError;

/// The cache file cannot be used or written, or the event log refused a change. Reads from memory are not affected.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// SQLite's own error. Examples: the disk is full, permission is missing, another process holds the lock.
    #[error("the cache file cannot be read or written: {0}")]
    Database(#[from] sqlx::Error),
    #[error("the schema of the cache file cannot be brought up to date: {0}")]
    Schema(#[from] MigrateError),
    #[error("the cache file holds a record that cannot be read: {0}")]
    Record(#[from] serde_json::Error),
    #[error("{path} cannot be set aside, so no new cache file can be made: {source}")]
    SetAside { path: PathBuf, source: std::io::Error },
    /// The commit hook failed, so the change was not made. The next poll of NetBox finds it again.
    #[error("the event log did not store the change: {0}")]
    CommitHook(String),
}

impl Error {
    /// Whether the content of the file is at fault, so that a new file solves the problem. A new file does not help if the disk
    /// is full or another process holds the lock.
    pub(super) fn is_unreadable_content(&self) -> bool {
        /// SQLite's primary result codes for a missing table or column, a damaged file, and a file that is no database.
        const SQLITE_ERROR: u32 = 1;
        const SQLITE_CORRUPT: u32 = 11;
        const SQLITE_NOTADB: u32 = 26;
        match self {
            Self::Database(error)
            | Self::Schema(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) => {
                let code = error.as_database_error().and_then(|error| error.code()?.parse::<u32>().ok());
                // The lower 8 bits are the primary code, the others an extension of it.
                code.is_some_and(|code| matches!(code & 0xff, SQLITE_ERROR | SQLITE_CORRUPT | SQLITE_NOTADB))
                    || matches!(error, sqlx::Error::ColumnDecode { .. })
            }
            Self::Schema(_) | Self::Record(_) => true,
            Self::SetAside { .. } | Self::CommitHook(_) => false,
        }
    }
}
