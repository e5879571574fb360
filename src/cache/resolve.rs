//! Which record a request means when it names a prefix: one rule for every method.

use std::sync::Arc;

use super::index::Index;
use crate::model::{Network, Prefix, PrefixId, VrfScope};

/// How a request names a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrefixKey {
    /// By its id in NetBox.
    Id(PrefixId),
    /// By its network in a scope.
    Network(VrfScope, Network),
}

/// The request names no prefix, or more than one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    #[error("no prefix with id {id}")]
    IdNotFound { id: PrefixId },
    /// `elsewhere` lists the other scopes that hold the same network.
    #[error("no prefix {network} in {scope}{}", hint(elsewhere))]
    NotFound { network: Network, scope: VrfScope, elsewhere: Vec<VrfScope> },
    #[error("{scope} holds {network} {} times: name the prefix by id", ids.len())]
    Ambiguous { network: Network, scope: VrfScope, ids: Vec<PrefixId> },
}

fn hint(elsewhere: &[VrfScope]) -> String {
    if elsewhere.is_empty() {
        return String::new();
    }
    let names: Vec<String> = elsewhere.iter().map(ToString::to_string).collect();
    format!("; it is in {}: set vrf", names.join(", "))
}

impl Index {
    /// The prefix that a request names. NetBox can hold the same network several times in one scope; then the request means the
    /// duplicate that carries a lease, if exactly one does, and is ambiguous otherwise.
    pub fn resolve(&self, key: PrefixKey) -> Result<&Arc<Prefix>, ResolveError> {
        let (scope, network) = match key {
            PrefixKey::Id(id) => return self.prefix(id).ok_or(ResolveError::IdNotFound { id }),
            PrefixKey::Network(scope, network) => (scope, network),
        };
        let duplicates = self.prefixes_at(scope, network);
        let mut leased = duplicates.iter().filter(|prefix| prefix.lease.is_some());
        match (duplicates, leased.next(), leased.next()) {
            ([], ..) => Err(ResolveError::NotFound { network, scope, elsewhere: self.scopes_with(network) }),
            ([only], ..) | (_, Some(only), None) => Ok(only),
            (several, ..) => Err(ResolveError::Ambiguous {
                network,
                scope,
                ids: several.iter().map(|prefix| prefix.id).collect(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::Batch;
    use crate::model::Lease;

    fn index(prefixes: &[(u64, bool)]) -> Index {
        let network = "203.0.113.0/24".parse().unwrap();
        let record = |(id, leased): &(u64, bool)| Prefix {
            lease: leased.then(Box::<Lease>::default),
            ..Prefix::bare(PrefixId(*id), network, VrfScope::Global)
        };
        let mut index = Index::default();
        index.apply(&Batch::from(prefixes.iter().map(record).collect::<Vec<_>>()));
        index
    }

    fn resolve(prefixes: &[(u64, bool)]) -> Result<u64, ResolveError> {
        let key = PrefixKey::Network(VrfScope::Global, "203.0.113.0/24".parse().unwrap());
        index(prefixes).resolve(key).map(|prefix| prefix.id.0)
    }

    #[test]
    fn of_duplicate_prefixes_the_one_with_the_lease_is_chosen() {
        assert_eq!(resolve(&[(1, false)]), Ok(1));
        assert_eq!(resolve(&[(1, false), (2, true), (3, false)]), Ok(2));
        assert!(matches!(resolve(&[]), Err(ResolveError::NotFound { .. })));
        for ambiguous in [[(1, false), (2, false)], [(1, true), (2, true)]] {
            let error = resolve(&ambiguous).unwrap_err();
            assert!(matches!(&error, ResolveError::Ambiguous { ids, .. } if ids.len() == 2), "{error}");
        }
    }
}
