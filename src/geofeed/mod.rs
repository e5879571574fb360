//! Geofeeds (RFC 8805): where the users of a block are, as its holder publishes it. With a wrong geofeed they are shown the
//! web pages of another country.
//!
//! The URL comes from a custom field, or from the registry's reference (RFC 9632). [`parse`] is pure and lenient, as the RFC
//! asks: a line that cannot be read is counted and skipped. [`GeofeedClient`] fetches, from public addresses only, because
//! whoever may edit the record chooses the URL.

mod feed;
mod fetch;

pub use feed::{BlockLocation, Geofeed, GeofeedEntry, parse};
pub use fetch::GeofeedClient;
