//! What NetBox cannot hold: the intents of writes under way, durable before the write is sent and before an answer leaves;
//! the event log; and the outbox of what is to be told to whom.
//!
//! An [`Intent`] is written as *pending*, then NetBox is asked to write, then the intent becomes *done* or *failed*. What
//! is found pending at start belonged to a server that died in between; the record in NetBox decides what it was. The
//! caller's request id is the primary key, so that of two that begin the same one only one does.
//!
//! The [`Journal`] takes up what happened under a sequence without holes, and recognises what it was told before: a change
//! that two replicas see, or one server sees twice, is one event. The [`Outbox`] keeps each delivery until its sink took it.
//! [`Observations`] are what was seen of leased blocks.
//!
//! One interface a book ([`Books`]), two implementations: SQLite by default, PostgreSQL where several replicas share it.
//!
//! # Data storage
//!
//! SQLite: one file, WAL, `synchronous=FULL`, since an acknowledged write that a power loss takes back would be a double
//! allocation. **It is not a cache: do not delete it.** If it is lost all the same, NetBox's `allocation_id` still
//! tells a retry from a new wish.
//!
//! # Error handling
//!
//! An [`Error`] before the write was sent means that nothing was done; after it, that the outcome is in NetBox but not in
//! the ledger: it stays pending and is settled from the record.

mod database;
mod intent;
mod journal;
mod journal_rows;
mod observation;
mod observation_rows;
mod outbox;
mod outbox_rows;

pub use database::{Books, Error, LedgerSettings, open};
pub use intent::{Begun, Detail, Fingerprint, Intent, IntentKind, IntentState, Ledger, ListIntents};
pub use journal::{Extent, Journal, MarkKey, Retention};
pub use observation::{Observation, ObservationKind, Observations};
pub use outbox::{Delivery, DeliveryState, ListDeliveries, Outbox, Outcome};
