//! Asks the configured sources in order; the first one that can answer does.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::collapse_guard::CollapseGuard;
use super::ripestat;
use super::routinator::Routinator;
use super::rtr::{self, RtrSettings};
use super::vrp_feed::{self, VrpFeed, VrpFeedSettings, VrpLocation};
use super::vrp_store::VrpStore;
use crate::clock::Clock;
use crate::model::{CouldNotCheck, Failure, Observed, Route, RouteVerdict};
use crate::ripestat::RipeStat;
use crate::web;

/// A source of origin validation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RpkiSource {
    Rtr(RtrSettings),
    VrpFeed(VrpFeedSettings),
    /// Routinator's validity API, at this base URL.
    Routinator(url::Url),
    RipeStat,
}

impl RpkiSource {
    /// The name of the source in verdicts and in the status report, such as "rtr 127.0.0.1:8282".
    pub fn name(&self) -> String {
        match self {
            Self::Rtr(settings) => format!("rtr {}", settings.server),
            Self::VrpFeed(VrpFeedSettings { location: VrpLocation::File(path), .. }) => {
                format!("vrps {}", path.display())
            }
            Self::VrpFeed(VrpFeedSettings { location: VrpLocation::Url(url), .. }) => {
                format!("vrps {}{}", url.host_str().unwrap_or_default(), url.path())
            }
            Self::Routinator(url) => format!("routinator {}", url.host_str().unwrap_or_default()),
            Self::RipeStat => "ripestat rpki-validation".to_owned(),
        }
    }
}

/// Which sources are asked, and when their VRPs are rejected.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RpkiSettings {
    /// In order of preference.
    pub sources: Vec<RpkiSource>,
    /// Applies to every source that keeps VRPs in memory.
    pub guard: CollapseGuard,
}

/// The state of a source, for the status report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpkiSourceState {
    pub name: String,
    /// The number of VRPs in memory; `None` for a source that is asked for each route.
    pub vrps: Option<usize>,
    /// The time of the data in memory.
    pub time: Option<Timestamp>,
    /// Why the source could not be refreshed; `None` if the last attempt succeeded.
    pub last_failure: Option<Failure>,
}

/// The documents that could not be refreshed. What each of them held stays in use until it expires.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct RefreshError(pub Vec<vrp_feed::Error>);

/// How a source answers.
enum Backend {
    /// From the VRPs in memory.
    Local(Arc<VrpStore>),
    /// By a request for each route, with the name of the source.
    Remote(String, RemoteApi),
}

/// The APIs that are asked for each route.
enum RemoteApi {
    Routinator(Routinator),
    RipeStat(RipeStat),
}

/// Validates routes against the configured sources.
pub struct Validator {
    backends: Vec<Backend>,
    feeds: Vec<VrpFeed>,
    clock: Arc<dyn Clock>,
    installs: watch::Sender<u64>,
    /// The RTR sessions; they end when the validator is dropped.
    _sessions: Vec<AbortOnDropHandle<()>>,
}

