//! What route collectors see in the routing table: which AS originates a prefix, how widely it is visible, and what is
//! announced inside and around it.
//!
//! A collector implements [`RouteCollector`]; [`RipeStatCollector`] asks RIPEstat. Data can be hours old: every answer
//! carries the time of its data, and the caller decides with [`is_stale`] whether that is recent enough. A part that the
//! collector left out is `None`, never empty. If it gives nothing at all, the answer is [`crate::model::CouldNotCheck`].

mod collector;
mod ripestat;

pub use collector::{ObservedOrigin, RouteCollector, RouteObservation, Visibility, is_stale};
pub use ripestat::RipeStatCollector;
