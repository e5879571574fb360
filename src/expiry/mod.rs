//! Leases that run out are seen: one event for each lease, term and threshold, whatever happens in between.
//!
//! [`policy`] is pure: given a date, a day and what was told before, which threshold is due. After downtime that is the
//! tightest one that was missed, and none of the others. The [`Engine`] asks it for every lease, and the ledger writes each
//! event together with its mark, so that a crash, a second replica or a clock that jumps back tells nothing twice. A
//! renewal or a shortening is another term, and armed anew; a date that comes back is the old term, and is not.
//!
//! The notice date is a term of its own, with thresholds of its own.

mod engine;
pub mod policy;

pub use engine::Engine;
pub use policy::{OwnerSchedule, Schedule, Thresholds};
