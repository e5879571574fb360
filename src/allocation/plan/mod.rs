//! What a write is to take, and whether it may: pure, from a snapshot of the cache.
//!
//! `free_space` computes which addresses and blocks of a prefix are free, [`policy`] which prefixes may be allocated from at all,
//! [`requirement`] which prefix fits best where the caller names none, [`release`] which records a release deletes, and
//! [`fn@utilization`] how the addresses of a prefix are used. [`objections`] is what speaks against records that were just written.
//! [`QuarantineView`] alone reads something, which is the quarantine in the ledger.

mod free_space;
pub mod policy;
mod quarantine;
pub mod release;
pub mod requirement;
mod utilization;
mod verify;

pub use free_space::{
    Limits, Taken, count_free, has_children, is_usable, largest_block, lowest_block, pick_addresses,
    taken_addresses, taken_blocks,
};
pub use policy::{Policy, Purpose, Refused};
pub use quarantine::{QuarantineView, Quarantined};
pub use utilization::{Utilization, utilization};
pub use verify::{Objection, PlacedSpace, Placement, objections};
