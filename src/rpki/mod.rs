//! Origin validation (RFC 6811): does the RPKI authorise this AS to originate this prefix?
//!
//! A [`Validator`] asks its sources in the order of the settings, and the first that can answer does. Two kinds hold every
//! VRP in memory ([`VrpSet`]) and answer in a microsecond: RTR ([`rtr`]) and a JSON file or URL ([`feed`]). Two are asked route
//! by route: Routinator's validity API ([`routinator`]) and RIPEstat ([`stat`]). [`vrps`], [`dialect`] and [`guard`] are pure.
//!
//! What no source can answer is [`crate::model::CouldNotCheck`], with the cause of each: a set that is past its expiry, that
//! was never whole, or that [`guard`] does not believe answers nothing. It is never *not found*, and so never overwrites a
//! verdict.
//!
//! Peers are not trusted to be well: a set is replaced in one step when it is whole, a peer that falls silent in the
//! middle of one is left, and one that loses most of its VRPs at once (a trust anchor that is out) is an alarm and no news.

pub mod dialect;
pub mod feed;
pub mod guard;
pub mod holder;
pub mod routinator;
pub mod rtr;
pub mod stat;
mod validator;
pub mod vrps;

pub use validator::{RpkiSettings, Source, SourceState, Validator};
pub use vrps::VrpSet;
