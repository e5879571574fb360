//! The term of a lease: calendar arithmetic, with the date passed in.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// From when to when a lease runs, both days inclusive, in the server's configured time zone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Term {
    /// First day.
    pub start: Option<Date>,
    /// Last day.
    pub expiry: Option<Date>,
    /// Last day to renew or to give notice.
    pub notice: Option<Date>,
}

/// Where a day stands in a term.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// No expiry is recorded: nothing can be said.
    Unrecorded,
    /// The first day lies ahead.
    Upcoming,
    /// In force.
    InForce,
    /// The last day has passed.
    Expired,
}

/// Why three dates make no term.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TermError {
    /// The last day comes before the first.
    #[error("the last day {expiry} comes before the first day {start}")]
    EndsBeforeItStarts {
        /// First day.
        start: Date,
        /// Last day.
        expiry: Date,
    },
    /// Notice after the end is no notice.
    #[error("the notice date {notice} comes after the last day {expiry}")]
    NoticeAfterExpiry {
        /// Last day to give notice.
        notice: Date,
        /// Last day of the term.
        expiry: Date,
    },
}

impl Term {
    /// Whether the dates fit together. Records in NetBox may not: this is for what is about to be written.
    pub fn check(self) -> Result<Self, TermError> {
        if let (Some(start), Some(expiry)) = (self.start, self.expiry)
            && expiry < start
        {
            return Err(TermError::EndsBeforeItStarts { start, expiry });
        }
        if let (Some(notice), Some(expiry)) = (self.notice, self.expiry)
            && notice > expiry
        {
            return Err(TermError::NoticeAfterExpiry { notice, expiry });
        }
        Ok(self)
    }

    /// Where the day stands in the term. The expiry itself is still in force.
    pub fn phase(self, today: Date) -> Phase {
        match (self.start, self.expiry) {
            (_, None) => Phase::Unrecorded,
            (_, Some(expiry)) if today > expiry => Phase::Expired,
            (Some(start), Some(_)) if today < start => Phase::Upcoming,
            _ => Phase::InForce,
        }
    }

    /// Days from the day to the expiry: 0 on the last day, negative afterwards.
    pub fn days_left(self, today: Date) -> Option<i32> {
        self.expiry.map(|expiry| days_between(today, expiry))
    }
}

/// Whole days from one date to another. Dates of the proleptic Gregorian calendar, no time zone: daylight saving has no
/// say in it.
fn days_between(from: Date, to: Date) -> i32 {
    // jiff's dates span about 7.3 million days, so neither step can leave i32.
    from.duration_until(to).as_hours().div_euclid(24).try_into().unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::ToSpan as _;
    use jiff::civil::date;
    use proptest::prelude::*;

    fn term(start: Date, expiry: Date) -> Term {
        Term { start: Some(start), expiry: Some(expiry), notice: None }
    }

    #[test]
    fn the_last_day_is_in_force_and_the_next_is_not() {
        let term = term(date(2026, 6, 1), date(2027, 6, 1));
        assert_eq!(term.phase(date(2027, 6, 1)), Phase::InForce);
        assert_eq!(term.days_left(date(2027, 6, 1)), Some(0));
        assert_eq!(term.phase(date(2027, 6, 2)), Phase::Expired);
        assert_eq!(term.days_left(date(2027, 6, 2)), Some(-1));
        assert_eq!(term.phase(date(2026, 5, 31)), Phase::Upcoming);
    }

    #[test]
    fn a_leap_day_counts() {
        let term = term(date(2027, 3, 1), date(2028, 3, 1));
        assert_eq!(term.days_left(date(2028, 2, 28)), Some(2));
    }

    #[test]
    fn a_term_that_ends_before_it_starts_is_refused() {
        let backwards = term(date(2027, 6, 1), date(2026, 6, 1));
        assert!(matches!(backwards.check(), Err(TermError::EndsBeforeItStarts { .. })));
        let late = Term { notice: Some(date(2027, 6, 2)), ..term(date(2026, 6, 1), date(2027, 6, 1)) };
        assert!(matches!(late.check(), Err(TermError::NoticeAfterExpiry { .. })));
    }

    proptest! {
        #[test]
        fn days_left_and_phase_agree(today in -20_000i32..40_000, expiry in -20_000i32..40_000) {
            let epoch = date(1990, 1, 1);
            let (today, end) = (epoch + today.days(), epoch + expiry.days());
            let term = Term { start: None, expiry: Some(end), notice: None };
            let left = term.days_left(today).unwrap();
            prop_assert_eq!(today + left.days(), end);
            prop_assert_eq!(term.phase(today) == Phase::Expired, left < 0);
        }
    }
}
