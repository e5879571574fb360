//! The nouns of the program: prefixes, addresses, leases, terms, allocations, verdicts and events.
//!
//! A [`Prefix`] and an [`Address`] are NetBox's records, parsed once so that no later code has to check them again. Each
//! belongs to a [`VrfScope`]. A [`Lease`] is what a prefix carries if its custom fields `lease_owner` or `lease_expiry` are
//! set; its [`Term`] does the calendar arithmetic. An [`AllocationId`] is a [`RequestId`] with an index. Every write stores it
//! in the record that it creates, so that the record alone tells a retry from a new request.
//!
//! Verdicts come from peers. An answer of a peer is [`Observed`]; a check without an answer is [`CouldNotCheck`] and never
//! becomes a verdict. A [`RouteVerdict`] is the result of route origin validation for a [`Route`]. A [`VerdictState`] is what
//! is kept about one [`Check`] of one block. A [`ZoneCoverage`] says how far a DNS blocklist was asked about a block.
//!
//! A [`DomainEvent`] says what happened to any of these; the event log turns it into an [`Event`] with a sequence number.
//!
//! # Data storage
//!
//! Events, verdict states and zone coverage are stored in the ledger as JSON, and records in the cache file. Their serde names
//! are therefore part of a stored format: a field that gets a new name here keeps its old one by `#[serde(rename)]`.
//!
//! Nothing in this room does I/O, is async, or reads a clock. A time that matters is passed in.

mod address;
mod address_number;
mod allocation_id;
mod asn;
mod choice;
mod digest;
mod dns_name;
mod event;
mod event_kind;
mod failure;
mod ids;
mod lease;
mod listing;
mod named_ref;
mod network;
mod observed;
mod prefix;
mod record_change;
mod revision;
mod route;
mod tenant_key;
mod term;
mod term_reached;
mod verdict;
mod vrf;

pub use address::{Address, IpRange, RecordState};
pub use address_number::{address_from_number, address_number};
pub use allocation_id::{AllocationId, RequestId, RequestIdError};
pub use asn::{Asn, AsnError};
pub use choice::UnknownChoice;
pub use digest::digest;
pub use dns_name::{DnsName, DnsNameError};
pub use event::{DomainEvent, Event, RefusedCompletion, Subject};
pub use event_kind::{EventKind, UnknownEventKind};
pub use failure::{Failure, SourceFault};
pub use ids::{AddressId, PrefixId, RangeId, VrfId};
pub use lease::{Lease, Reputation, RoaStatus};
pub use listing::{Baseline, KnownListing, Listing, ListingClass, ZoneCoverage};
pub use named_ref::NamedRef;
pub use network::{Network, NetworkError, parse_host};
pub use observed::{Cause, CouldNotCheck, Observed};
pub use prefix::Prefix;
pub use record_change::RecordChange;
pub use revision::Revision;
pub use route::{InvalidReason, Route, RouteState, RouteVerdict, Vrp, VrpError};
pub use tenant_key::TenantKey;
pub use term::{Term, TermError, TermPhase};
pub use term_reached::{TermDate, TermReached, Threshold};
pub use verdict::{Check, Verdict, VerdictChange, VerdictState};
pub use vrf::{Vrf, VrfScope};
