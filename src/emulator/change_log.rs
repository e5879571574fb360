//! NetBox's change log: one entry for each record that a request created, updated or deleted.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::records::RecordKind;

/// An entry of the change log.
#[derive(Clone, Debug)]
pub(super) struct LoggedChange {
    /// Zero until the entry is appended.
    pub(super) id: u64,
    pub(super) time: Timestamp,
    pub(super) request_id: String,
    /// `create`, `update` or `delete`.
    pub(super) action: &'static str,
    pub(super) kind: RecordKind,
    pub(super) object_id: u64,
    pub(super) object_repr: String,
    /// The `changelog_message` of the request; empty for none.
    pub(super) message: String,
    /// The record before and after, in the change log's own format; null where there is none.
    pub(super) before: Value,
    pub(super) after: Value,
}

/// The entries by id. Ids grow by one and are never reused.
#[derive(Debug, Default)]
pub(super) struct ChangeLog {
    entries: BTreeMap<u64, LoggedChange>,
    last_id: u64,
}

impl ChangeLog {
    pub(super) fn append(&mut self, mut entry: LoggedChange) {
        self.last_id += 1;
        entry.id = self.last_id;
        self.entries.insert(entry.id, entry);
    }

    /// Entries with this id or a higher one, oldest first.
    pub(super) fn starting_at(&self, id: u64) -> impl DoubleEndedIterator<Item = &LoggedChange> {
        self.entries.range(id..).map(|(_, entry)| entry)
    }

    /// Removes all but the newest `keep` entries.
    pub(super) fn prune(&mut self, keep: usize) {
        while self.entries.len() > keep {
            self.entries.pop_first();
        }
    }
}
