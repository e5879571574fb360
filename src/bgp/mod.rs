//! What the routing table holds: which AS originates a prefix, how widely it is seen, and what is announced inside it.
//!
//! Everything behind [`RouteWatch`], so that another collector can take RIPEstat's place. An answer is as old as its data:
//! a snapshot is hours old and says so, and a caller judges ([`is_stale`]). What a collector does not say is `None`, not
//! empty; that it says nothing at all is [`crate::model::CouldNotCheck`].

mod ripestat;

pub use ripestat::RipeStatWatch;

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::model::{Asn, CouldNotCheck, Network, Observed, Route};

/// An AS that originates a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenOrigin {
    /// Which.
    pub asn: Asn,
    /// How many of the collector's routes end at it, if it counts them.
    pub routes: Option<u32>,
}

/// How many of the collector's peers see a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Visibility {
    /// So many.
    pub seeing: u32,
    /// Of so many.
    pub of: u32,
}

/// What is seen of a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// Who originates exactly this prefix; more than one is a MOAS conflict, or an anycast that is meant. Empty: nobody.
    pub origins: Vec<SeenOrigin>,
    /// How widely it is seen.
    pub visibility: Option<Visibility>,
    /// What is announced inside it.
    pub more_specifics: Option<Vec<Route>>,
    /// What is announced around it.
    pub less_specifics: Option<Vec<Route>>,
    /// Why a part is missing, empty if none is.
    pub gaps: Vec<String>,
}

/// Sees the routing table.
#[async_trait]
pub trait RouteWatch: Send + Sync {
    /// What is seen of a prefix, and as of when.
    async fn sighting(&self, prefix: Network) -> Result<Observed<Sighting>, CouldNotCheck>;
}

/// Whether data of that time is too old to say what holds now.
pub fn is_stale(observed: Timestamp, now: Timestamp, limit: Duration) -> bool {
    Duration::try_from(now.duration_since(observed)).is_ok_and(|age| age > limit)
}
