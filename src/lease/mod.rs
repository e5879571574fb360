//! The life of a lease: registered, found, listed, renewed, ended.
//!
//! A lease *is* fields of a prefix in NetBox, so every write here is one write of that prefix, guarded by the version that
//! it was read at: a person's edit in between is noticed, not overwritten. The writes are idempotent by value: the same
//! call again finds the lease as wished and changes nothing, which is also how a call whose answer was lost is settled.
//!
//! Policy is apart and pure: [`policy`] decides what a registration, a renewal or an end does to the record that stands,
//! [`search`] which leases match and in what order. [`Registrar`] does it.
//!
//! # Error handling
//!
//! [`Error::Changed`] means that the record moved on between reading and writing: read again and decide again. After
//! [`Error::NetBox`] with an unknown outcome the same call again is right.

mod error;
pub mod policy;
mod registrar;
pub mod search;

pub use error::Error;
pub use policy::{End, Registration, Renewal};
pub use registrar::{Ended, Registered, Registrar, Renewed, Target, covering, leased, prefix_of};
