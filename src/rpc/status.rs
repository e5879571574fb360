//! Every error to a google.rpc status, in one place (AIP-193).
//!
//! A [`Problem`] has a code, a stable UPPER_SNAKE reason of the domain `leasehold`, words that say what to do, and the details
//! that programs act on: violations, preconditions, when to try again. No text of a library below reaches a client but
//! what NetBox itself said of the caller's own record.

use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::notify::sink::Failure;
use crate::{allocation, events, lease, ledger, netbox, notify, validation};

/// The domain of every reason.
const DOMAIN: &str = "leasehold";

/// An error on its way to a client.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    code: Code,
    reason: &'static str,
    message: String,
    metadata: Vec<(&'static str, String)>,
    violations: Vec<(String, String)>,
    /// Type, subject and words of each condition that does not hold.
    preconditions: Vec<(&'static str, String, String)>,
    retry: Option<Duration>,
}

impl Problem {
    pub(super) fn new(code: Code, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            metadata: Vec::new(),
            violations: Vec::new(),
            preconditions: Vec::new(),
            retry: None,
        }
    }

    /// Fields of the request are wrong: all of them.
    pub(super) fn invalid(violations: Vec<(String, String)>) -> Self {
        let words: Vec<String> = violations.iter().map(|(field, why)| format!("{field}: {why}")).collect();
        let mut problem = Self::new(Code::InvalidArgument, "INVALID_FIELDS", words.join("; "));
        problem.violations = violations;
        problem
    }

    /// A defect of ours. The words go to the log; the client learns that it is not its fault.
    pub(super) fn internal(words: &str) -> Self {
        tracing::error!(words, "a defect");
        Self::new(Code::Internal, "INTERNAL", "an internal error; the server's log has more")
    }

    fn with(mut self, key: &'static str, value: impl std::fmt::Display) -> Self {
        self.metadata.push((key, value.to_string()));
        self
    }

    fn retry_in(mut self, wait: Duration) -> Self {
        self.retry = Some(wait);
        self
    }

    fn precondition(mut self, subject: impl std::fmt::Display) -> Self {
        self.preconditions.push((self.reason, subject.to_string(), self.message.clone()));
        self
    }

    /// The cache holds nothing yet.
    pub(super) fn cache_empty(trouble: &str) -> Self {
        let words = if trouble.is_empty() {
            "the first full pass over NetBox has not ended yet; AdminService.GetStatus tells its progress"
                .to_owned()
        } else {
            format!("there is nothing to serve yet: {trouble}")
        };
        Self::new(Code::Unavailable, "CACHE_EMPTY", words).retry_in(Duration::from_secs(2))
    }
}

impl From<Problem> for Status {
    fn from(problem: Problem) -> Self {
        let metadata: HashMap<String, String> =
            problem.metadata.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        let mut details = ErrorDetails::with_error_info(problem.reason, DOMAIN, metadata);
        for (field, why) in &problem.violations {
            details.add_bad_request_violation(field, why);
        }
        for (kind, subject, words) in &problem.preconditions {
            details.add_precondition_failure_violation(*kind, subject, words);
        }
        if problem.retry.is_some() {
            details.set_retry_info(problem.retry);
        }
        Status::with_error_details(problem.code, problem.message, details)
    }
}

