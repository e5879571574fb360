//! Allocates and releases addresses and child prefixes. **Writing the record in NetBox is the allocation.**
//!
//! The [`Allocator`] carries out every command along the same steps: its intent is stored in the ledger; NetBox is asked to
//! write records that carry the request id as their `allocation_id`, which is unique in NetBox; the records are put into the
//! cache; the intent is settled; and only then the caller gets an answer. If a crash, a timeout or a broken connection leaves
//! the outcome of a write open, NetBox's records decide (`settle`): NetBox either has records with that `allocation_id` or has
//! none, and it refuses a write that arrives a second time.
//!
//! `allocator` holds what the commands share, `intents` the steps around a write; `addresses`, `prefixes`, `assign` and
//! `release` each hold one command. Policy is pure and apart, in [`plan`].
//! `fingerprint` fixes the bytes by which a retry is recognised.
//!
//! NetBox's own `available-ips` allocates addresses inside child prefixes too, so it is used only for a prefix that has none
//! and where nothing is excluded. Otherwise the addresses are chosen here, and a record that another writer made at the same
//! moment is found by a read after the write; if it was first, our records are deleted again.
//!
//! Released addresses are in quarantine for a configured time before they are allocated again.
//!
//! # Error handling
//!
//! After [`Error::Unsettled`] and [`Error::TaskLost`] NetBox may hold records of the command; repeating it with the same request
//! id settles that. After every other error NetBox holds none.

mod addresses;
mod allocator;
mod assign;
mod commands;
mod error;
mod fingerprint;
mod intents;
pub mod plan;
pub mod ports;
mod prefixes;
mod release;
mod search;
mod settle;

pub use addresses::Allocated;
pub use allocator::Allocator;
pub use assign::Assigned;
pub use commands::{
    AllocateAddresses, AllocatePrefix, AssignAddress, ParentSelector, RecordText, ReleaseAddresses,
};
pub use error::Error;
pub use plan::{Policy, Purpose, Utilization, utilization};
pub use prefixes::AllocatedPrefix;
pub use release::Released;
pub use search::{
    Allocation, AllocationFilter, AllocationKind, AllocationPage, AllocationPosition, AllocationState,
};
