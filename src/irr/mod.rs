//! The Internet Routing Registry (IRR): is there a route object (RFC 2622, RFC 4012) for this prefix and this origin AS?
//!
//! Many networks build their filters from route objects and drop announcements without one. [`IrrClient`] asks every
//! configured server (module [`whois`]: IRRd's protocol or RIPE's), and [`policy`] judges all objects together as an
//! [`IrrState`]. The modules [`policy`] and [`object`] are pure.
//!
//! *Absent* is only reported if every server has answered; otherwise the result is [`crate::model::CouldNotCheck`]. Objects of
//! IRRd's pseudo-source RPKI are copies of ROAs, so they do not count as a registration.

mod client;
pub mod object;
pub mod policy;
pub mod whois;

pub use client::{IrrClient, IrrSettings};
pub use object::RouteObject;
pub use policy::{IrrState, IrrVerdict};
pub use whois::{IrrProtocol, IrrServerSettings};
