//! One POST, and what its answer means.

use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::Value;
use url::Url;

use super::settings::SettingsError;
use super::sink::Failure;
use crate::web::guard;

/// How long a receiver may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// How much of an answer is read.
const MOST_OF_AN_ANSWER: usize = 1 << 20;

/// A client that goes where it may.
pub(super) fn client(url: &Url, allow_private: bool) -> Result<Client, SettingsError> {
    guard::check(url, allow_private)?;
    let mut builder = Client::builder()
        .user_agent(concat!("leasehold/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(5))
        .timeout(PATIENCE)
        // A redirect may lead anywhere, and Standard Webhooks counts it as a failure.
        .redirect(reqwest::redirect::Policy::none());
    if let Some(resolver) = guard::resolver(allow_private) {
        builder = builder.dns_resolver(resolver);
    }
    builder.build().map_err(|error| SettingsError::Client(error.to_string()))
}

/// Sends, and reads the answer; JSON, or null where it is none.
pub(super) async fn send(request: RequestBuilder) -> Result<Value, Failure> {
    exchange(request).await?.map_err(|(_, failure)| failure)
}

/// The same, for what may be gone: `None` then, which is all that was wanted.
pub(super) async fn send_unless_gone(request: RequestBuilder) -> Result<Option<Value>, Failure> {
    match exchange(request).await? {
        Ok(answer) => Ok(Some(answer)),
        Err((StatusCode::NOT_FOUND | StatusCode::GONE, _)) => Ok(None),
        Err((_, failure)) => Err(failure),
    }
}

async fn exchange(request: RequestBuilder) -> Result<Result<Value, (StatusCode, Failure)>, Failure> {
    let mut response = request.send().await.map_err(|error| broken(&error))?;
    let status = response.status();
    let header = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| broken(&error))? {
        if body.len() + chunk.len() > MOST_OF_AN_ANSWER {
            break;
        }
        body.extend_from_slice(&chunk);
    }
    if status.is_success() {
        return Ok(Ok(serde_json::from_slice(&body).unwrap_or(Value::Null)));
    }
    let said: String = String::from_utf8_lossy(&body).chars().take(200).collect();
    Ok(Err((status, judge(status, header.as_deref(), said.trim()))))
}

/// 408, 425, 429 and 5xx pass; a redirect is a failure that a person mends; anything else is a refusal.
fn judge(status: StatusCode, retry_after: Option<&str>, said: &str) -> Failure {
    let why = if said.is_empty() { status.to_string() } else { format!("{status}: {said}") };
    let passes = status.is_server_error()
        || status.is_redirection()
        || matches!(status.as_u16(), 408 | 425 | 429)
        // A token that was taken away, or a path that was mistyped, is mended by a person, and nothing is to be lost then.
        || matches!(status.as_u16(), 401 | 403 | 404);
    if passes { Failure::Later { why, after: retry_after.and_then(patience) } } else { Failure::never(why) }
}

/// Retry-After: seconds or a date (RFC 9110, section 10.2.3).
fn patience(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::parse(text.trim()).ok()?.timestamp();
    Duration::try_from(at.duration_since(jiff::Timestamp::now())).ok()
}

/// The innermost words: the outer ones repeat the URL, which may be a secret.
fn broken(error: &reqwest::Error) -> Failure {
    let mut inner: &dyn std::error::Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    let why = if error.is_timeout() { "no answer in time".to_owned() } else { inner.to_string() };
    Failure::later(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_tried_again_and_a_refusal_is_not() {
        let later = |status: u16| {
            matches!(judge(StatusCode::from_u16(status).unwrap(), None, ""), Failure::Later { .. })
        };
        assert!([301, 302, 401, 403, 404, 408, 429, 500, 502, 503].into_iter().all(later));
        assert!(![400, 410, 413, 422].into_iter().any(later));
    }

    #[test]
    fn patience_is_read_in_both_forms() {
        assert_eq!(patience("120"), Some(Duration::from_mins(2)));
        let at = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(90);
        let text = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&at).unwrap();
        let read = patience(&text).unwrap().as_secs();
        assert!((85..=90).contains(&read), "{text}: {read}");
        assert_eq!(patience("soon"), None);
    }
}
