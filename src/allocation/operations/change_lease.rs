//! What UpdateLease, RenewLease and EndLease have in common: each changes one prefix that carries a lease, on the condition that
//! NetBox still has the version that was read.

use std::sync::Arc;

use crate::allocation::commands::LeaseCommand;
use crate::allocation::error::Error;
use crate::allocation::operation::{Planned, Traces};
use crate::cache::{Index, PrefixKey};
use crate::lease::lookup::leased;
use crate::ledger::Detail;
use crate::model::{Lease, Prefix, Revision, VrfScope};

/// The prefix and its lease, if it is the version that the caller decided on.
pub(in crate::allocation) fn current<'a, T>(
    index: &'a Index,
    command: &LeaseCommand<T>,
) -> Result<(&'a Arc<Prefix>, &'a Lease), Error> {
    let (prefix, lease) = leased(index, command.key)?;
    check_version(prefix, command.read.as_ref())?;
    Ok((prefix, lease))
}

fn check_version(prefix: &Prefix, read: Option<&Revision>) -> Result<(), Error> {
    match read {
        Some(read) if *read != prefix.revision => {
            Err(crate::lease::Error::Changed { network: prefix.network }.into())
        }
        _ => Ok(()),
    }
}

/// The queue of a command.
pub(super) fn lane<T>(index: &Index, command: &LeaseCommand<T>) -> VrfScope {
    match command.key {
        PrefixKey::Network(scope, _) => scope,
        PrefixKey::Id(id) => index.prefix(id).map_or(VrfScope::Global, |prefix| prefix.scope),
    }
}

/// What the ledger keeps of a change.
pub(super) fn planned(before: &Prefix, after: Option<Prefix>) -> Planned {
    Planned {
        parent: Some(before.id),
        reserve: Vec::new(),
        detail: Detail {
            scope: Some(before.scope),
            network: Some(before.network),
            before: Some(Box::new(before.clone())),
            after: after.map(Box::new),
            ..Detail::default()
        },
    }
}

/// The change of a leased prefix that the change log has under this request id: the record before, and after unless it was
/// deleted. `None` if the log's change is of another prefix.
pub(super) fn logged_change<T>(
    command: &LeaseCommand<T>,
    traces: &Traces,
) -> Option<(Prefix, Option<Prefix>)> {
    let Traces::Logged(logged) = traces else { return None };
    let (before, after) = logged.prefixes.last()?;
    let before = before.clone()?;
    let same = match command.key {
        PrefixKey::Id(id) => before.id == id,
        PrefixKey::Network(scope, network) => before.scope == scope && before.network == network,
    };
    (same && before.lease.is_some()).then(|| (before, after.clone()))
}
