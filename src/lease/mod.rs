//! Leases: what may be registered, changed, renewed and ended, and how a lease is looked up. Pure.
//!
//! A lease consists of fields of a prefix in NetBox. [`RegisterLease`], [`UpdateLease`], [`RenewLease`] and [`EndLease`] each
//! compute what to write from the record that NetBox has; `allocation` writes it by the write protocol, on the condition that
//! NetBox still has the version that was read. [`search`] filters lists, and [`lookup`] finds the lease of a prefix or of an
//! address in the cache.

mod end;
mod error;
pub mod lookup;
mod register;
mod renew;
pub mod search;
mod update;

pub use end::EndLease;
pub use error::Error;
pub use register::{RegisterLease, RegistrationPlan};
pub use renew::RenewLease;
pub use update::UpdateLease;
