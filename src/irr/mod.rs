//! The Internet Routing Registry: is there a route object for this prefix and this origin?
//!
//! Peers filter by it, so an announcement without one is dropped in places. [`Registry`] asks every configured server
//! ([`whois`]: IRRd's protocol, RIPE's) and [`policy`] judges the objects together: registered, registered with another origin
//! only, covered by a less-specific only, hidden (it is there, and IRRd's RPKI filter hides it since it is Invalid), absent.
//!
//! Absent is said only if every server answered. Objects of the pseudo-source RPKI are ROAs in disguise and no registration.

pub mod object;
pub mod policy;
mod registry;
pub mod whois;

pub use object::RouteObject;
pub use policy::{IrrState, IrrVerdict};
pub use registry::{IrrSettings, Registry};
pub use whois::{Protocol, ServerSettings};
