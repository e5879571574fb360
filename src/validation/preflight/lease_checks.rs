//! The preflight's findings about the lease: its term and its letter of authorisation.

use jiff::civil::Date;

use super::finding::{FindingActor, FindingSeverity, PreflightAspect, PreflightFinding};
use super::review::AnnouncementReview;
use crate::model::TermPhase;

impl AnnouncementReview<'_> {
    /// Whether the lease is in force today and has enough days left.
    pub(super) fn term(&self, today: Date) -> PreflightFinding {
        let fault = |reason, message: String, advice: String| PreflightFinding {
            actor: FindingActor::Lessee,
            advice,
            ..self.finding(PreflightAspect::Term, self.fault(PreflightAspect::Term), reason, message)
        };
        let Some(lease) = self.lease else {
            return fault(
                "LEASE_MISSING",
                format!("no lease covers {}", self.block),
                self.advice_to_register(),
            );
        };
        let (holder, block, wanted) = (self.holder(), self.block, self.settings.min_days_left);
        let left = lease.term.days_left(today);
        match (lease.term.phase(today), left) {
            (TermPhase::Expired, _) => fault(
                "LEASE_EXPIRED",
                format!("the lease ended on {}", day(lease.term.expiry)),
                format!(
                    "Renew the lease with {holder} (leasehold lease renew {block} --expiry DATE), or do not announce the block."
                ),
            ),
            (TermPhase::Upcoming, _) => fault(
                "LEASE_NOT_YET_IN_FORCE",
                format!("the lease begins on {}", day(lease.term.start)),
                "Wait for the first day of the term.".to_owned(),
            ),
            (TermPhase::Unrecorded, _) | (_, None) => fault(
                "LEASE_WITHOUT_EXPIRY",
                "no last day of the lease is recorded".to_owned(),
                format!(
                    "Ask {holder} for the term and record it: leasehold lease renew {block} --expiry DATE."
                ),
            ),
            (TermPhase::InForce, Some(left)) if left < wanted => fault(
                "LEASE_ENDS_SOON",
                format!(
                    "the lease ends on {}: {left} days left, {wanted} are required",
                    day(lease.term.expiry)
                ),
                format!("Renew the lease with {holder} first (leasehold lease renew {block} --expiry DATE)."),
            ),
            (TermPhase::InForce, Some(left)) => self.finding(
                PreflightAspect::Term,
                FindingSeverity::Pass,
                "LEASE_IN_FORCE",
                format!("in force until {} ({left} days left)", day(lease.term.expiry)),
            ),
        }
    }

    /// Whether a letter of authorisation is recorded.
    pub(super) fn loa(&self) -> PreflightFinding {
        let aspect = PreflightAspect::Loa;
        match self.lease.and_then(|lease| lease.loa_reference.as_deref()) {
            Some(reference) => self.finding(aspect, FindingSeverity::Pass, "LOA_RECORDED", reference),
            None => PreflightFinding {
                actor: FindingActor::Holder,
                advice: format!(
                    "Ask {} for a letter of authorisation, and record its reference.",
                    self.holder()
                ),
                ..self.finding(
                    aspect,
                    self.fault(aspect),
                    "LOA_MISSING",
                    "no letter of authorisation is recorded",
                )
            },
        }
    }
}

fn day(date: Option<Date>) -> String {
    date.map_or_else(|| "a day that is not recorded".to_owned(), |date| date.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{lease, review, shown};
    use super::super::is_ready;
    use super::*;
    use crate::model::Lease;

    #[test]
    fn a_term_is_in_force_through_its_last_day_and_long_enough() {
        let lease = lease();
        let on = |day: &str, min_days_left: i32| {
            review(Some(&lease), true, |review| {
                let settings = super::super::PreflightSettings { min_days_left, ..review.settings.clone() };
                shown(&AnnouncementReview { settings: &settings, ..review }.term(day.parse().unwrap()))
            })
        };
        let (blocking, pass) = (FindingSeverity::Blocking, FindingSeverity::Pass);
        let (lessee, nobody) = (FindingActor::Lessee, FindingActor::Nobody);
        assert_eq!(on("2026-05-31", 7), (blocking, "LEASE_NOT_YET_IN_FORCE", lessee));
        assert_eq!(on("2026-06-01", 7), (pass, "LEASE_IN_FORCE", nobody));
        assert_eq!(on("2027-05-25", 7), (pass, "LEASE_IN_FORCE", nobody));
        assert_eq!(on("2027-05-26", 7), (blocking, "LEASE_ENDS_SOON", lessee));
        assert_eq!(on("2027-06-01", 0), (pass, "LEASE_IN_FORCE", nobody));
        assert_eq!(on("2027-06-02", 0), (blocking, "LEASE_EXPIRED", lessee));
        let none = review(None, true, |review| shown(&review.term("2026-06-01".parse().unwrap())));
        assert_eq!(none, (blocking, "LEASE_MISSING", lessee));
    }

    #[test]
    fn a_missing_letter_of_authorisation_blocks_only_if_it_is_required() {
        let lease = lease();
        assert!(is_ready(&review(Some(&lease), true, |review| vec![review.loa()])));
        let without = Lease { loa_reference: None, ..lease };
        assert!(!is_ready(&review(Some(&without), true, |review| vec![review.loa()])));
        assert!(is_ready(&review(Some(&without), false, |review| vec![review.loa()])));
    }
}
