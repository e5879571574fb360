//! Writes verdicts back to NetBox, without overwriting what a person changed meanwhile.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use metrics::gauge;
use tokio::sync::Mutex;

use super::error::RoundError;
use super::field_changes::{field_changes, recorded_verdict};
use super::verdict_store::{VerdictStates, VerdictStore};
use super::verdict_subject::verdict_subject;
use crate::cache::{Batch, Cache};
use crate::model::{Check, Lease, Prefix, PrefixId, Reputation, Revision, RoaStatus, Verdict};
use crate::netbox::{self, Client, FieldChange};

/// A record, the revision at which it was read, and the fields to write into it.
type FieldWrite = (PrefixId, Revision, Vec<FieldChange>);

/// Records that are written with one request.
const RECORDS_PER_REQUEST: usize = 100;

/// Writes verdicts back to NetBox.
pub(super) struct WriteBack {
    client: Client,
    cache: Arc<Cache>,
    store: VerdictStore,
    rewrite_unchanged_after: Duration,
    /// Checks whose verdicts may not all be in NetBox yet, because a write failed or a record kept changing.
    pending: std::sync::Mutex<BTreeSet<Check>>,
    /// Held during a write-back, across requests to NetBox. Two checks that write the same record at the same time would each
    /// find that its revision changed.
    writing: Mutex<()>,
}

impl WriteBack {
    pub(super) fn new(
        client: Client,
        cache: Arc<Cache>,
        store: VerdictStore,
        rewrite_unchanged_after: Duration,
    ) -> Self {
        Self {
            client,
            cache,
            store,
            rewrite_unchanged_after,
            pending: std::sync::Mutex::default(),
            writing: Mutex::default(),
        }
    }

    /// Repeats the write-backs that did not succeed, and no others: between two rounds, a value that a person wrote into
    /// NetBox stays. Every pending check is tried; the first error is returned. Returns how many records were written.
    pub(super) async fn run_pending(&self) -> Result<usize, RoundError> {
        let pending: Vec<Check> = self.pending().iter().copied().collect();
        let (mut written, mut first_error) = (0, None);
        for check in pending {
            match self.run(check).await {
                Ok(count) => written += count,
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        first_error.map_or(Ok(written), Err)
    }

    fn pending(&self) -> std::sync::MutexGuard<'_, BTreeSet<Check>> {
        self.pending.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Writes the verdicts of a check into the records that say something else. Returns how many records were written.
    ///
    /// A record that changed since it was read is read again. If its verdict of this check was changed, that value stays
    /// until the next round; if anything else was changed, the verdict is written beside it.
    pub(super) async fn run(&self, check: Check) -> Result<usize, RoundError> {
        let _writing = self.writing.lock().await;
        self.pending().insert(check);
        let index = self.cache.snapshot();
        let states = self.store.load(check, None).await?;
        report_counts(check, &states);
        let writes: Vec<FieldWrite> =
            index.leased().filter_map(|prefix| self.write_for(check, prefix, &states)).collect();
        let (mut written, mut not_written) = (0, 0);
        for chunk in writes.chunks(RECORDS_PER_REQUEST) {
            let done = self.write(chunk).await?;
            written += done.len();
            let changed: Vec<u64> =
                chunk.iter().filter(|(id, ..)| !done.contains(id)).map(|(id, ..)| id.0).collect();
            if changed.is_empty() {
                continue;
            }
            let records: Vec<Prefix> = self.client.by_ids(&changed).await?;
            let verdict_unchanged = |record: &&Prefix| {
                let before = index.prefix(record.id).and_then(|before| before.lease.as_ref());
                let verdict = |lease: &Lease| recorded_verdict(lease, check);
                before.map(|lease| verdict(lease)) == record.lease.as_ref().map(|lease| verdict(lease))
            };
            let again: Vec<FieldWrite> = records
                .iter()
                .filter(verdict_unchanged)
                .filter_map(|record| self.write_for(check, record, &states))
                .collect();
            self.cache.apply(Batch::from(records)).await?;
            let done = self.write(&again).await?.len();
            written += done;
            not_written += again.len() - done;
        }
        if not_written == 0 {
            self.pending().remove(&check);
        }
        Ok(written)
    }

    /// What to write into a record. Nothing if it agrees with the verdict, or if the verdict is about another origin or lease.
    fn write_for(&self, check: Check, prefix: &Prefix, states: &VerdictStates) -> Option<FieldWrite> {
        let state = states.get(&prefix.id).filter(|state| state.about == verdict_subject(check, prefix))?;
        let changes = field_changes(prefix.lease.as_ref()?, state, self.rewrite_unchanged_after);
        (!changes.is_empty()).then(|| (prefix.id, prefix.revision.clone(), changes))
    }

    /// Writes the records that are still at the revision given, and returns their ids.
    async fn write(&self, writes: &[FieldWrite]) -> Result<BTreeSet<PrefixId>, RoundError> {
        if writes.is_empty() {
            return Ok(BTreeSet::new());
        }
        let records = match self.client.patch_fields(writes).await {
            // NetBox refuses a list as a whole: one record that it rejects must not hold up the others.
            Err(error) if error.is_content_refused() => self.write_one_by_one(writes).await?,
            answer => answer?,
        };
        let ids = records.iter().map(|prefix| prefix.id).collect();
        self.cache.apply(Batch::from(records)).await?;
        Ok(ids)
    }

    async fn write_one_by_one(&self, writes: &[FieldWrite]) -> netbox::NetBoxResult<Vec<Prefix>> {
        let mut records = Vec::new();
        for write in writes {
            match self.client.patch_fields(std::slice::from_ref(write)).await {
                Ok(record) => records.extend(record),
                Err(error) if error.is_content_refused() => {
                    tracing::error!(prefix_id = write.0.0, %error, "NetBox rejects a verdict");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(records)
    }
}

/// Exports how many blocks have each verdict of a check.
fn report_counts(check: Check, states: &VerdictStates) {
    let verdicts: Vec<Verdict> = match check {
        Check::Roa => RoaStatus::ALL.iter().copied().map(Verdict::Roa).collect(),
        Check::Irr => vec![Verdict::Irr(true), Verdict::Irr(false)],
        Check::Reputation => Reputation::ALL.iter().copied().map(Verdict::Reputation).collect(),
    };
    for verdict in verdicts {
        let count = states.values().filter(|state| state.verdict == verdict).count();
        gauge!("leasehold_verdicts", "check" => check.as_str(), "verdict" => verdict.as_str())
            .set(f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
    }
}
