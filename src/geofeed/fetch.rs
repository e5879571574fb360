//! Fetches geofeeds, and keeps each for an hour.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

use super::feed::{Geofeed, parse};
use crate::model::{CouldNotCheck, Failure, Observed, SourceFault};
use crate::web::{self, Fetched, WebClient};

const TIMEOUT: Duration = Duration::from_secs(15);
/// Longest geofeed that is read, in bytes.
const MAX_BYTES: usize = 32 << 20;
/// How long a geofeed is used before the server is asked again.
const KEPT_FOR: Duration = Duration::from_hours(1);
/// Geofeeds kept at once. Few are needed, since a holder publishes one for all of its space.
const MAX_KEPT: usize = 64;

struct KeptFeed {
    until: Instant,
    etag: Option<String>,
    observed: Observed<Arc<Geofeed>>,
}

/// Fetches geofeeds over HTTP.
pub struct GeofeedClient {
    web: WebClient,
    /// By URL. The lock is held while a geofeed is fetched, so that each is fetched once, one after another.
    kept: Mutex<HashMap<Url, KeptFeed>>,
}

impl GeofeedClient {
    /// A client that fetches from public addresses only, unless `allow_private` is set for geofeeds inside the operator's own
    /// network. It fails if no HTTP client can be built.
    pub fn new(allow_private: bool) -> Result<Self, web::Error> {
        let web = if allow_private { WebClient::new(TIMEOUT)? } else { WebClient::public(TIMEOUT)? };
        Ok(Self { web, kept: Mutex::default() })
    }

    /// The geofeed at a URL: the kept one if it is younger than an hour, otherwise fetched again. The observation has the time
    /// at which it was fetched.
    pub async fn get(&self, text: &str, now: Timestamp) -> Result<Observed<Arc<Geofeed>>, CouldNotCheck> {
        let failed = |failure: Failure| CouldNotCheck::from_source("geofeed", failure.at(now));
        let malformed = |why: String| failed(SourceFault::AnswerInvalid.failure(why));
        let url: Url = text.trim().parse().map_err(|_| malformed(format!("{text:?} is not a URL")))?;
        // RFC 9632, section 3, wants an HTTPS URL. Plain HTTP is accepted too, although it can be altered on the way.
        if !matches!(url.scheme(), "https" | "http") {
            return Err(malformed(format!("{url} is not an HTTP or HTTPS URL")));
        }
        let mut kept = self.kept.lock().await;
        let known_etag = match kept.get(&url) {
            Some(known) if Instant::now() < known.until => return Ok(known.observed.clone()),
            known => known.and_then(|known| known.etag.clone()),
        };
        let fetched = self
            .web
            .get(&url, known_etag.as_deref(), MAX_BYTES)
            .await
            .map_err(|error| failed(error.into()))?;
        let (etag, feed) = match (fetched, kept.get(&url)) {
            (Fetched::Document { body, etag, .. }, _) => (etag, Arc::new(parse(&body))),
            (Fetched::Unchanged, Some(known)) => (known_etag, known.observed.value.clone()),
            (Fetched::Unchanged, None) => {
                return Err(malformed("it answered 304 to a request without an ETag".to_owned()));
            }
        };
        let observed = Observed {
            value: feed,
            source: format!("geofeed {}", url.host_str().unwrap_or_default()),
            time: now,
        };
        if kept.len() >= MAX_KEPT {
            kept.clear();
        }
        kept.insert(url, KeptFeed { until: Instant::now() + KEPT_FOR, etag, observed: observed.clone() });
        Ok(observed)
    }
}
