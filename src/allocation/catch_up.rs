//! Brings the cache up to date with NetBox's change log, between two polls of the sync.
//!
//! The log is read from a little before the newest entry that is known, since ids of entries can commit out of order. What was
//! covered before is not read again. The position of the sync is not moved.

use std::collections::BTreeSet;

use tokio::sync::Mutex;

use super::error::Error;
use super::ports::{ChangesWanted, NetBoxPort, RecordCache};
use crate::netbox::ObjectKind;

/// How far back the log is read. An entry that commits later than this many others is seen by the next poll only.
const OVERLAP: u64 = 100;

/// The entries of the change log that this server has covered besides its polls.
#[derive(Default)]
pub(super) struct CatchUp {
    state: Mutex<Covered>,
}

#[derive(Default)]
struct Covered {
    entries: BTreeSet<u64>,
    latest: u64,
}

impl CatchUp {
    /// Reads what changed since the last time, for records of these kinds, into the cache. `own` are records that the caller has
    /// just written itself.
    pub(super) async fn run(
        &self,
        netbox: &dyn NetBoxPort,
        cache: &dyn RecordCache,
        kinds: &[ObjectKind],
        own: &[(ObjectKind, u64)],
    ) -> Result<(), Error> {
        let mut state = self.state.lock().await;
        let from = state.latest.max(cache.position().await).saturating_sub(OVERLAP);
        state.entries = state.entries.split_off(&from);
        let wanted = ChangesWanted { from, covered: &state.entries, kinds, own };
        let changed = netbox.changed(wanted).await?;
        if !changed.batch.is_empty() {
            cache.apply(changed.batch).await?;
        }
        state.entries.extend(changed.entries);
        state.latest = state.latest.max(changed.latest);
        Ok(())
    }
}
