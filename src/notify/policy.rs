//! When a failed delivery is tried again, and when it is given up. Pure.

use std::time::Duration;

use jiff::Timestamp;

use super::sink::DeliveryFailure;
use crate::ledger::{DeliveryOutcome, FailedAttempt};

/// A delivery that has failed for this long since it was created is dead.
pub const GIVE_UP_AFTER: Duration = Duration::from_hours(72);
const FIRST_WAIT: Duration = Duration::from_secs(15);
const LONGEST_WAIT: Duration = Duration::from_mins(30);

/// How long to wait after this many failed attempts: 15 s, then twice as long each time, 30 min at most.
pub(super) fn backoff(attempts: u32) -> Duration {
    FIRST_WAIT.saturating_mul(2u32.saturating_pow(attempts.saturating_sub(1).min(16))).min(LONGEST_WAIT)
}

/// What becomes of a delivery after a failed attempt. `attempts` counts this one too.
pub(super) fn outcome(
    failure: &DeliveryFailure,
    attempts: u32,
    created: Timestamp,
    now: Timestamp,
) -> DeliveryOutcome {
    let failed = |refused, message| FailedAttempt { refused, message, at: Some(now) };
    match failure {
        DeliveryFailure::Permanent { reason } => DeliveryOutcome::Dead(failed(true, reason.clone())),
        DeliveryFailure::Transient { reason, retry_after } => {
            if now.duration_since(created)
                >= jiff::SignedDuration::try_from(GIVE_UP_AFTER).unwrap_or_default()
            {
                let message = format!("given up after {attempts} attempts: {reason}");
                return DeliveryOutcome::Dead(failed(false, message));
            }
            // A receiver may ask for a longer wait than ours, not for a shorter one.
            let wait = retry_after.unwrap_or_default().clamp(backoff(attempts), GIVE_UP_AFTER);
            DeliveryOutcome::Later(
                now.checked_add(wait).unwrap_or(Timestamp::MAX),
                failed(false, reason.clone()),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transient(retry_after: Option<u64>) -> DeliveryFailure {
        DeliveryFailure::Transient { reason: "503".into(), retry_after: retry_after.map(Duration::from_secs) }
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        let waits: Vec<u64> = (1..=9).map(|attempts| backoff(attempts).as_secs()).collect();
        assert_eq!(waits, [15, 30, 60, 120, 240, 480, 960, 1800, 1800]);
        assert_eq!(backoff(u32::MAX), LONGEST_WAIT);
    }

    #[test]
    fn a_receiver_may_ask_for_a_longer_wait_and_not_for_a_shorter_one() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let wait = |retry_after| match outcome(&transient(retry_after), 1, now, now) {
            DeliveryOutcome::Later(due, _) => due.as_second() - now.as_second(),
            other => panic!("{other:?}"),
        };
        assert_eq!((wait(None), wait(Some(1)), wait(Some(600))), (15, 15, 600));
    }

    #[test]
    fn a_delivery_dies_after_three_days_or_at_once_if_it_is_refused() {
        let created = Timestamp::from_second(1_800_000_000).unwrap();
        let days = |days: i64| created + jiff::SignedDuration::from_hours(24 * days);
        assert!(matches!(outcome(&transient(None), 5, created, days(2)), DeliveryOutcome::Later(..)));
        assert!(matches!(outcome(&transient(None), 90, created, days(3)), DeliveryOutcome::Dead(_)));
        let refused = DeliveryFailure::permanent("410");
        let failed = FailedAttempt { refused: true, message: "410".into(), at: Some(created) };
        assert_eq!(outcome(&refused, 1, created, created), DeliveryOutcome::Dead(failed));
    }
}
