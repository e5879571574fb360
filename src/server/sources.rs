//! The sources that checks ask, made from the settings.

use std::sync::Arc;

use crate::bgp::{RipeStatCollector, RouteCollector};
use crate::clock::Clock;
use crate::config::CheckSettings;
use crate::dnsbl::{self, Blocklists};
use crate::geofeed::GeofeedClient;
use crate::irr::IrrClient;
use crate::ripestat::RipeStat;
use crate::rpki::Validator;
use crate::validation::CheckSources;
use crate::web;

/// A source could not be made from its settings.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Web(#[from] web::Error),
    #[error(transparent)]
    Resolver(#[from] dnsbl::NoResolver),
}

/// Makes the sources. A source that holds data (VRPs by RTR, for one) begins to follow it.
pub(super) fn start(settings: &CheckSettings, clock: Arc<dyn Clock>) -> Result<CheckSources, Error> {
    // One client for everything that asks RIPEstat, because RIPEstat limits requests by the address that asks.
    let stat = settings.ripestat.clone().map(RipeStat::new).transpose()?;
    let routes = stat.clone().filter(|_| settings.bgp);
    Ok(CheckSources {
        validator: Arc::new(Validator::start(&settings.rpki, stat.as_ref(), clock)?),
        irr: Arc::new(IrrClient::new(&settings.irr)),
        lists: Arc::new(Blocklists::new(&settings.dnsbl)?),
        routes: routes.map(|stat| Arc::new(RipeStatCollector::new(stat)) as Arc<dyn RouteCollector>),
        geofeeds: Arc::new(GeofeedClient::new(settings.validation.preflight.geofeed_allow_private)?),
    })
}
