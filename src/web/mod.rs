//! One GET of a document: bounded in time and size, told in words, an unchanged one not sent again.
//!
//! For every peer that is asked over HTTP and is neither NetBox nor a sink. Where the URL is not the operator's own (a
//! geofeed's comes out of a record that many may edit), [`Web::public`] keeps to the Internet at large: see [`guard`].

pub mod guard;

use std::time::Duration;

use reqwest::header::{ETAG, HeaderValue, IF_NONE_MATCH, LAST_MODIFIED, RETRY_AFTER};
use reqwest::{Client, StatusCode};
use url::Url;

/// Why there is no document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The client cannot be made.
    #[error("no HTTP client can be made: {0}")]
    Client(String),
    /// It may not be asked.
    #[error(transparent)]
    Refused(#[from] guard::Refused),
    /// No connection, or a broken one.
    #[error("{0}")]
    Broken(String),
    /// No whole answer in time.
    #[error("no answer in time")]
    TimedOut,
    /// Another status than 200 and 304.
    #[error("it answered {status}{}", said(.words))]
    Status {
        /// Which.
        status: u16,
        /// From Retry-After.
        retry_after: Option<Duration>,
        /// The beginning of its answer.
        words: String,
    },
    /// More than may be.
    #[error("its answer is larger than {0} bytes")]
    TooLarge(usize),
}

fn said(words: &str) -> String {
    if words.is_empty() { String::new() } else { format!(": {words}") }
}

/// A document, or word that it is the one known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Got {
    /// The same as the one with the tag that was sent.
    Unchanged,
    /// A document.
    Document {
        /// Its bytes.
        body: Vec<u8>,
        /// Its tag.
        etag: Option<String>,
        /// When it was last modified, if the server says so.
        modified: Option<jiff::Timestamp>,
    },
}

/// Asks for documents.
#[derive(Clone, Debug)]
pub struct Web {
    client: Client,
    public_only: bool,
}

impl Web {
    /// For URLs of the operator's: anywhere.
    pub fn new(patience: Duration) -> Result<Self, Error> {
        Self::build(patience, false)
    }

    /// For URLs of others: the Internet at large only, also behind names, and nowhere that they redirect to.
    pub fn public(patience: Duration) -> Result<Self, Error> {
        Self::build(patience, true)
    }

    fn build(patience: Duration, public_only: bool) -> Result<Self, Error> {
        let mut builder = Client::builder()
            .user_agent(concat!("leasehold/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(5))
            .timeout(patience);
        if public_only {
            builder = builder.redirect(reqwest::redirect::Policy::none());
        }
        if let Some(resolver) = guard::resolver(!public_only) {
            builder = builder.dns_resolver(resolver);
        }
        let client = builder.build().map_err(|error| Error::Client(error.to_string()))?;
        Ok(Self { client, public_only })
    }

    /// GET, of at most so many bytes; `known` is the tag of the document that the caller has.
    pub async fn get(&self, url: &Url, known: Option<&str>, most: usize) -> Result<Got, Error> {
        guard::check(url, !self.public_only)?;
        let mut request = self.client.get(url.clone());
        if let Some(tag) = known.and_then(|tag| HeaderValue::from_str(tag).ok()) {
            request = request.header(IF_NONE_MATCH, tag);
        }
        let mut response = request.send().await.map_err(|error| broken(&error))?;
        let status = response.status();
        if status == StatusCode::NOT_MODIFIED && known.is_some() {
            return Ok(Got::Unchanged);
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
            if body.len() + chunk.len() > most {
                return Err(Error::TooLarge(most));
            }
            body.extend_from_slice(&chunk);
        }
        if status != StatusCode::OK {
            let words = String::from_utf8_lossy(&body).trim().chars().take(120).collect();
            return Err(Error::Status { status: status.as_u16(), retry_after, words });
        }
        Ok(Got::Document { body, etag, modified })
    }
}

/// The innermost words: the outer ones repeat the URL.
fn broken(error: &reqwest::Error) -> Error {
    if error.is_timeout() {
        return Error::TimedOut;
    }
    let mut inner: &dyn std::error::Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    Error::Broken(inner.to_string())
}
