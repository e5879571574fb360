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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::error::Error;

    fn check(file: &str) -> Result<PoolSettings, Error> {
        let section: PoolsSection = toml::from_str(file).unwrap();
        let mut problems = Problems::default();
        let settings = section.check(&mut problems);
        problems.finish(Some(settings))
    }

    #[test]
    fn a_pool_is_of_one_prefix_owner_or_tag_and_no_larger_than_is_sane() {
        for (rule, key, words) in [
            ("size = 8", "pools.rules[0]", "exactly one of prefix, lease_owner and tag"),
            ("prefix = \"203.0.113.0/24\"\ntag = \"pool\"\nsize = 8", "pools.rules[0]", "exactly one"),
            ("prefix = \"203.0.113.1/24\"\nsize = 8", "pools.rules[0].prefix", "203.0.113.1/24"),
            ("tag = \"pool\"", "pools.rules[0].size", "between 1 and 4096"),
            ("tag = \"pool\"\nsize = 8\nvrf = \"x\"", "pools.rules[0].vrf", "prefix only"),
            ("tag = \"pool\"\nsize = 8\nidle_size = 9", "pools.rules[0].idle_size", "between 0 and 8"),
        ] {
            let error = check(&format!("[[rules]]\n{rule}")).unwrap_err();
            let problem = error.problems().iter().find(|problem| problem.key == key);
            assert!(problem.is_some_and(|problem| problem.message.contains(words)), "{rule}: {error}");
        }
        assert!(check("completion_seconds = 1").is_err());
        assert!(check("idle_seconds = 1").is_err());
    }

    #[test]
    fn a_pool_is_a_quarter_of_its_size_while_it_is_idle_unless_it_says_otherwise() {
        let file = "[[rules]]\nprefix = \"203.0.113.0/24\"\nvrf = \"customers\"\nsize = 10\n\
                    [[rules]]\nlease_owner = \"ACME-LIR\"\nsize = 8\nidle_size = 0";
        let network = "203.0.113.0/24".parse().unwrap();
        let first = PoolSelector::Prefix { network, vrf: Some("customers".to_owned()) };
        let second = PoolSelector::LeaseOwner("ACME-LIR".to_owned());
        let rules = [
            PoolRule { selector: first, size: 10, idle_size: 3 },
            PoolRule { selector: second, size: 8, idle_size: 0 },
        ];
        assert_eq!(check(file).unwrap().rules, rules);
        assert_eq!(check("").unwrap(), PoolSettings::default(), "off unless they are asked for");
    }
}
