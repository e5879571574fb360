//! Why a lease was not registered, found, renewed or ended.

use jiff::civil::Date;

use crate::model::{Network, PrefixId, Table, TermError};
use crate::{cache, netbox};

/// Why a lease was not registered, found, renewed or ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// NetBox refused, or could not be reached.
    #[error(transparent)]
    NetBox(#[from] netbox::Error),
    /// The cache's file could not be written.
    #[error(transparent)]
    Cache(#[from] cache::Error),
    /// No full pass has ended yet.
    #[error("there is nothing to serve yet: {trouble}")]
    NotReady {
        /// What is in the way; empty while the first full pass runs.
        trouble: String,
    },
    /// The dates make no term.
    #[error(transparent)]
    Term(#[from] TermError),
    /// No such prefix.
    #[error("no prefix {network} in {table}{}", crate::model::elsewhere(elsewhere))]
    PrefixNotFound {
        /// As asked.
        network: Network,
        /// Where.
        table: Table,
        /// Tables that do hold it.
        elsewhere: Vec<Table>,
    },
    /// No prefix of this id.
    #[error("no prefix with id {id}")]
    PrefixIdNotFound {
        /// As asked.
        id: PrefixId,
    },
    /// NetBox holds the prefix more than once in this table.
    #[error("{network} stands {} times in {table}: name it by id", ids.len())]
    PrefixAmbiguous {
        /// As asked.
        network: Network,
        /// Where.
        table: Table,
        /// The ids there are.
        ids: Vec<PrefixId>,
    },
    /// The prefix carries no lease itself.
    #[error("{network} in {table} carries no lease")]
    NoLease {
        /// The prefix.
        network: Network,
        /// Where.
        table: Table,
    },
    /// No prefix of the chain carries one.
    #[error("no lease covers {network} in {table}")]
    NotCovered {
        /// As asked.
        network: Network,
        /// Where.
        table: Table,
    },
    /// The prefix carries another lease.
    #[error("{network} carries another lease already: {differs}")]
    Exists {
        /// The prefix.
        network: Network,
        /// Which parts differ from what was asked.
        differs: String,
    },
    /// A renewal that would shorten the term.
    #[error("the new last day {asked} comes before the recorded one {recorded}")]
    GoesBack {
        /// As recorded.
        recorded: Date,
        /// As asked.
        asked: Date,
    },
    /// Addresses of the block are recorded.
    #[error("{count} addresses of {network} are still recorded")]
    InUse {
        /// The prefix.
        network: Network,
        /// How many.
        count: u64,
    },
    /// Child prefixes stand in the block.
    #[error("{count} child prefixes stand in {network}")]
    HasChildren {
        /// The prefix.
        network: Network,
        /// How many.
        count: u64,
    },
    /// The record moved on since it was read.
    #[error("the record of {network} changed in NetBox since it was read")]
    Changed {
        /// The prefix.
        network: Network,
    },
}
