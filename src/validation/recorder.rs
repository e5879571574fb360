//! Holds verdicts: takes looks up, tells what changed, and folds it back into NetBox.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use metrics::{counter, gauge};
use tokio::sync::Mutex;

use super::checks::RoundError;
use super::fold;
use super::settings::ValidationSettings;
use super::standing::{self, Sighting};
use super::sweeps;
use crate::cache::{Batch, Cache};
use crate::clock::Clock;
use crate::events::EventLog;
use crate::ledger::{self, Observation, ObservationKind, Observations};
use crate::model::{
    Check, CouldNotCheck, Happening, Lease, Prefix, PrefixId, Reputation, Revision, RoaStatus, Standing,
    Verdict,
};
use crate::netbox::{self, Client, FieldChange};

/// A record as it was read, and what is to be written into it.
type Due = (PrefixId, Revision, Vec<FieldChange>);

/// What a look at a block came to.
pub(super) type Look = Result<Sighting, CouldNotCheck>;

/// Records that are written in one request.
const AT_ONCE: usize = 100;

/// Holds verdicts.
pub(super) struct Recorder {
    pub(super) client: Client,
    pub(super) cache: Arc<Cache>,
    pub(super) log: Arc<EventLog>,
    pub(super) observations: Arc<dyn Observations>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) settings: ValidationSettings,
    /// Checks of which NetBox may not record what is held.
    pub(super) behind: std::sync::Mutex<BTreeSet<Check>>,
    /// Held while verdicts are folded back.
    pub(super) folding: Mutex<()>,
}

impl Recorder {
    /// What is held by one check, by prefix; of one block alone, if one is named. Read anew each time: another replica may have
    /// looked meanwhile.
    async fn standings(
        &self,
        check: Check,
        only: Option<PrefixId>,
    ) -> Result<BTreeMap<PrefixId, Standing>, ledger::Error> {
        let rows = self.observations.load(ObservationKind::Verdict, only).await?;
        rows.iter()
            .filter(|row| row.subject == check.as_str())
            .map(|row| Ok((row.prefix, row.read()?)))
            .collect()
    }

    /// The blocks of which a verdict is held.
    pub(super) async fn known(&self, check: Check) -> Result<BTreeSet<PrefixId>, ledger::Error> {
        Ok(self.standings(check, None).await?.into_keys().collect())
    }

    /// Takes looks up; answers the blocks whose verdict is about to change, which deserve another look.
    ///
    /// A change is held as untold, then told, then held as told: whenever this server dies in between, the next look finds it
    /// untold and tells it first, and the log knows what it was told before.
    pub(super) async fn take(
        &self,
        check: Check,
        looks: Vec<(Arc<Prefix>, Look)>,
    ) -> Result<Vec<Arc<Prefix>>, ledger::Error> {
        let only = match looks.as_slice() {
            [(prefix, _)] => Some(prefix.id),
            _ => None,
        };
        let mut held = self.standings(check, only).await?;
        self.tell(check, &mut held).await?;
        let now = self.clock.now();
        let (mut changed, mut unsure) = (BTreeMap::new(), Vec::new());
        for (prefix, look) in looks {
            let before = held.get(&prefix.id);
            let outcome = if look.is_ok() { "answered" } else { "failed" };
            counter!("leasehold_checks_total", "check" => check.as_str(), "outcome" => outcome).increment(1);
            let standing = match (look, before) {
                (Ok(sighting), _) => standing::see(before, &prefix, sighting, self.settings.confirmations),
                (Err(could_not), Some(before)) => standing::fail(before, could_not.to_string(), now),
                // Nothing was ever known: there is nothing to hold.
                (Err(_), None) => continue,
            };
            if standing.candidate.is_some() {
                unsure.push(prefix.clone());
            }
            if before != Some(&standing) {
                changed.insert(prefix.id, standing);
            }
        }
        self.hold(check, &changed).await?;
        self.tell(check, &mut changed).await?;
        Ok(unsure)
    }

    /// Tells what is untold, and holds it as told.
    async fn tell(&self, check: Check, held: &mut BTreeMap<PrefixId, Standing>) -> Result<(), ledger::Error> {
        let mut told: BTreeMap<PrefixId, Standing> = BTreeMap::new();
        let mut news = Vec::new();
        for (id, standing) in held.iter_mut() {
            if let Some(change) = standing.untold.take() {
                tracing::info!(prefix = %change.prefix.network, before = change.before.as_str(),
                    after = change.after.as_str(), reason = change.reason, "a verdict changed");
                news.push(Happening::verdict(change, self.clock.now()));
                told.insert(*id, standing.clone());
            }
        }
        if news.is_empty() {
            return Ok(());
        }
        self.log.tell(&news).await?;
        self.hold(check, &told).await
    }

    async fn hold(
        &self,
        check: Check,
        standings: &BTreeMap<PrefixId, Standing>,
    ) -> Result<(), ledger::Error> {
        let row = |(id, standing): (&PrefixId, &Standing)| Observation::of(*id, check.as_str(), standing);
        let rows: Vec<Observation> = standings.iter().map(row).collect::<Result<_, _>>()?;
        self.observations.put(ObservationKind::Verdict, &rows, self.clock.now()).await
    }

    /// Folds back what could not be folded back when it was found, and nothing else: what people write in the meantime is
    /// theirs until the next look. Tries every check, whatever became of another.
    pub(super) async fn catch_up(&self) -> Result<usize, RoundError> {
        let behind: Vec<Check> = self.behind().iter().copied().collect();
        let (mut written, mut trouble) = (0, None);
        for check in behind {
            match self.fold_back(check).await {
                Ok(count) => written += count,
                Err(error) => trouble = trouble.or(Some(error)),
            }
        }
        trouble.map_or(Ok(written), Err)
    }

