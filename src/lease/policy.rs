//! What a registration, a renewal or an end does to the record that stands. Pure.

use jiff::civil::Date;

use super::error::Error;
use crate::model::{Asn, Lease, Network, Prefix, RequestId, Table, Term};
use crate::netbox::{FieldChange, PrefixDraft};

/// A leased block to register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The block.
    pub network: Network,
    /// Where.
    pub table: Table,
    /// Who holds the resource.
    pub owner: String,
    /// From when to when.
    pub term: Term,
    /// Reference of the LOA.
    pub loa_reference: Option<String>,
    /// The AS that may originate it.
    pub origin: Option<Asn>,
    /// Free text; an adopted prefix keeps its own if empty.
    pub description: String,
    /// Slug of the tenant.
    pub tenant: Option<String>,
    /// Slug of the role.
    pub role: Option<String>,
    /// Slugs of tags.
    pub tags: Vec<String>,
    /// The caller's id of it.
    pub request: RequestId,
}

/// What to do about a registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegisterPlan {
    /// The prefix is not there: create it with its lease.
    Create(PrefixDraft),
    /// The prefix is there without a lease: give it one.
    Adopt(PrefixDraft),
    /// The prefix carries this very lease.
    Nothing,
}

impl Registration {
    /// What to do, given the record that stands. [`Error::Exists`] if it carries another lease.
    pub fn plan(&self, standing: Option<&Prefix>) -> Result<RegisterPlan, Error> {
        self.term.check()?;
        let mut draft = PrefixDraft {
            status: Some("active".to_owned()),
            description: (!self.description.is_empty()).then(|| self.description.clone()),
            tenant: self.tenant.clone(),
            role: self.role.clone(),
            tags: (!self.tags.is_empty()).then(|| self.tags.clone()),
            fields: self.fields(),
        };
        let Some(standing) = standing else {
            draft.fields.push(FieldChange::AllocationId(Some(self.request.allocation(0))));
            return Ok(RegisterPlan::Create(draft));
        };
        let Some(lease) = &standing.lease else {
            // A container stays one: its status says how NetBox counts it, not whether it is leased.
            if standing.status == "container" {
                draft.status = None;
            }
            return Ok(RegisterPlan::Adopt(draft));
        };
        let differs = self.differences(lease);
        if differs.is_empty() {
            return Ok(RegisterPlan::Nothing);
        }
        Err(Error::Exists { network: self.network, differs: differs.join(", ") })
    }

    fn fields(&self) -> Vec<FieldChange> {
        let mut fields = vec![
            FieldChange::LeaseOwner(Some(self.owner.clone())),
            FieldChange::LeaseStart(self.term.start),
            FieldChange::LeaseExpiry(self.term.expiry),
            FieldChange::LeaseNoticeDate(self.term.notice),
        ];
        fields.extend(self.loa_reference.clone().map(|loa| FieldChange::LoaReference(Some(loa))));
        fields.extend(self.origin.map(|origin| FieldChange::OriginAsn(Some(origin))));
        fields
    }

    /// The parts in which a lease that stands is another one. What the call leaves open does not count.
    fn differences(&self, lease: &Lease) -> Vec<String> {
        let mut differs = Vec::new();
        let mut compare = |name: &str, recorded: Option<String>, asked: Option<String>, always: bool| {
            if recorded != asked && (always || asked.is_some()) {
                let recorded = recorded.unwrap_or_else(|| "none".to_owned());
                differs.push(format!("{name} is {recorded}"));
            }
        };
        let day = |date: Option<Date>| date.map(|date| date.to_string());
        compare("lease_owner", lease.owner.clone(), Some(self.owner.clone()), true);
        compare("lease_expiry", day(lease.term.expiry), day(self.term.expiry), true);
        compare("lease_start", day(lease.term.start), day(self.term.start), false);
        compare("lease_notice_date", day(lease.term.notice), day(self.term.notice), false);
        compare("loa_reference", lease.loa_reference.clone(), self.loa_reference.clone(), false);
        compare("origin_asn", lease.origin.map(|a| a.to_string()), self.origin.map(|a| a.to_string()), false);
        differs
    }

    /// The record as it would stand, for a call that only validates.
    pub fn preview(&self, standing: Option<&Prefix>) -> Prefix {
        let lease = Lease {
            owner: Some(self.owner.clone()),
            term: self.term,
            loa_reference: self.loa_reference.clone(),
            origin: self.origin,
            ..Lease::default()
        };
        match standing {
            Some(standing) => {
                Prefix { lease: standing.lease.clone().or_else(|| Some(Box::new(lease))), ..standing.clone() }
            }
            None => Prefix {
                id: crate::model::PrefixId(0),
                network: self.network,
                table: self.table,
                status: "active".to_owned(),
                is_pool: false,
                mark_utilized: false,
                tenant: None,
                role: None,
                tags: Vec::new(),
                description: self.description.clone(),
                lease: Some(Box::new(lease)),
                allocation: None,
                custom_fields: serde_json::Map::new(),
                revision: crate::model::Revision::default(),
            },
        }
    }
}

/// A new term for a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewal {
    /// The new last day.
    pub expiry: Date,
    /// The new last day to give notice.
    pub notice: Option<Date>,
    /// The new LOA; the recorded one is kept if `None`.
    pub loa_reference: Option<String>,
    /// The last day may move to an earlier one.
    pub allow_earlier: bool,
}

