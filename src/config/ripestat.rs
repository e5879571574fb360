//! `[ripestat]` and `[bgp]`: RIPEstat, and whether it is asked who announces a block.

use serde::{Deserialize, Serialize};

use super::error::Problems;
use super::values::{http_url, not_empty};
use crate::ripestat::RipeStatSettings;

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RipeStatSection {
    url: String,
    source_app: String,
}

impl Default for RipeStatSection {
    fn default() -> Self {
        Self { url: "https://stat.ripe.net".to_owned(), source_app: "leasehold".to_owned() }
    }
}

impl RipeStatSection {
    pub(super) fn check(&self, problems: &mut Problems) -> Option<RipeStatSettings> {
        not_empty("ripestat.source_app", &self.source_app, problems);
        let url = http_url("ripestat.url", &self.url, problems)?;
        Some(RipeStatSettings { url, source_app: self.source_app.clone() })
    }
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct BgpSection {
    source: CollectorName,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum CollectorName {
    #[default]
    None,
    Ripestat,
}

impl BgpSection {
    /// Whether RIPEstat is asked which AS announces a block.
    pub(super) fn asks_ripestat(&self) -> bool {
        self.source == CollectorName::Ripestat
    }
}
