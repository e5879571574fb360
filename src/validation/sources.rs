//! The peers that checks ask.

use std::sync::Arc;

use crate::bgp::RouteCollector;
use crate::dnsbl::Blocklists;
use crate::geofeed::GeofeedClient;
use crate::irr::IrrClient;
use crate::rpki::Validator;

/// The peers that checks ask. Rounds and requests share one set, because a peer's rate limits count both.
#[derive(Clone)]
pub struct CheckSources {
    /// Origin validation.
    pub validator: Arc<Validator>,
    /// The IRR databases.
    pub irr: Arc<IrrClient>,
    /// The DNS blocklists.
    pub lists: Arc<Blocklists>,
    /// A BGP collector; `None` if none is configured.
    pub routes: Option<Arc<dyn RouteCollector>>,
    /// Fetches geofeeds.
    pub geofeeds: Arc<GeofeedClient>,
}
