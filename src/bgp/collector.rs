//! The interface of a route collector, and what it answers about a prefix.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::model::{Asn, CouldNotCheck, Network, Observed, Route};

/// An AS that originates a prefix, as seen by a collector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedOrigin {
    pub asn: Asn,
    /// How many of the collector's routes end at this AS; `None` if the collector does not count them.
    pub routes: Option<u32>,
}

/// How many of a collector's peers have a route to a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Visibility {
    /// Peers that have a route.
    pub seeing: u32,
    /// All peers of the collector.
    pub total: u32,
}

/// What a collector sees of one prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteObservation {
    /// The ASes that originate exactly this prefix. None: it is not announced. Several: a MOAS conflict, or
    /// anycast that is intended.
    pub origins: Vec<ObservedOrigin>,
    pub visibility: Option<Visibility>,
    /// Routes to prefixes inside this one.
    pub more_specifics: Option<Vec<Route>>,
    /// Routes to prefixes that contain this one.
    pub less_specifics: Option<Vec<Route>>,
    /// For each part that is missing, the reason.
    pub gaps: Vec<String>,
}

/// A source of observations of the routing table.
#[async_trait]
pub trait RouteCollector: Send + Sync {
    /// What the collector sees of a prefix, with the time of its data.
    async fn observe(&self, prefix: Network) -> Result<Observed<RouteObservation>, CouldNotCheck>;
}

/// Whether data observed at `observed` is older than `limit` at the time `now`. Data from the future is not stale.
pub fn is_stale(observed: Timestamp, now: Timestamp, limit: Duration) -> bool {
    Duration::try_from(now.duration_since(observed)).is_ok_and(|age| age > limit)
}
