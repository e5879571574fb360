//! Sweeps and baselines as the ledger keeps them.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::reputation::{self, BlockReputation};
use super::settings::ReputationPolicy;
use super::sweep;
use crate::cache::Index;
use crate::dnsbl::Lists;
use crate::ledger::{Error, Observation, ObservationKind, Observations};
use crate::model::{Baseline, Lease, Prefix, PrefixId, Sweep};

/// A baseline belongs to a lease: another owner or another first day is another lease, with another inheritance.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct KeptBaseline {
    lease: String,
    baseline: Baseline,
}

/// Which lease of a prefix it is.
pub(super) fn identity(lease: &Lease) -> String {
    let start = lease.term.start.map(|day| day.to_string()).unwrap_or_default();
    format!("{} {start}", lease.owner.as_deref().unwrap_or_default())
}

/// Keeps sweeps and baselines.
pub(super) struct Sweeps {
    observations: Arc<dyn Observations>,
    policy: ReputationPolicy,
}

impl Sweeps {
    pub(super) fn new(observations: Arc<dyn Observations>, policy: ReputationPolicy) -> Self {
        Self { observations, policy }
    }

    /// Every prefix of which there is a sweep.
    pub(super) async fn swept(&self) -> Result<Vec<PrefixId>, Error> {
        self.observations.prefixes(ObservationKind::Sweep).await
    }

    /// The sweeps of a block by zone. Of zones that are configured no more nothing is said.
    pub(super) async fn load(
        &self,
        lists: &Lists,
        prefix: &Prefix,
    ) -> Result<Vec<(String, Option<Sweep>)>, Error> {
        let rows = self.observations.load(ObservationKind::Sweep, Some(prefix.id)).await?;
        let mut kept: BTreeMap<String, Sweep> = BTreeMap::new();
        for row in &rows {
            let sweep: Sweep = row.read()?;
            // Of a prefix that was resized or moved it says nothing.
            if sweep.block == Some(prefix.network) {
                kept.insert(row.subject.clone(), sweep);
            }
        }
        let zones = lists.zones(prefix.network.first());
        Ok(zones.iter().map(|zone| (zone.name.clone(), kept.remove(&zone.name))).collect())
    }

    /// Keeps them.
    pub(super) async fn store(
        &self,
        prefix: PrefixId,
        sweeps: &[(String, Option<Sweep>)],
        now: Timestamp,
    ) -> Result<(), Error> {
        let rows = sweeps.iter().filter_map(|(zone, sweep)| Some((zone, sweep.as_ref()?)));
        let rows: Result<Vec<Observation>, Error> =
            rows.map(|(zone, sweep)| Observation::of(prefix, zone, sweep)).collect();
        self.observations.put(ObservationKind::Sweep, &rows?, now).await
    }

    /// What was listed when this lease began, if that is known.
    pub(super) async fn baseline(&self, prefix: &Prefix) -> Result<Option<Baseline>, Error> {
        let rows = self.observations.load(ObservationKind::Baseline, Some(prefix.id)).await?;
        let Some(lease) = &prefix.lease else { return Ok(None) };
        let kept: Option<KeptBaseline> = rows.first().map(Observation::read).transpose()?;
        Ok(kept.filter(|kept| kept.lease == identity(lease)).map(|kept| kept.baseline))
    }

    /// Takes the baseline of a lease from the first whole round of each zone; a zone whose round has not ended yet, or that
    /// was configured later, is added when it has.
    pub(super) async fn take_baseline(
        &self,
        prefix: &Prefix,
        sweeps: &[(String, Option<Sweep>)],
        now: Timestamp,
    ) -> Result<Option<Baseline>, Error> {
        let Some(lease) = &prefix.lease else { return Ok(None) };
        let before = self.baseline(prefix).await?;
        let mut baseline = before.clone().unwrap_or_default();
        for (zone, sweep) in sweeps {
            if let Some(sweep) = sweep.as_ref().filter(|sweep| sweep.complete.is_some())
                && !baseline.listed.contains_key(zone)
            {
                baseline.listed.insert(zone.clone(), sweep.listed.keys().copied().collect());
                baseline.taken.get_or_insert(now);
            }
        }
        if baseline.taken.is_none() || before.as_ref() == Some(&baseline) {
            return Ok(before);
        }
        let kept = KeptBaseline { lease: identity(lease), baseline: baseline.clone() };
        let row = Observation::of(prefix.id, "", &kept)?;
        self.observations.put(ObservationKind::Baseline, &[row], now).await?;
        Ok(Some(baseline))
    }

    /// The block as the lists see it, by these sweeps.
    pub(super) fn judge(
        &self,
        index: &Index,
        prefix: &Prefix,
        sweeps: &[(String, Option<Sweep>)],
        baseline: Option<&Baseline>,
    ) -> BlockReputation {
        let recorded = index.addresses_within(prefix.table, prefix.network).count();
        reputation::judge(sweep::space(prefix.network, recorded), sweeps, baseline, &self.policy)
    }
}
