//! RegisterLease: what to write, given the record that NetBox has. Pure.

use jiff::civil::Date;
use serde_json::{Map, Value};

use super::error::Error;
use crate::model::{Asn, Lease, Network, Prefix, PrefixId, RequestId, TenantKey, Term, VrfScope};
use crate::netbox::{FieldChange, PrefixDraft};

/// Register the lease of a prefix. If NetBox has no such prefix, it is created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisterLease {
    pub network: Network,
    pub scope: VrfScope,
    /// The holder of the resource, who leases it out. Example: `ACME-LIR`.
    pub owner: String,
    pub term: Term,
    /// Reference of the Letter of Authorisation.
    pub loa_reference: Option<String>,
    /// The AS that is to originate the prefix.
    pub origin: Option<Asn>,
    /// Empty: a prefix that exists keeps its description.
    pub description: String,
    /// A tenant that exists in NetBox.
    pub tenant: Option<TenantKey>,
    /// Slug of a prefix role.
    pub role: Option<String>,
    /// Slugs of tags that exist in NetBox.
    pub tags: Vec<String>,
    /// Custom fields of other people, by name.
    pub custom_fields: Map<String, Value>,
    pub request: RequestId,
}

/// What to write for a registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistrationPlan {
    /// NetBox does not have the prefix: create it with its lease.
    Create(PrefixDraft),
    /// NetBox has the prefix without a lease: add the lease to it.
    Adopt(PrefixDraft),
    /// The prefix already has exactly this lease.
    Nothing,
}

impl RegisterLease {
    /// What to write, given the prefix that NetBox has. Fails with [`Error::Exists`] if it has another lease.
    pub fn plan(&self, recorded: Option<&Prefix>) -> Result<RegistrationPlan, Error> {
        self.term.check()?;
        let mut draft = PrefixDraft {
            status: Some("active".to_owned()),
            description: (!self.description.is_empty()).then(|| self.description.clone()),
            tenant: self.tenant.clone().into(),
            role: self.role.clone(),
            tags: (!self.tags.is_empty()).then(|| self.tags.clone()),
            custom_fields: self.custom_fields.clone(),
            fields: self.fields(),
        };
        let Some(recorded) = recorded else {
            draft.fields.push(FieldChange::AllocationId(Some(self.request.allocation(0))));
            return Ok(RegistrationPlan::Create(draft));
        };
        let Some(lease) = &recorded.lease else {
            // A container stays a container: its status decides how NetBox computes its utilization.
            if recorded.status == "container" {
                draft.status = None;
            }
            // Fields of a lease before this one may be left in the record. Its verdicts were not made for this lease.
            draft.fields.extend(FieldChange::clear_verdicts());
            return Ok(RegistrationPlan::Adopt(draft));
        };
        let differs = self.differences(lease);
        if differs.is_empty() {
            return Ok(RegistrationPlan::Nothing);
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

    /// The fields in which a recorded lease differs. Optional fields that the command leaves open do not count.
    fn differences(&self, lease: &Lease) -> Vec<String> {
        let mut differs = Vec::new();
        let mut compare = |name: &str, recorded: Option<String>, requested: Option<String>, always: bool| {
            if recorded != requested && (always || requested.is_some()) {
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

    /// The record as it would be, for a call that only validates.
    pub fn preview(&self, recorded: Option<&Prefix>) -> Prefix {
        let lease = Lease {
            owner: Some(self.owner.clone()),
            term: self.term,
            loa_reference: self.loa_reference.clone(),
            origin: self.origin,
            ..Lease::default()
        };
        match recorded {
            Some(recorded) => {
                Prefix { lease: recorded.lease.clone().or_else(|| Some(Box::new(lease))), ..recorded.clone() }
            }
            None => Prefix {
                description: self.description.clone(),
                lease: Some(Box::new(lease)),
                ..Prefix::bare(PrefixId(0), self.network, self.scope)
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn registration() -> RegisterLease {
        RegisterLease {
            network: "203.0.113.0/24".parse().unwrap(),
            scope: VrfScope::Global,
            owner: "ACME-LIR".into(),
            term: Term { start: Some(date(2026, 6, 1)), expiry: Some(date(2027, 6, 1)), notice: None },
            loa_reference: Some("LOA-2026-0481".into()),
            origin: Some(Asn::try_from(64500).unwrap()),
            description: String::new(),
            tenant: None,
            role: None,
            tags: vec![],
            custom_fields: Map::new(),
            request: "r-1".parse().unwrap(),
        }
    }

    #[test]
    fn the_same_registration_again_changes_nothing() {
        let recorded = registration().preview(None);
        assert_eq!(registration().plan(Some(&recorded)).unwrap(), RegistrationPlan::Nothing);
    }

    #[test]
    fn a_prefix_without_a_lease_is_adopted_and_a_container_stays_one() {
        let bare = Prefix { lease: None, status: "container".into(), ..registration().preview(None) };
        let RegistrationPlan::Adopt(draft) = registration().plan(Some(&bare)).unwrap() else { panic!() };
        assert_eq!(draft.status, None);
        assert_eq!(draft.description, None);
    }

    #[test]
    fn another_lease_is_refused_with_the_fields_that_differ() {
        let mut recorded = registration().preview(None);
        recorded.lease.as_mut().unwrap().owner = Some("OTHER-LIR".into());
        let error = registration().plan(Some(&recorded)).unwrap_err();
        assert!(error.to_string().contains("lease_owner is OTHER-LIR"), "{error}");
    }
}
