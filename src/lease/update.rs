//! UpdateLease: what to write, given the recorded lease. Pure.

use jiff::civil::Date;

use super::error::Error;
use crate::model::{Asn, Lease, NamedRef, Prefix, TenantKey, Term};
use crate::netbox::{FieldChange, PrefixDraft, ValueChange};

/// Change agreed values of a lease. The last day is not among them: a renewal moves it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpdateLease {
    /// The new owner; `None` leaves the recorded one, since a lease is never left without an owner.
    pub owner: Option<String>,
    pub start: ValueChange<Date>,
    pub notice: ValueChange<Date>,
    pub loa_reference: ValueChange<String>,
    pub origin: ValueChange<Asn>,
    /// The new description of the prefix, empty for none; `None` leaves the recorded one.
    pub description: Option<String>,
    /// A tenant that exists in NetBox.
    pub tenant: ValueChange<TenantKey>,
}

impl UpdateLease {
    /// What to write so that the record has the new values; the empty draft if it has them already. Fails if a date that is set
    /// does not fit the recorded last day. Dates that were out of order before do not hinder any other change.
    pub fn draft(&self, prefix: &Prefix, lease: &Lease) -> Result<PrefixDraft, Error> {
        let set = |change: &ValueChange<Date>| change.clone().apply(None);
        let dates = Term { start: set(&self.start), expiry: lease.term.expiry, notice: set(&self.notice) };
        dates.check().map_err(Error::UpdatedTerm)?;
        let tenant = match &self.tenant {
            ValueChange::Set(key) if prefix.tenant.as_ref().is_some_and(|held| key.names(held)) => {
                ValueChange::Leave
            }
            ValueChange::Clear if prefix.tenant.is_none() => ValueChange::Leave,
            change => change.clone(),
        };
        Ok(PrefixDraft {
            description: self.description.clone().filter(|text| *text != prefix.description),
            tenant,
            fields: Self::fields(lease, &self.apply(lease)),
            ..PrefixDraft::default()
        })
    }

    /// The lease after the change. A verdict on a route counts for the origin that it was made for only, so a new origin drops
    /// those verdicts; the next check makes new ones.
    fn apply(&self, lease: &Lease) -> Lease {
        let origin = self.origin.clone().apply(lease.origin);
        let changed = Lease {
            owner: self.owner.clone().or_else(|| lease.owner.clone()),
            term: Term {
                start: self.start.clone().apply(lease.term.start),
                expiry: lease.term.expiry,
                notice: self.notice.clone().apply(lease.term.notice),
            },
            loa_reference: self.loa_reference.clone().apply(lease.loa_reference.clone()),
            origin,
            ..lease.clone()
        };
        if origin == lease.origin {
            return changed;
        }
        Lease { roa_status: None, roa_checked: None, irr_registered: None, ..changed }
    }

    /// The fields to write to get from one lease to the other.
    fn fields(before: &Lease, after: &Lease) -> Vec<FieldChange> {
        let mut fields = Vec::new();
        let mut add = |changed: bool, change: FieldChange| {
            if changed {
                fields.push(change);
            }
        };
        add(before.owner != after.owner, FieldChange::LeaseOwner(after.owner.clone()));
        add(before.term.start != after.term.start, FieldChange::LeaseStart(after.term.start));
        add(before.term.notice != after.term.notice, FieldChange::LeaseNoticeDate(after.term.notice));
        let loa = after.loa_reference.clone();
        add(before.loa_reference != after.loa_reference, FieldChange::LoaReference(loa));
        add(before.origin != after.origin, FieldChange::OriginAsn(after.origin));
        add(before.roa_status != after.roa_status, FieldChange::RoaStatus(after.roa_status));
        add(before.roa_checked != after.roa_checked, FieldChange::RoaChecked(after.roa_checked));
        let registered = after.irr_registered;
        add(before.irr_registered != registered, FieldChange::IrrRegistered(registered));
        fields
    }

    /// The record as it would be, for a call that only validates. Of a new tenant it has only the part that names it.
    pub fn preview(&self, prefix: &Prefix, lease: &Lease) -> Prefix {
        let tenant = match &self.tenant {
            ValueChange::Set(key) if prefix.tenant.as_ref().is_none_or(|held| !key.names(held)) => {
                Some(unread_tenant(key))
            }
            ValueChange::Clear => None,
            ValueChange::Set(_) | ValueChange::Leave => prefix.tenant.clone(),
        };
        Prefix {
            tenant,
            description: self.description.clone().unwrap_or_else(|| prefix.description.clone()),
            lease: Some(Box::new(self.apply(lease))),
            ..prefix.clone()
        }
    }
}

