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
    pub validator: Arc<Validator>,
    pub irr: Arc<IrrClient>,
    pub lists: Arc<Blocklists>,
    /// A BGP collector; `None` if none is configured.
    pub routes: Option<Arc<dyn RouteCollector>>,
    pub geofeeds: Arc<GeofeedClient>,
}
