//! `[allocation]`: which blocks addresses are handed out of, and how long released addresses are in quarantine.

use serde::{Deserialize, Serialize};

use super::error::Problems;
use super::values::{CENTURY_HOURS, choices, days_left, hours};
use crate::allocation::Policy;
use crate::model::{Reputation, RoaStatus};

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AllocationSection {
    require_in_force: bool,
    refuse_statuses: Vec<String>,
    min_days_left: i32,
    refuse_roa: Vec<String>,
    refuse_reputation: Vec<String>,
    mail_tag: String,
    warming_tag: String,
    quarantine_hours: u64,
}

impl Default for AllocationSection {
    fn default() -> Self {
        let policy = Policy::default();
        Self {
            require_in_force: policy.in_force,
            refuse_statuses: policy.refuse_statuses.into_iter().collect(),
            min_days_left: policy.min_days_left,
            refuse_roa: policy.refuse_roa.iter().map(ToString::to_string).collect(),
            refuse_reputation: policy.refuse_reputation.iter().map(ToString::to_string).collect(),
            mail_tag: policy.mail_tag,
            warming_tag: policy.warming_tag,
            quarantine_hours: policy.quarantine.as_secs() / 3600,
        }
    }
}

impl AllocationSection {
    pub(super) fn check(&self, problems: &mut Problems) -> Policy {
        Policy {
            in_force: self.require_in_force,
            refuse_statuses: self.refuse_statuses.iter().cloned().collect(),
            min_days_left: days_left("allocation.min_days_left", self.min_days_left, problems),
            refuse_roa: choices::<RoaStatus>("allocation.refuse_roa", &self.refuse_roa, problems),
            refuse_reputation: choices::<Reputation>(
                "allocation.refuse_reputation",
                &self.refuse_reputation,
                problems,
            ),
            mail_tag: self.mail_tag.clone(),
            warming_tag: self.warming_tag.clone(),
            // 0 is allowed: there is no quarantine.
            quarantine: hours(
                "allocation.quarantine_hours",
                self.quarantine_hours,
                0..=CENTURY_HOURS,
                problems,
            ),
        }
    }
}
