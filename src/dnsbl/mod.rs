//! Blocklists in the DNS (RFC 5782): is an address listed, and why?
//!
//! [`Blocklists`] asks the configured zones. A zone is only believed after its self-test ([`Blocklists::self_test`]): its test
//! address must be listed and its counter-test address must not, because a resolver that answers NXDOMAIN to everything would
//! make every address look clean. The modules [`reply`] and [`zone`] are pure.
//!
//! # Errors
//!
//! Only a code that is configured for the zone is a listing, and only NXDOMAIN means *not listed*. Everything else (an error code
//! of the operator, an address outside 127.0.0.0/8, an empty answer, SERVFAIL, a timeout) is a [`LookupFailure`], which says
//! nothing about the address.
//!
//! # Limits
//!
//! Operators count queries. Each zone has its own rate, and the number of open queries is limited over all zones.

mod blocklists;
pub mod reply;
pub mod zone;

pub use blocklists::{Blocklists, DnsblSettings, NoResolver, ZoneState};
pub use reply::LookupFailure;
pub use zone::{CodeRange, Zone};
