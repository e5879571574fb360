//! Reads of NetBox that overlap with deletions. NetBox never gives an id again, so a record that was read while it was deleted is a
//! record that must not come back into the cache, however late its read ends.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The kinds of records of the cache. Each has ids of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum CachedKind {
    Prefix,
    Address,
    Range,
    Vrf,
}

/// The deletions that reads under way may have missed.
#[derive(Clone, Debug, Default)]
pub struct Deletions(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// Counts the changes that deleted something.
    latest: u64,
    /// For each record the number of the change that deleted it.
    deleted: HashMap<(CachedKind, u64), u64>,
    /// For each number that `latest` had when reads began, how many of them are under way.
    readings: BTreeMap<u64, usize>,
}

/// A read of NetBox that is under way. It begins before the request is sent, and is given to the batch by
/// [`super::Batch::read_during`]. What is deleted from then on is kept in mind until it is dropped.
#[derive(Debug)]
pub struct Reading {
    deletions: Deletions,
    began: u64,
}

impl Deletions {
    /// Begins a read, before its request is sent.
    pub fn begin_reading(&self) -> Reading {
        let mut state = self.lock();
        let began = state.latest;
        *state.readings.entry(began).or_default() += 1;
        Reading { deletions: self.clone(), began }
    }

    /// Notes what a change deletes.
    pub(super) fn note(&self, ids: impl Iterator<Item = (CachedKind, u64)>) {
        let mut state = self.lock();
        if !state.readings.is_empty() {
            state.latest += 1;
            let latest = state.latest;
            state.deleted.extend(ids.map(|record| (record, latest)));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reading {
    /// Whether a record was deleted after the read began.
    pub(super) fn missed(&self, kind: CachedKind, id: u64) -> bool {
        self.deletions.lock().deleted.get(&(kind, id)).is_some_and(|at| *at > self.began)
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let mut state = self.deletions.lock();
        if let Some(count) = state.readings.get_mut(&self.began) {
            *count -= 1;
            if *count == 0 {
                state.readings.remove(&self.began);
            }
        }
        // What no read can have missed any more is forgotten.
        let oldest = state.readings.keys().next().copied().unwrap_or(u64::MAX);
        state.deleted.retain(|_, at| *at > oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_kept_once_no_read_is_under_way() {
        let deletions = Deletions::default();
        let delete = |id| deletions.note([(CachedKind::Address, id)].into_iter());
        let kept = || deletions.lock().deleted.len();
        delete(1);
        assert_eq!(kept(), 0);
        let (first, second) = (deletions.begin_reading(), deletions.begin_reading());
        delete(2);
        let third = deletions.begin_reading();
        delete(3);
        assert_eq!(kept(), 2);
        drop(first);
        assert_eq!(kept(), 2);
        drop(second);
        assert_eq!(kept(), 1);
        drop(third);
        assert_eq!(kept(), 0);
        assert!(deletions.lock().readings.is_empty());
    }
}
