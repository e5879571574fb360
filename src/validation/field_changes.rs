//! The custom fields in NetBox that a verdict changes. Pure.

use std::time::Duration;

use jiff::{RoundMode, Timestamp, TimestampRound, Unit};

use crate::model::{Check, Lease, Verdict, VerdictState};
use crate::netbox::FieldChange;

/// The fields to write so that the record agrees with the verdict; none if it agrees already. An unchanged verdict gets a new
/// date only when the recorded date is older by `rewrite_unchanged_after`, because every write is an entry in NetBox's change log.
pub fn field_changes(
    lease: &Lease,
    state: &VerdictState,
    rewrite_unchanged_after: Duration,
) -> Vec<FieldChange> {
    let observed = whole_second(state.observed);
    let needs_date = |recorded: Option<Timestamp>| {
        recorded.is_none_or(|at| {
            Duration::try_from(observed.duration_since(at)).is_ok_and(|age| age >= rewrite_unchanged_after)
        })
    };
    match state.verdict {
        Verdict::Roa(status) => {
            if lease.roa_status == Some(status) && !needs_date(lease.roa_checked) {
                return Vec::new();
            }
            vec![FieldChange::RoaStatus(Some(status)), FieldChange::RoaChecked(Some(observed))]
        }
        Verdict::Irr(registered) => {
            if lease.irr_registered == Some(registered) {
                return Vec::new();
            }
            vec![FieldChange::IrrRegistered(Some(registered))]
        }
        Verdict::Reputation(reputation) => {
            if lease.reputation == Some(reputation) && !needs_date(lease.reputation_checked) {
                return Vec::new();
            }
            vec![FieldChange::Reputation(Some(reputation)), FieldChange::ReputationChecked(Some(observed))]
        }
    }
}

/// The verdict of a check that the record in NetBox holds.
pub fn recorded_verdict(lease: &Lease, check: Check) -> Option<Verdict> {
    match check {
        Check::Roa => lease.roa_status.map(Verdict::Roa),
        Check::Irr => lease.irr_registered.map(Verdict::Irr),
        Check::Reputation => lease.reputation.map(Verdict::Reputation),
    }
}

/// Rounds down to the second: NetBox's forms show no fractions, so saving a form would otherwise look like a change.
fn whole_second(at: Timestamp) -> Timestamp {
    at.round(TimestampRound::new().smallest(Unit::Second).mode(RoundMode::Floor)).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RoaStatus;

    const DAY: Duration = Duration::from_hours(24);

    fn state_at(second: i64) -> VerdictState {
        let observed = Timestamp::new(second, 700_000_000).unwrap();
        VerdictState {
            about: String::new(),
            verdict: Verdict::Roa(RoaStatus::Valid),
            since: observed,
            observed,
            reason: String::new(),
            source: String::new(),
            candidate: None,
            last_failure: None,
            unpublished: None,
        }
    }

    #[test]
    fn a_verdict_is_written_once_and_gets_a_new_date_once_a_day() {
        let mut lease = Lease::default();
        let first = field_changes(&lease, &state_at(1_000), DAY);
        let at = Timestamp::from_second(1_000).unwrap();
        assert_eq!(
            first,
            [FieldChange::RoaStatus(Some(RoaStatus::Valid)), FieldChange::RoaChecked(Some(at))],
            "in whole seconds"
        );
        lease.roa_status = Some(RoaStatus::Valid);
        lease.roa_checked = Some(at);
        assert_eq!(field_changes(&lease, &state_at(1_000 + 86_399), DAY), []);
        assert_eq!(field_changes(&lease, &state_at(1_000 + 86_400), DAY).len(), 2);
        assert_eq!(field_changes(&lease, &state_at(900), DAY), [], "a newer date in the record stays");
        lease.roa_status = Some(RoaStatus::Unknown);
        assert_eq!(
            field_changes(&lease, &state_at(1_001), DAY).len(),
            2,
            "another verdict is written at once"
        );
    }
}
