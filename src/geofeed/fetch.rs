//! Feeds fetched and kept for an hour.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

use super::feed::{Feed, read};
use crate::model::{CouldNotCheck, Observed};
use crate::web::{self, Got, Web};

const PATIENCE: Duration = Duration::from_secs(15);
const MOST: usize = 32 << 20;
const KEPT: Duration = Duration::from_hours(1);
/// Feeds kept at once; owners publish one for all their space.
const FEEDS: usize = 64;

struct Kept {
    until: Instant,
    etag: Option<String>,
    observed: Observed<Arc<Feed>>,
}

/// Fetches feeds.
pub struct Geofeeds {
    web: Web,
    kept: Mutex<HashMap<Url, Kept>>,
}

impl Geofeeds {
    /// `allow_private` is for feeds inside one's own network, and for tests.
    pub fn new(allow_private: bool) -> Result<Self, web::Error> {
        let web = if allow_private { Web::new(PATIENCE)? } else { Web::public(PATIENCE)? };
        Ok(Self { web, kept: Mutex::default() })
    }

    /// The feed at a URL.
    pub async fn get(&self, text: &str, now: Timestamp) -> Result<Observed<Arc<Feed>>, CouldNotCheck> {
        let failed = |why: String| CouldNotCheck::one("geofeed", why);
        let url: Url = text.trim().parse().map_err(|error| failed(format!("{text:?} is no URL: {error}")))?;
        // RFC 9632, section 3: the reference is an HTTPS URL; plain HTTP would let anybody on the way say where we are.
        if !matches!(url.scheme(), "https" | "http") {
            return Err(failed(format!("{url} is not reached by HTTP")));
        }
        let mut kept = self.kept.lock().await;
        let tag = match kept.get(&url) {
            Some(known) if Instant::now() < known.until => return Ok(known.observed.clone()),
            known => known.and_then(|known| known.etag.clone()),
        };
        let got =
            self.web.get(&url, tag.as_deref(), MOST).await.map_err(|error| failed(error.to_string()))?;
        let (etag, feed) = match (got, kept.get(&url)) {
            (Got::Document { body, etag, .. }, _) => (etag, Arc::new(read(&body))),
            (Got::Unchanged, Some(known)) => (tag, known.observed.value.clone()),
            (Got::Unchanged, None) => return Err(failed("304 to a request without a tag".to_owned())),
        };
        let observed = Observed {
            value: feed,
            source: format!("geofeed {}", url.host_str().unwrap_or_default()),
            time: now,
        };
        if kept.len() >= FEEDS {
            kept.clear();
        }
        kept.insert(url, Kept { until: Instant::now() + KEPT, etag, observed: observed.clone() });
        Ok(observed)
    }
}
