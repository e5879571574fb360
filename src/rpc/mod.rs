//! The gRPC edge: one file a service, and what the services share.
//!
//! Every handler has the same three steps. It **parses** the request into types that cannot hold a wrong value, and refuses it
//! with all violations at once ([`parse`], `*_parse`). It **calls** a capability. It **renders** the result as a message
//! ([`convert`], `*_convert`); the answers of lookups are put together from bytes that are kept encoded ([`answer`],
//! [`encoded_cache`]). An answer is made from one snapshot of the cache, and no handler answers before there is one
//! ([`crate::cache::NotReady`]). What happens to a request before its handler sees it is in [`layers`], from top to bottom.
//!
//! The generated types ([`proto`]) are used in this room and in the client commands only.
//!
//! # Error handling
//!
//! A handler returns a [`Problem`]: a code, a stable reason, a text for people and details for programs. Which error of a
//! capability becomes which problem is decided in one place ([`status`]).

mod admin;
mod allocation;
mod allocation_convert;
mod allocation_parse;
mod answer;
mod bounded;
mod caller;
mod convert;
mod custom_fields;
mod encoded_cache;
mod event;
mod event_convert;
mod health;
mod layers;
mod lease;
mod lease_parse;
mod notification;
mod page;
mod parse;
mod prefix;
mod problem;
#[cfg(test)]
mod problem_table;
pub mod proto;
mod status;
mod validation;
mod validation_convert;
mod validation_parse;
mod watch;

pub use admin::AdminHandler;
pub use allocation::AllocationHandler;
pub use custom_fields::custom_fields;
pub use event::EventHandler;
pub use health::HealthReport;
pub use layers::{Layers, MAX_REQUEST_BYTES};
pub use lease::LeaseHandler;
pub use notification::NotificationHandler;
pub use prefix::PrefixHandler;
pub use problem::Problem;
pub use validation::ValidationHandler;
