//! When the sync counts as lost: not at the first poll that fails, and only once. Pure.

use std::time::Duration;

use jiff::Timestamp;

use crate::model::EventKind;

/// Follows whether the cache is in step with NetBox.
#[derive(Clone, Copy, Debug, Default)]
pub struct SyncWatch {
    /// It was in step at some time: before that there is nothing to lose.
    was_live: bool,
    /// Since when it is not.
    since: Option<Timestamp>,
    told: bool,
}

/// A failed poll or two are no news.
const GRACE: Duration = Duration::from_secs(10);

impl SyncWatch {
    /// Takes a look at its word; what to tell, if anything.
    pub fn look(&mut self, live: bool, now: Timestamp) -> Option<EventKind> {
        if live {
            let told = std::mem::take(&mut self.told);
            *self = Self { was_live: true, since: None, told: false };
            return told.then_some(EventKind::SyncRegained);
        }
        if !self.was_live || self.told {
            return None;
        }
        let since = *self.since.get_or_insert(now);
        let lasted = now.duration_since(since).unsigned_abs();
        // A clock that jumped back tells nothing about how long it lasted.
        if now < since || lasted < GRACE {
            return None;
        }
        self.told = true;
        Some(EventKind::SyncLost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_is_told_once_after_its_grace_and_so_is_its_end() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let mut watch = SyncWatch::default();
        assert_eq!(watch.look(false, at(0)), None);
        assert_eq!(watch.look(false, at(60)), None, "what never was cannot be lost");
        assert_eq!(watch.look(true, at(61)), None);
        assert_eq!(watch.look(false, at(62)), None);
        assert_eq!(watch.look(true, at(64)), None, "a failed poll is no news");
        assert_eq!(watch.look(false, at(70)), None);
        assert_eq!(watch.look(false, at(80)), Some(EventKind::SyncLost));
        assert_eq!(watch.look(false, at(90)), None);
        assert_eq!(watch.look(true, at(91)), Some(EventKind::SyncRegained));
        assert_eq!(watch.look(true, at(92)), None);
    }
}
