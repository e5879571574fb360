//! The term of a lease: calendar arithmetic. The current date is passed in.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// The dates of a lease, in the server's configured time zone. The lease is in force from `start` to `expiry`, both inclusive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Term {
    pub start: Option<Date>,
    pub expiry: Option<Date>,
    /// The last day on which the lease can be renewed or notice can be given.
    pub notice: Option<Date>,
}

/// The phase of a term on a given day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TermPhase {
    /// No expiry is recorded, so the other phases cannot be told apart.
    Unrecorded,
    /// The start is in the future.
    Upcoming,
    InForce,
    Expired,
}

/// The reason why three dates do not make a term.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TermError {
    #[error("the last day {expiry} comes before the first day {start}")]
    EndsBeforeItStarts { start: Date, expiry: Date },
    #[error("the notice date {notice} comes after the last day {expiry}")]
    NoticeAfterExpiry { notice: Date, expiry: Date },
}

impl Term {
    /// Checks that the dates are in order. Call it for a term that is about to be written; a term that was read from NetBox may
    /// be out of order and is used as it is.
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

    /// The phase of the term on the given day. On the day of the expiry the lease is still in force.
    pub fn phase(self, today: Date) -> TermPhase {
        match (self.start, self.expiry) {
            (_, None) => TermPhase::Unrecorded,
            (_, Some(expiry)) if today > expiry => TermPhase::Expired,
            (Some(start), Some(_)) if today < start => TermPhase::Upcoming,
            _ => TermPhase::InForce,
        }
    }

    /// The number of days from the given day to the expiry: 0 on the last day, negative afterwards; `None` without an expiry.
    pub fn days_left(self, today: Date) -> Option<i32> {
        self.expiry.map(|expiry| days_between(today, expiry))
    }
}

/// The number of days from one date to another. Dates carry no time zone, so daylight saving time has no effect.
fn days_between(from: Date, to: Date) -> i32 {
    // All dates of jiff span about 7.3 million days, so the result fits into i32.
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
        assert_eq!(term.phase(date(2027, 6, 1)), TermPhase::InForce);
        assert_eq!(term.days_left(date(2027, 6, 1)), Some(0));
        assert_eq!(term.phase(date(2027, 6, 2)), TermPhase::Expired);
        assert_eq!(term.days_left(date(2027, 6, 2)), Some(-1));
        assert_eq!(term.phase(date(2026, 5, 31)), TermPhase::Upcoming);
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
            prop_assert_eq!(term.phase(today) == TermPhase::Expired, left < 0);
        }
    }
}
