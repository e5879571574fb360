//! `[pools]`: addresses that are recorded ahead of demand.

use serde::{Deserialize, Serialize};

use super::error::Problems;
use super::values::{YEAR_SECONDS, in_range, seconds};
use crate::allocation::{PoolRule, PoolSelector, PoolSettings};

/// The largest pool of a prefix. One request takes at most 1000 addresses.
const LARGEST: u32 = 4096;

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct PoolsSection {
    completion_seconds: u64,
    idle_seconds: u64,
    rules: Vec<RuleEntry>,
}

impl Default for PoolsSection {
    fn default() -> Self {
        let defaults = PoolSettings::default();
        Self {
            completion_seconds: defaults.completion.as_secs(),
            idle_seconds: defaults.idle.as_secs(),
            rules: Vec::new(),
        }
    }
}

/// An entry of `[[pools.rules]]`: exactly one of prefix, lease_owner and tag.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct RuleEntry {
    prefix: String,
    /// The name of a VRF, for `prefix`; empty for the global table.
    vrf: String,
    lease_owner: String,
    tag: String,
    size: u32,
    /// A quarter of the size if it is not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    idle_size: Option<u32>,
}

impl RuleEntry {
    fn check(&self, at: &str, problems: &mut Problems) -> Option<PoolRule> {
        let selectors = [
            (!self.prefix.is_empty()).then(|| self.of_prefix(at, problems)),
            (!self.lease_owner.is_empty()).then(|| Some(PoolSelector::LeaseOwner(self.lease_owner.clone()))),
            (!self.tag.is_empty()).then(|| Some(PoolSelector::Tag(self.tag.clone()))),
        ];
        let mut named = selectors.into_iter().flatten();
        let (Some(selector), None) = (named.next(), named.next()) else {
            problems.add(at, "exactly one of prefix, lease_owner and tag must be set");
            return None;
        };
        if !self.vrf.is_empty() && self.prefix.is_empty() {
            problems.add(format!("{at}.vrf"), "a VRF is named for a prefix only");
        }
        let size = in_range(format!("{at}.size"), self.size, 1..=LARGEST, problems);
        let idle_size = match self.idle_size {
            Some(idle_size) => in_range(format!("{at}.idle_size"), idle_size, 0..=size, problems),
            None => size.div_ceil(4),
        };
        Some(PoolRule { selector: selector?, size, idle_size })
    }

    fn of_prefix(&self, at: &str, problems: &mut Problems) -> Option<PoolSelector> {
        match self.prefix.parse() {
            Ok(network) => {
                let vrf = (!self.vrf.is_empty()).then(|| self.vrf.clone());
                Some(PoolSelector::Prefix { network, vrf })
            }
            Err(error) => {
                problems.add(format!("{at}.prefix"), error);
                None
            }
        }
    }
}

impl PoolsSection {
    pub(super) fn check(&self, problems: &mut Problems) -> PoolSettings {
        let mut rules = Vec::new();
        for (index, entry) in self.rules.iter().enumerate() {
            rules.extend(entry.check(&format!("pools.rules[{index}]"), problems));
        }
        PoolSettings {
            rules,
            idle: seconds("pools.idle_seconds", self.idle_seconds, 10..=YEAR_SECONDS, problems),
            completion: seconds("pools.completion_seconds", self.completion_seconds, 5..=3600, problems),
        }
    }
}
