//! Why a GET gave no document. The texts follow the name of the peer, as in "routinator: no answer in time".

use std::time::Duration;

use super::connection_fault::ConnectionFault;
use crate::model::{Failure, SourceFault};

/// A host that may not be contacted, because its address is not public.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is a private, loopback or link-local address; set allow_private if this is intended")]
pub struct PrivateAddress(pub String);

/// Why there is no document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("no HTTP client can be built: {0}")]
    Client(String),
    #[error(transparent)]
    PrivateAddress(#[from] PrivateAddress),
    /// No connection could be made, or it broke.
    #[error("{0}")]
    Connection(ConnectionFault),
    #[error("no answer in time")]
    TimedOut,
    /// Another status than 200 or 304. `text` is the beginning of the answer's body.
    #[error("it answered {status}{}", after_colon(.text))]
    Status { status: u16, retry_after: Option<Duration>, text: String },
    /// The answer is longer than this many bytes.
    #[error("its answer is larger than {0} bytes")]
    TooLarge(usize),
}

/// A source of checks that is asked over HTTP and gave no document.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let fault = match &error {
            Error::Connection(ConnectionFault::TimedOut) | Error::TimedOut => SourceFault::TimedOut,
            Error::Client(_) | Error::PrivateAddress(_) | Error::Connection(_) => SourceFault::Unreachable,
            Error::Status { status: 429, .. } => SourceFault::Throttled,
            Error::Status { .. } => SourceFault::Refused,
            Error::TooLarge(_) => SourceFault::AnswerInvalid,
        };
        fault.failure(error.to_string())
    }
}

fn after_colon(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}
