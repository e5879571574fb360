//! Keeps the cache in step with NetBox.
//!
//! Two motions: a [`full`] pass reads everything, in slices by id and several at once, into the next generation of the
//! cache; a poll follows NetBox's change log and reads again what changed ([`tail`]). A poll reads records as they *are*,
//! not as the log says they were, so it may run twice, late or out of order and still be right.
//!
//! Ids of the change log are handed out before commit, so a lower one can appear after a higher one: each poll reads
//! again from some way back and skips what it has seen. The entry at our own position proves that the log is still the
//! same one; where it is missing (pruned, or NetBox restored from a backup) there is a [`position::Gap`], and only a full
//! pass can tell what happened. Loads that bypass the API leave no entry: the timed full pass finds them.
//!
//! # Error handling
//!
//! NetBox not answering is no error of this room: the cache stays in service, says how old it is, and the next round
//! tries again.

mod full;
mod position;
mod state;
mod syncer;
mod tail;

pub use position::Gap;
pub use state::{PassProgress, SyncPhase, SyncState};
pub use syncer::{Error, Syncer};
