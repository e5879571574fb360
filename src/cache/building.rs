//! The next generation, while a full pass reads it.

use super::batch::Batch;
use super::deletions::Reading;
use super::index::Index;

/// A generation that a full pass is building beside the one in service.
pub(super) struct Building {
    pub(super) generation: u64,
    index: Index,
    /// Since the pass began. A page that was read before a deletion must not bring the record back.
    reading: Reading,
}

impl Building {
    pub(super) fn new(generation: u64, reading: Reading) -> Self {
        Self { generation, index: Index::default(), reading }
    }

    /// Adds a page of the pass. Removes from it the records that were deleted meanwhile, so that the caller writes the same
    /// records into the file.
    pub(super) fn add_page(&mut self, page: &mut Batch) {
        page.remove_missed(&self.reading);
        self.index.apply(page);
    }

    /// Applies a change that arrived while the pass was running.
    pub(super) fn apply(&mut self, batch: &Batch) {
        self.index.apply(batch);
    }

    pub(super) fn into_index(self) -> Index {
        self.index
    }
}
