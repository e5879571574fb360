//! The error that every ledger operation returns.

/// A ledger operation failed.
///
/// After [`Error::Database`] it is not known whether a write was committed: the connection may have broken between the commit
/// and its confirmation. The writes of this room can all be repeated; only an event without a record behind it (the sync's own)
/// would then be in the log twice.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the ledger's database failed: {0}")]
    Database(#[from] sqlx::Error),
    #[error("the ledger's schema could not be brought up to date: {0}")]
    Schema(#[from] sqlx::migrate::MigrateError),
    #[error("a directory for a temporary ledger could not be created: {0}")]
    TemporaryDirectory(std::io::Error),
    /// The transaction that several writes shared failed. None of them is stored, or all are.
    #[error(transparent)]
    Shared(std::sync::Arc<Self>),
    /// The task of a transaction ended before it was committed or rolled back.
    #[error("the task of a transaction was lost")]
    TaskLost,
    /// A stored value was written by a newer version of Leasehold, or by somebody else.
    #[error("the ledger holds a value that this version cannot read: {0}")]
    Unreadable(String),
}

impl Error {
    /// The outcome of each of so many writes in one transaction: its own, or why the transaction failed.
    pub(crate) fn each<R>(count: usize, outcomes: Result<Vec<R>, Self>) -> Vec<Result<R, Self>> {
        match outcomes {
            Ok(outcomes) => outcomes.into_iter().map(Ok).collect(),
            Err(error) => {
                let error = std::sync::Arc::new(error);
                (0..count).map(|_| Err(Self::Shared(error.clone()))).collect()
            }
        }
    }

    /// An error about a stored value that cannot be parsed, or about one that cannot be serialised.
    pub(super) fn unreadable(error: impl std::fmt::Display) -> Self {
        Self::Unreadable(error.to_string())
    }
}
