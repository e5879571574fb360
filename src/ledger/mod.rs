//! The ledger: what NetBox cannot hold. It is durable before an answer leaves the server.
//!
//! - [`IntentStore`] keeps the writes that were begun, with the step of the write protocol that each has reached and the space that
//!   it has reserved. The caller's request id is the primary key, so that of two callers with the same id only one begins. Each
//!   step is stored by compare-and-set on the [`Claim`]: who has taken an intent over is the only one who can store anything.
//! - [`PoolStore`] keeps the addresses that pools have reserved in NetBox ahead of demand, and who was given which.
//! - [`QuarantineStore`] keeps the addresses that were released, until they may be allocated again.
//! - [`Journal`] keeps the event log, in one sequence without holes. A change that two replicas see, or that one server sees
//!   twice, becomes one event.
//! - [`Outbox`] keeps each notification until its sink has taken it.
//! - [`EndedLeases`] keeps the leases that have ended, longer than the event log.
//! - [`JobLeases`] keeps which of several servers runs the jobs that one runs for all.
//! - [`Observations`] keeps what was observed of leased blocks.
//!
//! Each is a trait with two implementations, which [`open`] chooses between: SQLite by default, PostgreSQL where several
//! replicas share the ledger. The types and traits know nothing of the database; the files `*_rows.rs` hold the SQL.
//!
//! # Data storage
//!
//! SQLite: one file in WAL mode with `synchronous=FULL`, because an acknowledged write that a power loss undoes would be a
//! double allocation. **The ledger is not a cache: do not delete it.** If it is lost all the same, the `allocation_id` in NetBox's
//! records still tells a repeated request from a new one.
//!
//! # Error handling
//!
//! If an operation fails with an [`Error`] before NetBox was asked to write, nothing has happened. If it fails afterwards, NetBox
//! may have the result and the intent stays pending until it is settled from NetBox's records.

mod append_rows;
mod database;
mod deduplication;
mod ended_lease;
mod ended_lease_rows;
mod error;
mod event_rows;
mod fingerprint;
mod intent;
mod intent_rows;
mod job_lease;
mod job_lease_rows;
mod journal;
mod journal_rows;
mod migrations;
mod observation;
mod observation_rows;
mod open;
mod outbox;
mod outbox_rows;
mod pool;
mod pool_rows;
mod quarantine;
mod quarantine_rows;
mod reservation_rows;
mod settings;
mod sql_values;

pub use ended_lease::{EndedLease, EndedLeases};
pub use error::Error;
pub use fingerprint::Fingerprint;
pub use intent::{
    Advanced, Begun, Claim, Detail, Intent, IntentChange, IntentKind, IntentSelection, IntentState,
    IntentStep, IntentStore, ListIntents, NewIntent, NextStep, Owner, Reservation, ReservationChange,
    ReservationHold, ReservedRange,
};
pub use job_lease::{Fence, JobLeases};
pub use journal::{Journal, LogExtent, LogWalk, Retention, TermMarkKey};
pub use observation::{Observation, ObservationKind, Observations};
pub use open::{LedgerHandles, open};
pub use outbox::{Delivery, DeliveryOutcome, DeliveryState, FailedAttempt, ListDeliveries, Outbox};
pub use pool::{HandOut, HandedTo, PoolAddress, PoolStore, PoolUse, StockClaim, Stocked};
pub use quarantine::{QuarantineStore, QuarantinedAddress};
pub use settings::LedgerSettings;
