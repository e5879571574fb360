//! Where the ledger is kept.

use std::path::PathBuf;

use secrecy::SecretString;

/// Where the ledger is kept.
#[derive(Clone, Debug)]
pub enum LedgerSettings {
    /// A SQLite file that is deleted when the server stops: for the demo and for tests only.
    Temporary,
    /// A SQLite file, which is created if it does not exist.
    Sqlite(PathBuf),
    /// A PostgreSQL URL, which may hold a password. Several replicas may share it.
    Postgres(SecretString),
}
