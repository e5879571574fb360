//! VRPs from a JSON file or URL, read again when they change.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use tokio::sync::Mutex;
use url::Url;

use super::dialect::{self, DialectError};
use super::guard::Collapse;
use super::holder::Holder;
use crate::web::{self, Got, Web};

/// 800,000 VRPs of the wordiest dialect are some 400 MB.
const MOST: usize = 1 << 30;

/// Where the document is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A file.
    File(PathBuf),
    /// A URL.
    Url(Url),
}

/// A document and how long it is good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedSettings {
    /// Where it is.
    pub place: Place,
    /// Older than this, it answers nothing.
    pub expire: Duration,
}

/// Why nothing new was taken up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The URL gives no document.
    #[error("{}{}: {source}", .url.host_str().unwrap_or_default(), .url.path())]
    Web {
        /// Which.
        url: Url,
        /// Why.
        source: web::Error,
    },
    /// It is no list of VRPs.
    #[error(transparent)]
    Dialect(#[from] DialectError),
    /// It is too old.
    #[error("its data of {0} is too old")]
    Stale(Timestamp),
    /// It is not believed.
    #[error(transparent)]
    Collapse(#[from] Collapse),
}

#[derive(Debug, Default)]
struct Seen {
    etag: Option<String>,
    file: Option<(SystemTime, u64)>,
    /// The time of the data that was taken up.
    made: Option<Timestamp>,
}

/// A document that is followed.
#[derive(Debug)]
pub struct Feed {
    settings: FeedSettings,
    web: Web,
    holder: Arc<Holder>,
    seen: Mutex<Seen>,
}

impl Feed {
    /// Follows a document into a holder.
    pub fn new(settings: FeedSettings, holder: Arc<Holder>) -> Result<Self, web::Error> {
        Ok(Self { settings, web: Web::new(Duration::from_mins(2))?, holder, seen: Mutex::default() })
    }

    /// Looks once; whether there was anything new. On an error what stood stays until it expires.
    pub async fn look(&self, now: Timestamp) -> Result<bool, Error> {
        let looked = self.try_look(now).await;
        if let Err(error) = &looked {
            self.holder.in_trouble(error.to_string());
        }
        looked
    }

    async fn try_look(&self, now: Timestamp) -> Result<bool, Error> {
        let mut seen = self.seen.lock().await;
        let (body, mut next, modified) = match &self.settings.place {
            Place::File(path) => {
                let failed = |source| Error::File { path: path.clone(), source };
                let meta = tokio::fs::metadata(path).await.map_err(failed)?;
                let modified = meta.modified().map_err(failed)?;
                let file = Some((modified, meta.len()));
                if seen.file == file {
                    return self.unchanged(&seen, now);
                }
                let body = tokio::fs::read(path).await.map_err(failed)?;
                (body, Seen { file, ..Seen::default() }, Timestamp::try_from(modified).ok())
            }
            Place::Url(url) => match self.web.get(url, seen.etag.as_deref(), MOST).await {
                Ok(Got::Unchanged) => return self.unchanged(&seen, now),
                Ok(Got::Document { body, etag, modified }) => {
                    (body, Seen { etag, ..Seen::default() }, modified)
                }
                Err(source) => return Err(Error::Web { url: url.clone(), source }),
            },
        };
        // Seconds of work at 800,000 rows: not on a thread that serves calls.
        let read = tokio::task::spawn_blocking(move || dialect::read(&body, now)).await;
        let document = read.map_err(|error| DialectError::Json(error.to_string()))??;
        let made = document.generated.or(modified).unwrap_or(now).min(now);
        self.holder.take_up(document.vrps, made, self.left(made, now)?)?;
        next.made = Some(made);
        *seen = next;
        Ok(true)
    }

    /// The age counts from when the data was made: a validator that stopped writes the same file for ever.
    fn unchanged(&self, seen: &Seen, now: Timestamp) -> Result<bool, Error> {
        self.left(seen.made.unwrap_or(now), now)?;
        self.holder.in_trouble(String::new());
        Ok(false)
    }

    fn left(&self, made: Timestamp, now: Timestamp) -> Result<Duration, Error> {
        let age = Duration::try_from(now.duration_since(made)).unwrap_or_default();
        self.settings.expire.checked_sub(age).filter(|left| !left.is_zero()).ok_or(Error::Stale(made))
    }
}
