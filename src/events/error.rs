//! The errors of the event log, of a watch, and of questions about the past.

use jiff::Timestamp;

use super::resume_token::ResumeTokenError;
use crate::{ledger, netbox};

/// A stream of events cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    #[error(transparent)]
    ResumeToken(#[from] ResumeTokenError),
}

/// Why a watch has ended. Its token remains valid in every case but [`WatchClosed::Compacted`].
#[derive(Debug, thiserror::Error)]
pub enum WatchClosed {
    /// The next event is no longer in the ring of recent events.
    #[error(
        "the stream was read too slowly: the next event is no longer among the recent ones that the server \
         holds in memory; resume from the token"
    )]
    TooSlow,
    #[error("the server is stopping; resume from the token")]
    Stopping,
    /// Compaction removed the next events while the watch was catching up.
    #[error("the events after the token are no longer kept; start from a snapshot")]
    Compacted,
    #[error("the event log cannot be read")]
    Ledger(#[from] ledger::Error),
}

/// A question about the past cannot be answered.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    #[error("{at} is in the future")]
    Future { at: Timestamp },
    /// Neither the event log nor NetBox's change log reaches back that far.
    #[error("the state at {at} is not known: the logs reach back to {known_since}")]
    NotKept { at: Timestamp, known_since: Timestamp },
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    /// The position of a page is not in this event log, or no longer.
    #[error(transparent)]
    Position(#[from] ResumeTokenError),
    /// NetBox did not answer a question about its change log.
    #[error(transparent)]
    NetBox(#[from] netbox::Error),
}

impl From<Error> for HistoryError {
    fn from(error: Error) -> Self {
        match error {
            Error::Ledger(error) => Self::Ledger(error),
            Error::ResumeToken(error) => Self::Position(error),
        }
    }
}
