//! Blocklists in the DNS (RFC 5782): is an address on one, and why.
//!
//! A list is believed only after its self-test ([`Lists::self_test`]): its test address must be listed and its counter-test must
//! not, or else a resolver that answers NXDOMAIN for everything would make all the world look clean. [`answer`] is pure and
//! strict: only a code that is configured for the zone is a listing, only a true NXDOMAIN is *not listed*, and all else
//! (an error code of the operator's, an address outside 127/8, an empty answer, SERVFAIL, a time-out) is an error, which
//! says nothing about the address.
//!
//! Lists count queries: each zone has a rate of its own, and all share a bound on what is under way.

pub mod answer;
mod lists;
pub mod zone;

pub use answer::Failure;
pub use lists::{DnsblSettings, Lists, NoResolver, ZoneState};
pub use zone::{CodeRange, Zone};