impl Validator {
    /// Starts the RTR sessions and returns at once. JSON documents are read by [`Self::refresh`].
    ///
    /// Without a RIPEstat client (`ripestat` is `None`) the source RIPEstat is left out.
    pub fn start(
        settings: &RpkiSettings,
        ripestat: Option<&RipeStat>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, web::Error> {
        let (installs, _) = watch::channel(0);
        let (mut backends, mut feeds, mut sessions) = (Vec::new(), Vec::new(), Vec::new());
        for source in &settings.sources {
            let name = source.name();
            let new_store = || Arc::new(VrpStore::new(name.clone(), settings.guard, installs.clone()));
            match source {
                RpkiSource::Rtr(rtr) => {
                    let store = new_store();
                    let session = rtr::run(rtr.clone(), store.clone(), clock.clone());
                    sessions.push(AbortOnDropHandle::new(tokio::spawn(session)));
                    backends.push(Backend::Local(store));
                }
                RpkiSource::VrpFeed(feed) => {
                    let store = new_store();
                    feeds.push(VrpFeed::new(feed.clone(), store.clone())?);
                    backends.push(Backend::Local(store));
                }
                RpkiSource::Routinator(url) => {
                    let routinator = RemoteApi::Routinator(Routinator::new(url.clone())?);
                    backends.push(Backend::Remote(name, routinator));
                }
                RpkiSource::RipeStat => {
                    let api = ripestat.map(|client| RemoteApi::RipeStat(client.clone()));
                    backends.extend(api.map(|api| Backend::Remote(name, api)));
                }
            }
        }
        Ok(Self { backends, feeds, clock, installs, _sessions: sessions })
    }

    /// Reads every JSON document that has changed. The error lists all documents that failed; the others are installed.
    pub async fn refresh(&self) -> Result<(), RefreshError> {
        let mut errors = Vec::new();
        for feed in &self.feeds {
            if let Err(error) = feed.refresh(self.clock.now()).await {
                errors.push(error);
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(RefreshError(errors)) }
    }

    /// A counter of installed sets of VRPs. It stays open for as long as the validator exists.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.installs.subscribe()
    }

    /// Whether at least one source is configured.
    pub fn is_configured(&self) -> bool {
        !self.backends.is_empty()
    }

    /// Whether a source keeps VRPs in memory, so that validating a route needs no request.
    pub fn holds_vrps(&self) -> bool {
        self.backends.iter().any(|backend| matches!(backend, Backend::Local(_)))
    }

    /// Waits until a first set of VRPs is installed, for at most `patience`. Returns at once if no source keeps VRPs.
    pub async fn ready(&self, patience: Duration) {
        let mut installs = self.installs.subscribe();
        if self.holds_vrps() {
            let _ = tokio::time::timeout(patience, installs.wait_for(|count| *count > 0)).await;
        }
    }

    /// Validates a route (RFC 6811). If no source can answer, the error has a cause for each of them.
    pub async fn validate(&self, route: Route) -> Result<Observed<RouteVerdict>, CouldNotCheck> {
        let mut causes = Vec::new();
        for backend in &self.backends {
            let answer = match backend {
                Backend::Local(store) => store.validate(route),
                // Boxed, so that the future of a lookup in memory is not as large as that of a network request.
                Backend::Remote(name, api) => Box::pin(self.ask(name, api, route)).await,
            };
            match answer {
                Ok(observed) => return Ok(observed),
                Err(could_not) => causes.extend(could_not.causes),
            }
        }
        Err(CouldNotCheck { causes })
    }

    async fn ask(
        &self,
        name: &str,
        api: &RemoteApi,
        route: Route,
    ) -> Result<Observed<RouteVerdict>, CouldNotCheck> {
        let now = self.clock.now();
        let failed = |failure: Failure| CouldNotCheck::from_source(name, failure.at(now));
        let (value, time) = match api {
            RemoteApi::Routinator(routinator) => {
                let answer = routinator.validate(route).await;
                let (value, time) = answer.map_err(|error| failed(error.into()))?;
                // If Routinator's clock is ahead, the verdicts of every other source would look old.
                (value, time.unwrap_or(now).min(now))
            }
            RemoteApi::RipeStat(client) => {
                let answer = ripestat::validate(client, route).await;
                (answer.map_err(|error| failed(error.into()))?, now)
            }
        };
        Ok(Observed { value, source: name.to_owned(), time })
    }

    /// The state of each source, in the order of the settings.
    pub fn states(&self) -> Vec<RpkiSourceState> {
        let state = |backend: &Backend| match backend {
            Backend::Local(store) => {
                let state = store.state();
                RpkiSourceState {
                    name: store.source().to_owned(),
                    vrps: Some(state.vrps),
                    time: state.time,
                    last_failure: state.last_failure,
                }
            }
            Backend::Remote(name, _) => {
                RpkiSourceState { name: name.clone(), vrps: None, time: None, last_failure: None }
            }
        };
        self.backends.iter().map(state).collect()
    }
}
