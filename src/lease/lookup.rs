//! The lease of a prefix, and the lease that covers a network.

use std::sync::Arc;

use super::error::Error;
use crate::cache::{Index, PrefixKey};
use crate::model::{Lease, Network, Prefix, VrfScope};

/// The prefix that a request names, and the lease that this prefix itself carries.
pub fn leased(index: &Index, key: PrefixKey) -> Result<(&Arc<Prefix>, &Lease), Error> {
    let prefix = index.resolve(key)?;
    let lease = prefix.lease.as_deref();
    lease.map(|lease| (prefix, lease)).ok_or(Error::NoLease { network: prefix.network, scope: prefix.scope })
}

/// The prefix whose lease covers a network: of the prefixes that contain it, the most specific one with a lease.
pub fn covering(index: &Index, scope: VrfScope, network: Network) -> Result<Arc<Prefix>, Error> {
    let found = index.covering_lease(scope, network).map(|(prefix, _)| prefix.clone());
    found.ok_or(Error::NotCovered { network, scope })
}
