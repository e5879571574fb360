//! Which blocks a round checks.

use std::sync::Arc;

use crate::cache::Index;
use crate::clock::Clock;
use crate::model::{Prefix, TermPhase};

/// Which of the leased blocks in force a round checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockSelection {
    All,
    /// Blocks that were never checked as they are now: they were just registered, recorded by hand, or given another origin.
    New,
}

/// The leased blocks for which a check is wanted. Blocks whose lease has ended are left out, but those whose lease begins in
/// the future are checked already.
pub(super) fn leased_blocks(
    index: &Index,
    clock: &dyn Clock,
    wanted: impl Fn(&Prefix) -> bool,
) -> Vec<Arc<Prefix>> {
    let today = clock.today();
    let has_lease = |prefix: &Prefix| {
        prefix.lease.as_ref().is_some_and(|lease| lease.term.phase(today) != TermPhase::Expired)
    };
    index.leased().filter(|prefix| has_lease(prefix) && wanted(prefix)).cloned().collect()
}
