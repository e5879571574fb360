//! A client of RIPEstat's data calls (<https://stat.ripe.net/docs/data-api/>). The rooms that ask interpret the data.
//!
//! At most eight calls run at once, as RIPEstat demands, and each names its user (`sourceapp`). If RIPEstat answers 429 or
//! 503, no call is sent for the time of its Retry-After; meanwhile every call fails with [`Error::BackingOff`].

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use url::Url;

use crate::model::{Failure, SourceFault};
use crate::web::{self, Fetched, WebClient};

/// RIPEstat allows eight concurrent requests from one address.
const CONCURRENT_CALLS: usize = 8;
const TIMEOUT: Duration = Duration::from_secs(20);
/// Longest answer that is read, in bytes.
const MAX_BYTES: usize = 16 << 20;
/// Characters of RIPEstat's own messages that are kept for the error text.
const MESSAGE_CHARS: usize = 200;
/// How long no call is sent after a 429 or 503 without Retry-After.
const DEFAULT_BACKOFF: Duration = Duration::from_secs(30);
const LONGEST_BACKOFF: Duration = Duration::from_hours(1);

/// Why a data call gave no data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Web(#[from] web::Error),
    /// RIPEstat asked for a pause, of which this many seconds remain.
    #[error("it asked for a pause; {0} s of it are left")]
    BackingOff(u64),
    #[error("its answer is not as documented: {0}")]
    Undocumented(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error {
            Error::Web(error) => error.into(),
            Error::BackingOff(_) => SourceFault::Throttled.failure(message),
            Error::Undocumented(_) => SourceFault::AnswerInvalid.failure(message),
        }
    }
}

/// Where RIPEstat is, and who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RipeStatSettings {
    /// The base URL. Example: `https://stat.ripe.net`.
    pub url: Url,
    /// The value of `sourceapp`: RIPE NCC asks regular users to identify themselves.
    pub source_app: String,
}

/// A client of RIPEstat. All users share one, because RIPEstat's limits apply to the address that asks.
#[derive(Clone, Debug)]
pub struct RipeStat {
    web: WebClient,
    settings: RipeStatSettings,
    slots: Arc<Semaphore>,
    /// The end of the pause that RIPEstat asked for. The lock is never held across an await.
    not_before: Arc<Mutex<Option<Instant>>>,
}

impl RipeStat {
    /// A client that has asked nothing yet. It fails if no HTTP client can be built.
    pub fn new(settings: RipeStatSettings) -> Result<Self, web::Error> {
        let web = WebClient::new(TIMEOUT)?;
        Ok(Self {
            web,
            settings,
            slots: Arc::new(Semaphore::new(CONCURRENT_CALLS)),
            not_before: Arc::default(),
        })
    }

    /// Makes one data call and returns the `data` of its answer. It waits while eight other calls are running.
    pub async fn data(&self, call: &str, parameters: &[(&str, &str)]) -> Result<Value, Error> {
        let _slot = self.slots.acquire().await.map_err(|_| Error::BackingOff(0))?;
        self.check_pause()?;
        let mut url = self.settings.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["data", call, "data.json"]);
        }
        url.query_pairs_mut().extend_pairs(parameters).append_pair("sourceapp", &self.settings.source_app);
        let body = match self.web.get(&url, None, MAX_BYTES).await {
            Ok(Fetched::Document { body, .. }) => body,
            Ok(Fetched::Unchanged) => {
                return Err(Error::Undocumented("304 to a request without an ETag".to_owned()));
            }
            Err(error) => {
                if let web::Error::Status { status: 429 | 503, retry_after, .. } = &error {
                    self.pause(retry_after.unwrap_or(DEFAULT_BACKOFF).min(LONGEST_BACKOFF));
                }
                return Err(error.into());
            }
        };
        let mut answer: Value =
            serde_json::from_slice(&body).map_err(|_| Error::Undocumented("it is not JSON".to_owned()))?;
        match answer.get("status").and_then(Value::as_str) {
            Some("ok") | None => {}
            Some(status) => {
                let words = answer.get("messages").map(ToString::to_string).unwrap_or_default();
                let words: String = words.chars().take(MESSAGE_CHARS).collect();
                return Err(Error::Undocumented(format!("status {status} {words}")));
            }
        }
        match answer.get_mut("data").map(Value::take) {
            Some(data @ Value::Object(_)) => Ok(data),
            _ => Err(Error::Undocumented("it has no data".to_owned())),
        }
    }

    fn check_pause(&self) -> Result<(), Error> {
        let until = *self.not_before.lock().unwrap_or_else(PoisonError::into_inner);
        match until.map(|until| until.saturating_duration_since(Instant::now())) {
            Some(left) if !left.is_zero() => Err(Error::BackingOff(left.as_secs() + 1)),
            _ => Ok(()),
        }
    }

    fn pause(&self, length: Duration) {
        *self.not_before.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + length);
    }
}

/// An AS number in any of the forms that RIPEstat uses: a number, `"64500"` or `"AS64500"`.
pub fn asn(value: &Value) -> Option<u32> {
    match value {
        Value::Number(number) => number.as_u64().and_then(|number| u32::try_from(number).ok()),
        Value::String(text) => text.trim().trim_start_matches("AS").parse().ok(),
        _ => None,
    }
}

/// A time as RIPEstat writes it: UTC, without an offset.
pub fn time(value: Option<&Value>) -> Option<Timestamp> {
    let text = value?.as_str()?;
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Some(instant);
    }
    text.parse::<DateTime>().ok()?.in_tz("UTC").ok().map(|zoned| zoned.timestamp())
}
