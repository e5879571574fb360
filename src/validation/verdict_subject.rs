//! The text that says which block, origin and lease a verdict applies to. Pure.
//!
//! These texts are stored in the ledger and compared byte by byte: a different format would turn every current verdict into a
//! verdict about something else. Never change it.

use crate::model::{Check, Lease, Prefix};

/// Identifies a lease of a prefix by its owner and first day: with another owner or first day it is another lease.
pub(super) fn lease_identity(lease: &Lease) -> String {
    let start = lease.term.start.map(|day| day.to_string()).unwrap_or_default();
    format!("{} {start}", lease.owner.as_deref().unwrap_or_default())
}

/// The subject of a verdict on a prefix: the block, the origin (for ROA and IRR) and the lease. Verdicts are compared and
/// written to NetBox only if their subjects are equal.
pub(super) fn verdict_subject(check: Check, prefix: &Prefix) -> String {
    let lease = prefix.lease.as_deref();
    let origin = match check {
        Check::Roa | Check::Irr => lease.and_then(|lease| lease.origin).map(|asn| asn.to_string()),
        Check::Reputation => None,
    };
    let lease = lease.map(lease_identity).unwrap_or_default();
    format!("{} {} {lease}", prefix.network, origin.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Asn, PrefixId, Term, VrfScope};

    #[test]
    fn the_stored_bytes_stay_as_they_are() {
        let mut prefix = Prefix::bare(PrefixId(1), "203.0.113.0/24".parse().unwrap(), VrfScope::Global);
        assert_eq!(verdict_subject(Check::Roa, &prefix), "203.0.113.0/24  ");
        let mut lease =
            Lease { owner: Some("ACME-LIR".into()), origin: Asn::try_from(64500).ok(), ..Lease::default() };
        prefix.lease = Some(Box::new(lease.clone()));
        assert_eq!(verdict_subject(Check::Irr, &prefix), "203.0.113.0/24 AS64500 ACME-LIR ");
        lease.term = Term { start: Some("2026-06-01".parse().unwrap()), ..Term::default() };
        prefix.lease = Some(Box::new(lease));
        assert_eq!(verdict_subject(Check::Roa, &prefix), "203.0.113.0/24 AS64500 ACME-LIR 2026-06-01");
        assert_eq!(verdict_subject(Check::Reputation, &prefix), "203.0.113.0/24  ACME-LIR 2026-06-01");
    }
}