impl From<netbox::Error> for Problem {
    fn from(error: netbox::Error) -> Self {
        use netbox::Error as E;
        let words = error.to_string();
        let soon = error.retry_after().unwrap_or(Duration::from_secs(2));
        match error {
            E::Unreachable { .. } | E::Interrupted { .. } | E::TimedOut { .. } | E::Failing { .. } => {
                Self::new(Code::Unavailable, "NETBOX_UNAVAILABLE", words).retry_in(soon)
            }
            E::Throttled { .. } => Self::new(Code::Unavailable, "NETBOX_THROTTLED", words).retry_in(soon),
            E::NotNetBox { url, .. } => {
                Self::new(Code::FailedPrecondition, "NETBOX_URL_WRONG", words).precondition(url)
            }
            // Our credentials, not the caller's: to the caller it is a server that is set up wrongly.
            E::Unauthenticated { .. } => Self::new(Code::FailedPrecondition, "NETBOX_TOKEN_REFUSED", words)
                .precondition("netbox.token"),
            E::Forbidden { attempt, .. } => {
                Self::new(Code::FailedPrecondition, "NETBOX_TOKEN_MAY_NOT", words)
                    .with("attempt", attempt)
                    .precondition("netbox.token")
            }
            E::UnsupportedVersion { found } => {
                Self::new(Code::FailedPrecondition, "NETBOX_VERSION_UNSUPPORTED", words)
                    .with("version", found)
                    .precondition("netbox")
            }
            E::NotFound { .. } => Self::new(Code::NotFound, "NETBOX_RECORD_NOT_FOUND", words),
            E::Full { .. } => Self::new(Code::ResourceExhausted, "PREFIX_FULL", words),
            E::Dependents { .. } => {
                Self::new(Code::FailedPrecondition, "RECORD_HAS_DEPENDENTS", words).precondition("netbox")
            }
            E::Changed => Self::new(Code::Aborted, "RECORD_CHANGED", words),
            E::Rejected { problems } => {
                let mut problem = Self::new(Code::InvalidArgument, "NETBOX_REFUSED", words);
                problem.violations =
                    problems.into_iter().map(|problem| (problem.field, problem.message)).collect();
                let missing = ["does not exist for this object type", "Unknown field name"];
                if problem.violations.iter().any(|(_, why)| missing.iter().any(|sign| why.contains(sign))) {
                    "a custom field is missing in NetBox; run `leasehold setup`"
                        .clone_into(&mut problem.message);
                    problem.code = Code::FailedPrecondition;
                    problem.reason = "NETBOX_FIELDS_MISSING";
                    return problem.precondition("netbox");
                }
                problem
            }
            E::Malformed { .. } => {
                tracing::error!(error = %words, "NetBox answered what it does not document");
                Self::new(Code::Unavailable, "NETBOX_UNAVAILABLE", "NetBox's answer could not be understood")
                    .retry_in(soon)
            }
        }
    }
}

