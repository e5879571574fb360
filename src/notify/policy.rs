//! When to try again, and when to give up. Pure.

use std::time::Duration;

use jiff::Timestamp;

use super::sink::Failure;
use crate::ledger::Outcome;

/// A delivery that could not be made for so long is dead.
pub const GIVE_UP_AFTER: Duration = Duration::from_hours(72);
/// The first wait, and the longest.
const FIRST: Duration = Duration::from_secs(15);
const LONGEST: Duration = Duration::from_mins(30);

/// How long to wait after so many failed tries.
pub fn wait(attempts: u32) -> Duration {
    FIRST.saturating_mul(2u32.saturating_pow(attempts.saturating_sub(1).min(16))).min(LONGEST)
}

/// What becomes of a delivery that failed.
pub fn after(failure: &Failure, attempts: u32, created: Timestamp, now: Timestamp) -> Outcome {
    match failure {
        Failure::Never { why } => Outcome::Dead(why.clone()),
        Failure::Later { why, after } => {
            if now.duration_since(created)
                >= jiff::SignedDuration::try_from(GIVE_UP_AFTER).unwrap_or_default()
            {
                return Outcome::Dead(format!("given up after {attempts} tries: {why}"));
            }
            // Asked for more patience, it is given; asked for less, it is not.
            let wait = after.unwrap_or_default().clamp(wait(attempts), GIVE_UP_AFTER);
            Outcome::Later(now.checked_add(wait).unwrap_or(Timestamp::MAX), why.clone())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn later(after: Option<u64>) -> Failure {
        Failure::Later { why: "503".into(), after: after.map(Duration::from_secs) }
    }

    #[test]
    fn waits_grow_and_end() {
        let waits: Vec<u64> = (1..=9).map(|attempts| wait(attempts).as_secs()).collect();
        assert_eq!(waits, [15, 30, 60, 120, 240, 480, 960, 1800, 1800]);
        assert_eq!(wait(u32::MAX), LONGEST);
    }

    #[test]
    fn a_receiver_may_ask_for_patience_and_not_for_haste() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let due = |after| match super::after(&later(after), 1, now, now) {
            Outcome::Later(due, _) => due.as_second() - now.as_second(),
            other => panic!("{other:?}"),
        };
        assert_eq!((due(None), due(Some(1)), due(Some(600))), (15, 15, 600));
    }

    #[test]
    fn what_cannot_be_made_for_days_is_dead_and_what_never_can_is_dead_at_once() {
        let created = Timestamp::from_second(1_800_000_000).unwrap();
        let days = |days: i64| created + jiff::SignedDuration::from_hours(24 * days);
        assert!(matches!(after(&later(None), 5, created, days(2)), Outcome::Later(..)));
        assert!(matches!(after(&later(None), 90, created, days(3)), Outcome::Dead(_)));
        let never = Failure::Never { why: "410".into() };
        assert_eq!(after(&never, 1, created, created), Outcome::Dead("410".into()));
    }
}
