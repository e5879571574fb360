//! RIPEstat's data calls: <https://stat.ripe.net/docs/data-api/>. What an answer means is for the rooms that ask.
//!
//! At most eight calls at once (its rule), each signed with `sourceapp`; told to wait (429, 503, Retry-After) it waits, and
//! until then answers for itself that it could not check.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use url::Url;

use crate::web::{self, Got, Web};

/// Its rule.
const AT_ONCE: usize = 8;
const PATIENCE: Duration = Duration::from_secs(20);
const MOST: usize = 16 << 20;
/// How long it is left alone when it asks for patience without saying how much.
const REST: Duration = Duration::from_secs(30);
const LONGEST_REST: Duration = Duration::from_hours(1);

/// Why there is no data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No document.
    #[error(transparent)]
    Web(#[from] web::Error),
    /// It asked to be left alone for a while.
    #[error("it asked to be left alone; {0} s are left")]
    Resting(u64),
    /// Not the documented answer.
    #[error("its answer is not as documented: {0}")]
    Odd(String),
}

/// Where RIPEstat is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RipeStatSettings {
    /// Example: `https://stat.ripe.net`.
    pub url: Url,
    /// Says who asks; RIPE NCC wants it for regular use.
    pub source_app: String,
}

/// A client that all who ask share, since the limits are of the address that asks.
#[derive(Clone, Debug)]
pub struct RipeStat {
    web: Web,
    settings: RipeStatSettings,
    slots: Arc<Semaphore>,
    not_before: Arc<Mutex<Option<Instant>>>,
}

impl RipeStat {
    /// Makes a client.
    pub fn new(settings: RipeStatSettings) -> Result<Self, web::Error> {
        let web = Web::new(PATIENCE)?;
        Ok(Self { web, settings, slots: Arc::new(Semaphore::new(AT_ONCE)), not_before: Arc::default() })
    }

    /// One data call; its `data`.
    pub async fn data(&self, call: &str, parameters: &[(&str, &str)]) -> Result<Value, Error> {
        let _slot = self.slots.acquire().await.map_err(|error| Error::Odd(error.to_string()))?;
        self.resting()?;
        let mut url = self.settings.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["data", call, "data.json"]);
        }
        url.query_pairs_mut().extend_pairs(parameters).append_pair("sourceapp", &self.settings.source_app);
        let body = match self.web.get(&url, None, MOST).await {
            Ok(Got::Document { body, .. }) => body,
            Ok(Got::Unchanged) => return Err(Error::Odd("304 to a request without a tag".to_owned())),
            Err(error) => {
                if let web::Error::Status { status: 429 | 503, retry_after, .. } = &error {
                    self.rest(retry_after.unwrap_or(REST).min(LONGEST_REST));
                }
                return Err(error.into());
            }
        };
        let mut answer: Value =
            serde_json::from_slice(&body).map_err(|error| Error::Odd(error.to_string()))?;
        match answer.get("status").and_then(Value::as_str) {
            Some("ok") | None => {}
            Some(status) => {
                let words = answer.get("messages").map(ToString::to_string).unwrap_or_default();
                return Err(Error::Odd(format!("status {status} {words}")));
            }
        }
        match answer.get_mut("data").map(Value::take) {
            Some(data @ Value::Object(_)) => Ok(data),
            _ => Err(Error::Odd("it has no data".to_owned())),
        }
    }

    fn resting(&self) -> Result<(), Error> {
        let until = *self.not_before.lock().unwrap_or_else(PoisonError::into_inner);
        match until.map(|until| until.saturating_duration_since(Instant::now())) {
            Some(left) if !left.is_zero() => Err(Error::Resting(left.as_secs() + 1)),
            _ => Ok(()),
        }
    }

    fn rest(&self, rest: Duration) {
        *self.not_before.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + rest);
    }
}

/// An AS number as it gives them: a number, `"64500"` or `"AS64500"`.
pub fn asn(value: &Value) -> Option<u32> {
    match value {
        Value::Number(number) => number.as_u64().and_then(|number| u32::try_from(number).ok()),
        Value::String(text) => text.trim().trim_start_matches("AS").parse().ok(),
        _ => None,
    }
}

/// An instant as it gives them: UTC, without saying so.
pub fn time(value: Option<&Value>) -> Option<Timestamp> {
    let text = value?.as_str()?;
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Some(instant);
    }
    text.parse::<DateTime>().ok()?.in_tz("UTC").ok().map(|zoned| zoned.timestamp())
}
