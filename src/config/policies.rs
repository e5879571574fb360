//! `[validation]` and `[allocation]`: how often blocks are checked, what counts, and what follows from it.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Error;
use super::checks::wrong;
use crate::allocation::Policy;
use crate::model::{Reputation, RoaStatus};
use crate::validation::preflight::Aspect;
use crate::validation::{PreflightSettings, ReputationPolicy, ValidationSettings};

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrittenValidation {
    roa_seconds: u64,
    irr_seconds: u64,
    reputation_seconds: u64,
    confirmations: u32,
    confirm_seconds: f64,
    redate_hours: u64,
    reputation: WrittenReputation,
    preflight: WrittenPreflight,
}

impl Default for WrittenValidation {
    fn default() -> Self {
        let settings = ValidationSettings::default();
        Self {
            roa_seconds: settings.roa_every.as_secs(),
            irr_seconds: settings.irr_every.as_secs(),
            reputation_seconds: settings.reputation_every.as_secs(),
            confirmations: settings.confirmations,
            confirm_seconds: settings.confirm_after.as_secs_f64(),
            redate_hours: settings.redate_after.as_secs() / 3600,
            reputation: WrittenReputation::default(),
            preflight: WrittenPreflight::default(),
        }
    }
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct WrittenReputation {
    watch_share: f64,
    policy_is_watch: bool,
    budget: usize,
}

impl Default for WrittenReputation {
    fn default() -> Self {
        let ReputationPolicy { watch_share, policy_is_watch, budget } = ReputationPolicy::default();
        Self { watch_share, policy_is_watch, budget }
    }
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct WrittenPreflight {
    required: Vec<String>,
    min_days_left: i32,
    bgp_stale_hours: u64,
    reputation_stale_hours: u64,
    geofeed_field: String,
    geofeed_allow_private: bool,
}

impl Default for WrittenPreflight {
    fn default() -> Self {
        let settings = PreflightSettings::default();
        Self {
            required: settings.required.iter().map(ToString::to_string).collect(),
            min_days_left: settings.min_days_left,
            bgp_stale_hours: settings.bgp_stale_after.as_secs() / 3600,
            reputation_stale_hours: settings.reputation_stale_after.as_secs() / 3600,
            geofeed_field: settings.geofeed_field,
            geofeed_allow_private: settings.geofeed_allow_private,
        }
    }
}

/// Words that each have to be one of a few.
fn words<T: FromStr + Ord>(key: &'static str, words: &[String]) -> Result<BTreeSet<T>, Error>
where
    T::Err: std::fmt::Display,
{
    words.iter().map(|word| word.parse().map_err(|why| wrong(key, why))).collect()
}

/// A hundred years are enough, and no more can be counted with.
fn hours(key: &'static str, hours: u64) -> Result<Duration, Error> {
    if hours > 876_600 {
        Err(wrong(key, "is more than a hundred years"))
    } else {
        Ok(Duration::from_hours(hours))
    }
}

fn not_negative(key: &'static str, days: i32) -> Result<i32, Error> {
    if days < 0 { Err(wrong(key, "is negative")) } else { Ok(days) }
}

pub(super) fn validation(written: &WrittenValidation) -> Result<ValidationSettings, Error> {
    let seconds = |seconds: u64| Duration::from_secs(seconds.clamp(1, 366 * 24 * 3600));
    if !(1..=100).contains(&written.confirmations) {
        return Err(wrong("validation.confirmations", "is not between 1 and 100"));
    }
    if !(0.0..=3600.0).contains(&written.confirm_seconds) {
        return Err(wrong("validation.confirm_seconds", "is not between 0 and 3600"));
    }
    let reputation = &written.reputation;
    if !(0.0..=1.0).contains(&reputation.watch_share) {
        return Err(wrong("validation.reputation.watch_share", "is not between 0 and 1"));
    }
    if reputation.budget == 0 {
        return Err(wrong("validation.reputation.budget", "is 0: nothing would ever be asked"));
    }
    let preflight = &written.preflight;
    Ok(ValidationSettings {
        roa_every: seconds(written.roa_seconds),
        irr_every: seconds(written.irr_seconds),
        reputation_every: seconds(written.reputation_seconds),
        confirmations: written.confirmations,
        confirm_after: Duration::from_secs_f64(written.confirm_seconds),
        redate_after: hours("validation.redate_hours", written.redate_hours)?,
        reputation: ReputationPolicy {
            watch_share: reputation.watch_share,
            policy_is_watch: reputation.policy_is_watch,
            budget: reputation.budget,
        },
        preflight: PreflightSettings {
            required: words::<Aspect>("validation.preflight.required", &preflight.required)?,
            min_days_left: not_negative("validation.preflight.min_days_left", preflight.min_days_left)?,
            bgp_stale_after: hours("validation.preflight.bgp_stale_hours", preflight.bgp_stale_hours)?,
            reputation_stale_after: hours(
                "validation.preflight.reputation_stale_hours",
                preflight.reputation_stale_hours,
            )?,
            geofeed_field: preflight.geofeed_field.clone(),
            geofeed_allow_private: preflight.geofeed_allow_private,
        },
    })
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrittenAllocation {
    in_force: bool,
    min_days_left: i32,
    refuse_roa: Vec<String>,
    refuse_reputation: Vec<String>,
    mail_tag: String,
    warming_tag: String,
    quarantine_hours: u64,
}

impl Default for WrittenAllocation {
    fn default() -> Self {
        let policy = Policy::default();
        Self {
            in_force: policy.in_force,
            min_days_left: policy.min_days_left,
            refuse_roa: policy.refuse_roa.iter().map(ToString::to_string).collect(),
            refuse_reputation: policy.refuse_reputation.iter().map(ToString::to_string).collect(),
            mail_tag: policy.mail_tag,
            warming_tag: policy.warming_tag,
            quarantine_hours: policy.quarantine.as_secs() / 3600,
        }
    }
}

pub(super) fn allocation(written: &WrittenAllocation) -> Result<Policy, Error> {
    Ok(Policy {
        in_force: written.in_force,
        min_days_left: not_negative("allocation.min_days_left", written.min_days_left)?,
        refuse_roa: words::<RoaStatus>("allocation.refuse_roa", &written.refuse_roa)?,
        refuse_reputation: words::<Reputation>("allocation.refuse_reputation", &written.refuse_reputation)?,
        mail_tag: written.mail_tag.clone(),
        warming_tag: written.warming_tag.clone(),
        quarantine: hours("allocation.quarantine_hours", written.quarantine_hours)?,
    })
}
