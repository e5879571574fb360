//! The sources of checks, made of the settings.

use std::sync::Arc;

use crate::bgp::{RipeStatWatch, RouteWatch};
use crate::clock::Clock;
use crate::config::CheckSettings;
use crate::dnsbl::{self, Lists};
use crate::geofeed::Geofeeds;
use crate::irr::Registry;
use crate::ripestat::RipeStat;
use crate::rpki::Validator;
use crate::validation::Sources;
use crate::web;

/// A source cannot be made of its settings.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No HTTP client.
    #[error(transparent)]
    Web(#[from] web::Error),
    /// No resolver.
    #[error(transparent)]
    Resolver(#[from] dnsbl::NoResolver),
}

/// Makes them; those that hold data begin to follow it.
pub(super) fn start(settings: &CheckSettings, clock: Arc<dyn Clock>) -> Result<Sources, Error> {
    // One client for all who ask RIPEstat: its limits are of the address that asks.
    let stat = settings.ripestat.clone().map(RipeStat::new).transpose()?;
    let routes = stat.clone().filter(|_| settings.bgp);
    Ok(Sources {
        validator: Arc::new(Validator::start(&settings.rpki, stat.as_ref(), clock)?),
        registry: Arc::new(Registry::new(&settings.irr)),
        lists: Arc::new(Lists::new(&settings.dnsbl)?),
        routes: routes.map(|stat| Arc::new(RipeStatWatch::new(stat)) as Arc<dyn RouteWatch>),
        geofeeds: Arc::new(Geofeeds::new(settings.validation.preflight.geofeed_allow_private)?),
    })
}
