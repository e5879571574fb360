//! What a write is to take, and whether it may: pure, from a snapshot of the cache.
//!
//! `free_space` computes which addresses and blocks of a prefix are free, [`policy`] which prefixes may be allocated from at all,
//! [`requirement`] which prefix fits best where the caller names none, and [`fn@utilization`] how the addresses of a prefix are
//! used.

mod free_space;
pub mod policy;
pub mod requirement;
mod utilization;

pub use free_space::{
    Limits, Quarantined, Taken, count_free, has_children, is_usable, largest_block, lowest_block,
    lowest_free, taken_addresses, taken_blocks,
};
pub use policy::{Policy, Purpose, Refused};
pub use utilization::{Utilization, utilization};
