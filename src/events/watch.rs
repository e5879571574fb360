//! One watcher's way through the event log.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::error::WatchClosed;
use super::filter::EventFilter;
use super::log::{EventLog, PAGE};
use super::resume_token::ResumeToken;
use crate::model::Event;

/// What a watch yields next.
#[derive(Clone, Debug, PartialEq)]
pub enum WatchItem {
    /// An event that passes the filter.
    Event(Arc<Event>),
    /// No event has passed the filter for a while. The token may have moved on all the same.
    Bookmark,
}

/// One watcher's way through the event log. It holds a position and at most one page of events.
pub struct Watch {
    log: Arc<EventLog>,
    filter: EventFilter,
    /// The sequence of the last event that was yielded or rejected by the filter.
    cursor: u64,
    /// Events after the cursor that were read and not yet looked at.
    page: VecDeque<Arc<Event>>,
    /// The ring of recent events; `None` while the watch is reading the journal to catch up with it.
    live: Option<Receiver<Arc<Event>>>,
    bookmarks: Duration,
}

impl Watch {
    /// Yields the events after a sequence that pass the filter, and a bookmark whenever none has for the time `bookmarks`.
    pub fn after(log: Arc<EventLog>, sequence: u64, filter: EventFilter, bookmarks: Duration) -> Self {
        Self { log, filter, cursor: sequence, page: VecDeque::new(), live: None, bookmarks }
    }

    /// The present position. A watch that resumes from here misses no event and repeats none.
    pub fn token(&self) -> ResumeToken {
        self.log.token(self.cursor)
    }

    /// Waits for the next item. After an error the watch must not be used again.
    pub async fn next(&mut self) -> Result<WatchItem, WatchClosed> {
        let quiet = tokio::time::sleep(self.bookmarks);
        tokio::pin!(quiet);
        let stop = self.log.stopped();
        loop {
            if let Some(event) = self.page.pop_front() {
                if let Some(event) = self.advance(event) {
                    return Ok(WatchItem::Event(event));
                }
                continue;
            }
            let Some(live) = &mut self.live else {
                self.catch_up().await?;
                continue;
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => return Err(WatchClosed::Stopping),
                received = live.recv() => match received {
                    Ok(event) if event.sequence <= self.cursor => {}
                    Ok(event) if event.sequence == self.cursor + 1 => self.page.push_back(event),
                    // The ring has the journal's order, so this should not happen; the journal has what is missing.
                    Ok(_) => self.live = None,
                    Err(RecvError::Lagged(_)) => return Err(WatchClosed::TooSlow),
                    Err(RecvError::Closed) => return Err(WatchClosed::Stopping),
                },
                () = &mut quiet => return Ok(WatchItem::Bookmark),
            }
        }
    }

    /// Moves the cursor to an event, and returns it if it passes the filter.
    fn advance(&mut self, event: Arc<Event>) -> Option<Arc<Event>> {
        self.cursor = event.sequence;
        self.filter.wants(&event.domain_event, self.log.clock().today()).then_some(event)
    }

    /// Reads a page from the journal, and goes over to the ring once the journal has no more.
    async fn catch_up(&mut self) -> Result<(), WatchClosed> {
        // Subscribed before the journal is read, so that an event that is published meanwhile is in the ring if it is not in the
        // page. One that is in both is recognised by its sequence.
        let ring = self.log.subscribe();
        let known = self.log.last();
        let events = self.log.journal().read(self.cursor, PAGE).await?;
        match events.first() {
            Some(first) if first.sequence != self.cursor + 1 => return Err(WatchClosed::Compacted),
            None if known > self.cursor => return Err(WatchClosed::Compacted),
            _ => {}
        }
        if events.len() < PAGE as usize {
            self.live = Some(ring);
        }
        self.page = events.into_iter().map(Arc::new).collect();
        Ok(())
    }
}
