//! `[rpki]`: the sources of origin validation.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use toml::Table;

use super::decode::decode;
use super::entries::take_kind;
use super::error::Problems;
use super::values::{YEAR_SECONDS, host_and_port, http_url, in_range, seconds};
use crate::rpki::{CollapseGuard, RpkiSettings, RpkiSource, RtrSettings, VrpFeedSettings, VrpLocation};

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RpkiSection {
    #[serde(skip_deserializing)]
    pub(super) sources: Vec<RpkiSourceEntry>,
    guard: GuardSection,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct GuardSection {
    min_vrps: usize,
    max_loss_share: f64,
}

impl Default for GuardSection {
    fn default() -> Self {
        let CollapseGuard { min_vrps, max_loss_share } = CollapseGuard::default();
        Self { min_vrps, max_loss_share }
    }
}

/// An entry of `[[rpki.sources]]`. An entry whose kind is unknown is kept as `Unknown`, so that the others keep their index.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(super) enum RpkiSourceEntry {
    Rtr(RtrEntry),
    Vrps(VrpsEntry),
    Routinator(RoutinatorEntry),
    Ripestat(NoKeys),
    Unknown,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RtrEntry {
    server: String,
    /// The cache's own expire interval if absent.
    expire_seconds: Option<u64>,
    read_timeout_seconds: u64,
}

impl Default for RtrEntry {
    fn default() -> Self {
        Self { server: String::new(), expire_seconds: None, read_timeout_seconds: 60 }
    }
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct VrpsEntry {
    file: Option<PathBuf>,
    url: Option<String>,
    expire_seconds: u64,
}

impl Default for VrpsEntry {
    /// A validator runs at least once an hour; data that is a day old means an outage.
    fn default() -> Self {
        Self { file: None, url: None, expire_seconds: 24 * 3600 }
    }
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RoutinatorEntry {
    url: String,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct NoKeys {}

impl RpkiSourceEntry {
    pub(super) fn decode(mut entry: Table, at: &str, problems: &mut Problems) -> Self {
        match take_kind(&mut entry, at, &["rtr", "vrps", "routinator", "ripestat"], problems) {
            Some("rtr") => Self::Rtr(decode(entry, at, problems)),
            Some("vrps") => Self::Vrps(decode(entry, at, problems)),
            Some("routinator") => Self::Routinator(decode(entry, at, problems)),
            Some("ripestat") => Self::Ripestat(decode(entry, at, problems)),
            _ => Self::Unknown,
        }
    }

    fn check(&self, at: &str, problems: &mut Problems) -> Option<RpkiSource> {
        Some(match self {
            Self::Rtr(entry) => {
                let server = host_and_port(format!("{at}.server"), &entry.server, problems);
                let expire = entry
                    .expire_seconds
                    .map(|value| seconds(format!("{at}.expire_seconds"), value, 1..=YEAR_SECONDS, problems));
                let key = format!("{at}.read_timeout_seconds");
                let read_timeout = seconds(key, entry.read_timeout_seconds, 1..=3600, problems);
                RpkiSource::Rtr(RtrSettings { server: server?, expire, read_timeout })
            }
            Self::Vrps(entry) => {
                let key = format!("{at}.expire_seconds");
                let expire = seconds(key, entry.expire_seconds, 1..=YEAR_SECONDS, problems);
                let location = match (&entry.file, &entry.url) {
                    (Some(file), None) => VrpLocation::File(file.clone()),
                    (None, Some(url)) => VrpLocation::Url(http_url(format!("{at}.url"), url, problems)?),
                    _ => {
                        problems.add(at, "a source of kind vrps needs either a file or a url");
                        return None;
                    }
                };
                RpkiSource::VrpFeed(VrpFeedSettings { location, expire })
            }
            Self::Routinator(entry) => {
                RpkiSource::Routinator(http_url(format!("{at}.url"), &entry.url, problems)?)
            }
            Self::Ripestat(NoKeys {}) => RpkiSource::RipeStat,
            Self::Unknown => return None,
        })
    }
}

impl RpkiSection {
    pub(super) fn check(&self, problems: &mut Problems) -> RpkiSettings {
        let mut sources = Vec::new();
        for (index, entry) in self.sources.iter().enumerate() {
            sources.extend(entry.check(&format!("rpki.sources[{index}]"), problems));
        }
        let GuardSection { min_vrps, max_loss_share } = self.guard;
        let guard = CollapseGuard {
            min_vrps: in_range("rpki.guard.min_vrps", min_vrps, 0..=10_000_000, problems),
            max_loss_share: in_range("rpki.guard.max_loss_share", max_loss_share, 0.0..=1.0, problems),
        };
        RpkiSettings { sources, guard }
    }
}
