//! Which threshold of a lease is due. Pure.

use std::collections::BTreeMap;

use jiff::civil::Date;

use crate::model::{Lease, Term, TermDate, Threshold};

/// The numbers of days before a date on which an event is published; ascending, without duplicates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thresholds(Vec<i32>);

/// Thresholds that are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ThresholdsError {
    #[error("{0} is negative; that the date has passed is always published and needs no threshold")]
    Negative(i32),
    #[error("{0} days are more than ten years (3650)")]
    TooFar(i32),
}

impl Thresholds {
    /// Thresholds from days, given in any order. Each must lie between 0, the day itself, and 3650.
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

    /// The tightest threshold that is reached with this number of days left. Once the date has passed it is
    /// [`Threshold::PASSED`], which is never configured.
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

/// The thresholds of one owner, where they differ from those of everybody else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnerSchedule {
    pub expiry: Option<Thresholds>,
    pub notice: Option<Thresholds>,
}

/// On which days before the dates of a lease events are published.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    /// Before the last day of the lease.
    pub expiry: Thresholds,
    /// Before the notice date: the last day to renew or to give notice.
    pub notice: Thresholds,
    /// Owners with other thresholds, by the text of lease_owner.
    pub owners: BTreeMap<String, OwnerSchedule>,
}

impl Schedule {
    /// The thresholds of an owner for one of a lease's dates, in days, ascending.
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

    /// The events that are due for a lease on a day, at most one for each of its dates: which date it is, the day, the threshold
    /// and the days left. `published` answers the tightest threshold that was published for a date of this lease before.
    pub fn due(
        &self,
        lease: &Lease,
        today: Date,
        published: impl Fn(TermDate, Date) -> Option<Threshold>,
    ) -> Vec<(TermDate, Date, Threshold, i32)> {
        let mut due = Vec::new();
        for (which, date) in [(TermDate::Notice, lease.term.notice), (TermDate::Expiry, lease.term.expiry)] {
            let Some(date) = date else { continue };
            let term = Term { expiry: Some(date), ..Term::default() };
            let Some(left) = term.days_left(today) else { continue };
            let Some(reached) = self.of(lease.owner.as_deref(), which).reached(left) else { continue };
            if published(which, date).is_none_or(|before| reached < before) {
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
    fn a_threshold_is_not_negative_and_at_most_ten_years() {
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
        /// On days in any order, each threshold is published at most once, after looser ones only, and never before its day.
        #[test]
        fn whatever_the_clock_does_each_threshold_is_published_once_and_after_looser_ones(
            days in prop::collection::vec(-900i32..200, 1..400),
        ) {
            let schedule = Schedule::default();
            let expiry = date(2027, 6, 1);
            let mut published: Option<Threshold> = None;
            for offset in days {
                let today = expiry + offset.days();
                for (_, _, threshold, left) in schedule.due(&lease(expiry), today, |_, _| published) {
                    prop_assert_eq!(left, -offset);
                    prop_assert!(published.is_none_or(|before| threshold < before));
                    prop_assert!(threshold.is_passed() == (left < 0));
                    prop_assert!(threshold.is_passed() || left <= threshold.0);
                    published = Some(threshold);
                }
                // A threshold that is reached is published, or a tighter one is.
                if let Some(reached) = schedule.expiry.reached(-offset) {
                    prop_assert!(published.is_some_and(|published| published <= reached));
                }
            }
        }

        #[test]
        fn checks_on_consecutive_days_publish_every_threshold_on_its_day(start in 61i32..800) {
            let schedule = Schedule::default();
            let expiry = date(2027, 6, 1);
            let (mut published, mut seen) = (None, Vec::new());
            for left in (-30..=start).rev() {
                let today = expiry - left.days();
                for (_, _, threshold, left) in schedule.due(&lease(expiry), today, |_, _| published) {
                    published = Some(threshold);
                    seen.push((threshold.0, left));
                }
            }
            prop_assert_eq!(seen, [(60, 60), (30, 30), (14, 14), (7, 7), (1, 1), (0, 0), (-1, -1)]);
        }
    }
}
