//! Errors of requests and of rounds.

use crate::ledger;
use crate::model::Network;
use crate::{cache, netbox};

/// Why a request was not answered. A source that gave no answer is not among these: that is a
/// [`CouldNotCheck`](crate::model::CouldNotCheck) inside the answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    #[error(transparent)]
    NotReady(#[from] cache::NotReady),
    /// Neither the request nor the lease names the AS that is to announce the prefix.
    #[error("no origin is recorded for {network}: name the AS in the request, or record it with the lease")]
    NoOrigin { network: Network },
    /// The limit on blocks that are checked against the blocklists at the same time is reached.
    #[error(
        "too many blocks are being checked against the blocklists: try again later, or ask for the recorded result of the timed rounds"
    )]
    Busy,
    /// The block has more addresses than a request may ask about; `shortest` is the shortest mask allowed.
    #[error(
        "{network} is too large to ask the blocklists about every address: at most a /{shortest} is allowed; for a leased block, ask for the recorded result of the timed rounds"
    )]
    TooLarge { network: Network, shortest: u8 },
}

/// Why a round did not end well. Whatever it found before the error is saved.
#[derive(Debug, thiserror::Error)]
pub enum RoundError {
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    /// NetBox did not take verdicts; they are written later.
    #[error("verdicts cannot be written to NetBox: {0}")]
    NetBox(#[from] netbox::Error),
    /// NetBox took verdicts, but the cache could not be updated with the changed records.
    #[error(transparent)]
    Cache(#[from] cache::Error),
    /// `failed` of the `blocks` in the round got no answer; `first` is one of them, with the cause.
    #[error("{failed} of {blocks} blocks could not be checked; {first}")]
    Unchecked { failed: usize, blocks: usize, first: String },
}
