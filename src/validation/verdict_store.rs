//! Verdict states in the ledger.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::cache::Cache;
use crate::clock::Clock;
use crate::ledger::{Error, Observation, ObservationKind, Observations};
use crate::model::{Check, PrefixId, VerdictState};

/// Verdict states by prefix, of one check.
pub(super) type VerdictStates = BTreeMap<PrefixId, VerdictState>;

/// Loads and saves verdict states. Nothing is kept in memory, because another replica may have changed them.
#[derive(Clone)]
pub(super) struct VerdictStore {
    pub(super) observations: Arc<dyn Observations>,
    pub(super) clock: Arc<dyn Clock>,
}

impl VerdictStore {
    /// The verdict states of a check: of one prefix if `only` is given, otherwise of all.
    pub(super) async fn load(&self, check: Check, only: Option<PrefixId>) -> Result<VerdictStates, Error> {
        let rows = self.observations.load(ObservationKind::Verdict, only).await?;
        rows.iter()
            .filter(|row| row.subject == check.as_str())
            .map(|row| Ok((row.prefix, row.read()?)))
            .collect()
    }

    /// Saves all of these states or none.
    pub(super) async fn save(&self, check: Check, states: &VerdictStates) -> Result<(), Error> {
        let row = |(id, state): (&PrefixId, &VerdictState)| Observation::of(*id, check.as_str(), state);
        let rows: Vec<Observation> = states.iter().map(row).collect::<Result<_, _>>()?;
        self.observations.put(ObservationKind::Verdict, &rows, self.clock.now()).await
    }

    /// Deletes everything that was observed of prefixes without a lease.
    pub(super) async fn forget_ended_leases(&self, cache: &Cache) -> Result<(), Error> {
        let mut observed: BTreeSet<PrefixId> = BTreeSet::new();
        for kind in [ObservationKind::Verdict, ObservationKind::ZoneCoverage] {
            observed.extend(self.observations.prefixes(kind).await?);
        }
        // The snapshot is taken last: a lease that was registered and checked meanwhile must not look like an ended one.
        let index = cache.snapshot();
        let leased: BTreeSet<PrefixId> = index.leased().map(|prefix| prefix.id).collect();
        let ended: Vec<PrefixId> = observed.difference(&leased).copied().collect();
        self.observations.forget(&ended).await
    }
}
