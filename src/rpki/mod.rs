//! Route origin validation (RFC 6811): does the RPKI authorise this AS to originate this prefix?
//!
//! A [`Validator`] asks its sources in the order of the settings and returns the first answer. Two kinds of source keep every
//! validated ROA payload (VRP) in memory, as a [`VrpSet`] in a [`VrpStore`]: RTR (module [`rtr`], RFC 8210) and a JSON file or
//! URL (module [`vrp_feed`]). Two others are asked over the network for each route: Routinator's validity API (module
//! [`routinator`]) and RIPEstat (module [`ripestat`]). The modules [`vrps`], [`vrp_json`] and [`collapse_guard`] are pure.
//!
//! # Errors
//!
//! If no source can answer, the result is [`crate::model::CouldNotCheck`] with one cause for each source. It never means *not
//! found* and never overwrites a verdict. A source cannot answer while its VRPs have expired, were never received completely, or
//! were rejected by the [`CollapseGuard`].
//!
//! # Faulty peers
//!
//! A set of VRPs is replaced in one step, and only once it has arrived completely. A session is dropped when the cache stops
//! sending in the middle of an answer. A set that has lost most of its VRPs at once (for example because a trust anchor is
//! unreachable) raises an alarm and is not installed.

pub mod collapse_guard;
pub mod ripestat;
pub mod routinator;
pub mod rtr;
mod validator;
pub mod vrp_feed;
pub mod vrp_json;
pub mod vrp_store;
pub mod vrps;

pub use collapse_guard::CollapseGuard;
pub use rtr::RtrSettings;
pub use validator::{RefreshError, RpkiSettings, RpkiSource, RpkiSourceState, Validator};
pub use vrp_feed::{VrpFeedSettings, VrpLocation};
pub use vrp_store::VrpStore;
pub use vrps::VrpSet;
