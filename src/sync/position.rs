//! Whether the change log still continues the part that was already read. Pure: no I/O and no clock.

use std::collections::BTreeSet;
use std::fmt;

use crate::cache::Position;
use crate::netbox::ObjectChange;

/// The number of entries that each poll reads again. NetBox assigns ids before it commits, so an entry may appear late. It appears
/// later than this only if others wrote more entries during one transaction; the next timed full pass then finds its change.
pub(super) const OVERLAP: u64 = 500;

/// The reason why the change log does not continue from the stored position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    NoPosition,
    /// The log ends before the position: NetBox was restored from a backup, or replaced by another one.
    WentBack,
    /// The entry at the position is missing, and later entries exist: NetBox has deleted old entries.
    Pruned,
    /// There is another entry at the position.
    Replaced,
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoPosition => "no position in the change log yet",
            Self::WentBack => {
                "the change log ends before the stored position: NetBox was restored or replaced"
            }
            Self::Pruned => "the change log was pruned past the stored position",
            Self::Replaced => "the change log has another entry at the stored position",
        })
    }
}

/// The position after this entry; `None` gives the position before the first entry.
pub(super) fn position_of(change: Option<&ObjectChange>) -> Position {
    match change {
        None => Position { id: 0, time: None, request: String::new() },
        Some(change) => Position { id: change.id, time: Some(change.time), request: change.request.clone() },
    }
}

/// The id from which a poll reads.
pub(super) fn read_from(position: &Position) -> u64 {
    position.id.saturating_sub(OVERLAP).max(1)
}

/// Checks that the entries continue the position. They must be those from [`read_from`] on, in order of id.
pub(super) fn check_continuity(position: &Position, entries: &[ObjectChange]) -> Result<(), Gap> {
    if position.id == 0 {
        return Ok(());
    }
    match entries.iter().find(|entry| entry.id == position.id) {
        Some(entry) if entry.request == position.request => Ok(()),
        Some(_) => Err(Gap::Replaced),
        None if entries.iter().any(|entry| entry.id > position.id) => Err(Gap::Pruned),
        None => Err(Gap::WentBack),
    }
}

/// The ids of entries whose changes were already applied, as far back as a poll reads.
#[derive(Clone, Debug, Default)]
pub(super) struct AppliedEntries(BTreeSet<u64>);

impl AppliedEntries {
    /// Returns the entries that are new and remembers them. Forgets entries that are too far back to be read again.
    pub(super) fn take_new(&mut self, entries: Vec<ObjectChange>) -> Vec<ObjectChange> {
        let new: Vec<ObjectChange> = entries.into_iter().filter(|entry| self.0.insert(entry.id)).collect();
        if let Some(last) = self.0.last().copied() {
            self.0 = self.0.split_off(&last.saturating_sub(2 * OVERLAP));
        }
        new
    }

    /// Forgets entries whose changes could not be applied, so that the next poll returns them again.
    pub(super) fn forget(&mut self, entries: &[ObjectChange]) {
        for entry in entries {
            self.0.remove(&entry.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netbox::{ChangeAction, ObjectKind};
    use proptest::prelude::*;

    fn change(id: u64) -> ObjectChange {
        ObjectChange {
            id,
            time: jiff::Timestamp::from_second(i64::try_from(id).unwrap()).unwrap(),
            request: format!("request-{id}"),
            action: ChangeAction::Update,
            kind: Some(ObjectKind::Prefix),
            object: 1,
        }
    }

    #[test]
    fn each_kind_of_gap_is_recognised() {
        let position = position_of(Some(&change(100)));
        assert_eq!(check_continuity(&position, &[change(99), change(100), change(101)]), Ok(()));
        assert_eq!(check_continuity(&position, &[change(150)]), Err(Gap::Pruned));
        assert_eq!(check_continuity(&position, &[change(42)]), Err(Gap::WentBack));
        assert_eq!(check_continuity(&position, &[]), Err(Gap::WentBack));
        let other = ObjectChange { request: "of another NetBox".into(), ..change(100) };
        assert_eq!(check_continuity(&position, &[other]), Err(Gap::Replaced));
        assert_eq!(check_continuity(&position_of(None), &[change(1)]), Ok(()));
    }

    proptest! {
        #[test]
        fn each_entry_is_applied_once_however_late_it_commits(
            mut order in Just((1u64..200).collect::<Vec<_>>()).prop_shuffle(),
            step in 1usize..20,
        ) {
            // Entries commit in any order. Each poll sees every entry that is committed by then.
            let mut committed: Vec<u64> = Vec::new();
            let mut applied = AppliedEntries::default();
            let mut acted = Vec::new();
            while !order.is_empty() {
                committed.extend(order.drain(..step.min(order.len())));
                let mut visible = committed.clone();
                visible.sort_unstable();
                acted.extend(applied.take_new(visible.into_iter().map(change).collect()).iter().map(|entry| entry.id));
            }
            acted.sort_unstable();
            prop_assert_eq!(acted, (1u64..200).collect::<Vec<_>>());
        }
    }
}
