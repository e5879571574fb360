//! What Leasehold holds of NetBox's: an [`Index`] in memory that readers use, and a file that it is started from.
//!
//! Readers call [`Cache::read`] and get a snapshot: they never lock, never wait and never touch the file. The snapshot
//! is persistent in the functional sense: a change copies the few nodes on its path ([`trie::Trie`]) and shares the
//! rest, so one change among a million addresses costs microseconds and disturbs nobody who reads the old snapshot.
//!
//! There is one writer. Changes come in [`Batch`]es and are in the next snapshot before [`Cache::apply`] returns. A full
//! pass builds the next *generation* beside the one in service ([`Cache::begin_pass`] … [`Cache::finish_pass`]); batches
//! that arrive meanwhile go to both, and an interrupted pass leaves the old generation in service.
//!
//! Before a change is seen by any reader a [`Witness`] takes it up, with what stood before: what is served and what is told
//! as events cannot drift apart.
//!
//! # Data storage
//!
//! One SQLite file, a row a record, keyed by generation, kind and id, the record as JSON; beside it the position in
//! NetBox's change log, written in the same transaction as the rows that it speaks of. WAL and `synchronous=NORMAL`: the
//! worst that a power loss can do is to take back the last seconds, which the change log then gives again. Delete the
//! file and nothing is lost but the time of a full pass.
//!
//! # Error handling
//!
//! A file that is corrupt, of another format or of another NetBox is set aside under a new name and rebuilt: it is never
//! trusted. An [`Error`] while writing means that the file is behind the memory; reads stay right, the position is not
//! advanced, and the next start reads more of the change log.

mod batch;
mod freshness;
mod index;
mod store;
pub mod trie;
mod witness;
mod writer;

pub use batch::Batch;
pub use freshness::Freshness;
pub use index::{Index, Lookup, Mention};
pub use store::{Error, Opened, Position, StoreIdentity};
pub use witness::{Differences, Nobody, Witness};
pub use writer::{Cache, Counts};
