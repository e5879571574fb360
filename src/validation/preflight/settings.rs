//! Settings of the preflight.

use std::collections::BTreeSet;
use std::time::Duration;

use super::finding::PreflightAspect;

/// What a block must fulfil before it may be announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreflightSettings {
    /// The aspects that block an announcement if they are bad or could not be checked.
    pub required: BTreeSet<PreflightAspect>,
    /// Days that the lease must have left.
    pub min_days_left: i32,
    /// Maximum age of a BGP collector's data.
    pub bgp_stale_after: Duration,
    /// Maximum age of a reputation verdict.
    pub reputation_stale_after: Duration,
    /// The custom field of a prefix in NetBox that holds the URL of its geofeed.
    pub geofeed_field: String,
    /// Whether a geofeed may be fetched from a private address.
    pub geofeed_allow_private: bool,
}

impl Default for PreflightSettings {
    fn default() -> Self {
        use PreflightAspect::{Irr, Loa, Reputation, Roa, Term};
        Self {
            required: [Term, Loa, Roa, Irr, Reputation].into(),
            min_days_left: 7,
            bgp_stale_after: Duration::from_hours(12),
            reputation_stale_after: Duration::from_hours(7 * 24),
            geofeed_field: "geofeed".to_owned(),
            geofeed_allow_private: false,
        }
    }
}
