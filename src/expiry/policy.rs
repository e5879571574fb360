//! Which threshold is due. Pure.

use std::collections::BTreeMap;

use jiff::civil::Date;

use crate::model::{Lease, Term, TermDate, Threshold};

/// Days before a date at which it is told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thresholds(Vec<i32>);

/// Thresholds that make no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ThresholdsError {
    /// Days before a date are not negative.
    #[error("{0} days before a date is after it; that it has passed is always told")]
    Negative(i32),
    /// Longer than anybody leases.
    #[error("{0} days is more than ten years")]
    TooFar(i32),
}

impl Thresholds {
    /// Of days, in any order.
    pub fn new(mut days: Vec<i32>) -> Result<Self, ThresholdsError> {
        for day in &days {
            match day {
                i32::MIN..=-1 => return Err(ThresholdsError::Negative(*day)),
                3651.. => return Err(ThresholdsError::TooFar(*day)),
                0..=3650 => {}
            }
        }
        days.sort_unstable();
        days.dedup();
        Ok(Self(days))
    }

    /// The tightest one that has been reached with so many days left; that the date has passed is always one.
    pub fn reached(&self, days_left: i32) -> Option<Threshold> {
        if days_left < 0 {
            return Some(Threshold::PASSED);
        }
        self.0.iter().copied().find(|days| days_left <= *days).map(Threshold)
    }
}

impl Default for Thresholds {
    fn default() -> Self {
        Self(vec![0, 1, 7, 14, 30, 60])
    }
}

/// Thresholds of one owner, where they differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnerSchedule {
    /// Before the expiry.
    pub expiry: Option<Thresholds>,
    /// Before the notice date.
    pub notice: Option<Thresholds>,
}

/// When leases are told of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    /// Before the expiry.
    pub expiry: Thresholds,
    /// Before the notice date.
    pub notice: Thresholds,
    /// Owners for whom it differs.
    pub owners: BTreeMap<String, OwnerSchedule>,
}

impl Schedule {
    /// Days before a date of a lease on which it is told of, ascending; that it has passed is always told.
    pub fn days(&self, owner: Option<&str>, which: TermDate) -> &[i32] {
        &self.of(owner, which).0
    }

    fn of(&self, owner: Option<&str>, which: TermDate) -> &Thresholds {
        let own = owner.and_then(|owner| self.owners.get(owner));
        match which {
            TermDate::Expiry => own.and_then(|own| own.expiry.as_ref()).unwrap_or(&self.expiry),
            TermDate::Notice => own.and_then(|own| own.notice.as_ref()).unwrap_or(&self.notice),
        }
    }

    /// What is due for a lease on a day: which date, the threshold, the days left. `told` is the tightest threshold told of
    /// for a date of this lease before.
    pub fn due(
        &self,
        lease: &Lease,
        today: Date,
        told: impl Fn(TermDate, Date) -> Option<Threshold>,
    ) -> Vec<(TermDate, Date, Threshold, i32)> {
        let mut due = Vec::new();
        for (which, date) in [(TermDate::Notice, lease.term.notice), (TermDate::Expiry, lease.term.expiry)] {
            let Some(date) = date else { continue };
            let term = Term { expiry: Some(date), ..Term::default() };
            let Some(left) = term.days_left(today) else { continue };
            let Some(reached) = self.of(lease.owner.as_deref(), which).reached(left) else { continue };
            if told(which, date).is_none_or(|told| reached < told) {
                due.push((which, date, reached, left));
            }
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::ToSpan as _;
    use jiff::civil::date;
    use proptest::prelude::*;

    fn lease(expiry: Date) -> Lease {
        let term = Term { expiry: Some(expiry), ..Term::default() };
        Lease { owner: Some("ACME-LIR".into()), term, ..Lease::default() }
    }

    #[test]
    fn days_after_a_date_are_no_threshold() {
        assert_eq!(Thresholds::new(vec![30, -1]), Err(ThresholdsError::Negative(-1)));
        assert_eq!(Thresholds::new(vec![10_000]), Err(ThresholdsError::TooFar(10_000)));
        assert_eq!(Thresholds::new(vec![7, 30, 7]).unwrap(), Thresholds(vec![7, 30]));
    }

    #[test]
    fn an_owner_may_have_thresholds_of_its_own() {
        let mut schedule = Schedule::default();
        let own = OwnerSchedule { expiry: Some(Thresholds::new(vec![90]).unwrap()), notice: None };
        schedule.owners.insert("ACME-LIR".into(), own);
        let due = schedule.due(&lease(date(2027, 3, 1)), date(2026, 12, 1), |_, _| None);
        assert_eq!(due, [(TermDate::Expiry, date(2027, 3, 1), Threshold(90), 90)]);
        let other = Lease { owner: None, ..lease(date(2027, 3, 1)) };
        assert!(schedule.due(&other, date(2026, 12, 1), |_, _| None).is_empty());
    }

    proptest! {
        /// Years of days in any order: each threshold is told once at most, ever tighter, and never before its day.
        #[test]
        fn whatever_the_clock_does_each_threshold_is_told_once_and_ever_tighter(
            days in prop::collection::vec(-900i32..200, 1..400),
        ) {
            let schedule = Schedule::default();
            let expiry = date(2027, 6, 1);
            let mut told: Option<Threshold> = None;
            for offset in days {
                let today = expiry + offset.days();
                for (_, _, threshold, left) in schedule.due(&lease(expiry), today, |_, _| told) {
                    prop_assert_eq!(left, -offset);
                    prop_assert!(told.is_none_or(|before| threshold < before));
                    prop_assert!(threshold.is_passed() == (left < 0));
                    prop_assert!(threshold.is_passed() || left <= threshold.0);
                    told = Some(threshold);
                }
                // What is reached is never left untold.
                if let Some(reached) = schedule.expiry.reached(-offset) {
                    prop_assert!(told.is_some_and(|told| told <= reached));
                }
            }
        }

        #[test]
        fn every_day_in_turn_tells_every_threshold_on_its_day(start in 61i32..800) {
            let schedule = Schedule::default();
            let expiry = date(2027, 6, 1);
            let (mut told, mut seen) = (None, Vec::new());
            for left in (-30..=start).rev() {
                let today = expiry - left.days();
                for (_, _, threshold, left) in schedule.due(&lease(expiry), today, |_, _| told) {
                    told = Some(threshold);
                    seen.push((threshold.0, left));
                }
            }
            prop_assert_eq!(seen, [(60, 60), (30, 30), (14, 14), (7, 7), (1, 1), (0, 0), (-1, -1)]);
        }
    }
}
