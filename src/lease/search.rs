//! Which leases match, and in what order. Pure.

use std::cmp::Ordering;
use std::sync::Arc;

use jiff::civil::Date;

use crate::cache::Index;
use crate::model::{Lease, Prefix, Reputation, RoaStatus, Table};

/// What to look for. All that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Owner, exactly.
    pub owner: Option<String>,
    /// Slug of the tenant.
    pub tenant: Option<String>,
    /// Last day before this date.
    pub expiring_before: Option<Date>,
    /// Recorded verdict of origin validation.
    pub roa_status: Option<RoaStatus>,
    /// Recorded reputation.
    pub reputation: Option<Reputation>,
    /// Table.
    pub table: Option<Table>,
}

/// What to order by. Ties are ordered by prefix id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Key {
    /// Last day; leases without one come last.
    #[default]
    Expiry,
    /// Owner; leases without one come last.
    Owner,
    /// Table and prefix.
    Prefix,
}

/// What to order by, and which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// What to order by.
    pub key: Key,
    /// Highest first.
    pub descending: bool,
}

impl Filter {
    fn matches(&self, prefix: &Prefix, lease: &Lease) -> bool {
        self.owner.as_ref().is_none_or(|owner| lease.owner.as_ref() == Some(owner))
            && self
                .tenant
                .as_ref()
                .is_none_or(|slug| prefix.tenant.as_ref().is_some_and(|t| *t.slug == **slug))
            && self.expiring_before.is_none_or(|day| lease.term.expiry.is_some_and(|expiry| expiry < day))
            && self.roa_status.is_none_or(|word| lease.roa_status == Some(word))
            && self.reputation.is_none_or(|word| lease.reputation == Some(word))
            && self.table.is_none_or(|table| prefix.table == table)
    }
}

/// Every lease that matches, in order.
pub fn find(index: &Index, filter: &Filter, order: Order) -> Vec<Arc<Prefix>> {
    let mut found: Vec<Arc<Prefix>> = index
        .leased()
        .filter(|prefix| prefix.lease.as_deref().is_some_and(|lease| filter.matches(prefix, lease)))
        .cloned()
        .collect();
    found.sort_by(|a, b| compare(a, b, order));
    found
}

/// How two leases stand to one another in an order.
pub fn compare(a: &Prefix, b: &Prefix, order: Order) -> Ordering {
    let by_key = match order.key {
        Key::Expiry => missing_last(expiry(a), expiry(b), order.descending),
        Key::Owner => missing_last(owner(a), owner(b), order.descending),
        Key::Prefix => {
            let ordering = (a.table, a.network).cmp(&(b.table, b.network));
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
