//! The nouns: what a prefix, an address, a lease, a term and an allocation *are*, wherever they came from.
//!
//! A [`Prefix`] and an [`Address`] are NetBox's records, parsed once so that nothing after checks again. A [`Lease`] is
//! what a prefix says when it carries `lease_owner` or `lease_expiry`; its [`Term`] does the calendar arithmetic. An
//! [`AllocationId`] is the identity that a write leaves in the record itself (a [`RequestId`] and an index), so that the
//! record alone can tell a retry from a new wish. An [`Event`] says what happened to any of them. A [`RouteVerdict`] is what the
//! RPKI says of a [`Route`]; an answer of a peer is [`Observed`], and that there was none is [`CouldNotCheck`], never a verdict.
//!
//! Nothing in this room does I/O, is async, or reads a clock: where time matters it is passed in.

mod address;
mod allocation_id;
mod asn;
mod event;
mod fingerprint;
mod lease;
mod observed;
mod prefix;
mod reference;
mod reputation;
mod route;
mod term;
mod verdict;

pub use address::{Address, IpRange};
pub use allocation_id::{AllocationId, RequestId, RequestIdError};
pub use asn::{Asn, AsnError};
pub use event::{
    Change, Event, EventKind, Happening, Subject, TermDate, TermReached, Threshold, UnknownKind,
};
pub use fingerprint::fingerprint;
pub use lease::{Lease, Reputation, RoaStatus, UnknownWord};
pub use observed::{Cause, CouldNotCheck, Observed};
pub use prefix::{Network, NetworkError, Prefix, parse_host};
pub use reference::{AddressId, NamedRef, PrefixId, RangeId, Revision, Table, Vrf, VrfId, elsewhere};
pub use reputation::{Baseline, Class, Listing, Seen, Sweep};
pub use route::{InvalidReason, Route, RouteState, RouteVerdict, Vrp, VrpError};
pub use term::{Phase, Term, TermError};
pub use verdict::{Check, Standing, Verdict, VerdictChange};
