//! How often blocks are checked, and what counts.

use std::collections::BTreeSet;
use std::time::Duration;

use super::preflight::Aspect;

/// How often blocks are checked, and what counts.
#[derive(Clone, Debug, PartialEq)]
pub struct ValidationSettings {
    /// Time between two rounds of origin validation; each change of the VRPs starts one, too.
    pub roa_every: Duration,
    /// Time between two rounds over the registries.
    pub irr_every: Duration,
    /// Time between two rounds over the blocklists.
    pub reputation_every: Duration,
    /// How often in a row a verdict has to be seen before it takes the place of another. At least 1.
    pub confirmations: u32,
    /// Time between two looks at a route that says something new.
    pub confirm_after: Duration,
    /// A verdict that stays the same is dated anew in NetBox no more often than this.
    pub redate_after: Duration,
    /// What counts as listed, and how much is asked.
    pub reputation: ReputationPolicy,
    /// The gate before an announcement.
    pub preflight: PreflightSettings,
}

impl Default for ValidationSettings {
    fn default() -> Self {
        Self {
            roa_every: Duration::from_mins(5),
            irr_every: Duration::from_hours(6),
            reputation_every: Duration::from_hours(1),
            confirmations: 2,
            confirm_after: Duration::from_secs(10),
            redate_after: Duration::from_hours(24),
            reputation: ReputationPolicy::default(),
            preflight: PreflightSettings::default(),
        }
    }
}

/// What counts as listed, and how much is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct ReputationPolicy {
    /// Up to this share of a block, from 0 to 1, abuse listings make it *watch*; above, *listed*.
    pub watch_share: f64,
    /// Whether a policy listing makes a block *watch*.
    pub policy_is_watch: bool,
    /// Queries that one round may spend on one zone, over all blocks. Recorded addresses are asked about all the same.
    pub budget: usize,
}

impl Default for ReputationPolicy {
    fn default() -> Self {
        Self { watch_share: 0.01, policy_is_watch: true, budget: 5_000 }
    }
}

/// The gate before an announcement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreflightSettings {
    /// What blocks an announcement when it is not well, or could not be checked.
    pub required: BTreeSet<Aspect>,
    /// Days that the lease must have left.
    pub min_days_left: i32,
    /// What a collector saw longer ago than this says nothing of now.
    pub bgp_stale_after: Duration,
    /// A reputation that was observed longer ago than this is not known any more.
    pub reputation_stale_after: Duration,
    /// The custom field of a prefix that holds the URL of its geofeed.
    pub geofeed_field: String,
    /// Whether a geofeed may lie inside one's own network.
    pub geofeed_allow_private: bool,
}

impl Default for PreflightSettings {
    fn default() -> Self {
        Self {
            required: [Aspect::Term, Aspect::Loa, Aspect::Roa, Aspect::Irr, Aspect::Reputation].into(),
            min_days_left: 7,
            bgp_stale_after: Duration::from_hours(12),
            reputation_stale_after: Duration::from_hours(7 * 24),
            geofeed_field: "geofeed".to_owned(),
            geofeed_allow_private: false,
        }
    }
}
