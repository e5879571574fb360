//! Keeps the cache in step with NetBox.
//!
//! There are two ways to read. A [`full_pass`] reads everything, in slices by id and several at once, into the next generation
//! of the cache. A poll follows NetBox's change log and reads again the records that changed ([`touched`]). It reads the records
//! as they are now, not as the log describes them. So a poll may run twice, late or out of order, and its result is right.
//!
//! NetBox assigns the ids of the change log before it commits, so an entry with a lower id can appear after one with a higher
//! id. Each poll therefore reads some way back, and skips the entries that it has already seen. The entry at the stored position
//! proves that the log is still the same one. If it is missing (the log was pruned, or NetBox was restored from a backup) there
//! is a [`Gap`], and only a full pass can find what changed. A bulk load past NetBox's API leaves no entry at all: the full pass
//! that runs at an interval finds it.
//!
//! # Error handling
//!
//! A NetBox that does not answer is an [`Error`] of one round only. The cache stays in service and reports its age. The caller
//! only has to call again after the usual interval. A full pass that failed is tried again by its own interval, not by the
//! next poll.

mod error;
mod full_pass;
mod position;
mod state;
mod syncer;
mod touched;

pub use error::Error;
pub use position::Gap;
pub use state::{PassProgress, SyncPhase, SyncState};
pub use syncer::Syncer;
