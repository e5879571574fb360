//! Which VRF a request means: one rule for every method.

use super::index::Index;
use crate::model::{VrfId, VrfScope};

/// How a request names a VRF, or the global table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VrfKey {
    /// By the scope itself: the global table, or NetBox's id of a VRF.
    Scope(VrfScope),
    /// By its name, which several VRFs may share.
    Name(String),
    /// By its route distinguisher, which NetBox keeps unique.
    Rd(String),
}

/// The request names no VRF, or more than one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VrfError {
    #[error("NetBox has no {scope}")]
    IdNotFound { scope: VrfScope },
    #[error("NetBox has no VRF named {name:?}")]
    NameNotFound { name: String },
    #[error("NetBox has no VRF with the route distinguisher {rd:?}")]
    RdNotFound { rd: String },
    #[error("{} VRFs are named {name:?}: name the VRF by id or rd", ids.len())]
    Ambiguous { name: String, ids: Vec<VrfId> },
}

impl Index {
    /// The scope that a request names.
    pub fn resolve_vrf(&self, key: &VrfKey) -> Result<VrfScope, VrfError> {
        match key {
            VrfKey::Scope(scope) => {
                // A record can be in the cache before its VRF is.
                let known = scope.vrf().is_none_or(|id| self.vrf(id).is_some()) || self.holds(*scope);
                if known { Ok(*scope) } else { Err(VrfError::IdNotFound { scope: *scope }) }
            }
            VrfKey::Rd(rd) => self
                .vrfs()
                .find(|vrf| vrf.rd.as_ref() == Some(rd))
                .map(|vrf| VrfScope::Vrf(vrf.id))
                .ok_or_else(|| VrfError::RdNotFound { rd: rd.clone() }),
            VrfKey::Name(name) => {
                let mut ids: Vec<VrfId> =
                    self.vrfs().filter(|vrf| vrf.name == *name).map(|vrf| vrf.id).collect();
                ids.sort_unstable();
                match *ids.as_slice() {
                    [] => Err(VrfError::NameNotFound { name: name.clone() }),
                    [only] => Ok(VrfScope::Vrf(only)),
                    _ => Err(VrfError::Ambiguous { name: name.clone(), ids }),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::Batch;
    use crate::model::{Prefix, PrefixId, Revision, Vrf};

    fn index() -> Index {
        let vrf = |id, name: &str, rd: Option<&str>| Vrf {
            id: VrfId(id),
            name: name.to_owned(),
            rd: rd.map(str::to_owned),
            enforce_unique: true,
            revision: Revision(None),
        };
        let vrfs =
            vec![vrf(7, "customers", Some("64500:7")), vrf(8, "lab", None), vrf(9, "lab", Some("64500:9"))];
        let mut index = Index::default();
        index.apply(&Batch { vrfs, ..Batch::default() });
        let unread = VrfScope::Vrf(VrfId(30));
        index.apply(&Batch::from(vec![Prefix::bare(PrefixId(1), "203.0.113.0/24".parse().unwrap(), unread)]));
        index
    }

    fn resolve(key: VrfKey) -> Result<VrfScope, VrfError> {
        index().resolve_vrf(&key)
    }

    #[test]
    fn a_vrf_is_named_by_id_name_or_route_distinguisher() {
        let customers = VrfScope::Vrf(VrfId(7));
        assert_eq!(resolve(VrfKey::Scope(VrfScope::Global)), Ok(VrfScope::Global));
        assert_eq!(resolve(VrfKey::Scope(customers)), Ok(customers));
        assert_eq!(resolve(VrfKey::Name("customers".to_owned())), Ok(customers));
        assert_eq!(resolve(VrfKey::Rd("64500:7".to_owned())), Ok(customers));
        assert_eq!(resolve(VrfKey::Rd("64500:9".to_owned())), Ok(VrfScope::Vrf(VrfId(9))));
    }

    #[test]
    fn a_vrf_whose_records_came_first_is_known_by_its_id() {
        let unread = VrfScope::Vrf(VrfId(30));
        assert_eq!(resolve(VrfKey::Scope(unread)), Ok(unread));
        // Once its last record has gone, nothing says that there is such a VRF.
        let mut emptied = index();
        emptied.apply(&Batch { deleted_prefixes: vec![1], ..Batch::default() });
        assert_eq!(emptied.resolve_vrf(&VrfKey::Scope(unread)), Err(VrfError::IdNotFound { scope: unread }));
    }

    #[test]
    fn no_vrf_and_several_vrfs_are_errors() {
        let gone = VrfScope::Vrf(VrfId(31));
        assert_eq!(resolve(VrfKey::Scope(gone)), Err(VrfError::IdNotFound { scope: gone }));
        assert!(matches!(resolve(VrfKey::Name("Customers".to_owned())), Err(VrfError::NameNotFound { .. })));
        assert!(matches!(resolve(VrfKey::Rd(String::new())), Err(VrfError::RdNotFound { .. })));
        let ids = vec![VrfId(8), VrfId(9)];
        assert_eq!(
            resolve(VrfKey::Name("lab".to_owned())),
            Err(VrfError::Ambiguous { name: "lab".to_owned(), ids })
        );
    }
}
