//! Which prefixes a list shows, and in what order. Pure.

use std::sync::Arc;

use ipnet::Ipv4Net;

use super::index::Index;
use crate::model::{NamedRef, Network, Prefix, PrefixId, TenantKey, VrfScope};

/// Which prefixes to list. A prefix must match every field that is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrefixFilter {
    /// Only this network and the networks inside it.
    pub within: Option<Network>,
    /// Only prefixes of this VRF, or of the global table.
    pub scope: Option<VrfScope>,
    pub tenant: Option<TenantKey>,
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
        self.tenant.as_ref().is_none_or(|key| prefix.tenant.as_ref().is_some_and(|tenant| key.names(tenant)))
            && has_slug(self.role.as_ref(), prefix.role.iter())
            && has_slug(self.tag.as_ref(), prefix.tags.iter())
            && self.status.as_ref().is_none_or(|status| prefix.status == *status)
            && (!self.leased_only || prefix.lease.is_some())
    }
}

fn has_slug<'a>(wanted: Option<&String>, mut references: impl Iterator<Item = &'a NamedRef>) -> bool {
    wanted.is_none_or(|slug| references.any(|reference| *reference.slug == **slug))
}

/// The place of a prefix in a list: the global table first, then the VRFs by id; in each scope IPv4 before IPv6, then by first
/// address, shorter masks first, and duplicates by id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PrefixPosition {
    pub scope: VrfScope,
    pub network: Network,
    pub id: PrefixId,
}

impl PrefixPosition {
    fn of(prefix: &Prefix) -> Self {
        Self { scope: prefix.scope, network: prefix.network, id: prefix.id }
    }

    /// Before every prefix of a scope: NetBox gives no record the id 0.
    fn before(scope: VrfScope) -> Self {
        Self { scope, network: Network::from(Ipv4Net::default()), id: PrefixId(0) }
    }
}

/// One step of a search: a prefix that was examined, or a scope that was opened.
#[derive(Clone, Copy, Debug)]
pub struct Examined<'a> {
    /// Where a later search goes on.
    pub position: PrefixPosition,
    /// The prefix, if it matches.
    pub found: Option<&'a Arc<Prefix>>,
}

/// Searches for the prefixes that match, in the order of [`PrefixPosition`] and after `after`. Each step takes about the same time,
/// however many prefixes there are, so the caller bounds the time by the number of steps.
pub fn search_prefixes<'a>(
    index: &'a Index,
    filter: &'a PrefixFilter,
    after: Option<PrefixPosition>,
) -> impl Iterator<Item = Examined<'a>> {
    let first = filter.scope.or(after.map(|after| after.scope)).unwrap_or(VrfScope::Global);
    let scopes = index.scopes_from(first).take_while(|scope| filter.scope.is_none_or(|only| only == *scope));
    scopes.flat_map(move |scope| {
        let before = PrefixPosition::before(scope);
        let resumed = after.filter(|after| after.scope == scope);
        let opened = resumed.is_none().then_some(Examined { position: before, found: None });
        let after = resumed.unwrap_or(before);
        let rest = index.prefixes_after(scope, filter.within, (after.network, after.id));
        opened.into_iter().chain(rest.map(|prefix| Examined {
            position: PrefixPosition::of(prefix),
            found: filter.matches(prefix).then_some(prefix),
        }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::Batch;
    use crate::model::{Lease, VrfId};

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
        let index = index();
        search_prefixes(&index, filter, None)
            .filter_map(|step| step.found)
            .map(|prefix| prefix.id.0)
            .collect()
    }

    #[test]
    fn prefixes_are_found_in_order() {
        let (index, all) = (index(), PrefixFilter::default());
        let steps: Vec<PrefixPosition> =
            search_prefixes(&index, &all, None).map(|step| step.position).collect();
        assert!(steps.is_sorted_by(|a, b| a < b), "{steps:?}");
        assert_eq!(ids(&PrefixFilter::default()), [6, 3, 4, 5, 2, 1]);
    }

    #[test]
    fn a_search_goes_on_after_any_step_even_if_its_prefix_is_gone() {
        let within = Some("203.0.113.0/24".parse().unwrap());
        let scope = Some(VrfScope::Global);
        for filter in [
            PrefixFilter::default(),
            PrefixFilter { within, ..PrefixFilter::default() },
            PrefixFilter { scope, leased_only: true, ..PrefixFilter::default() },
        ] {
            let whole = index();
            let steps: Vec<Examined<'_>> = search_prefixes(&whole, &filter, None).collect();
            for (nth, step) in steps.iter().enumerate() {
                let mut rest = index();
                rest.apply(&Batch { deleted_prefixes: vec![step.position.id.0], ..Batch::default() });
                let went_on: Vec<PrefixPosition> =
                    search_prefixes(&rest, &filter, Some(step.position)).map(|step| step.position).collect();
                let expected: Vec<PrefixPosition> =
                    steps[nth + 1..].iter().map(|step| step.position).collect();
                assert_eq!(went_on, expected, "after {:?}", step.position);
            }
        }
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
        let tenant = Some(TenantKey::Slug("example-hosting".to_owned()));
        assert_eq!(ids(&PrefixFilter { tenant, ..PrefixFilter::default() }), Vec::<u64>::new());
    }
}
