//! RenewLease: what to write, given the recorded lease. Pure.

use jiff::civil::Date;

use super::error::Error;
use crate::model::{Lease, Term};
use crate::netbox::FieldChange;

/// Move the last day of a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenewLease {
    /// The new last day.
    pub expiry: Date,
    /// The new last day to give notice.
    pub notice: Option<Date>,
    /// Reference of the new Letter of Authorisation; `None` keeps the recorded one.
    pub loa_reference: Option<String>,
    /// Whether the new last day may be before the recorded one.
    pub allow_earlier: bool,
}

impl RenewLease {
    /// The lease after the renewal. A recorded notice date belongs to the old term: it is dropped if the last day moves and no
    /// new one is given.
    pub fn apply(&self, lease: &Lease) -> Result<Lease, Error> {
        if let Some(recorded) = lease.term.expiry
            && self.expiry < recorded
            && !self.allow_earlier
        {
            return Err(Error::EarlierExpiry { recorded, requested: self.expiry });
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

    /// The fields to write to get from one lease to the other.
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

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn lease(notice: Option<Date>) -> Lease {
        let term = Term { start: Some(date(2026, 6, 1)), expiry: Some(date(2027, 6, 1)), notice };
        Lease { owner: Some("ACME-LIR".into()), term, ..Lease::default() }
    }

    fn renewal(expiry: Date) -> RenewLease {
        RenewLease { expiry, notice: None, loa_reference: None, allow_earlier: false }
    }

    #[test]
    fn a_renewal_shortens_a_lease_only_if_it_says_so() {
        let earlier = renewal(date(2027, 1, 1));
        assert!(matches!(earlier.apply(&lease(None)), Err(Error::EarlierExpiry { .. })));
        let allowed = RenewLease { allow_earlier: true, ..earlier };
        assert_eq!(allowed.apply(&lease(None)).unwrap().term.expiry, Some(date(2027, 1, 1)));
    }

    #[test]
    fn a_notice_date_is_dropped_with_its_term_and_kept_if_nothing_moves() {
        let lease = lease(Some(date(2027, 5, 1)));
        let same = renewal(date(2027, 6, 1));
        assert_eq!(RenewLease::changes(&lease, &same.apply(&lease).unwrap()), []);
        let after = renewal(date(2028, 6, 1)).apply(&lease).unwrap();
        assert_eq!(after.term.notice, None);
        assert_eq!(RenewLease::changes(&lease, &after).len(), 2);
    }
}
