//! Asks every configured IRR server and combines their answers.

use std::sync::Arc;

use futures::future::join_all;
use jiff::Timestamp;

use super::object::RouteObject;
use super::policy::{self, IrrState, IrrVerdict};
use super::whois::{self, IrrServerSettings, WhoisServer};
use crate::model::{Cause, CouldNotCheck, Failure, Network, Observed, Route};

/// Which IRR servers are asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IrrSettings {
    /// Every server is asked about every route.
    pub servers: Vec<IrrServerSettings>,
    /// The registries that are responsible for address space.
    pub authoritative: Vec<String>,
}

/// A client of all configured IRR servers.
#[derive(Debug)]
pub struct IrrClient {
    servers: Vec<Arc<WhoisServer>>,
    authoritative: Vec<String>,
}

impl IrrClient {
    /// Makes a client; it connects when it is first asked.
    pub fn new(settings: &IrrSettings) -> Self {
        let servers = settings.servers.iter().cloned().map(WhoisServer::new).collect();
        Self { servers, authoritative: settings.authoritative.clone() }
    }

    /// Whether at least one server is configured.
    pub fn is_configured(&self) -> bool {
        !self.servers.is_empty()
    }

    /// Finds out how a route is registered. One server's object is enough for *registered*; every other state requires the
    /// answers of all servers, and is an error if one of them failed.
    pub async fn check(&self, route: Route, now: Timestamp) -> Result<Observed<IrrVerdict>, CouldNotCheck> {
        if self.servers.is_empty() {
            return Err(CouldNotCheck::not_configured());
        }
        let cause = |server: &WhoisServer, error: whois::Error| {
            Cause::new(server.name(), Failure::from(error).at(now))
        };
        let (mut visible, mut causes, mut names) = (Vec::new(), Vec::new(), Vec::new());
        for (server, answer) in self.ask(route, false, |_| true).await {
            names.push(server.name());
            match answer {
                Ok(objects) => visible.extend(objects),
                Err(error) => causes.push(cause(&server, error)),
            }
        }
        let mut verdict = policy::judge(route, visible.clone(), Vec::new(), &self.authoritative);
        if verdict.state != IrrState::Registered {
            let mut unfiltered = Vec::new();
            for (server, answer) in self.ask(route, true, WhoisServer::has_rpki_filter).await {
                match answer {
                    Ok(objects) => unfiltered.extend(objects),
                    Err(error) => causes.push(cause(&server, error)),
                }
            }
            verdict = policy::judge(route, visible, unfiltered, &self.authoritative);
            if !causes.is_empty() {
                return Err(CouldNotCheck { causes });
            }
        }
        let source = match verdict.objects.first() {
            Some(object) if verdict.state == IrrState::Registered => format!("irr source {}", object.source),
            _ => names.join(", "),
        };
        Ok(Observed { value: verdict, source, time: now })
    }

    /// The URL of the geofeed that a registry publishes for a prefix (RFC 9632), or `None` if there is none.
    pub async fn geofeed(&self, prefix: Network) -> Result<Option<String>, CouldNotCheck> {
        let answers = join_all(self.servers.iter().map(|server| async move {
            let answer = server.geofeed(prefix).await;
            answer.map_err(|error| Cause::new(server.name(), error))
        }))
        .await;
        let mut causes = Vec::new();
        for answer in answers {
            match answer {
                Ok(Some(url)) => return Ok(Some(url)),
                Ok(None) => {}
                Err(cause) => causes.push(cause),
            }
        }
        if causes.is_empty() { Ok(None) } else { Err(CouldNotCheck { causes }) }
    }

    /// Asks the selected servers at the same time.
    async fn ask(
        &self,
        route: Route,
        unfiltered: bool,
        selected: impl Fn(&WhoisServer) -> bool,
    ) -> Vec<(Arc<WhoisServer>, Result<Vec<RouteObject>, whois::Error>)> {
        let servers = self.servers.iter().filter(|server| selected(server)).cloned();
        join_all(servers.map(|server| async move {
            let answer = server.routes(route.prefix, unfiltered).await;
            (server, answer)
        }))
        .await
    }
}
