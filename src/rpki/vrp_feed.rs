//! VRPs from a JSON file or URL, read again whenever it changes.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use tokio::sync::Mutex;
use url::Url;

use super::collapse_guard::Collapse;
use super::vrp_json::{self, VrpJsonError};
use super::vrp_store::VrpStore;
use crate::model::{Failure, SourceFault};
use crate::web::{self, Fetched, WebClient};

/// The largest document that is read, in bytes: 800,000 VRPs in the most verbose format are about 400 MB.
const MAX_BYTES: usize = 1 << 30;
/// Limit for one download.
const DOWNLOAD_TIMEOUT: Duration = Duration::from_mins(2);

/// Where the JSON document with the VRPs is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VrpLocation {
    File(PathBuf),
    Url(Url),
}

/// One JSON document of VRPs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VrpFeedSettings {
    pub location: VrpLocation,
    /// Data that was made longer ago than this is not used.
    pub expire: Duration,
}

/// Why the VRPs could not be refreshed. The installed set stays in use until it expires.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{path}: {}", file_fault(source))]
    File { path: PathBuf, source: std::io::Error },
    #[error("{}{}: {source}", .url.host_str().unwrap_or_default(), .url.path())]
    Web { url: Url, source: web::Error },
    #[error(transparent)]
    Json(#[from] VrpJsonError),
    #[error("its data of {0} is too old: check that the validator still runs")]
    Stale(Timestamp),
    #[error(transparent)]
    Collapse(#[from] Collapse),
}

/// Why a file cannot be read.
fn file_fault(error: &std::io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::NotFound => "there is no such file",
        ErrorKind::PermissionDenied => "the server may not read it",
        ErrorKind::IsADirectory => "it is a directory",
        _ => "it cannot be read",
    }
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        let fault = match error {
            Error::File { .. } => SourceFault::Unreachable,
            Error::Web { source, .. } => return Self { message: error.to_string(), ..source.clone().into() },
            Error::Json(_) => SourceFault::AnswerInvalid,
            Error::Stale(_) => SourceFault::DataExpired,
            Error::Collapse(_) => SourceFault::DataCollapsed,
        };
        fault.failure(error.to_string())
    }
}

/// What identifies the version of the document that was installed last.
#[derive(Debug, Default)]
struct InstalledVersion {
    etag: Option<String>,
    /// Modification time and size in bytes.
    file: Option<(SystemTime, u64)>,
    /// When its data was made.
    generated: Option<Timestamp>,
}

/// Keeps a [`VrpStore`] up to date with one JSON document.
#[derive(Debug)]
pub struct VrpFeed {
    settings: VrpFeedSettings,
    client: WebClient,
    store: Arc<VrpStore>,
    /// Held for a whole refresh, so that two of them never run at once.
    version: Mutex<InstalledVersion>,
}

impl VrpFeed {
    /// Connects a document to a store; nothing is read yet.
    pub fn new(settings: VrpFeedSettings, store: Arc<VrpStore>) -> Result<Self, web::Error> {
        let client = WebClient::new(DOWNLOAD_TIMEOUT)?;
        Ok(Self { settings, client, store, version: Mutex::default() })
    }

    /// Reads the document if it has changed, and returns whether it had. On an error the store keeps its set until it expires.
    pub async fn refresh(&self, now: Timestamp) -> Result<bool, Error> {
        let refreshed = self.try_refresh(now).await;
        if let Err(error) = &refreshed {
            self.store.set_failure(Failure::from(error).at(now));
        }
        refreshed
    }

    async fn try_refresh(&self, now: Timestamp) -> Result<bool, Error> {
        let mut version = self.version.lock().await;
        let (body, mut next, modified) = match &self.settings.location {
            VrpLocation::File(path) => {
                let failed = |source| Error::File { path: path.clone(), source };
                let meta = tokio::fs::metadata(path).await.map_err(failed)?;
                let modified = meta.modified().map_err(failed)?;
                let file = Some((modified, meta.len()));
                if version.file == file {
                    return self.confirm_unchanged(&version, now);
                }
                let body = tokio::fs::read(path).await.map_err(failed)?;
                let next = InstalledVersion { file, ..InstalledVersion::default() };
                (body, next, Timestamp::try_from(modified).ok())
            }
            VrpLocation::Url(url) => match self.client.get(url, version.etag.as_deref(), MAX_BYTES).await {
                Ok(Fetched::Unchanged) => return self.confirm_unchanged(&version, now),
                Ok(Fetched::Document { body, etag, modified }) => {
                    (body, InstalledVersion { etag, ..InstalledVersion::default() }, modified)
                }
                Err(source) => return Err(Error::Web { url: url.clone(), source }),
            },
        };
        // Parsing 800,000 rows takes seconds, so it must not run on a thread that serves calls.
        let parsed = tokio::task::spawn_blocking(move || vrp_json::parse(&body, now)).await;
        let document =
            parsed.map_err(|_| VrpJsonError::Json("the server could not read it".to_owned()))??;
        let generated = document.generated.or(modified).unwrap_or(now).min(now);
        self.store.install(document.vrps, generated, self.remaining_life(generated, now)?)?;
        next.generated = Some(generated);
        *version = next;
        Ok(true)
    }

    /// The age counts from when the data was made: a validator that has stopped leaves an unchanged file behind for ever.
    fn confirm_unchanged(&self, version: &InstalledVersion, now: Timestamp) -> Result<bool, Error> {
        self.remaining_life(version.generated.unwrap_or(now), now)?;
        self.store.clear_failure();
        Ok(false)
    }

    fn remaining_life(&self, generated: Timestamp, now: Timestamp) -> Result<Duration, Error> {
        let age = Duration::try_from(now.duration_since(generated)).unwrap_or_default();
        self.settings
            .expire
            .checked_sub(age)
            .filter(|remaining| !remaining.is_zero())
            .ok_or(Error::Stale(generated))
    }
}