fn ids<T: ToString>(ids: &[T]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

impl From<allocation::Error> for Problem {
    fn from(error: allocation::Error) -> Self {
        use allocation::Error as E;
        let words = error.to_string();
        match error {
            E::NetBox(error) => error.into(),
            E::Ledger(error) => {
                tracing::error!(%error, "the ledger cannot be used");
                Self::new(
                    Code::Unavailable,
                    "LEDGER_UNAVAILABLE",
                    "the ledger cannot be used: no write is served",
                )
                .retry_in(Duration::from_secs(5))
            }
            E::Cache(error) => Self::internal(&error.to_string()),
            E::NotReady { trouble } => Self::cache_empty(&trouble),
            E::Settling => Self::new(Code::Unavailable, "SETTLING", words).retry_in(Duration::from_secs(2)),
            E::Unsettled { request } => Self::new(Code::Unavailable, "OUTCOME_UNKNOWN", words)
                .with("request_id", request)
                .retry_in(Duration::from_secs(2)),
            E::CutShort => {
                Self::new(Code::Unavailable, "OUTCOME_UNKNOWN", words).retry_in(Duration::from_secs(2))
            }
            E::Outrun => Self::new(Code::Aborted, "OUTRUN", words).retry_in(Duration::from_secs(1)),
            E::RequestIdReused { request } => {
                let mut problem = Self::new(Code::InvalidArgument, "REQUEST_ID_REUSED", words.clone())
                    .with("request_id", request);
                problem.violations = vec![("request_id".to_owned(), words)];
                problem
            }
            E::ReleasedSince { request } => {
                Self::new(Code::FailedPrecondition, "ALLOCATION_RELEASED", words).precondition(request)
            }
            E::PrefixNotFound { .. } | E::PrefixIdNotFound { .. } => {
                Self::new(Code::NotFound, "PREFIX_NOT_FOUND", words)
            }
            E::PrefixAmbiguous { ids: several, network, .. } => {
                Self::new(Code::FailedPrecondition, "PREFIX_AMBIGUOUS", words)
                    .with("prefix_ids", ids(&several))
                    .precondition(network)
            }
            E::Refused { network, refused } => {
                let mut problem =
                    Self::new(Code::FailedPrecondition, "BLOCK_REFUSED", words).with("prefix", network);
                problem.preconditions = refused
                    .into_iter()
                    .map(|refused| (refused.refusal.reason(), network.to_string(), refused.words))
                    .collect();
                problem
            }
            E::Full { network, wanted, free, resting } => {
                Self::new(Code::ResourceExhausted, "PREFIX_FULL", words)
                    .with("prefix", network)
                    .with("wanted", wanted)
                    .with("free", free)
                    .with("resting", resting)
            }
            E::NoBlock { network, length, largest } => {
                let problem = Self::new(Code::ResourceExhausted, "PREFIX_FULL", words)
                    .with("prefix", network)
                    .with("wanted_length", length);
                match largest {
                    Some(largest) => problem.with("largest_free_length", largest),
                    None => problem,
                }
            }
            E::Length { .. } => Self::invalid(vec![("prefix_length".to_owned(), words)]),
            E::NothingFits { .. } => {
                Self::new(Code::FailedPrecondition, "NO_BLOCK_FITS", words).precondition("requirement")
            }
            E::Taken { address, .. } => {
                Self::new(Code::AlreadyExists, "ADDRESS_TAKEN", words).with("address", address)
            }
            E::Homeless { address, .. } => {
                Self::new(Code::FailedPrecondition, "NO_PREFIX_HOLDS_ADDRESS", words).precondition(address)
            }
            E::NotAssignable { address, .. } => {
                Self::new(Code::FailedPrecondition, "ADDRESS_NOT_ASSIGNABLE", words).precondition(address)
            }
            E::AddressesNotFound { addresses, .. } => {
                Self::new(Code::NotFound, "ADDRESS_NOT_FOUND", words).with("addresses", ids(&addresses))
            }
            E::Foreign { addresses } => {
                Self::new(Code::FailedPrecondition, "NOT_ALLOCATED_HERE", words).precondition(ids(&addresses))
            }
            E::AllocationNotFound { request } => {
                Self::new(Code::NotFound, "ALLOCATION_NOT_FOUND", words).with("request_id", request)
            }
        }
    }
}

impl From<ledger::Error> for Problem {
    fn from(error: ledger::Error) -> Self {
        tracing::error!(%error, "the ledger cannot be used");
        Self::new(Code::Unavailable, "LEDGER_UNAVAILABLE", "the ledger cannot be used")
            .retry_in(Duration::from_secs(5))
    }
}

impl From<notify::Error> for Problem {
    fn from(error: notify::Error) -> Self {
        match error {
            notify::Error::Ledger(error) => error.into(),
            error => Self::new(Code::FailedPrecondition, "SINK_REFUSED", error.to_string()),
        }
    }
}

impl From<events::Error> for Problem {
    fn from(error: events::Error) -> Self {
        use events::TokenError as T;
        let words = error.to_string();
        match error {
            events::Error::Ledger(error) => error.into(),
            events::Error::Token(T::Garbage) => Self::invalid(vec![("resume_token".to_owned(), words)]),
            events::Error::Token(T::Foreign { oldest }) => {
                Self::new(Code::OutOfRange, "TOKEN_FOREIGN", words).with("oldest_token", oldest)
            }
            events::Error::Token(T::Compacted { oldest }) => {
                Self::new(Code::OutOfRange, "EVENTS_COMPACTED", words).with("oldest_token", oldest)
            }
        }
    }
}

impl From<validation::Error> for Problem {
    fn from(error: validation::Error) -> Self {
        use validation::Error as E;
        let words = error.to_string();
        match error {
            E::Ledger(error) => error.into(),
            E::NotReady { trouble } => Self::cache_empty(&trouble),
            E::NoOrigin { network } => {
                Self::new(Code::FailedPrecondition, "ORIGIN_MISSING", words).precondition(network)
            }
            E::Busy => {
                Self::new(Code::ResourceExhausted, "SWEEPS_BUSY", words).retry_in(Duration::from_secs(10))
            }
            E::TooLarge { .. } => Self::invalid(vec![("prefix".to_owned(), words)]),
        }
    }
}

impl From<events::HistoryError> for Problem {
    fn from(error: events::HistoryError) -> Self {
        use events::HistoryError as H;
        let words = error.to_string();
        match error {
            H::Future { .. } => Self::invalid(vec![("as_of".to_owned(), words)]),
            H::NotKept { known_since, .. } => {
                Self::new(Code::OutOfRange, "HISTORY_NOT_KEPT", words).with("known_since", known_since)
            }
            H::Ledger(error) => error.into(),
            H::NetBox(error) => error.into(),
        }
    }
}

impl Problem {
    /// A sink did not take what was sent.
    pub(super) fn sink(name: &str, failure: &Failure) -> Self {
        let words = format!("{name}: {}", failure.why());
        match failure {
            Failure::Later { after, .. } => Self::new(Code::Unavailable, "SINK_FAILED", words)
                .with("sink", name)
                .retry_in(after.unwrap_or(Duration::from_secs(15))),
            Failure::Never { .. } => Self::new(Code::FailedPrecondition, "SINK_REFUSED", words)
                .with("sink", name)
                .precondition(name),
        }
    }

    /// The server stops in the middle of an answer.
    pub(super) fn stopping() -> Self {
        Self::new(Code::Unavailable, "SERVER_STOPPING", "the server is stopping; ask again")
            .retry_in(Duration::from_secs(1))
    }

    /// A stream has ended; where to go on from.
    pub(super) fn watch_closed(closed: events::Closed, token: &events::Token) -> Self {
        use events::Closed as C;
        let words = closed.to_string();
        match closed {
            C::TooSlow => Self::new(Code::Aborted, "WATCH_TOO_SLOW", words),
            C::Stopping => {
                Self::new(Code::Unavailable, "SERVER_STOPPING", words).retry_in(Duration::from_secs(1))
            }
            C::Compacted => Self::new(Code::OutOfRange, "EVENTS_COMPACTED", words),
            C::Ledger(error) => error.into(),
        }
        .with("resume_token", token)
    }
}

impl From<lease::Error> for Problem {
    fn from(error: lease::Error) -> Self {
        use lease::Error as E;
        let words = error.to_string();
        match error {
            E::NetBox(error) => error.into(),
            E::Cache(error) => Self::internal(&error.to_string()),
            E::NotReady { trouble } => Self::cache_empty(&trouble),
            E::Term(error) => {
                let field = match error {
                    crate::model::TermError::EndsBeforeItStarts { .. } => "expiry",
                    crate::model::TermError::NoticeAfterExpiry { .. } => "notice_date",
                };
                Self::invalid(vec![(field.to_owned(), words)])
            }
            E::PrefixNotFound { .. } | E::PrefixIdNotFound { .. } => {
                Self::new(Code::NotFound, "PREFIX_NOT_FOUND", words)
            }
            E::PrefixAmbiguous { ids: several, network, .. } => {
                Self::new(Code::FailedPrecondition, "PREFIX_AMBIGUOUS", words)
                    .with("prefix_ids", ids(&several))
                    .precondition(network)
            }
            E::NoLease { .. } | E::NotCovered { .. } => Self::new(Code::NotFound, "LEASE_NOT_FOUND", words),
            E::Exists { network, .. } => {
                Self::new(Code::AlreadyExists, "LEASE_EXISTS", words).with("prefix", network)
            }
            E::GoesBack { recorded, .. } => Self::new(Code::FailedPrecondition, "EXPIRY_GOES_BACK", words)
                .with("recorded_expiry", recorded)
                .precondition("expiry"),
            E::InUse { network, count } => Self::new(Code::FailedPrecondition, "ADDRESSES_IN_USE", words)
                .with("count", count)
                .precondition(network),
            E::HasChildren { network, count } => {
                Self::new(Code::FailedPrecondition, "CHILD_PREFIXES_IN_USE", words)
                    .with("count", count)
                    .precondition(network)
            }
            E::Changed { network } => {
                Self::new(Code::Aborted, "LEASE_CHANGED", words).with("prefix", network)
            }
        }
    }
}
