//! Whether the change log still continues what was read of it. Pure.

use std::collections::BTreeSet;
use std::fmt;

use crate::cache::Position;
use crate::netbox::Change;

/// How far back each poll reads again. Ids are handed out before commit: what commits late lies this far back at most,
/// unless a single transaction holds more than this many other changes, which the timed full pass then finds.
pub(super) const OVERLAP: u64 = 500;

/// Why the change log cannot be followed from where we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    /// There is no position yet.
    NoPosition,
    /// The log ends before our position: NetBox was restored from a backup, or is another one.
    WentBack,
    /// Our entry is gone while later ones stand: the log was pruned past us.
    Pruned,
    /// An entry stands at our position, but not the one that we read.
    Replaced,
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoPosition => "no position in the change log yet",
            Self::WentBack => "the change log ends before our position: NetBox was restored or replaced",
            Self::Pruned => "the change log was pruned past our position",
            Self::Replaced => "the change log at our position is not the one that was read",
        })
    }
}

/// The entry as a position.
pub(super) fn position_of(change: Option<&Change>) -> Position {
    match change {
        None => Position { id: 0, time: None, request: String::new() },
        Some(change) => Position { id: change.id, time: Some(change.time), request: change.request.clone() },
    }
}

/// Where a poll starts to read.
pub(super) fn read_from(position: &Position) -> u64 {
    position.id.saturating_sub(OVERLAP).max(1)
}

/// Checks that the entries read (from [`read_from`] on, in order) continue the position.
pub(super) fn check(position: &Position, entries: &[Change]) -> Result<(), Gap> {
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

/// Entries that were already acted upon: all that were seen within the overlap.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen(BTreeSet<u64>);

impl Seen {
    /// Keeps the entries not seen before and remembers them; forgets what lies too far back to be read again.
    pub(super) fn fresh(&mut self, entries: Vec<Change>) -> Vec<Change> {
        let fresh: Vec<Change> = entries.into_iter().filter(|entry| self.0.insert(entry.id)).collect();
        if let Some(last) = self.0.last().copied() {
            self.0 = self.0.split_off(&last.saturating_sub(2 * OVERLAP));
        }
        fresh
    }

    /// Takes back what could not be acted upon.
    pub(super) fn forget(&mut self, entries: &[Change]) {
        for entry in entries {
            self.0.remove(&entry.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netbox::{Action, ObjectKind};
    use proptest::prelude::*;

    fn change(id: u64) -> Change {
        Change {
            id,
            time: jiff::Timestamp::from_second(i64::try_from(id).unwrap()).unwrap(),
            request: format!("request-{id}"),
            action: Action::Update,
            kind: Some(ObjectKind::Prefix),
            object: 1,
        }
    }

    #[test]
    fn every_kind_of_gap_is_told_apart() {
        let position = position_of(Some(&change(100)));
        assert_eq!(check(&position, &[change(99), change(100), change(101)]), Ok(()));
        assert_eq!(check(&position, &[change(150)]), Err(Gap::Pruned));
        assert_eq!(check(&position, &[change(42)]), Err(Gap::WentBack));
        assert_eq!(check(&position, &[]), Err(Gap::WentBack));
        let other = Change { request: "another life".into(), ..change(100) };
        assert_eq!(check(&position, &[other]), Err(Gap::Replaced));
        assert_eq!(check(&position_of(None), &[change(1)]), Ok(()));
    }

    proptest! {
        #[test]
        fn every_entry_is_acted_upon_once_however_late_it_commits(
            mut order in Just((1u64..200).collect::<Vec<_>>()).prop_shuffle(),
            step in 1usize..20,
        ) {
            // Entries commit in any order; each poll sees all that are committed within the overlap.
            let mut committed: Vec<u64> = Vec::new();
            let mut seen = Seen::default();
            let mut acted = Vec::new();
            while !order.is_empty() {
                committed.extend(order.drain(..step.min(order.len())));
                let mut visible = committed.clone();
                visible.sort_unstable();
                acted.extend(seen.fresh(visible.into_iter().map(change).collect()).iter().map(|entry| entry.id));
            }
            acted.sort_unstable();
            prop_assert_eq!(acted, (1u64..200).collect::<Vec<_>>());
        }
    }
}
