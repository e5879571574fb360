//! Every configured server, asked together.

use std::sync::Arc;

use futures::future::join_all;
use jiff::Timestamp;

use super::policy::{self, IrrState, IrrVerdict};
use super::whois::{ServerSettings, Whois};
use crate::model::{Cause, CouldNotCheck, Network, Observed, Route};

/// Which registries are asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IrrSettings {
    /// The servers; all are asked.
    pub servers: Vec<ServerSettings>,
    /// Sources that are responsible for space: those of the five RIRs, unless set.
    pub authoritative: Vec<String>,
}

/// Asks the registries.
#[derive(Debug)]
pub struct Registry {
    servers: Vec<Arc<Whois>>,
    authoritative: Vec<String>,
}

impl Registry {
    /// Connects when it is first asked.
    pub fn new(settings: &IrrSettings) -> Self {
        let servers = settings.servers.iter().cloned().map(Whois::new).collect();
        Self { servers, authoritative: settings.authoritative.clone() }
    }

    /// Whether there is any server.
    pub fn is_configured(&self) -> bool {
        !self.servers.is_empty()
    }

    /// Where a route stands. What one server says is enough for *registered*; anything less needs the word of all.
    pub async fn check(&self, route: Route, now: Timestamp) -> Result<Observed<IrrVerdict>, CouldNotCheck> {
        if self.servers.is_empty() {
            return Err(CouldNotCheck::not_configured());
        }
        let (mut shown, mut causes, mut asked) = (Vec::new(), Vec::new(), Vec::new());
        for (server, found) in self.ask(route, false, |_| true).await {
            asked.push(server.name());
            match found {
                Ok(objects) => shown.extend(objects),
                Err(error) => causes.push(Cause { source: server.name(), why: error.to_string() }),
            }
        }
        let mut verdict = policy::judge(route, shown.clone(), Vec::new(), &self.authoritative);
        if verdict.state != IrrState::Registered {
            let mut unfiltered = Vec::new();
            for (server, found) in self.ask(route, true, Whois::filters).await {
                match found {
                    Ok(objects) => unfiltered.extend(objects),
                    Err(error) => causes.push(Cause { source: server.name(), why: error.to_string() }),
                }
            }
            verdict = policy::judge(route, shown, unfiltered, &self.authoritative);
            if !causes.is_empty() {
                return Err(CouldNotCheck { causes });
            }
        }
        let source = match verdict.objects.first() {
            Some(object) if verdict.state == IrrState::Registered => format!("irr source {}", object.source),
            _ => asked.join(", "),
        };
        Ok(Observed { value: verdict, source, time: now })
    }

    /// The URL of the geofeed that the registry names for a prefix (RFC 9632); `None` if it names none.
    pub async fn geofeed(&self, prefix: Network) -> Result<Option<String>, CouldNotCheck> {
        let asked = join_all(self.servers.iter().map(|server| async move {
            let found = server.geofeed(prefix).await;
            found.map_err(|error| Cause { source: server.name(), why: error.to_string() })
        }))
        .await;
        let mut causes = Vec::new();
        for answer in asked {
            match answer {
                Ok(Some(url)) => return Ok(Some(url)),
                Ok(None) => {}
                Err(cause) => causes.push(cause),
            }
        }
        if causes.is_empty() { Ok(None) } else { Err(CouldNotCheck { causes }) }
    }

    async fn ask(
        &self,
        route: Route,
        unfiltered: bool,
        which: impl Fn(&Whois) -> bool,
    ) -> Vec<(Arc<Whois>, Result<Vec<super::RouteObject>, super::whois::Error>)> {
        let servers = self.servers.iter().filter(|server| which(server)).cloned();
        join_all(servers.map(|server| async move {
            let found = server.routes(route.prefix, unfiltered).await;
            (server, found)
        }))
        .await
    }
}