impl Renewal {
    /// The lease as it will be. A notice date that spoke of the old term goes when the expiry moves.
    pub fn apply(&self, lease: &Lease) -> Result<Lease, Error> {
        if let Some(recorded) = lease.term.expiry
            && self.expiry < recorded
            && !self.allow_earlier
        {
            return Err(Error::GoesBack { recorded, asked: self.expiry });
        }
        let moved = lease.term.expiry != Some(self.expiry);
        let kept = lease.term.notice.filter(|_| !moved);
        let term = Term { expiry: Some(self.expiry), notice: self.notice.or(kept), ..lease.term };
        Ok(Lease {
            term: term.check()?,
            loa_reference: self.loa_reference.clone().or_else(|| lease.loa_reference.clone()),
            ..lease.clone()
        })
    }

    /// What to write to get from one lease to the other; nothing if they are the same.
    pub fn changes(before: &Lease, after: &Lease) -> Vec<FieldChange> {
        let mut changes = Vec::new();
        if before.term.expiry != after.term.expiry {
            changes.push(FieldChange::LeaseExpiry(after.term.expiry));
        }
        if before.term.notice != after.term.notice {
            changes.push(FieldChange::LeaseNoticeDate(after.term.notice));
        }
        if before.loa_reference != after.loa_reference {
            changes.push(FieldChange::LoaReference(after.loa_reference.clone()));
        }
        changes
    }
}

/// How to end a lease.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct End {
    /// Even though addresses of the block are recorded.
    pub allow_in_use: bool,
    /// Delete the prefix instead of marking it deprecated.
    pub delete_prefix: bool,
}

impl End {
    /// Whether it may be ended, given what stands in the block.
    pub fn check(self, network: Network, addresses: u64, children: u64) -> Result<(), Error> {
        if addresses > 0 && (!self.allow_in_use || self.delete_prefix) {
            return Err(Error::InUse { network, count: addresses });
        }
        if children > 0 && self.delete_prefix {
            return Err(Error::HasChildren { network, count: children });
        }
        Ok(())
    }

    /// What is written when the prefix stays: no lease, and deprecated so that nobody announces it unawares.
    pub fn draft() -> PrefixDraft {
        PrefixDraft {
            status: Some("deprecated".to_owned()),
            fields: FieldChange::clear_lease(),
            ..PrefixDraft::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn registration() -> Registration {
        Registration {
            network: "203.0.113.0/24".parse().unwrap(),
            table: Table::Global,
            owner: "ACME-LIR".into(),
            term: Term { start: Some(date(2026, 6, 1)), expiry: Some(date(2027, 6, 1)), notice: None },
            loa_reference: Some("LOA-2026-0481".into()),
            origin: Some(Asn::try_from(64500).unwrap()),
            description: String::new(),
            tenant: None,
            role: None,
            tags: vec![],
            request: "r-1".parse().unwrap(),
        }
    }

    #[test]
    fn the_same_registration_again_changes_nothing() {
        let standing = registration().preview(None);
        assert_eq!(registration().plan(Some(&standing)).unwrap(), RegisterPlan::Nothing);
    }

    #[test]
    fn a_prefix_without_a_lease_is_adopted_and_a_container_stays_one() {
        let bare = Prefix { lease: None, status: "container".into(), ..registration().preview(None) };
        let RegisterPlan::Adopt(draft) = registration().plan(Some(&bare)).unwrap() else { panic!() };
        assert_eq!(draft.status, None);
        assert_eq!(draft.description, None);
    }

    #[test]
    fn another_lease_is_told_by_the_fields_that_differ() {
        let mut standing = registration().preview(None);
        standing.lease.as_mut().unwrap().owner = Some("OTHER-LIR".into());
        let error = registration().plan(Some(&standing)).unwrap_err();
        assert!(error.to_string().contains("lease_owner is OTHER-LIR"), "{error}");
    }

    #[test]
    fn a_renewal_does_not_go_back_unless_told() {
        let lease = *registration().preview(None).lease.unwrap();
        let earlier =
            Renewal { expiry: date(2027, 1, 1), notice: None, loa_reference: None, allow_earlier: false };
        assert!(matches!(earlier.apply(&lease), Err(Error::GoesBack { .. })));
        let told = Renewal { allow_earlier: true, ..earlier };
        assert_eq!(told.apply(&lease).unwrap().term.expiry, Some(date(2027, 1, 1)));
    }

    #[test]
    fn a_notice_date_of_the_old_term_goes_with_it_and_stays_when_nothing_moves() {
        let mut lease = *registration().preview(None).lease.unwrap();
        lease.term.notice = Some(date(2027, 5, 1));
        let same =
            Renewal { expiry: date(2027, 6, 1), notice: None, loa_reference: None, allow_earlier: false };
        assert_eq!(Renewal::changes(&lease, &same.apply(&lease).unwrap()), []);
        let moved = Renewal { expiry: date(2028, 6, 1), ..same };
        let after = moved.apply(&lease).unwrap();
        assert_eq!(after.term.notice, None);
        assert_eq!(Renewal::changes(&lease, &after).len(), 2);
    }

    #[test]
    fn a_block_in_use_is_ended_only_when_told_and_never_deleted() {
        let network = registration().network;
        assert!(End::default().check(network, 3, 0).is_err());
        assert!(End { allow_in_use: true, delete_prefix: false }.check(network, 3, 2).is_ok());
        assert!(End { allow_in_use: true, delete_prefix: true }.check(network, 3, 0).is_err());
        assert!(End { allow_in_use: true, delete_prefix: true }.check(network, 0, 1).is_err());
    }
}
