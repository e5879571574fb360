//! What the headers of a call say.

use std::time::Duration;

use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName};

use super::format::MessageFormat;
use super::refusal::CallRefusal;

const PROTOCOL_VERSION: &str = "connect-protocol-version";
const TIMEOUT: &str = "connect-timeout-ms";

/// Headers of HTTP that are not metadata of the call. A header whose name begins with `connect-` or `grpc-` is none either.
const NOT_METADATA: [&str; 14] = [
    "accept",
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

/// The headers of a call, parsed.
#[derive(Debug)]
pub(super) struct CallHead {
    /// How messages are written, in the request and in the answer.
    pub(super) format: MessageFormat,
    pub(super) timeout: Option<Duration>,
    /// Everything that the method may want to see, `authorization` for example.
    pub(super) metadata: HeaderMap,
}

impl CallHead {
    /// Parses the headers of a call after its content type.
    pub(super) fn parse(
        format: MessageFormat,
        stream: bool,
        headers: &HeaderMap,
    ) -> Result<Self, CallRefusal> {
        // The messages of a stream are compressed one by one, and another header says so.
        let encoding =
            if stream { HeaderName::from_static("connect-content-encoding") } else { CONTENT_ENCODING };
        if headers.get(encoding).is_some_and(|encoding| encoding != "identity") {
            return Err(CallRefusal::compressed());
        }
        let mut violations = Vec::new();
        if headers.get(PROTOCOL_VERSION).is_some_and(|version| version != "1") {
            violations.push((PROTOCOL_VERSION.to_owned(), "the version must be 1".to_owned()));
        }
        let mut timeout = None;
        if let Some(text) = headers.get(TIMEOUT) {
            timeout = text.to_str().ok().and_then(milliseconds);
            if timeout.is_none() {
                let why = "must be a whole number of milliseconds, of at most ten digits";
                violations.push((TIMEOUT.to_owned(), why.to_owned()));
            }
        }
        if !violations.is_empty() {
            return Err(CallRefusal::invalid(violations));
        }
        Ok(Self { format, timeout, metadata: metadata(headers) })
    }
}

/// The format that a content type names; `None` if no method of this kind takes it.
pub(super) fn format(stream: bool, headers: &HeaderMap) -> Option<MessageFormat> {
    let text = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let (media, _parameters) = text.split_once(';').unwrap_or((text, ""));
    let media = media.trim().to_ascii_lowercase();
    MessageFormat::BOTH.into_iter().find(|format| format.content_type(stream) == media)
}

fn milliseconds(text: &str) -> Option<Duration> {
    let digits = (1..=10).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok().map(Duration::from_millis)).flatten()
}

fn metadata(headers: &HeaderMap) -> HeaderMap {
    let passed = |name: &HeaderName| !NOT_METADATA.contains(&name.as_str()) && !is_of_the_protocol(name);
    headers
        .iter()
        .filter(|(name, _)| passed(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// The headers of a gRPC answer that are metadata of the method, under these names with a prefix before them.
pub(super) fn answered(metadata: &HeaderMap, prefix: &str) -> HeaderMap {
    let passed = |name: &HeaderName| name != CONTENT_TYPE && !is_of_the_protocol(name);
    metadata
        .iter()
        .filter(|(name, _)| passed(name))
        .filter_map(|(name, value)| {
            Some((format!("{prefix}{name}").parse::<HeaderName>().ok()?, value.clone()))
        })
        .collect()
}

fn is_of_the_protocol(name: &HeaderName) -> bool {
    name.as_str().starts_with("connect-") || name.as_str().starts_with("grpc-")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tonic_types::StatusExt as _;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_content_type_names_the_format_and_the_kind_of_method() {
        let of = |stream, text| format(stream, &headers(&[("content-type", text)]));
        assert_eq!(of(false, "application/json"), Some(MessageFormat::Json));
        assert_eq!(of(false, "Application/JSON; charset=utf-8"), Some(MessageFormat::Json));
        assert_eq!(of(false, "application/proto"), Some(MessageFormat::Proto));
        assert_eq!(of(true, "application/connect+json"), Some(MessageFormat::Json));
        assert_eq!(of(true, "application/connect+proto"), Some(MessageFormat::Proto));
        // What a page of a browser may send without a preflight, and types of the other kind of method.
        for text in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
        {
            assert_eq!(of(false, text), None, "{text}");
        }
        assert_eq!(of(true, "application/json"), None);
        assert_eq!(of(false, "application/connect+json"), None);
        assert_eq!(format(false, &HeaderMap::new()), None);
    }

    #[test]
    fn every_wrong_header_is_named() {
        let sent = headers(&[("connect-protocol-version", "2"), ("connect-timeout-ms", "1s")]);
        let refusal = CallHead::parse(MessageFormat::Json, false, &sent).unwrap_err();
        let fields = refusal.status.get_details_bad_request().unwrap().field_violations;
        let names: Vec<&str> = fields.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(names, ["connect-protocol-version", "connect-timeout-ms"]);
    }

    #[test]
    fn compression_is_refused_and_identity_is_none() {
        let parse = |stream, name, value| {
            CallHead::parse(MessageFormat::Json, stream, &headers(&[(name, value)])).map(|_| ())
        };
        assert!(parse(false, "content-encoding", "identity").is_ok());
        assert!(parse(false, "content-encoding", "gzip").is_err());
        assert!(parse(true, "connect-content-encoding", "gzip").is_err());
    }

    #[test]
    fn timeouts_have_at_most_ten_digits() {
        assert_eq!(milliseconds("2500"), Some(Duration::from_millis(2500)));
        assert_eq!(milliseconds("9999999999"), Some(Duration::from_millis(9_999_999_999)));
        for text in ["", "-1", "+1", "1.5", "10000000000", " 1"] {
            assert_eq!(milliseconds(text), None, "{text:?}");
        }
    }

    #[test]
    fn metadata_is_what_is_left_of_the_headers() {
        let sent = headers(&[
            ("authorization", "Bearer x"),
            ("x-request-id", "7"),
            ("content-type", "application/json"),
            ("connect-timeout-ms", "1"),
            ("grpc-timeout", "1S"),
            ("host", "127.0.0.1"),
        ]);
        let passed = CallHead::parse(MessageFormat::Json, false, &sent).unwrap().metadata;
        assert_eq!(passed, headers(&[("authorization", "Bearer x"), ("x-request-id", "7")]));
        let answer = headers(&[("content-type", "application/grpc"), ("grpc-status", "0"), ("x-seen", "1")]);
        assert_eq!(answered(&answer, "trailer-"), headers(&[("trailer-x-seen", "1")]));
    }

    proptest! {
        #[test]
        fn no_timeout_causes_a_panic(text in ".*") {
            let _ = milliseconds(&text);
        }
    }
}
