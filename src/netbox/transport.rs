//! HTTP to NetBox: connections, headers, time limits and retries.
//!
//! Reads are retried while the failure may pass; writes are sent once. `answer.rs` interprets what comes back.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use reqwest::header::{ACCEPT, ACCEPT_LANGUAGE, AUTHORIZATION, HeaderMap, HeaderValue};
use secrecy::ExposeSecret as _;
use serde_json::Value;
use url::Url;

use super::answer::interpret;
use super::error::{Error, NetBoxResult};
use super::fields::FieldNames;
use super::request::ApiRequest;
use super::settings::{NetBoxSettings, NetBoxSettingsError};
use crate::web::ConnectionFault;

/// How many times a read is sent, the first time included.
const READ_ATTEMPTS: usize = 4;
/// A read waits for a Retry-After of at most this; a longer one is returned to the caller as an error.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(10);

/// The HTTP side of a client. It knows URLs, headers and time limits, and nothing of prefixes or addresses.
#[derive(Clone, Debug)]
pub(super) struct Transport {
    http: reqwest::Client,
    /// For the pages of a full pass: this client keeps no connection open. gunicorn serves a kept connection by the one
    /// worker process that accepted it, so parallel pages over kept connections could all wait for the same process.
    bulk: reqwest::Client,
    base: Url,
    /// The names of our custom fields in this NetBox, which its refusals quote.
    fields: FieldNames,
    read_timeout: Duration,
    write_timeout: Duration,
}

impl Transport {
    /// Reads the CA file and builds the HTTP clients; sends nothing.
    pub(super) fn new(settings: &NetBoxSettings) -> Result<Self, NetBoxSettingsError> {
        let failed = |error: reqwest::Error| NetBoxSettingsError::Client(error.to_string());
        let http = builder(settings)?.build().map_err(failed)?;
        let bulk = builder(settings)?.pool_max_idle_per_host(0).build().map_err(failed)?;
        let mut base = settings.url.clone();
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        Ok(Self {
            http,
            bulk,
            base,
            fields: settings.fields.clone(),
            read_timeout: settings.read_timeout,
            write_timeout: settings.write_timeout,
        })
    }

    /// NetBox's base URL, with a trailing slash.
    pub(super) fn base(&self) -> &Url {
        &self.base
    }

    /// Sends a read, and sends it again while the failure may pass (at most [`READ_ATTEMPTS`] times in all).
    pub(super) async fn read(&self, request: ApiRequest<'_>) -> NetBoxResult<Value> {
        let backoff = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(150))
            .with_max_delay(Duration::from_secs(2))
            .with_jitter()
            .with_max_times(READ_ATTEMPTS - 1);
        (|| self.exchange(request.clone(), self.read_timeout))
            .retry(backoff)
            .when(|error| {
                error.is_transient() && error.retry_after().is_none_or(|wait| wait <= LONGEST_RETRY_AFTER)
            })
            .adjust(|error, delay| delay.map(|delay| error.retry_after().unwrap_or(delay)))
            .await
    }

    /// Sends a write once. It is never repeated here, because a repeated POST could allocate twice.
    pub(super) async fn write(&self, request: ApiRequest<'_>) -> NetBoxResult<Value> {
        self.exchange(request, self.write_timeout).await
    }

    async fn exchange(&self, request: ApiRequest<'_>, timeout: Duration) -> NetBoxResult<Value> {
        let url = self
            .base
            .join("api/")
            .and_then(|api| api.join(request.path))
            .map_err(|error| Error::Malformed { attempt: request.attempt(), cause: error.to_string() })?;
        let http = if request.bulk { &self.bulk } else { &self.http };
        let mut outgoing = http.request(request.method.clone(), url.clone()).timeout(timeout);
        if !request.query.is_empty() {
            outgoing = outgoing.query(request.query);
        }
        if let Some(body) = request.body {
            outgoing = outgoing.json(body);
        }
        if let Some(etag) = request.if_match {
            outgoing = outgoing.header(reqwest::header::IF_MATCH, etag);
        }
        let started = std::time::Instant::now();
        let failed = |error: reqwest::Error| self.error_of(&error, timeout);
        let response = outgoing.send().await.map_err(failed)?;
        let status = response.status();
        let headers = response.headers().clone();
        let body = response.bytes().await.map_err(failed)?;
        tracing::debug!(
            method = %request.method,
            path = request.path,
            status = status.as_u16(),
            netbox_request_id = headers.get("x-request-id").and_then(|id| id.to_str().ok()),
            elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            "netbox answered"
        );
        interpret(&request, &url, status, &headers, &body, &self.fields)
    }

    fn error_of(&self, error: &reqwest::Error, timeout: Duration) -> Error {
        let fault =
            || if error.is_timeout() { ConnectionFault::TimedOut } else { ConnectionFault::of(error) };
        if error.is_connect() {
            Error::Unreachable { url: self.base.to_string(), cause: fault().to_string() }
        } else if error.is_timeout() {
            Error::TimedOut { after: timeout }
        } else {
            Error::Interrupted { cause: fault().to_string() }
        }
    }
}

/// What both HTTP clients have in common.
fn builder(settings: &NetBoxSettings) -> Result<reqwest::ClientBuilder, NetBoxSettingsError> {
    let builder = reqwest::Client::builder()
        .default_headers(headers(settings)?)
        .user_agent(concat!("leasehold/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(5))
        .redirect(reqwest::redirect::Policy::none());
    let Some(path) = &settings.ca_file else { return Ok(builder) };
    let pem =
        std::fs::read(path).map_err(|source| NetBoxSettingsError::CaFile { path: path.clone(), source })?;
    let certificates = reqwest::Certificate::from_pem_bundle(&pem)
        .ok()
        .filter(|found| !found.is_empty())
        .ok_or_else(|| NetBoxSettingsError::CaFormat { path: path.clone() })?;
    Ok(builder.tls_certs_merge(certificates))
}

/// The headers of every request. A v1 token is sent as `Token`, a v2 token as `Bearer`.
fn headers(settings: &NetBoxSettings) -> Result<HeaderMap, NetBoxSettingsError> {
    let token = settings.token.expose_secret().trim();
    if token.is_empty() {
        return Err(NetBoxSettingsError::Token);
    }
    let scheme = if token.starts_with("nbt_") { "Bearer" } else { "Token" };
    let mut authorization =
        HeaderValue::from_str(&format!("{scheme} {token}")).map_err(|_| NetBoxSettingsError::Token)?;
    authorization.set_sensitive(true);
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, authorization);
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    // Without this header NetBox writes its errors in its DEFAULT_LANGUAGE, and `answer.rs` would misread them.
    headers.insert(ACCEPT_LANGUAGE, HeaderValue::from_static("en"));
    Ok(headers)
}
