//! The event log as its users see it: every event in one order, readable from any point on, without a silent gap.
//!
//! The [`EventLog`] is the cache's commit hook: a change is in the ledger before any reader of the cache sees it, so events and
//! reads agree. A watcher has a [`Watch`]. If it comes without a token, it first receives a snapshot of the present state, and
//! then the events that follow. Sequences have no holes, so a watch notices that events are missing, and then ends with an
//! error ([`WatchClosed`]) instead of going on. A watch holds a position and at most one page of events; all watches share
//! the ring of recent events, and one that falls behind the ring is closed with its token.
//!
//! The [`Historian`] answers who had an address at an earlier time, by undoing the changes since, and lists what happened to it, a
//! page at a time: first from the event log, and then from NetBox's change log.
//!
//! # Data storage
//!
//! All events are in the ledger's journal. The ring is a copy of the latest ones. Events of another replica reach the ring like
//! our own: they are read from the journal.
//!
//! # Error handling
//!
//! After [`WatchClosed::TooSlow`] and [`WatchClosed::Stopping`] the client resumes from its token and misses nothing. After
//! [`WatchClosed::Compacted`] and a refused token it has to start from a snapshot. While the ledger cannot be written, no change
//! enters the cache either.

mod earlier;
mod error;
mod filter;
mod historian;
mod history_position;
mod log;
mod resume_token;
mod search;
mod sync_watch;
mod undo;
mod watch;

pub use earlier::HistoryEvent;
pub use error::{Error, HistoryError, WatchClosed};
pub use filter::EventFilter;
pub use historian::{Historian, HistoryPage};
pub use history_position::{EarlierEntry, HistoryPosition, NotAHistoryPosition};
pub use log::EventLog;
pub use resume_token::{ResumeToken, ResumeTokenError};
pub use search::EventPage;
pub use sync_watch::SyncWatch;
pub use undo::AddressSnapshot;
pub use watch::{Watch, WatchItem};
