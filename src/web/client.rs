//! The client: one GET, its time limit, its size limit and its ETag.

use std::time::Duration;

use reqwest::header::{ETAG, HeaderValue, IF_NONE_MATCH, LAST_MODIFIED, RETRY_AFTER};
use reqwest::{Client, StatusCode};
use url::Url;

use super::connection_fault::ConnectionFault;
use super::error::{Error, PrivateAddress};
use super::guard;

/// Characters of the body of a refusal that are kept for the error text.
const REFUSAL_TEXT_LENGTH: usize = 120;

/// The result of a GET: a document, or the statement that it did not change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// The server still has the document of the ETag that was sent (304).
    Unchanged,
    Document {
        body: Vec<u8>,
        etag: Option<String>,
        /// The Last-Modified header, if it is present and can be parsed.
        modified: Option<jiff::Timestamp>,
    },
}

/// Fetches documents, each within a time limit that covers the whole exchange.
#[derive(Clone, Debug)]
pub struct WebClient {
    client: Client,
    public_only: bool,
}

impl WebClient {
    /// A client for URLs that the operator configured: it connects anywhere and follows redirects.
    pub fn new(timeout: Duration) -> Result<Self, Error> {
        Self::build(timeout, false)
    }

    /// A client for URLs that somebody else chose: it connects to public addresses only, also when a name resolves to a
    /// private one, and follows no redirects.
    pub fn public(timeout: Duration) -> Result<Self, Error> {
        Self::build(timeout, true)
    }

    fn build(timeout: Duration, public_only: bool) -> Result<Self, Error> {
        let mut builder = Client::builder()
            .user_agent(concat!("leasehold/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(5))
            .timeout(timeout);
        if public_only {
            builder = builder.redirect(reqwest::redirect::Policy::none());
        }
        if let Some(resolver) = guard::resolver(!public_only) {
            builder = builder.dns_resolver(resolver);
        }
        let client = builder.build().map_err(|error| Error::Client(error.to_string()))?;
        Ok(Self { client, public_only })
    }

    /// GETs a document of at most `max_bytes`. `known_etag` is the ETag of the document that the caller already has.
    pub async fn get(&self, url: &Url, known_etag: Option<&str>, max_bytes: usize) -> Result<Fetched, Error> {
        guard::check(url, !self.public_only)?;
        let mut request = self.client.get(url.clone());
        if let Some(etag) = known_etag.and_then(|etag| HeaderValue::from_str(etag).ok()) {
            request = request.header(IF_NONE_MATCH, etag);
        }
        let mut response = request.send().await.map_err(|error| broken(&error))?;
        let status = response.status();
        if status == StatusCode::NOT_MODIFIED && known_etag.is_some() {
            return Ok(Fetched::Unchanged);
        }
        let header =
            |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let etag = header(ETAG);
        let modified = header(LAST_MODIFIED)
            .and_then(|text| jiff::fmt::rfc2822::parse(&text).ok())
            .map(|zoned| zoned.timestamp());
        let retry_after =
            header(RETRY_AFTER).and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| broken(&error))? {
            if body.len() + chunk.len() > max_bytes {
                return Err(Error::TooLarge(max_bytes));
            }
            body.extend_from_slice(&chunk);
        }
        if status != StatusCode::OK {
            let text = String::from_utf8_lossy(&body).trim().chars().take(REFUSAL_TEXT_LENGTH).collect();
            return Err(Error::Status { status: status.as_u16(), retry_after, text });
        }
        Ok(Fetched::Document { body, etag, modified })
    }
}

fn broken(error: &reqwest::Error) -> Error {
    if error.is_timeout() {
        return Error::TimedOut;
    }
    let mut inner: &(dyn std::error::Error + 'static) = error;
    while let Some(source) = inner.source() {
        inner = source;
        if let Some(private) = inner.downcast_ref::<PrivateAddress>() {
            return private.clone().into();
        }
    }
    Error::Connection(ConnectionFault::of(error))
}
