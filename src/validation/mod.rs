//! Is a block fit to announce and fit to use?
//!
//! Three things are checked of every leased block in force: what the RPKI says of its route (ROA), whether the registries hold
//! a route object for it (IRR), and whether blocklists list any of it (reputation). [`Checks`] does so on a timer; a verdict is
//! held in the ledger as a [`Standing`](crate::model::Standing), changes only when it is confirmed ([`standing`]), is told
//! as an event, and is folded back into NetBox ([`fold`]) with the version that was read, never over a person's edit.
//! [`Inspector`] answers on demand and writes nothing; its [`preflight`] is the gate before an announcement.
//!
//! Policy is apart and pure: [`standing`], [`words`], [`sweep`] and [`reputation`], [`fold`], [`preflight`].
//!
//! # Error handling
//!
//! That something could not be checked is [`CouldNotCheck`](crate::model::CouldNotCheck): never a verdict, and never written over one.
//! The job that met it says so and runs again.
//!
//! # Data storage
//!
//! The ledger's observations: a standing for each block and check, a sweep for each block and zone (how far it was asked
//! about, what is listed), and a baseline for each block (what was listed when its lease began). All go when the lease does.

mod checks;
mod error;
pub mod fold;
mod inspector;
pub mod preflight;
mod recorder;
pub mod reputation;
mod settings;
mod sources;
pub mod standing;
pub mod sweep;
mod sweeper;
mod sweeps;
pub mod words;

pub use checks::{Checks, RoundError, Scope};
pub use error::Error;
pub use inspector::{Inspector, Preflight, PreflightWish, ReputationProgress};
pub use settings::{PreflightSettings, ReputationPolicy, ValidationSettings};
pub use sources::Sources;
