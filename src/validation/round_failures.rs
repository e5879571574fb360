//! The blocks of a round that got no answer. Pure.

use std::collections::BTreeMap;

use super::error::RoundError;
use crate::model::{CouldNotCheck, Prefix, PrefixId};

/// Collects the blocks of a round that got no answer. Where a block is checked several times, the last check counts.
#[derive(Default)]
pub(super) struct RoundFailures {
    blocks: BTreeMap<PrefixId, String>,
}

impl RoundFailures {
    /// Notes the outcome of a check: its failure, or `None` if it was answered.
    pub(super) fn note(&mut self, prefix: &Prefix, failure: Option<&CouldNotCheck>) {
        match failure {
            Some(could_not) => {
                self.blocks.insert(prefix.id, format!("{}: {could_not}", prefix.network));
            }
            None => {
                self.blocks.remove(&prefix.id);
            }
        }
    }

    /// The result of a round over this many blocks: their number, or an error if any of them got no answer.
    pub(super) fn into_result(self, blocks: usize) -> Result<usize, RoundError> {
        let failed = self.blocks.len();
        match self.blocks.into_values().next() {
            Some(first) => Err(RoundError::Unchecked { failed, blocks, first }),
            None => Ok(blocks),
        }
    }
}
