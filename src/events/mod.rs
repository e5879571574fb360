//! The event log as its users see it: everything that happens, in one order, from any point on, without a silent gap.
//!
//! The [`EventLog`] is the cache's witness: a change is taken up by the ledger before any reader of the cache sees it, so
//! events and reads cannot drift apart. What a watcher gets is a [`Watch`]: a snapshot of the present state if it has no
//! token, then what follows. Sequences have no holes, so a watch knows when something is missing, and then says so
//! ([`Closed`]) instead of going on. A watch holds a cursor and at most a page: the ring of recent events is shared, and a
//! watcher that falls out of it is closed with its token.
//!
//! [`history`] walks the present back: who had this address then?
//!
//! # Data storage
//!
//! All of it is in the ledger's journal. The ring is a copy of its end; another replica's events come through the same
//! door, read from the journal.

mod filter;
pub mod history;
mod log;
mod sync_watch;
mod token;
mod watch;

pub use filter::Filter;
pub use history::{Historian, History, HistoryError, Standing};
pub use log::{Error, EventLog};
pub use sync_watch::SyncWatch;
pub use token::{Token, TokenError};
pub use watch::{Closed, Told, Watch};
