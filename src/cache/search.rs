//! Which prefixes a list shows, and in what order. Pure.

use std::cmp::Ordering;
use std::sync::Arc;

use super::index::Index;
use crate::model::{NamedRef, Network, Prefix, VrfScope};

/// Which prefixes to list. A prefix must match every field that is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrefixFilter {
    /// Only this network and the networks inside it.
    pub within: Option<Network>,
    /// Only prefixes of this VRF, or of the global table.
    pub scope: Option<VrfScope>,
    /// The slug of the tenant.
    pub tenant: Option<String>,
    /// The slug of the role.
    pub role: Option<String>,
    /// The slug of a tag.
    pub tag: Option<String>,
    /// NetBox's status value, such as `active`.
    pub status: Option<String>,
    /// Only prefixes that carry a lease themselves.
    pub leased_only: bool,
}

impl PrefixFilter {
    /// Whether a prefix of the right scope and network matches the other fields.
    fn matches(&self, prefix: &Prefix) -> bool {
        has_slug(self.tenant.as_ref(), prefix.tenant.iter())
            && has_slug(self.role.as_ref(), prefix.role.iter())
            && has_slug(self.tag.as_ref(), prefix.tags.iter())
            && self.status.as_ref().is_none_or(|status| prefix.status == *status)
            && (!self.leased_only || prefix.lease.is_some())
    }
}

fn has_slug<'a>(wanted: Option<&String>, mut references: impl Iterator<Item = &'a NamedRef>) -> bool {
    wanted.is_none_or(|slug| references.any(|reference| *reference.slug == **slug))
}

/// The prefixes that match, in the order of [`prefix_order`]. Visits all prefixes of the scopes, or only those inside `within`.
pub fn find_prefixes(index: &Index, filter: &PrefixFilter) -> Vec<Arc<Prefix>> {
    let mut scopes: Vec<VrfScope> = match filter.scope {
        Some(scope) => vec![scope],
        None => index.scopes().collect(),
    };
    scopes.sort_unstable();
    let mut found = Vec::new();
    for scope in scopes {
        match filter.within {
            Some(within) => {
                let inside = index.prefixes_within(scope, within);
                found.extend(inside.filter(|prefix| filter.matches(prefix)).cloned());
            }
            None => {
                let all = index.prefixes_of(scope);
                found.extend(all.filter(|prefix| filter.matches(prefix)).cloned());
            }
        }
    }
    found
}

/// The order of a list of prefixes: the global table first, then the VRFs by id; in each scope IPv4 before IPv6, then by first
/// address, shorter masks first, and duplicates by id.
pub fn prefix_order(a: &Prefix, b: &Prefix) -> Ordering {
    (a.scope, a.network, a.id).cmp(&(b.scope, b.network, b.id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::Batch;
    use crate::model::{Lease, PrefixId, VrfId};

    fn index() -> Index {
        let prefix = |id, network: &str, scope| Prefix::bare(PrefixId(id), network.parse().unwrap(), scope);
        let customers = VrfScope::Vrf(VrfId(7));
        let mut index = Index::default();
        index.apply(&Batch::from(vec![
            prefix(1, "203.0.113.0/24", customers),
            prefix(2, "2001:db8::/32", VrfScope::Global),
            Prefix {
                lease: Some(Box::<Lease>::default()),
                status: "container".into(),
                ..prefix(4, "203.0.113.0/24", VrfScope::Global)
            },
            prefix(3, "203.0.113.0/24", VrfScope::Global),
            prefix(5, "203.0.113.0/28", VrfScope::Global),
            prefix(6, "198.51.100.0/24", VrfScope::Global),
        ]));
        index
    }

    fn ids(filter: &PrefixFilter) -> Vec<u64> {
        find_prefixes(&index(), filter).iter().map(|prefix| prefix.id.0).collect()
    }

    #[test]
    fn prefixes_are_found_in_the_order_that_pages_are_cut_by() {
        let found = find_prefixes(&index(), &PrefixFilter::default());
        assert!(found.is_sorted_by(|a, b| prefix_order(a, b) == Ordering::Less));
        assert_eq!(ids(&PrefixFilter::default()), [6, 3, 4, 5, 2, 1]);
    }

    #[test]
    fn every_field_that_is_set_must_match() {
        let within = Some("203.0.113.0/24".parse().unwrap());
        assert_eq!(ids(&PrefixFilter { within, ..PrefixFilter::default() }), [3, 4, 5, 1]);
        let scope = Some(VrfScope::Global);
        assert_eq!(ids(&PrefixFilter { within, scope, ..PrefixFilter::default() }), [3, 4, 5]);
        let leased = PrefixFilter { within, scope, leased_only: true, ..PrefixFilter::default() };
        assert_eq!(ids(&leased), [4]);
        assert_eq!(ids(&PrefixFilter { status: Some("active".into()), ..leased }), Vec::<u64>::new());
        let tenant = Some("example-hosting".to_owned());
        assert_eq!(ids(&PrefixFilter { tenant, ..PrefixFilter::default() }), Vec::<u64>::new());
    }
}
