//! The gRPC edge: one file a service, and what they share.
//!
//! Every handler has one shape: **parse** the request into types that cannot be wrong ([`parse`], all violations at
//! once), **call** a capability, **render** the answer ([`convert`]; that of a look-up is put together from bytes
//! ([`answer`])). Every error becomes a status in one place ([`status`]): a code, a stable reason, and what the caller can
//! do. What happens to a request before a handler sees it is read top to bottom in [`layers`].
//!
//! The generated types of [`proto`] stay in this room and in the client commands.

mod admin;
mod allocation;
mod answer;
mod convert;
mod event;
mod event_convert;
mod health;
mod layers;
mod lease;
mod notification;
mod page;
mod parse;
mod prefix;
pub mod proto;
mod status;
mod validation;
mod validation_convert;
mod watch;

pub use admin::{Admin, Facts};
pub use allocation::Allocations;
pub use event::Events;
pub use health::report_health;
pub use layers::{Layers, MAX_REQUEST_BYTES};
pub use lease::Leases;
pub use notification::Notifications;
pub use prefix::Prefixes;
pub use status::Problem;
pub use validation::Validations;
