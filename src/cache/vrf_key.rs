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
            VrfKey::Rd(rd) => match self.vrfs_with_rd(rd) {
                [] => Err(VrfError::RdNotFound { rd: rd.clone() }),
                [first, ..] => Ok(VrfScope::Vrf(*first)),
            },
            VrfKey::Name(name) => match self.vrfs_named(name) {
                [] => Err(VrfError::NameNotFound { name: name.clone() }),
                [only] => Ok(VrfScope::Vrf(*only)),
                several => Err(VrfError::Ambiguous { name: name.clone(), ids: several.to_vec() }),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::Batch;
    use crate::model::{Prefix, PrefixId, Revision, Vrf};

    fn vrf(id: u64, name: &str, rd: Option<&str>) -> Vrf {
        Vrf {
            id: VrfId(id),
            name: name.to_owned(),
            rd: rd.map(str::to_owned),
            enforce_unique: true,
            revision: Revision(None),
        }
    }

    fn index() -> Index {
        let vrfs =
            vec![vrf(7, "customers", Some("64500:7")), vrf(8, "lab", None), vrf(9, "lab", Some("64500:9"))];
        let mut index = Index::default();
        index.apply(&Batch { vrfs, ..Batch::default() });
        let unread = VrfScope::Vrf(VrfId(30));
        index.apply(&Batch::from(vec![Prefix::bare(PrefixId(1), "203.0.113.0/24".parse().unwrap(), unread)]));
        index
    }

    fn resolve(key: &VrfKey) -> Result<VrfScope, VrfError> {
        index().resolve_vrf(key)
    }

    #[test]
    fn a_vrf_is_named_by_id_name_or_route_distinguisher() {
        let customers = VrfScope::Vrf(VrfId(7));
        assert_eq!(resolve(&VrfKey::Scope(VrfScope::Global)), Ok(VrfScope::Global));
        assert_eq!(resolve(&VrfKey::Scope(customers)), Ok(customers));
        assert_eq!(resolve(&VrfKey::Name("customers".to_owned())), Ok(customers));
        assert_eq!(resolve(&VrfKey::Rd("64500:7".to_owned())), Ok(customers));
        assert_eq!(resolve(&VrfKey::Rd("64500:9".to_owned())), Ok(VrfScope::Vrf(VrfId(9))));
    }

    #[test]
    fn a_vrf_whose_records_came_first_is_known_by_its_id() {
        let unread = VrfScope::Vrf(VrfId(30));
        assert_eq!(resolve(&VrfKey::Scope(unread)), Ok(unread));
        // Once its last record has gone, nothing says that there is such a VRF.
        let mut emptied = index();
        emptied.apply(&Batch { deleted_prefixes: vec![1], ..Batch::default() });
        assert_eq!(emptied.resolve_vrf(&VrfKey::Scope(unread)), Err(VrfError::IdNotFound { scope: unread }));
    }

    #[test]
    fn a_vrf_that_is_renamed_or_deleted_is_not_found_by_its_old_names() {
        let mut index = index();
        // Two VRFs swap their route distinguishers, the one that gets its new one first being read first.
        let vrfs = vec![vrf(9, "office", Some("64500:7")), vrf(7, "lab", Some("64500:9"))];
        index.apply(&Batch { vrfs, deleted_vrfs: vec![8], ..Batch::default() });
        let scope = |id| Ok(VrfScope::Vrf(VrfId(id)));
        assert_eq!(index.resolve_vrf(&VrfKey::Rd("64500:7".to_owned())), scope(9));
        assert_eq!(index.resolve_vrf(&VrfKey::Rd("64500:9".to_owned())), scope(7));
        assert_eq!(index.resolve_vrf(&VrfKey::Name("lab".to_owned())), scope(7));
        let old = index.resolve_vrf(&VrfKey::Name("customers".to_owned()));
        assert!(matches!(old, Err(VrfError::NameNotFound { .. })), "{old:?}");
    }

    #[test]
    fn no_vrf_and_several_vrfs_are_errors() {
        let gone = VrfScope::Vrf(VrfId(31));
        assert_eq!(resolve(&VrfKey::Scope(gone)), Err(VrfError::IdNotFound { scope: gone }));
        assert!(matches!(resolve(&VrfKey::Name("Customers".to_owned())), Err(VrfError::NameNotFound { .. })));
        assert!(matches!(resolve(&VrfKey::Rd(String::new())), Err(VrfError::RdNotFound { .. })));
        let ids = vec![VrfId(8), VrfId(9)];
        assert_eq!(
            resolve(&VrfKey::Name("lab".to_owned())),
            Err(VrfError::Ambiguous { name: "lab".to_owned(), ids })
        );
    }
}
