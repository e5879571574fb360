//! Blocklist coverage and baselines in the ledger.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::query_plan;
use super::reputation::{self, BlockReputation};
use super::settings::ReputationPolicy;
use super::verdict_subject::lease_identity;
use crate::cache::Index;
use crate::dnsbl::Blocklists;
use crate::ledger::{Error, Observation, ObservationKind, Observations};
use crate::model::{Baseline, Prefix, PrefixId, ZoneCoverage};

/// The coverage of a block by each configured zone; `None` for a zone that was never asked about it.
pub(super) type CoverageByZone = Vec<(String, Option<ZoneCoverage>)>;

/// A baseline as the ledger stores it. It belongs to one lease: another lease of the same block inherits other listings.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct StoredBaseline {
    lease: String,
    baseline: Baseline,
}

/// Loads and saves coverage and baselines, and judges a block by them.
pub(super) struct CoverageStore {
    observations: Arc<dyn Observations>,
    policy: ReputationPolicy,
}

impl CoverageStore {
    pub(super) fn new(observations: Arc<dyn Observations>, policy: ReputationPolicy) -> Self {
        Self { observations, policy }
    }

    /// The prefixes that any zone was asked about.
    pub(super) async fn prefixes(&self) -> Result<Vec<PrefixId>, Error> {
        self.observations.prefixes(ObservationKind::ZoneCoverage).await
    }

    /// The coverage of a block by each zone that is configured for its address family.
    pub(super) async fn load(&self, lists: &Blocklists, prefix: &Prefix) -> Result<CoverageByZone, Error> {
        let rows = self.observations.load(ObservationKind::ZoneCoverage, Some(prefix.id)).await?;
        let mut stored: BTreeMap<String, ZoneCoverage> = BTreeMap::new();
        for row in &rows {
            let coverage: ZoneCoverage = row.read()?;
            // Coverage from before the prefix was resized or moved is about other addresses.
            if coverage.block == Some(prefix.network) {
                stored.insert(row.subject.clone(), coverage);
            }
        }
        let zones = lists.zones(prefix.network.first());
        Ok(zones.iter().map(|zone| (zone.name.clone(), stored.remove(&zone.name))).collect())
    }

    pub(super) async fn save(
        &self,
        prefix: PrefixId,
        coverage: &CoverageByZone,
        now: Timestamp,
    ) -> Result<(), Error> {
        let zones = coverage.iter().filter_map(|(zone, coverage)| Some((zone, coverage.as_ref()?)));
        let rows: Result<Vec<Observation>, Error> =
            zones.map(|(zone, coverage)| Observation::of(prefix, zone, coverage)).collect();
        self.observations.put(ObservationKind::ZoneCoverage, &rows?, now).await
    }

    /// What was listed when the prefix's present lease began; `None` if that is not known.
    pub(super) async fn baseline(&self, prefix: &Prefix) -> Result<Option<Baseline>, Error> {
        let rows = self.observations.load(ObservationKind::Baseline, Some(prefix.id)).await?;
        let Some(lease) = &prefix.lease else { return Ok(None) };
        let stored: Option<StoredBaseline> = rows.first().map(Observation::read).transpose()?;
        Ok(stored.filter(|stored| stored.lease == lease_identity(lease)).map(|stored| stored.baseline))
    }

    /// Adds to the lease's baseline the listings of every zone that is not in it yet and has completed its first pass, and
    /// returns the baseline. A zone that was configured later is added when its first pass is complete.
    pub(super) async fn update_baseline(
        &self,
        prefix: &Prefix,
        coverage: &CoverageByZone,
        now: Timestamp,
    ) -> Result<Option<Baseline>, Error> {
        let Some(lease) = &prefix.lease else { return Ok(None) };
        let before = self.baseline(prefix).await?;
        let mut baseline = before.clone().unwrap_or_default();
        for (zone, coverage) in coverage {
            if let Some(coverage) = coverage.as_ref().filter(|coverage| coverage.complete.is_some())
                && !baseline.listed.contains_key(zone)
            {
                baseline.listed.insert(zone.clone(), coverage.listed.keys().copied().collect());
                baseline.taken.get_or_insert(now);
            }
        }
        if baseline.taken.is_none() || before.as_ref() == Some(&baseline) {
            return Ok(before);
        }
        let stored = StoredBaseline { lease: lease_identity(lease), baseline: baseline.clone() };
        let row = Observation::of(prefix.id, "", &stored)?;
        self.observations.put(ObservationKind::Baseline, &[row], now).await?;
        Ok(Some(baseline))
    }

    /// Judges a leased block by its coverage.
    pub(super) fn judge(
        &self,
        index: &Index,
        prefix: &Prefix,
        coverage: &CoverageByZone,
        baseline: Option<&Baseline>,
    ) -> BlockReputation {
        let recorded = index.addresses_within(prefix.scope, prefix.network).count();
        let addresses = query_plan::address_count(prefix.network, recorded);
        reputation::judge(addresses, coverage, baseline, &self.policy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_baseline_is_that_of_version_0_1() {
        let golden = include_str!("../../tests/golden/baseline.json").trim_end();
        let stored: StoredBaseline = serde_json::from_str(golden).unwrap();
        assert_eq!(stored.lease, "ACME-LIR 2025-06-01");
        assert!(stored.baseline.holds("zen.example", "203.0.113.9".parse().unwrap()));
        assert_eq!(serde_json::to_string(&stored).unwrap(), golden);
    }
}