    fn behind(&self) -> std::sync::MutexGuard<'_, BTreeSet<Check>> {
        self.behind.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Writes what is held into NetBox where the record says something else. Answers how many records were written.
    ///
    /// A record that moved on since it was read is read again. If a person changed the very verdict, it is theirs until the
    /// next round; if they changed anything else, the verdict goes beside it.
    pub(super) async fn fold_back(&self, check: Check) -> Result<usize, RoundError> {
        // One check at a time: two that write beside each other would each find the record moved on.
        let _alone = self.folding.lock().await;
        self.behind().insert(check);
        let index = self.cache.snapshot();
        let held = self.standings(check, None).await?;
        tally(check, &held);
        let due: Vec<Due> = index.leased().filter_map(|prefix| self.due(check, prefix, &held)).collect();
        let (mut written, mut left) = (0, 0);
        for chunk in due.chunks(AT_ONCE) {
            let done = self.write(chunk).await?;
            written += done.len();
            let missed: Vec<u64> =
                chunk.iter().map(|(id, ..)| id.0).filter(|id| !done.contains(&PrefixId(*id))).collect();
            if missed.is_empty() {
                continue;
            }
            let fresh: Vec<Prefix> = self.client.by_ids(&missed).await?;
            let again: Vec<Due> = fresh
                .iter()
                .filter(|prefix| {
                    let before = index.prefix(prefix.id).and_then(|before| before.lease.as_ref());
                    let recorded = |lease: &Lease| fold::recorded(lease, check);
                    before.map(|lease| recorded(lease)) == prefix.lease.as_ref().map(|lease| recorded(lease))
                })
                .filter_map(|prefix| self.due(check, prefix, &held))
                .collect();
            self.cache.apply(Batch::from(fresh)).await?;
            let done = self.write(&again).await?.len();
            written += done;
            left += again.len() - done;
        }
        if left == 0 {
            self.behind().remove(&check);
        }
        Ok(written)
    }

    /// What a record lacks. What is held of another origin or lease is nothing to it.
    fn due(&self, check: Check, prefix: &Prefix, held: &BTreeMap<PrefixId, Standing>) -> Option<Due> {
        let standing = held.get(&prefix.id).filter(|standing| standing.about == about(check, prefix))?;
        let changes = fold::changes(prefix.lease.as_ref()?, standing, self.settings.redate_after);
        (!changes.is_empty()).then(|| (prefix.id, prefix.revision.clone(), changes))
    }

    /// Writes those that are still as they were read; which they were.
    async fn write(&self, due: &[Due]) -> Result<Vec<PrefixId>, RoundError> {
        if due.is_empty() {
            return Ok(Vec::new());
        }
        let records = match self.client.patch_fields(due).await {
            // One record that NetBox finds fault with must not keep the others from being written.
            Err(netbox::Error::Rejected { .. }) => self.one_by_one(due).await?,
            answer => answer?,
        };
        let ids = records.iter().map(|prefix| prefix.id).collect();
        self.cache.apply(Batch::from(records)).await?;
        Ok(ids)
    }

    async fn one_by_one(&self, chunk: &[Due]) -> netbox::Result<Vec<Prefix>> {
        let mut records = Vec::new();
        for one in chunk {
            match self.client.patch_fields(std::slice::from_ref(one)).await {
                Ok(record) => records.extend(record),
                Err(error @ netbox::Error::Rejected { .. }) => {
                    tracing::error!(prefix_id = one.0.0, %error, "NetBox does not take a verdict");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(records)
    }

    /// Forgets what was observed of blocks that carry no lease any more.
    pub(super) async fn forget_ended(&self) -> Result<(), ledger::Error> {
        let mut known: BTreeSet<PrefixId> = BTreeSet::new();
        for kind in [ObservationKind::Verdict, ObservationKind::Sweep] {
            known.extend(self.observations.prefixes(kind).await?);
        }
        // After those: what was observed of a lease that is newer than this round is not to be taken for an ended one's.
        let index = self.cache.snapshot();
        let leased: BTreeSet<PrefixId> = index.leased().map(|prefix| prefix.id).collect();
        let ended: Vec<PrefixId> = known.difference(&leased).copied().collect();
        self.observations.forget(&ended).await
    }
}

/// What a verdict on a prefix is about: the block, the origin that would announce it, and the lease. Of another it says nothing.
pub(super) fn about(check: Check, prefix: &Prefix) -> String {
    let lease = prefix.lease.as_deref();
    let origin = match check {
        Check::Roa | Check::Irr => lease.and_then(|lease| lease.origin).map(|asn| asn.to_string()),
        Check::Reputation => None,
    };
    let whose = lease.map(sweeps::identity).unwrap_or_default();
    format!("{} {} {whose}", prefix.network, origin.unwrap_or_default())
}

/// How many blocks each verdict is held of.
fn tally(check: Check, held: &BTreeMap<PrefixId, Standing>) {
    let words: Vec<Verdict> = match check {
        Check::Roa => RoaStatus::ALL.iter().copied().map(Verdict::Roa).collect(),
        Check::Irr => vec![Verdict::Irr(true), Verdict::Irr(false)],
        Check::Reputation => Reputation::ALL.iter().copied().map(Verdict::Reputation).collect(),
    };
    for verdict in words {
        let count = held.values().filter(|standing| standing.verdict == verdict).count();
        gauge!("leasehold_verdicts", "check" => check.as_str(), "verdict" => verdict.as_str())
            .set(f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
    }
}
