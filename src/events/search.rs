//! A page of the event log, read backwards from its newest event or from a position.

use super::error::Error;
use super::filter::EventFilter;
use super::log::EventLog;
use super::resume_token::ResumeToken;
use crate::model::Event;

/// Events that one page examines at most. It bounds the cost of a page whose filter matches few events; the page is then short,
/// and its token continues behind the events examined.
const EXAMINED_PER_PAGE: usize = 5_000;
/// Events that are read from the journal at once.
const READ_AT_ONCE: u32 = 500;

/// A page of events, the newest first.
#[derive(Clone, Debug, PartialEq)]
pub struct EventPage {
    pub events: Vec<Event>,
    /// Where the next page begins; `None` if the log has no older events.
    pub next: Option<ResumeToken>,
    /// The end of the log when the page was read: a watch that resumes here receives what this page cannot show.
    pub newest: ResumeToken,
}

impl EventLog {
    /// Reads at most `size` events that pass the filter, older than the position `before` or from the newest on. A page can be
    /// shorter than `size`, or empty, although older events follow. The error says if `before` is of another ledger, or is
    /// older than what is kept.
    pub async fn search(
        &self,
        filter: &EventFilter,
        before: Option<&ResumeToken>,
        size: usize,
    ) -> Result<EventPage, Error> {
        let today = self.clock().today();
        let mut position = match before {
            Some(token) => self.resume(token).await?,
            None => u64::MAX,
        };
        let newest = self.token(self.last());
        let (mut events, mut examined) = (Vec::new(), 0);
        loop {
            let read = self.journal().read_back(position, READ_AT_ONCE).await?;
            if read.is_empty() {
                return Ok(EventPage { events, next: None, newest });
            }
            examined += read.len();
            for event in read {
                if events.len() == size {
                    return Ok(EventPage { events, next: Some(self.token(position)), newest });
                }
                position = event.sequence;
                if filter.wants(&event.domain_event, today) {
                    events.push(event);
                }
            }
            if examined >= EXAMINED_PER_PAGE {
                return Ok(EventPage { events, next: Some(self.token(position)), newest });
            }
        }
    }
}
