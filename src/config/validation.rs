//! `[validation]`: how often blocks are checked, and how their verdicts are formed.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::Problems;
use super::values::{
    CENTURY_HOURS, YEAR_SECONDS, choices, days_left, fractional_seconds, hours, in_range, seconds,
};
use crate::validation::preflight::PreflightAspect;
use crate::validation::{PreflightSettings, ReputationPolicy, ValidationSettings};

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ValidationSection {
    roa_seconds: u64,
    irr_seconds: u64,
    reputation_seconds: u64,
    confirmations: u32,
    confirm_seconds: f64,
    rewrite_unchanged_hours: u64,
    reputation: ReputationSection,
    preflight: PreflightSection,
}

impl Default for ValidationSection {
    fn default() -> Self {
        let settings = ValidationSettings::default();
        Self {
            roa_seconds: settings.roa_every.as_secs(),
            irr_seconds: settings.irr_every.as_secs(),
            reputation_seconds: settings.reputation_every.as_secs(),
            confirmations: settings.confirmations.get(),
            confirm_seconds: settings.confirm_after.as_secs_f64(),
            rewrite_unchanged_hours: in_hours(settings.rewrite_unchanged_after),
            reputation: ReputationSection::default(),
            preflight: PreflightSection::default(),
        }
    }
}

fn in_hours(duration: Duration) -> u64 {
    duration.as_secs() / 3600
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct ReputationSection {
    watch_share: f64,
    policy_is_watch: bool,
    max_queries_per_round: usize,
}

impl Default for ReputationSection {
    fn default() -> Self {
        let ReputationPolicy { watch_share, policy_is_watch, max_queries_per_round } =
            ReputationPolicy::default();
        Self { watch_share, policy_is_watch, max_queries_per_round }
    }
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct PreflightSection {
    required: Vec<String>,
    min_days_left: i32,
    bgp_stale_hours: u64,
    reputation_stale_hours: u64,
    geofeed_field: String,
    geofeed_allow_private: bool,
}

impl Default for PreflightSection {
    fn default() -> Self {
        let settings = PreflightSettings::default();
        Self {
            required: settings.required.iter().map(ToString::to_string).collect(),
            min_days_left: settings.min_days_left,
            bgp_stale_hours: in_hours(settings.bgp_stale_after),
            reputation_stale_hours: in_hours(settings.reputation_stale_after),
            geofeed_field: settings.geofeed_field,
            geofeed_allow_private: settings.geofeed_allow_private,
        }
    }
}

impl ValidationSection {
    pub(super) fn check(&self, problems: &mut Problems) -> ValidationSettings {
        let interval = 1..=YEAR_SECONDS;
        ValidationSettings {
            roa_every: seconds("validation.roa_seconds", self.roa_seconds, interval.clone(), problems),
            irr_every: seconds("validation.irr_seconds", self.irr_seconds, interval.clone(), problems),
            reputation_every: seconds(
                "validation.reputation_seconds",
                self.reputation_seconds,
                interval,
                problems,
            ),
            // 0 has just been reported as a problem, so the smallest number that stands in for it here is never used.
            confirmations: NonZeroU32::new(in_range(
                "validation.confirmations",
                self.confirmations,
                1..=100,
                problems,
            ))
            .unwrap_or(NonZeroU32::MIN),
            // 0 is allowed: the second check follows at once.
            confirm_after: fractional_seconds(
                "validation.confirm_seconds",
                self.confirm_seconds,
                0.0..=3600.0,
                problems,
            ),
            rewrite_unchanged_after: hours(
                "validation.rewrite_unchanged_hours",
                self.rewrite_unchanged_hours,
                0..=CENTURY_HOURS,
                problems,
            ),
            reputation: self.reputation.check(problems),
            preflight: self.preflight.check(problems),
        }
    }
}

impl ReputationSection {
    fn check(&self, problems: &mut Problems) -> ReputationPolicy {
        ReputationPolicy {
            watch_share: in_range("validation.reputation.watch_share", self.watch_share, 0.0..=1.0, problems),
            policy_is_watch: self.policy_is_watch,
            max_queries_per_round: in_range(
                "validation.reputation.max_queries_per_round",
                self.max_queries_per_round,
                1..=1_000_000_000,
                problems,
            ),
        }
    }
}

impl PreflightSection {
    fn check(&self, problems: &mut Problems) -> PreflightSettings {
        PreflightSettings {
            required: choices::<PreflightAspect>("validation.preflight.required", &self.required, problems),
            min_days_left: days_left("validation.preflight.min_days_left", self.min_days_left, problems),
            bgp_stale_after: hours(
                "validation.preflight.bgp_stale_hours",
                self.bgp_stale_hours,
                0..=CENTURY_HOURS,
                problems,
            ),
            reputation_stale_after: hours(
                "validation.preflight.reputation_stale_hours",
                self.reputation_stale_hours,
                0..=CENTURY_HOURS,
                problems,
            ),
            geofeed_field: self.geofeed_field.clone(),
            geofeed_allow_private: self.geofeed_allow_private,
        }
    }
}
