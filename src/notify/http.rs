//! One HTTP request to a sink, and what its answer means.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::RETRY_AFTER;
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::Value;
use url::Url;

use super::error::NotifySettingsError;
use super::sink::DeliveryFailure;
use crate::web::{ConnectionFault, PrivateAddress, guard};

/// The longest time that a receiver may take to answer.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Bytes of an answer that are read; the rest is ignored.
const MAX_ANSWER: usize = 1 << 20;

/// A client for a sink. Unless `allow_private`, it opens no connection to a private address, whatever the name resolves to.
pub(super) fn client(url: &Url, allow_private: bool) -> Result<Client, NotifySettingsError> {
    guard::check(url, allow_private)?;
    let mut builder = Client::builder()
        .user_agent(concat!("leasehold/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(5))
        .timeout(TIMEOUT)
        // A redirect may lead anywhere, and Standard Webhooks counts it as a failure.
        .redirect(reqwest::redirect::Policy::none());
    if let Some(resolver) = guard::resolver(allow_private) {
        builder = builder.dns_resolver(resolver);
    }
    builder.build().map_err(|error| NotifySettingsError::Client(error.to_string()))
}

/// Sends a request. Returns the JSON of the answer, or null if the answer is not JSON.
pub(super) async fn send(request: RequestBuilder, now: Timestamp) -> Result<Value, DeliveryFailure> {
    exchange(request, now).await?.map_err(|(_, failure)| failure)
}

/// Sends a request that removes something. If it is gone already (404, 410), the result is `None` and no failure.
pub(super) async fn send_unless_gone(
    request: RequestBuilder,
    now: Timestamp,
) -> Result<Option<Value>, DeliveryFailure> {
    match exchange(request, now).await? {
        Ok(answer) => Ok(Some(answer)),
        Err((StatusCode::NOT_FOUND | StatusCode::GONE, _)) => Ok(None),
        Err((_, failure)) => Err(failure),
    }
}

/// The outer error means that there was no answer; the inner one that the answer was not a success.
async fn exchange(
    request: RequestBuilder,
    now: Timestamp,
) -> Result<Result<Value, (StatusCode, DeliveryFailure)>, DeliveryFailure> {
    let mut response = request.send().await.map_err(|error| no_answer(&error))?;
    let status = response.status();
    let header = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| no_answer(&error))? {
        if body.len() + chunk.len() > MAX_ANSWER {
            break;
        }
        body.extend_from_slice(&chunk);
    }
    if status.is_success() {
        return Ok(Ok(serde_json::from_slice(&body).unwrap_or(Value::Null)));
    }
    let text: String = String::from_utf8_lossy(&body).chars().take(200).collect();
    let retry_after = header.as_deref().and_then(|text| retry_after(text, now));
    Ok(Err((status, failure(status, retry_after, text.trim()))))
}

/// What an answer that is not a success means. Transient are server errors, the statuses that say so (408, 425, 429), and those
/// that a person can correct at the receiver or in our settings: a redirect, a token that was revoked (401, 403), a wrong path (404).
/// Anything else is a refusal of the message itself.
fn failure(status: StatusCode, retry_after: Option<Duration>, text: &str) -> DeliveryFailure {
    let reason = if text.is_empty() { status.to_string() } else { format!("{status}: {text}") };
    let transient = status.is_server_error()
        || status.is_redirection()
        || matches!(status.as_u16(), 401 | 403 | 404 | 408 | 425 | 429);
    if transient {
        DeliveryFailure::Transient { reason, retry_after }
    } else {
        DeliveryFailure::permanent(reason)
    }
}

/// The wait that a Retry-After asks for: seconds, or a date (RFC 9110, section 10.2.3).
fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::parse(text.trim()).ok()?.timestamp();
    Duration::try_from(at.duration_since(now)).ok()
}

/// A request without an answer, in words of our own. The error itself repeats the URL, which may be a secret.
fn no_answer(error: &reqwest::Error) -> DeliveryFailure {
    if error.is_timeout() {
        return DeliveryFailure::transient(format!("no answer within {} s", TIMEOUT.as_secs()));
    }
    unreachable(error)
}

/// A sink that cannot be connected to, or that may not be, in words of our own.
pub(super) fn unreachable(error: &(dyn std::error::Error + 'static)) -> DeliveryFailure {
    let mut next = Some(error);
    while let Some(inner) = next {
        if let Some(private) = inner.downcast_ref::<PrivateAddress>() {
            return DeliveryFailure::transient(private.to_string());
        }
        next = inner.source();
    }
    DeliveryFailure::transient(ConnectionFault::of(error).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transient_status_is_tried_again_and_a_refusal_is_not() {
        let transient = |status: u16| {
            let status = StatusCode::from_u16(status).unwrap();
            matches!(failure(status, None, ""), DeliveryFailure::Transient { .. })
        };
        assert!([301, 302, 401, 403, 404, 408, 429, 500, 502, 503].into_iter().all(transient));
        assert!(![400, 410, 413, 422].into_iter().any(transient));
    }

    #[test]
    fn retry_after_is_read_in_both_forms() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        assert_eq!(retry_after("120", now), Some(Duration::from_mins(2)));
        let at = now + jiff::SignedDuration::from_secs(90);
        let text = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&at).unwrap();
        assert_eq!(retry_after(&text, now), Some(Duration::from_secs(90)), "{text}");
        assert_eq!(retry_after("soon", now), None);
    }
}
