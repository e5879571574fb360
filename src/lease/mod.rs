//! Leases: registered, looked up, listed, changed, renewed and ended.
//!
//! A lease consists of fields of a prefix in NetBox. Every write here is one write of that prefix, on the condition that NetBox
//! still has the version that was read: an edit by somebody else in between is noticed and not overwritten. The writes can be
//! repeated, whether or not the first call was answered: the same call again finds the lease as requested and writes nothing.
//!
//! The rules are pure and apart: [`RegisterLease`], [`UpdateLease`], [`RenewLease`] and [`EndLease`] each compute what to write
//! from the record that NetBox has, and [`search`] filters lists. The [`Registrar`] reads, writes and tries again; [`lookup`] finds
//! the lease of a prefix or of an address in the cache.
//!
//! # Error handling
//!
//! [`Error::Changed`] means that NetBox's record changed between reading and writing: read it and decide again. After
//! [`Error::NetBox`] with an unknown outcome, repeat the call.

mod end;
mod error;
pub mod lookup;
mod register;
mod registrar;
mod renew;
pub mod search;
mod update;

pub use end::EndLease;
pub use error::Error;
pub use register::{RegisterLease, RegistrationPlan};
pub use registrar::{Ended, Registered, Registrar, Renewed};
pub use renew::RenewLease;
pub use update::UpdateLease;
