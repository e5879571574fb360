//! What a verdict changes in NetBox. Pure.

use std::time::Duration;

use jiff::{RoundMode, Timestamp, TimestampRound, Unit};

use crate::model::{Check, Lease, Standing, Verdict};
use crate::netbox::FieldChange;

/// The fields to write so that the record says what is held; none if it does. A verdict that stays the same is dated anew
/// only when its date is so old, since each write is an entry in NetBox's change log.
pub fn changes(lease: &Lease, standing: &Standing, redate_after: Duration) -> Vec<FieldChange> {
    let observed = whole_second(standing.observed);
    let dated = |recorded: Option<Timestamp>| {
        recorded.is_none_or(|at| {
            Duration::try_from(observed.duration_since(at)).is_ok_and(|age| age >= redate_after)
        })
    };
    match standing.verdict {
        Verdict::Roa(status) => {
            if lease.roa_status == Some(status) && !dated(lease.roa_checked) {
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
            if lease.reputation == Some(reputation) && !dated(lease.reputation_checked) {
                return Vec::new();
            }
            vec![FieldChange::Reputation(Some(reputation)), FieldChange::ReputationChecked(Some(observed))]
        }
    }
}

/// The verdict of a check as the record has it.
pub fn recorded(lease: &Lease, check: Check) -> Option<Verdict> {
    match check {
        Check::Roa => lease.roa_status.map(Verdict::Roa),
        Check::Irr => lease.irr_registered.map(Verdict::Irr),
        Check::Reputation => lease.reputation.map(Verdict::Reputation),
    }
}

/// NetBox's forms show whole seconds; a fraction would look like a change to whoever saves one.
fn whole_second(at: Timestamp) -> Timestamp {
    at.round(TimestampRound::new().smallest(Unit::Second).mode(RoundMode::Floor)).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RoaStatus;

    const DAY: Duration = Duration::from_hours(24);

    fn standing(second: i64) -> Standing {
        let observed = Timestamp::new(second, 700_000_000).unwrap();
        Standing {
            about: String::new(),
            verdict: Verdict::Roa(RoaStatus::Valid),
            since: observed,
            observed,
            reason: String::new(),
            source: String::new(),
            candidate: None,
            failure: None,
            untold: None,
        }
    }

    #[test]
    fn a_verdict_is_written_once_and_dated_anew_once_a_day() {
        let mut lease = Lease::default();
        let first = changes(&lease, &standing(1_000), DAY);
        let at = Timestamp::from_second(1_000).unwrap();
        assert_eq!(
            first,
            [FieldChange::RoaStatus(Some(RoaStatus::Valid)), FieldChange::RoaChecked(Some(at))],
            "in whole seconds"
        );
        lease.roa_status = Some(RoaStatus::Valid);
        lease.roa_checked = Some(at);
        assert_eq!(changes(&lease, &standing(1_000 + 86_399), DAY), []);
        assert_eq!(changes(&lease, &standing(1_000 + 86_400), DAY).len(), 2);
        assert_eq!(changes(&lease, &standing(900), DAY), [], "a record that is newer is not dated back");
        lease.roa_status = Some(RoaStatus::Unknown);
        assert_eq!(changes(&lease, &standing(1_001), DAY).len(), 2, "another word is written at once");
    }
}
