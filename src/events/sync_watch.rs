//! When the connection to NetBox counts as lost: not at the first failed poll, and only once. Pure.

use std::time::Duration;

use jiff::Timestamp;

use crate::model::EventKind;

/// Turns what is observed of the cache's liveness into the events `sync_lost` and `sync_regained`.
#[derive(Clone, Copy, Debug, Default)]
pub struct SyncWatch {
    /// The cache has been live at some time. Before that there is nothing to lose.
    was_live: bool,
    /// Since when the cache has not been live.
    down_since: Option<Timestamp>,
    /// The loss was published and its end was not.
    loss_published: bool,
}

/// A loss is published after this time: a poll or two that fail are no event.
const GRACE: Duration = Duration::from_secs(10);

impl SyncWatch {
    /// Takes in whether the cache is live now. Returns the event to publish, if there is one.
    pub fn observe(&mut self, live: bool, now: Timestamp) -> Option<EventKind> {
        if live {
            let was_lost = self.loss_published;
            *self = Self { was_live: true, down_since: None, loss_published: false };
            return was_lost.then_some(EventKind::SyncRegained);
        }
        if !self.was_live || self.loss_published {
            return None;
        }
        let since = *self.down_since.get_or_insert(now);
        let lasted = now.duration_since(since).unsigned_abs();
        // If the clock has jumped back, the difference is not the time that has passed.
        if now < since || lasted < GRACE {
            return None;
        }
        self.loss_published = true;
        Some(EventKind::SyncLost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_is_published_once_after_its_grace_and_so_is_its_end() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let mut watch = SyncWatch::default();
        assert_eq!(watch.observe(false, at(0)), None);
        assert_eq!(watch.observe(false, at(60)), None, "a cache that was never live cannot be lost");
        assert_eq!(watch.observe(true, at(61)), None);
        assert_eq!(watch.observe(false, at(62)), None);
        assert_eq!(watch.observe(true, at(64)), None, "a failed poll is no event");
        assert_eq!(watch.observe(false, at(70)), None);
        assert_eq!(watch.observe(false, at(80)), Some(EventKind::SyncLost));
        assert_eq!(watch.observe(false, at(90)), None);
        assert_eq!(watch.observe(true, at(91)), Some(EventKind::SyncRegained));
        assert_eq!(watch.observe(true, at(92)), None);
    }
}
