//! Which events a watcher wants. Pure.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::civil::Date;

use crate::model::{Address, Change, EventKind, Happening, NamedRef, Network, Prefix, Subject, Table};

/// Which events a watcher wants; all if nothing is set. A change is wanted if the record is, as it stood before or as it
/// stands after: whoever watches an owner learns that a block has gone to another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only these kinds; all if empty.
    pub kinds: BTreeSet<EventKind>,
    /// Only leases of this owner.
    pub owner: Option<String>,
    /// Only records of the tenant with this slug.
    pub tenant: Option<String>,
    /// Only records with the tag of this slug.
    pub tag: Option<String>,
    /// Only within this network.
    pub within: Option<Network>,
    /// Only in this table.
    pub table: Option<Table>,
    /// Only leases that run out within so many days.
    pub horizon: Option<i32>,
    /// Of changes of a lease only those of its dates.
    pub terms_only: bool,
}

impl Filter {
    /// Whether the event is wanted.
    pub fn wants(&self, happening: &Happening, today: Date) -> bool {
        if !self.kinds.is_empty() && !self.kinds.contains(&happening.kind) {
            return false;
        }
        match &happening.subject {
            Subject::Sync(_) => self.is_about_anything(),
            Subject::Term(reached) => self.wants_prefix(&reached.prefix, today),
            Subject::Verdict(change) => !self.terms_only && self.wants_prefix(&change.prefix, today),
            Subject::Prefix(change) if self.terms_only && !moves_a_term(change) => false,
            Subject::Prefix(change) => {
                change.before.iter().chain(&change.after).any(|prefix| self.wants_prefix(prefix, today))
            }
            Subject::Address(change) => {
                change.before.iter().chain(&change.after).any(|address| self.wants_address(address))
            }
        }
    }

    /// Whether a prefix, and the lease that it carries, is wanted.
    pub fn wants_prefix(&self, prefix: &Arc<Prefix>, today: Date) -> bool {
        let lease = prefix.lease.as_deref();
        self.table.is_none_or(|table| prefix.table == table)
            && self.within.is_none_or(|within| within.contains(prefix.network))
            && named(self.tenant.as_ref(), prefix.tenant.iter())
            && named(self.tag.as_ref(), prefix.tags.iter())
            && self
                .owner
                .as_ref()
                .is_none_or(|owner| lease.is_some_and(|lease| lease.owner.as_ref() == Some(owner)))
            && self.horizon.is_none_or(|horizon| {
                lease.and_then(|lease| lease.term.days_left(today)).is_some_and(|left| left <= horizon)
            })
    }

    fn wants_address(&self, address: &Address) -> bool {
        self.table.is_none_or(|table| address.table == table)
            && self.within.is_none_or(|within| within.contains_address(address.host()))
            && named(self.tenant.as_ref(), address.tenant.iter())
            && named(self.tag.as_ref(), address.tags.iter())
            // An address carries no lease of its own.
            && self.owner.is_none()
            && self.horizon.is_none()
    }

    fn is_about_anything(&self) -> bool {
        let Self { kinds: _, terms_only: _, owner, tenant, tag, within, table, horizon } = self;
        owner.is_none()
            && tenant.is_none()
            && tag.is_none()
            && within.is_none()
            && table.is_none()
            && horizon.is_none()
    }
}

fn moves_a_term(change: &Change<Prefix>) -> bool {
    let term =
        |record: &Option<Arc<Prefix>>| record.as_ref().and_then(|prefix| Some(prefix.lease.as_ref()?.term));
    term(&change.before) != term(&change.after)
}

fn named<'a>(wanted: Option<&String>, mut has: impl Iterator<Item = &'a NamedRef>) -> bool {
    wanted.is_none_or(|slug| has.any(|named| *named.slug == **slug))
}
