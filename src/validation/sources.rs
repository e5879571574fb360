//! Whom checks ask.

use std::sync::Arc;

use crate::bgp::RouteWatch;
use crate::dnsbl::Lists;
use crate::geofeed::Geofeeds;
use crate::irr::Registry;
use crate::rpki::Validator;

/// Whom checks ask: shared by the rounds and by those who ask on demand, since the limits of a peer are of who asks it.
#[derive(Clone)]
pub struct Sources {
    /// Origin validation.
    pub validator: Arc<Validator>,
    /// The registries.
    pub registry: Arc<Registry>,
    /// Blocklists.
    pub lists: Arc<Lists>,
    /// Who announces a block now; `None` if no collector is configured.
    pub routes: Option<Arc<dyn RouteWatch>>,
    /// Geofeeds.
    pub geofeeds: Arc<Geofeeds>,
}
