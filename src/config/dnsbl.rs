//! `[dnsbl]`: the DNS blocklists.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::error::Problems;
use super::values::{fractional_seconds, in_range};
use crate::dnsbl::{CodeRange, DnsblSettings, Zone};
use crate::model::ListingClass;

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct DnsblSection {
    resolvers: Vec<SocketAddr>,
    timeout_seconds: f64,
    zones: Vec<ZoneEntry>,
}

impl Default for DnsblSection {
    fn default() -> Self {
        Self { resolvers: Vec::new(), timeout_seconds: 5.0, zones: Vec::new() }
    }
}

/// An entry of `[[dnsbl.zones]]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct ZoneEntry {
    name: String,
    /// If empty, [`Zone::default_codes`] holds.
    codes: Vec<CodesEntry>,
    queries_per_second: u32,
    ipv4: bool,
    ipv6: bool,
}

impl Default for ZoneEntry {
    fn default() -> Self {
        Self { name: String::new(), codes: Vec::new(), queries_per_second: 20, ipv4: true, ipv6: false }
    }
}

/// The class of a code or of a range of codes.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct CodesEntry {
    codes: String,
    class: String,
}

/// The name to query puts 32 labels of one character before the name of the zone, and a DNS name has at most 253 characters.
const MAX_ZONE_NAME: usize = 180;

impl ZoneEntry {
    fn check(&self, at: &str, problems: &mut Problems) -> Option<Zone> {
        let name = self.name.trim_end_matches('.').to_ascii_lowercase();
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        };
        if name.len() > MAX_ZONE_NAME || !name.split('.').all(is_label) {
            let message = format!("{:?} is not the name of a zone, such as bl.example.org", self.name);
            problems.add(format!("{at}.name"), message);
        }
        if !self.ipv4 && !self.ipv6 {
            problems.add(at, "ipv4 and ipv6 are both false, so the zone would never be asked");
        }
        let key = format!("{at}.queries_per_second");
        let queries_per_second = in_range(key, self.queries_per_second, 1..=100_000, problems);
        let mut codes = Vec::new();
        for (index, entry) in self.codes.iter().enumerate() {
            codes.extend(entry.check(&format!("{at}.codes[{index}]"), problems));
        }
        Some(Zone {
            codes: if self.codes.is_empty() { Zone::default_codes() } else { codes },
            queries_per_second: NonZeroU32::new(queries_per_second)?,
            ipv4: self.ipv4,
            ipv6: self.ipv6,
            name,
        })
    }
}

impl CodesEntry {
    fn check(&self, at: &str, problems: &mut Problems) -> Option<(CodeRange, ListingClass)> {
        let codes = self.codes.parse().map_err(|error| problems.add(format!("{at}.codes"), error)).ok();
        let class = self.class.parse().map_err(|error| problems.add(format!("{at}.class"), error)).ok();
        Some((codes?, class?))
    }
}

impl DnsblSection {
    pub(super) fn check(&self, problems: &mut Problems) -> DnsblSettings {
        for (index, resolver) in self.resolvers.iter().enumerate() {
            in_range(format!("dnsbl.resolvers[{index}] (port)"), resolver.port(), 1..=u16::MAX, problems);
        }
        let mut zones: Vec<Zone> = Vec::new();
        let mut names = BTreeSet::new();
        for (index, entry) in self.zones.iter().enumerate() {
            let at = format!("dnsbl.zones[{index}]");
            let Some(zone) = entry.check(&at, problems) else { continue };
            if !names.insert(zone.name.clone()) {
                problems.add(format!("{at}.name"), format!("there are two zones {}", zone.name));
            }
            zones.push(zone);
        }
        let timeout = fractional_seconds("dnsbl.timeout_seconds", self.timeout_seconds, 0.1..=60.0, problems);
        DnsblSettings { resolvers: self.resolvers.clone(), zones, timeout }
    }
}
