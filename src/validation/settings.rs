//! How often blocks are checked, and the policies that judge them.

use std::num::NonZeroU32;
use std::time::Duration;

use super::preflight::PreflightSettings;

/// How often blocks are checked, and the policies that judge them.
#[derive(Clone, Debug, PartialEq)]
pub struct ValidationSettings {
    /// Time between two rounds of origin validation. A change of the VRPs starts a round as well.
    pub roa_every: Duration,
    /// Time between two rounds of IRR checks.
    pub irr_every: Duration,
    /// Time between two rounds of blocklist checks.
    pub reputation_every: Duration,
    /// How many times in a row a different verdict must be observed before it replaces the current one. At least 1.
    pub confirmations: NonZeroU32,
    /// Pause before a route whose verdict is about to change is checked again in the same round.
    pub confirm_after: Duration,
    /// Minimum age of the date in NetBox before an unchanged verdict is written again with a new date.
    pub rewrite_unchanged_after: Duration,
    pub reputation: ReputationPolicy,
    pub preflight: PreflightSettings,
}

impl Default for ValidationSettings {
    fn default() -> Self {
        Self {
            roa_every: Duration::from_mins(5),
            irr_every: Duration::from_hours(6),
            reputation_every: Duration::from_hours(1),
            confirmations: NonZeroU32::MIN.saturating_add(1),
            confirm_after: Duration::from_secs(10),
            rewrite_unchanged_after: Duration::from_hours(24),
            reputation: ReputationPolicy::default(),
            preflight: PreflightSettings::default(),
        }
    }
}

/// Which listings count against a block, and how many queries a round may send.
#[derive(Clone, Debug, PartialEq)]
pub struct ReputationPolicy {
    /// A share of the block's addresses, 0 to 1: a block with abuse listings is *watch* up to this share and *listed* above it.
    pub watch_share: f64,
    /// Whether a policy listing makes a block *watch*.
    pub policy_is_watch: bool,
    /// Queries that one round may send to one zone, over all blocks. Queries for recorded addresses are not counted.
    pub max_queries_per_round: usize,
}

impl Default for ReputationPolicy {
    fn default() -> Self {
        Self { watch_share: 0.01, policy_is_watch: true, max_queries_per_round: 5_000 }
    }
}
