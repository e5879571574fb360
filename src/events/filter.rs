//! Which events a watcher receives. Pure.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::civil::Date;

use crate::model::{
    Address, DomainEvent, EventKind, NamedRef, Network, Prefix, RecordChange, Subject, TenantKey, VrfScope,
};

/// Which events a watcher receives. Every condition that is set must hold; with none set, every event passes. A change passes
/// if the record satisfies the conditions before it or after it, so a watcher of one owner learns when a block goes to another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Only events of these kinds; of any kind if empty.
    pub kinds: BTreeSet<EventKind>,
    /// Only events about leases of this owner. An address has no owner of its own, so no event about an address passes.
    pub owner: Option<String>,
    /// Only events about records of this tenant.
    pub tenant: Option<TenantKey>,
    /// Only events about records with the tag of this slug.
    pub tag: Option<String>,
    /// Only events about this network or one inside it.
    pub within: Option<Network>,
    /// Only events about records in this VRF, or in the global table.
    pub scope: Option<VrfScope>,
    /// Only events about leases that end within this number of days, or have ended.
    pub horizon: Option<i32>,
    /// Of the changes of prefixes, only those that change a date of the lease.
    pub terms_only: bool,
}

impl EventFilter {
    /// Whether an event passes. `today` is the date in the time zone of the leases.
    pub fn wants(&self, domain_event: &DomainEvent, today: Date) -> bool {
        if !self.kinds.is_empty() && !self.kinds.contains(&domain_event.kind) {
            return false;
        }
        match &domain_event.subject {
            Subject::Sync(_) => self.has_no_record_conditions(),
            Subject::Term(reached) => self.wants_prefix(&reached.prefix, today),
            Subject::Verdict(change) => !self.terms_only && self.wants_prefix(&change.prefix, today),
            Subject::Prefix(change) if self.terms_only && !changes_a_date(change) => false,
            Subject::Prefix(change) => {
                change.before.iter().chain(&change.after).any(|prefix| self.wants_prefix(prefix, today))
            }
            Subject::Completion(refused) => self.wants_address(&refused.address),
            Subject::Address(change) => {
                change.before.iter().chain(&change.after).any(|address| self.wants_address(address))
            }
        }
    }

    /// Whether a prefix and its lease satisfy the conditions on records.
    pub fn wants_prefix(&self, prefix: &Arc<Prefix>, today: Date) -> bool {
        let lease = prefix.lease.as_deref();
        self.scope.is_none_or(|scope| prefix.scope == scope)
            && self.within.is_none_or(|within| within.contains(prefix.network))
            && self
                .tenant
                .as_ref()
                .is_none_or(|key| prefix.tenant.as_ref().is_some_and(|tenant| key.names(tenant)))
            && has_slug(self.tag.as_ref(), prefix.tags.iter())
            && self
                .owner
                .as_ref()
                .is_none_or(|owner| lease.is_some_and(|lease| lease.owner.as_ref() == Some(owner)))
            && self.horizon.is_none_or(|horizon| {
                lease.and_then(|lease| lease.term.days_left(today)).is_some_and(|left| left <= horizon)
            })
    }

    fn wants_address(&self, address: &Address) -> bool {
        self.scope.is_none_or(|scope| address.scope == scope)
            && self.within.is_none_or(|within| within.contains_address(address.host()))
            && self
                .tenant
                .as_ref()
                .is_none_or(|key| address.tenant.as_ref().is_some_and(|tenant| key.names(tenant)))
            && has_slug(self.tag.as_ref(), address.tags.iter())
            && self.owner.is_none()
            && self.horizon.is_none()
    }

    /// Whether no condition on records is set. An event about the sync is about no record, and passes only then.
    fn has_no_record_conditions(&self) -> bool {
        let Self { kinds: _, terms_only: _, owner, tenant, tag, within, scope, horizon } = self;
        owner.is_none()
            && tenant.is_none()
            && tag.is_none()
            && within.is_none()
            && scope.is_none()
            && horizon.is_none()
    }
}

fn changes_a_date(change: &RecordChange<Prefix>) -> bool {
    let term =
        |record: &Option<Arc<Prefix>>| record.as_ref().and_then(|prefix| Some(prefix.lease.as_ref()?.term));
    term(&change.before) != term(&change.after)
}

fn has_slug<'a>(wanted: Option<&String>, mut has: impl Iterator<Item = &'a NamedRef>) -> bool {
    wanted.is_none_or(|slug| has.any(|named| *named.slug == **slug))
}
