//! The next generation, while a full pass reads it.

use std::collections::HashSet;

use super::batch::Batch;
use super::index::Index;

/// A generation that a full pass is building beside the one in service.
pub(super) struct Building {
    pub(super) generation: u64,
    index: Index,
    /// The records that were deleted since the pass began. A page that was read before must not bring them back.
    deleted: DeletedIds,
}

impl Building {
    pub(super) fn new(generation: u64) -> Self {
        Self { generation, index: Index::default(), deleted: DeletedIds::default() }
    }

    /// Adds a page of the pass. Removes from it the records that were deleted meanwhile, so that the caller writes the same
    /// records into the file.
    pub(super) fn add_page(&mut self, page: &mut Batch) {
        self.deleted.remove_from(page);
        self.index.apply(page);
    }

    /// Applies a change that arrived while the pass was running.
    pub(super) fn apply(&mut self, batch: &Batch) {
        self.deleted.note(batch);
        self.index.apply(batch);
    }

    pub(super) fn into_index(self) -> Index {
        self.index
    }
}

#[derive(Default)]
struct DeletedIds {
    prefixes: HashSet<u64>,
    addresses: HashSet<u64>,
    ranges: HashSet<u64>,
    vrfs: HashSet<u64>,
}

impl DeletedIds {
    fn note(&mut self, batch: &Batch) {
        self.prefixes.extend(&batch.deleted_prefixes);
        self.addresses.extend(&batch.deleted_addresses);
        self.ranges.extend(&batch.deleted_ranges);
        self.vrfs.extend(&batch.deleted_vrfs);
    }

    fn remove_from(&self, page: &mut Batch) {
        page.prefixes.retain(|row| !self.prefixes.contains(&row.id.0));
        page.addresses.retain(|row| !self.addresses.contains(&row.id.0));
        page.ranges.retain(|row| !self.ranges.contains(&row.id.0));
        page.vrfs.retain(|row| !self.vrfs.contains(&row.id.0));
    }
}
