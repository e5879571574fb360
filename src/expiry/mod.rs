//! Publishes that leases are about to end or have ended: one event for each lease, date and threshold, whatever happens in between.
//!
//! [`policy`] is pure: from a date of a lease, the present day and the thresholds that were published before, it says which
//! threshold is due. After downtime that is the tightest one that was missed, and none of the others. The [`ExpiryEngine`] asks
//! it about every lease. The ledger stores each event and its mark in one transaction, so a crash, a second replica or a clock
//! that jumps back publishes nothing twice.
//!
//! A new last day of a lease, later or earlier, is a new date with all of its thresholds. If a date comes back that a lease had
//! before, its thresholds are not published again. The notice date has thresholds of its own.

mod engine;
pub mod policy;

pub use engine::ExpiryEngine;
pub use policy::{OwnerSchedule, Schedule, Thresholds};
