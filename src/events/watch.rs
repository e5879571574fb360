//! One watcher's way through the log.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::filter::Filter;
use super::log::{EventLog, PAGE};
use super::token::Token;
use crate::ledger;
use crate::model::Event;

/// What a watcher is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// An event that it wants.
    Event(Arc<Event>),
    /// Nothing that it wants has happened; the token moved on all the same.
    Bookmark,
}

/// Why a watch has ended. Its token still stands.
#[derive(Debug, thiserror::Error)]
pub enum Closed {
    /// It fell so far behind that the events before it are no longer at hand.
    #[error(
        "this watcher is too slow: it fell behind by more than the server keeps at hand; resume from the token"
    )]
    TooSlow,
    /// The server stops.
    #[error("the server is stopping; resume from the token")]
    Stopping,
    /// Retention removed what comes next while the watcher caught up.
    #[error("what follows the token is no longer kept; start from a snapshot")]
    Compacted,
    /// The ledger cannot be read.
    #[error("the event log cannot be read")]
    Ledger(#[from] ledger::Error),
}

/// One watcher's way through the log: a cursor and at most a page.
pub struct Watch {
    log: Arc<EventLog>,
    filter: Filter,
    /// The last event that was told or passed over.
    cursor: u64,
    page: VecDeque<Arc<Event>>,
    /// The ring, once the journal has been caught up with.
    live: Option<Receiver<Arc<Event>>>,
    bookmarks: Duration,
}

impl Watch {
    /// Tells what follows the event with this sequence, and a bookmark wherever that is nothing for so long.
    pub fn after(log: Arc<EventLog>, sequence: u64, filter: Filter, bookmarks: Duration) -> Self {
        Self { log, filter, cursor: sequence, page: VecDeque::new(), live: None, bookmarks }
    }

    /// Where it stands: resuming from here misses nothing and repeats nothing.
    pub fn token(&self) -> Token {
        self.log.token(self.cursor)
    }

    /// Waits for what is to be told next.
    pub async fn next(&mut self) -> Result<Told, Closed> {
        let quiet = tokio::time::sleep(self.bookmarks);
        tokio::pin!(quiet);
        let stop = self.log.stopped();
        loop {
            if let Some(event) = self.page.pop_front() {
                if let Some(event) = self.pass(event) {
                    return Ok(Told::Event(event));
                }
                continue;
            }
            let Some(live) = &mut self.live else {
                self.catch_up().await?;
                continue;
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => return Err(Closed::Stopping),
                received = live.recv() => match received {
                    Ok(event) if event.sequence <= self.cursor => {}
                    Ok(event) if event.sequence == self.cursor + 1 => self.page.push_back(event),
                    // Not to be, since the ring has the journal's order; the journal has what is missing.
                    Ok(_) => self.live = None,
                    Err(RecvError::Lagged(_)) => return Err(Closed::TooSlow),
                    Err(RecvError::Closed) => return Err(Closed::Stopping),
                },
                () = &mut quiet => return Ok(Told::Bookmark),
            }
        }
    }

    /// Moves the cursor past an event; the event, if it is wanted.
    fn pass(&mut self, event: Arc<Event>) -> Option<Arc<Event>> {
        self.cursor = event.sequence;
        self.filter.wants(&event.happening, self.log.clock().today()).then_some(event)
    }

    /// Reads a page from the journal, and goes over to the ring at its end.
    async fn catch_up(&mut self) -> Result<(), Closed> {
        // Before the journal is read: what is taken up in between is in one of the two, and the cursor tells which.
        let ring = self.log.listen();
        let known = self.log.last();
        let events = self.log.journal().read(self.cursor, PAGE).await?;
        match events.first() {
            Some(first) if first.sequence != self.cursor + 1 => return Err(Closed::Compacted),
            None if known > self.cursor => return Err(Closed::Compacted),
            _ => {}
        }
        if events.len() < PAGE as usize {
            self.live = Some(ring);
        }
        self.page = events.into_iter().map(Arc::new).collect();
        Ok(())
    }
}
