//! Geofeeds (RFC 8805): where a block is said to be, so that its users are not shown another country's page.
//!
//! The holder of the space publishes it, under a URL that a custom field or the registry's reference (RFC 9632) names. [`read`]
//! is pure and lenient, as the RFC asks: a line that cannot be read is counted and passed over. [`Geofeeds`] fetches, from
//! the Internet at large only, since whoever may edit the record chooses the URL.

mod feed;
mod fetch;

pub use feed::{Entry, Feed, Said, read};
pub use fetch::Geofeeds;
