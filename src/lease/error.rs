//! The error that every command and lookup of this room returns.

use jiff::civil::Date;

use crate::cache;
use crate::model::{Network, TermError, VrfScope};

/// A lease was not registered, found, changed, renewed or ended.
///
/// After [`Error::Changed`] the caller reads the lease and decides again. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    NotReady(#[from] cache::NotReady),
    #[error(transparent)]
    Prefix(#[from] cache::ResolveError),
    #[error(transparent)]
    Term(#[from] TermError),
    /// The dates that an update sets do not fit the recorded term.
    #[error(transparent)]
    UpdatedTerm(TermError),
    #[error(
        "{network} in {scope} has no lease of its own: register one, or look up the lease that covers it"
    )]
    NoLease { network: Network, scope: VrfScope },
    #[error("no lease covers {network} in {scope}")]
    NotCovered { network: Network, scope: VrfScope },
    /// `differs` lists the fields that differ, with their recorded values.
    #[error("{network} already has another lease: {differs}")]
    Exists { network: Network, differs: String },
    #[error(
        "the new last day {requested} is before the recorded one {recorded}: set allow_earlier_expiry to shorten the lease"
    )]
    EarlierExpiry { recorded: Date, requested: Date },
    #[error("{count} addresses of {network} are still recorded: release them first")]
    InUse { network: Network, count: u64 },
    #[error("{count} child prefixes of {network} are still recorded: delete them first")]
    HasChildren { network: Network, count: u64 },
    #[error("the record of {network} was changed in NetBox since it was read: read it and decide again")]
    Changed { network: Network },
}
