//! Decides whether a block may be announced and, if not, who has to do what. Pure.
//!
//! [`assess`] turns [`Evidence`] about a block into findings, one or more for each [`PreflightAspect`]. A bad finding blocks the
//! announcement if the settings require its aspect and is a warning otherwise; a required aspect that could not be checked
//! blocks as well. A block is ready if no finding blocks it ([`is_ready`]).
//!
//! Each finding names who has to act. For leased space that is mostly somebody else: only the holder of the resource can create
//! a ROA, register a route object and issue a letter of authorisation. Advice that several findings share is given once.

mod assessment;
mod bgp_check;
mod finding;
#[cfg(test)]
mod fixtures;
mod geofeed_check;
mod lease_checks;
mod reputation_check;
mod review;
mod route_checks;
mod settings;

pub use assessment::{Evidence, RouteEvidence, assess, is_ready};
pub use finding::{FindingActor, FindingSeverity, PreflightAspect, PreflightFinding};
pub use geofeed_check::GeofeedEvidence;
pub use review::AnnouncementReview;
pub use settings::PreflightSettings;
