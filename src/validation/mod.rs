//! Checks whether leased blocks are fit to announce and fit to use.
//!
//! Every leased block in force is checked for three things: what the RPKI says about its route (ROA), whether the IRR has a
//! route object for it (IRR), and whether blocklists list its addresses (reputation).
//!
//! [`CheckRounds`] checks all blocks on a timer. A round asks the sources, confirms a changed verdict by further checks
//! ([`confirmation`]), saves it in the ledger as a [`VerdictState`](crate::model::VerdictState), publishes the change as an event
//! and writes the verdict back to NetBox ([`field_changes`]), but never over a value that a person changed meanwhile.
//! [`OnDemandChecks`] answers requests and changes nothing; its [`preflight`] decides whether a block may be announced.
//!
//! Policy is pure and lies apart from what asks, saves and publishes: [`confirmation`], [`reasons`], [`query_plan`],
//! [`reputation`], [`field_changes`] and [`preflight`].
//!
//! # Error handling
//!
//! A check that got no answer is a [`CouldNotCheck`](crate::model::CouldNotCheck). It is never a verdict and never replaces one.
//! A round that meets one continues with the other blocks and ends with a [`RoundError`]; its job runs again on its timer.
//!
//! # Data storage
//!
//! The ledger's observations hold three things for each leased block: a verdict state for each check, the coverage by each
//! blocklist zone (how far it was asked, and what it lists), and a baseline (what was listed when the lease began). They are
//! deleted when the lease ends.

mod block_selection;
mod blocklist_round;
pub mod confirmation;
mod coverage_store;
mod error;
pub mod field_changes;
mod on_demand;
mod on_demand_preflight;
mod on_demand_reputation;
pub mod preflight;
pub mod query_plan;
pub mod reasons;
pub mod reputation;
mod round_context;
mod round_failures;
mod rounds;
mod route_round;
mod settings;
mod sources;
mod verdict_recorder;
mod verdict_store;
mod verdict_subject;
mod write_back;
mod zone_queries;

pub use block_selection::BlockSelection;
pub use error::{Error, RoundError};
pub use on_demand::OnDemandChecks;
pub use on_demand_preflight::{PreflightReport, PreflightRequest};
pub use on_demand_reputation::ReputationProgress;
pub use preflight::PreflightSettings;
pub use rounds::CheckRounds;
pub use settings::{ReputationPolicy, ValidationSettings};
pub use sources::CheckSources;
