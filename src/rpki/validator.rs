//! The sources in their order: the first that can answer does.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::feed::{Feed, FeedSettings, Place};
use super::guard::Guard;
use super::holder::Holder;
use super::routinator::Routinator;
use super::rtr::{self, RtrSettings};
use super::stat;
use crate::clock::Clock;
use crate::model::{CouldNotCheck, Observed, Route, RouteVerdict};
use crate::ripestat::RipeStat;
use crate::web;

/// One source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// An RTR cache.
    Rtr(RtrSettings),
    /// A JSON file or URL.
    Feed(FeedSettings),
    /// Routinator's validity API, at this base URL.
    Routinator(url::Url),
    /// RIPEstat.
    RipeStat,
}

impl Source {
    /// What it is called in answers. Example: "rtr 127.0.0.1:8282".
    pub fn name(&self) -> String {
        match self {
            Self::Rtr(settings) => format!("rtr {}", settings.server),
            Self::Feed(FeedSettings { place: Place::File(path), .. }) => format!("vrps {}", path.display()),
            Self::Feed(FeedSettings { place: Place::Url(url), .. }) => {
                format!("vrps {}{}", url.host_str().unwrap_or_default(), url.path())
            }
            Self::Routinator(url) => format!("routinator {}", url.host_str().unwrap_or_default()),
            Self::RipeStat => "ripestat rpki-validation".to_owned(),
        }
    }
}

/// The sources in order of preference.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RpkiSettings {
    /// The sources.
    pub sources: Vec<Source>,
    /// When a set is believed.
    pub guard: Guard,
}

/// What is known of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceState {
    /// Its name.
    pub name: String,
    /// How many VRPs it holds; `None` for one that is asked route by route.
    pub vrps: Option<usize>,
    /// As of when.
    pub time: Option<Timestamp>,
    /// What is wrong, empty if nothing is.
    pub trouble: String,
}

enum Oracle {
    Held(Arc<Holder>),
    Remote(String, Remote),
}

/// Who is asked route by route.
enum Remote {
    Routinator(Routinator),
    RipeStat(RipeStat),
}

/// Answers what the RPKI says of a route.
pub struct Validator {
    oracles: Vec<Oracle>,
    feeds: Vec<Feed>,
    clock: Arc<dyn Clock>,
    changed: watch::Sender<u64>,
    /// Sessions end with the validator.
    _sessions: Vec<AbortOnDropHandle<()>>,
}

impl Validator {
    /// Begins to follow the sources; returns at once. RTR sessions run by themselves, documents are read by [`Self::look`].
    pub fn start(
        settings: &RpkiSettings,
        stat: Option<&RipeStat>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, web::Error> {
        let (changed, _) = watch::channel(0);
        let (mut oracles, mut feeds, mut sessions) = (Vec::new(), Vec::new(), Vec::new());
        for source in &settings.sources {
            let name = source.name();
            let hold = || Arc::new(Holder::new(name.clone(), settings.guard, changed.clone()));
            match source {
                Source::Rtr(rtr) => {
                    let holder = hold();
                    let session = rtr::run(rtr.clone(), holder.clone(), clock.clone());
                    sessions.push(AbortOnDropHandle::new(tokio::spawn(session)));
                    oracles.push(Oracle::Held(holder));
                }
                Source::Feed(feed) => {
                    let holder = hold();
                    feeds.push(Feed::new(feed.clone(), holder.clone())?);
                    oracles.push(Oracle::Held(holder));
                }
                Source::Routinator(url) => {
                    let routinator = Remote::Routinator(Routinator::new(url.clone())?);
                    oracles.push(Oracle::Remote(name, routinator));
                }
                // Without a client nobody can be asked, and the other sources are.
                Source::RipeStat => {
                    oracles.extend(stat.map(|stat| Oracle::Remote(name, Remote::RipeStat(stat.clone()))));
                }
            }
        }
        Ok(Self { oracles, feeds, clock, changed, _sessions: sessions })
    }

    /// Reads every document that changed.
    pub async fn look(&self) -> Result<(), String> {
        let mut wrong = Vec::new();
        for feed in &self.feeds {
            if let Err(error) = feed.look(self.clock.now()).await {
                wrong.push(error.to_string());
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
    }

    /// Counts the sets that were taken up; open as long as the validator is there.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Whether there is any source.
    pub fn is_configured(&self) -> bool {
        !self.oracles.is_empty()
    }

    /// Whether one of the sources holds every VRP, so that a look costs nothing.
    pub fn holds_vrps(&self) -> bool {
        self.oracles.iter().any(|oracle| matches!(oracle, Oracle::Held(_)))
    }

    /// Waits, at most so long, until a source that holds VRPs has some.
    pub async fn ready(&self, patience: Duration) {
        let mut changed = self.changed.subscribe();
        if self.holds_vrps() {
            let _ = tokio::time::timeout(patience, changed.wait_for(|count| *count > 0)).await;
        }
    }

    /// Validates a route (RFC 6811). The first source that can answer does; if none can, each says why.
    pub async fn validate(&self, route: Route) -> Result<Observed<RouteVerdict>, CouldNotCheck> {
        let mut causes = Vec::new();
        for oracle in &self.oracles {
            let answer = match oracle {
                Oracle::Held(holder) => holder.validate(route),
                // Boxed: a look into memory need not carry the size of a question over a network.
                Oracle::Remote(name, remote) => Box::pin(self.ask(name, remote, route)).await,
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
        remote: &Remote,
        route: Route,
    ) -> Result<Observed<RouteVerdict>, CouldNotCheck> {
        let now = self.clock.now();
        let (value, time) = match remote {
            Remote::Routinator(routinator) => {
                let answer = routinator.validity(route).await;
                let (value, time) = answer.map_err(|error| CouldNotCheck::one(name, error))?;
                // A clock that is ahead must not make every other source look old.
                (value, time.unwrap_or(now).min(now))
            }
            Remote::RipeStat(stat) => {
                let answer = stat::validation(stat, route).await;
                (answer.map_err(|error| CouldNotCheck::one(name, error))?, now)
            }
        };
        Ok(Observed { value, source: name.to_owned(), time })
    }

    /// What is known of each source, in order.
    pub fn states(&self) -> Vec<SourceState> {
        let state = |oracle: &Oracle| match oracle {
            Oracle::Held(holder) => {
                let state = holder.state();
                SourceState {
                    name: holder.name().to_owned(),
                    vrps: Some(state.vrps),
                    time: state.taken,
                    trouble: state.trouble,
                }
            }
            Oracle::Remote(name, _) => {
                SourceState { name: name.clone(), vrps: None, time: None, trouble: String::new() }
            }
        };
        self.oracles.iter().map(state).collect()
    }
}
