//! Which leases a list shows, and in which order. Pure.

use std::sync::Arc;

use ipnet::Ipv4Net;
use jiff::civil::Date;

use crate::cache::{Index, LeaseOrder, LeaseSortKey};
use crate::model::{Lease, Network, Prefix, PrefixId, Reputation, RoaStatus, TenantKey, Term, VrfScope};

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

impl LeaseFilter {
    /// Whether a list shows this prefix, which it does only if it carries a lease.
    pub fn matches(&self, prefix: &Prefix) -> bool {
        let Some(lease) = prefix.lease.as_deref() else { return false };
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

    /// A prefix that comes right before the first match in this order, where the filter says where that is.
    fn before_first(&self, order: LeaseOrder) -> Option<Prefix> {
        let place = |id, lease| {
            let network = Network::from(Ipv4Net::default());
            Prefix { lease: Some(Box::new(lease)), ..Prefix::bare(PrefixId(id), network, VrfScope::Global) }
        };
        match order.key {
            LeaseSortKey::Owner => {
                let owner = Some(self.owner.clone()?);
                Some(place(0, Lease { owner, ..Lease::default() }))
            }
            // Later days come first, and of the days that are equal the last id is the last.
            LeaseSortKey::Expiry if order.descending => {
                let term = Term { expiry: Some(self.expiring_before?), ..Term::default() };
                Some(place(u64::MAX, Lease { term, ..Lease::default() }))
            }
            LeaseSortKey::Expiry | LeaseSortKey::Prefix => None,
        }
    }

    /// Whether neither this prefix nor any that comes after it in this order matches.
    fn is_after_last(&self, prefix: &Prefix, order: LeaseOrder) -> bool {
        let lease = prefix.lease.as_deref();
        match order.key {
            // A list of one owner begins at its first lease.
            LeaseSortKey::Owner => {
                self.owner.is_some() && lease.and_then(|lease| lease.owner.as_ref()) != self.owner.as_ref()
            }
            LeaseSortKey::Expiry => self.expiring_before.is_some_and(|day| {
                let expiry = lease.and_then(|lease| lease.term.expiry);
                expiry.is_none_or(|expiry| !order.descending && expiry >= day)
            }),
            LeaseSortKey::Prefix => false,
        }
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

/// The leases that a list with this filter and order examines, after a prefix that need not be recorded any more. Not every one
/// matches, but none that matches is left out. Nothing before the first is visited, so the caller bounds the time by the number
/// of leases that it takes.
pub fn candidates<'a>(
    index: &'a Index,
    filter: &'a LeaseFilter,
    order: LeaseOrder,
    after: Option<&Prefix>,
) -> impl Iterator<Item = &'a Arc<Prefix>> + use<'a> {
    let before_first = filter.before_first(order);
    index
        .leases(order, after.or(before_first.as_ref()))
        .take_while(move |prefix| !filter.is_after_last(prefix, order))
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