/// A tenant of which only the part is known that names it.
fn unread_tenant(key: &TenantKey) -> NamedRef {
    let nothing = NamedRef { id: 0, name: "".into(), slug: "".into() };
    match key {
        TenantKey::Id(id) => NamedRef { id: *id, ..nothing },
        TenantKey::Slug(slug) => NamedRef { slug: slug.as_str().into(), ..nothing },
        TenantKey::Name(name) => NamedRef { name: name.as_str().into(), ..nothing },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{PrefixId, Reputation, RoaStatus, TermError, VrfScope};
    use jiff::civil::date;
    use proptest::prelude::*;

    fn leased() -> Prefix {
        let lease = Lease {
            owner: Some("ACME-LIR".to_owned()),
            term: Term { start: Some(date(2026, 6, 1)), expiry: Some(date(2027, 6, 1)), notice: None },
            loa_reference: Some("LOA-2026-0481".to_owned()),
            origin: Asn::try_from(64500).ok(),
            roa_status: Some(RoaStatus::Valid),
            roa_checked: Some(jiff::Timestamp::UNIX_EPOCH),
            irr_registered: Some(true),
            reputation: Some(Reputation::Clean),
            reputation_checked: Some(jiff::Timestamp::UNIX_EPOCH),
        };
        Prefix {
            lease: Some(Box::new(lease)),
            tenant: Some(NamedRef { id: 5, name: "Acme".into(), slug: "acme".into() }),
            description: "web tier".to_owned(),
            ..Prefix::bare(PrefixId(1), "203.0.113.0/24".parse().unwrap(), VrfScope::Global)
        }
    }

    fn draft(command: &UpdateLease, prefix: &Prefix) -> Result<PrefixDraft, Error> {
        command.draft(prefix, prefix.lease.as_deref().unwrap())
    }

    #[test]
    fn another_origin_drops_the_verdicts_on_the_old_route_and_no_other() {
        let prefix = leased();
        for origin in [ValueChange::Set(Asn::try_from(64501).unwrap()), ValueChange::Clear] {
            let command = UpdateLease { origin: origin.clone(), ..UpdateLease::default() };
            let expected = [
                FieldChange::OriginAsn(origin.apply(None)),
                FieldChange::RoaStatus(None),
                FieldChange::RoaChecked(None),
                FieldChange::IrrRegistered(None),
            ];
            assert_eq!(draft(&command, &prefix).unwrap().fields, expected);
            let after = command.preview(&prefix, prefix.lease.as_deref().unwrap()).lease.unwrap();
            assert_eq!((after.roa_status, after.reputation), (None, Some(Reputation::Clean)));
        }
        let same =
            UpdateLease { origin: ValueChange::Set(Asn::try_from(64500).unwrap()), ..UpdateLease::default() };
        assert_eq!(draft(&same, &prefix).unwrap(), PrefixDraft::default());
    }

    #[test]
    fn a_date_that_is_set_fits_the_recorded_term() {
        let prefix = leased();
        let late = ValueChange::Set(date(2027, 6, 2));
        let start = UpdateLease { start: late.clone(), ..UpdateLease::default() };
        let error = draft(&start, &prefix).unwrap_err();
        assert!(matches!(error, Error::UpdatedTerm(TermError::EndsBeforeItStarts { .. })), "{error}");
        let notice = UpdateLease { notice: late, ..UpdateLease::default() };
        let error = draft(&notice, &prefix).unwrap_err();
        assert!(matches!(error, Error::UpdatedTerm(TermError::NoticeAfterExpiry { .. })), "{error}");
    }

    #[test]
    fn dates_that_were_out_of_order_before_do_not_hinder_another_change() {
        let mut prefix = leased();
        prefix.lease.as_mut().unwrap().term.start = Some(date(2028, 1, 1));
        let command = UpdateLease { notice: ValueChange::Set(date(2027, 5, 1)), ..UpdateLease::default() };
        assert_eq!(
            draft(&command, &prefix).unwrap().fields,
            [FieldChange::LeaseNoticeDate(Some(date(2027, 5, 1)))]
        );
    }

    #[test]
    fn a_tenant_is_left_set_or_cleared() {
        let prefix = leased();
        let tenant =
            |tenant| draft(&UpdateLease { tenant, ..UpdateLease::default() }, &prefix).unwrap().tenant;
        assert_eq!(tenant(ValueChange::Clear), ValueChange::Clear);
        assert_eq!(tenant(ValueChange::Set(TenantKey::Id(5))), ValueChange::Leave);
        assert_eq!(tenant(ValueChange::Set(TenantKey::Name("Acme".into()))), ValueChange::Leave);
        let other = ValueChange::Set(TenantKey::Slug("other".into()));
        assert_eq!(tenant(other.clone()), other);
        let without = Prefix { tenant: None, ..leased() };
        let clear = UpdateLease { tenant: ValueChange::Clear, ..UpdateLease::default() };
        assert_eq!(draft(&clear, &without).unwrap(), PrefixDraft::default());
    }

    fn change<T: Clone + std::fmt::Debug + 'static>(values: Vec<T>) -> impl Strategy<Value = ValueChange<T>> {
        prop_oneof![
            Just(ValueChange::Leave),
            Just(ValueChange::Clear),
            prop::sample::select(values).prop_map(ValueChange::Set),
        ]
    }

    proptest! {
        #[test]
        fn the_same_update_again_writes_nothing(
            owner in prop::option::of(prop::sample::select(vec!["ACME-LIR", "OTHER-LIR"])),
            start in change(vec![date(2026, 6, 1), date(2026, 7, 1)]),
            notice in change(vec![date(2027, 5, 1)]),
            loa in change(vec!["LOA-2026-0481", "LOA-2"]),
            origin in change(vec![64500u32, 64501]),
            description in prop::option::of(prop::sample::select(vec!["", "mail"])),
            tenant in change(vec![TenantKey::Slug("acme".into())]),
        ) {
            let text = |change: ValueChange<&str>| match change {
                ValueChange::Leave => ValueChange::Leave,
                ValueChange::Set(text) => ValueChange::Set(text.to_owned()),
                ValueChange::Clear => ValueChange::Clear,
            };
            let origin = match origin {
                ValueChange::Leave => ValueChange::Leave,
                ValueChange::Set(number) => ValueChange::Set(Asn::try_from(number).unwrap()),
                ValueChange::Clear => ValueChange::Clear,
            };
            let command = UpdateLease {
                owner: owner.map(str::to_owned), start, notice, loa_reference: text(loa), origin,
                description: description.map(str::to_owned), tenant,
            };
            let before = leased();
            draft(&command, &before).unwrap();
            let after = command.preview(&before, before.lease.as_deref().unwrap());
            prop_assert_eq!(draft(&command, &after).unwrap(), PrefixDraft::default());
        }
    }
}
