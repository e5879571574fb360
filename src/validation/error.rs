//! Why a question was not answered.

use crate::ledger;
use crate::model::Network;

/// Why a question was not answered. That a peer gave no answer is part of an answer, and not among these.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was observed cannot be read.
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    /// No full pass has ended yet.
    #[error("there is nothing to serve yet: {trouble}")]
    NotReady {
        /// What is in the way; empty while the first full pass runs.
        trouble: String,
    },
    /// Nobody said which AS would announce it.
    #[error(
        "no origin is recorded for {network}: name the AS that is to announce it, or record it with the lease"
    )]
    NoOrigin {
        /// The prefix.
        network: Network,
    },
    /// Enough blocks are being asked about.
    #[error(
        "the lists are being asked about enough blocks: try again when those are done, or see what the timed sweeps found"
    )]
    Busy,
    /// More addresses than can be asked about at once.
    #[error(
        "{network} is too large to be asked about at once: a /{shortest} at most; what the timed sweeps found of a leased block is in the record"
    )]
    TooLarge {
        /// The prefix.
        network: Network,
        /// The shortest mask.
        shortest: u8,
    },
}
