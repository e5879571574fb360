//! Which leases a list shows, and in which order. Pure.

use std::cmp::Ordering;
use std::sync::Arc;

use jiff::civil::Date;

use crate::cache::Index;
use crate::model::{Lease, Prefix, Reputation, RoaStatus, TenantKey, VrfScope};

/// The leases to list. Every condition that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaseFilter {
    /// The owner, compared exactly.
    pub owner: Option<String>,
    /// The tenant of the prefix.
    pub tenant: Option<TenantKey>,
    /// The last day is before this date.
    pub expiring_before: Option<Date>,
    /// The recorded verdict of route origin validation.
    pub roa_status: Option<RoaStatus>,
    pub reputation: Option<Reputation>,
    pub scope: Option<VrfScope>,
}

/// What leases are ordered by. Leases with equal keys are ordered by the id of their prefix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LeaseSortKey {
    /// The last day; leases without one come last.
    #[default]
    Expiry,
    /// The owner; leases without one come last.
    Owner,
    /// The scope, then the network.
    Prefix,
}

/// The order of a list of leases: by last day, the earliest first, unless said otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeaseOrder {
    pub key: LeaseSortKey,
    pub descending: bool,
}

impl LeaseFilter {
    fn matches(&self, prefix: &Prefix, lease: &Lease) -> bool {
        self.owner.as_ref().is_none_or(|owner| lease.owner.as_ref() == Some(owner))
            && self
                .tenant
                .as_ref()
                .is_none_or(|key| prefix.tenant.as_ref().is_some_and(|tenant| key.names(tenant)))
            && self.expiring_before.is_none_or(|day| lease.term.expiry.is_some_and(|expiry| expiry < day))
            && self.roa_status.is_none_or(|status| lease.roa_status == Some(status))
            && self.reputation.is_none_or(|reputation| lease.reputation == Some(reputation))
            && self.scope.is_none_or(|scope| prefix.scope == scope)
    }

    /// The filter and the order as the text whose digest a page token carries. It never changes, whatever the types here are
    /// called: tokens of an earlier version are still valid (tests/golden/tokens.json).
    pub fn token_text(&self, order: LeaseOrder) -> String {
        let Self { owner, tenant, expiring_before, roa_status, reputation, scope } = self;
        let tenant = tenant.as_ref().map(ToString::to_string);
        let LeaseOrder { key, descending } = order;
        format!(
            "Filter {{ owner: {owner:?}, tenant: {tenant:?}, expiring_before: {expiring_before:?}, \
             roa_status: {roa_status:?}, reputation: {reputation:?}, table: {scope:?} }}\
             |Order {{ key: {key:?}, descending: {descending:?} }}"
        )
    }
}

/// Every lease that matches, in order.
pub fn find(index: &Index, filter: &LeaseFilter, order: LeaseOrder) -> Vec<Arc<Prefix>> {
    let mut found: Vec<Arc<Prefix>> = index
        .leased()
        .filter(|prefix| prefix.lease.as_deref().is_some_and(|lease| filter.matches(prefix, lease)))
        .cloned()
        .collect();
    found.sort_by(|a, b| compare(a, b, order));
    found
}

/// Which of two leases comes first in a list.
pub fn compare(a: &Prefix, b: &Prefix, order: LeaseOrder) -> Ordering {
    let by_key = match order.key {
        LeaseSortKey::Expiry => missing_last(expiry(a), expiry(b), order.descending),
        LeaseSortKey::Owner => missing_last(owner(a), owner(b), order.descending),
        LeaseSortKey::Prefix => {
            let ordering = (a.scope, a.network).cmp(&(b.scope, b.network));
            if order.descending { ordering.reverse() } else { ordering }
        }
    };
    by_key.then(a.id.cmp(&b.id))
}

fn missing_last<T: Ord>(a: Option<T>, b: Option<T>, descending: bool) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) if descending => b.cmp(&a),
        (Some(a), Some(b)) => a.cmp(&b),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    }
}

fn expiry(prefix: &Prefix) -> Option<Date> {
    prefix.lease.as_ref().and_then(|lease| lease.term.expiry)
}

fn owner(prefix: &Prefix) -> Option<&str> {
    prefix.lease.as_ref().and_then(|lease| lease.owner.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::VrfId;
    use jiff::civil::date;

    #[test]
    fn the_text_for_page_tokens_is_that_of_version_0_1() {
        let filter = LeaseFilter {
            owner: Some("ACME-LIR".to_owned()),
            expiring_before: Some(date(2027, 6, 1)),
            roa_status: Some(RoaStatus::Valid),
            reputation: Some(Reputation::Clean),
            scope: Some(VrfScope::Vrf(VrfId(3))),
            ..LeaseFilter::default()
        };
        assert_eq!(
            filter.token_text(LeaseOrder { key: LeaseSortKey::Owner, descending: true }),
            "Filter { owner: Some(\"ACME-LIR\"), tenant: None, expiring_before: Some(2027-06-01), roa_status: Some(Valid), \
             reputation: Some(Clean), table: Some(Vrf(VrfId(3))) }|Order { key: Owner, descending: true }"
        );
    }
}
