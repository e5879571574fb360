//! Which problem each error of the rooms below becomes: the one place that decides code, reason and details.
//!
//! Texts of libraries never reach a client. What NetBox says about the caller's own record does, since only the caller can put
//! it right. The table of all problems is the snapshot of tests/errors.rs.

use std::sync::Arc;
use std::time::Duration;

use tonic::Code;

use super::problem::Problem;
use crate::model::TermError;
use crate::notify::DeliveryFailure;
use crate::{allocation, cache, events, lease, ledger, netbox, notify, rpki, sync, validation};

impl From<cache::NotReady> for Problem {
    fn from(error: cache::NotReady) -> Self {
        let message = if error.last_error.is_empty() {
            format!("{error}: the first full pass is running; GetStatus shows its progress")
        } else {
            error.to_string()
        };
        Self::new(Code::Unavailable, "CACHE_EMPTY", message).retry_in(Duration::from_secs(2))
    }
}

impl From<cache::ResolveError> for Problem {
    fn from(error: cache::ResolveError) -> Self {
        use cache::ResolveError as E;
        let message = error.to_string();
        match error {
            E::IdNotFound { .. } | E::NotFound { .. } => {
                Self::new(Code::NotFound, "PREFIX_NOT_FOUND", message)
            }
            E::Ambiguous { ids, network, .. } => {
                Self::new(Code::FailedPrecondition, "PREFIX_AMBIGUOUS", message)
                    .with("prefix_ids", list(&ids))
                    .precondition(network)
            }
        }
    }
}

impl From<cache::VrfError> for Problem {
    fn from(error: cache::VrfError) -> Self {
        use cache::VrfError as E;
        let message = error.to_string();
        match error {
            E::IdNotFound { .. } | E::NameNotFound { .. } | E::RdNotFound { .. } => {
                Self::new(Code::NotFound, "VRF_NOT_FOUND", message)
            }
            E::Ambiguous { ids, name } => Self::new(Code::FailedPrecondition, "VRF_AMBIGUOUS", message)
                .with("vrf_ids", list(&ids))
                .precondition(name),
        }
    }
}

impl From<ledger::Error> for Problem {
    fn from(error: ledger::Error) -> Self {
        let message = "the server cannot use its ledger; try again later";
        Self::new(Code::Unavailable, "LEDGER_UNAVAILABLE", message)
            .retry_in(Duration::from_secs(5))
            .caused_by(error)
    }
}

impl From<&cache::Error> for Problem {
    fn from(error: &cache::Error) -> Self {
        let (reason, message) = match error {
            cache::Error::CommitHook(_) => {
                ("LEDGER_UNAVAILABLE", "the event log did not store a change; try again later")
            }
            _ => ("CACHE_UNAVAILABLE", "the server cannot use its cache file; its log has the details"),
        };
        Self::new(Code::Unavailable, reason, message).retry_in(Duration::from_secs(5)).caused_by(error)
    }
}

/// The error of a round of the sync, which its state keeps.
impl From<&sync::Error> for Problem {
    fn from(error: &sync::Error) -> Self {
        match error {
            sync::Error::NetBox(error) => error.clone().into(),
            sync::Error::Cache(error) => error.into(),
            sync::Error::TaskLost => Self::internal(error),
        }
    }
}

impl From<Arc<sync::Error>> for Problem {
    fn from(error: Arc<sync::Error>) -> Self {
        error.as_ref().into()
    }
}

impl From<netbox::Error> for Problem {
    fn from(error: netbox::Error) -> Self {
        use netbox::Error as E;
        let message = error.to_string();
        let wait = error.retry_after().unwrap_or(Duration::from_secs(2));
        match error {
            E::Unreachable { .. } | E::Interrupted { .. } | E::TimedOut { .. } | E::Failing { .. } => {
                Self::new(Code::Unavailable, "NETBOX_UNAVAILABLE", message).retry_in(wait)
            }
            E::Throttled { .. } => Self::new(Code::Unavailable, "NETBOX_THROTTLED", message).retry_in(wait),
            E::NotNetBox { url, .. } => {
                Self::new(Code::FailedPrecondition, "NETBOX_URL_WRONG", message).precondition(url)
            }
            // The token is the server's, not the caller's, so this is not UNAUTHENTICATED or PERMISSION_DENIED.
            E::Unauthenticated { .. } => Self::new(Code::FailedPrecondition, "NETBOX_TOKEN_REFUSED", message)
                .precondition("netbox.token"),
            E::Forbidden { attempt, .. } => {
                Self::new(Code::FailedPrecondition, "NETBOX_TOKEN_MAY_NOT", message)
                    .with("attempt", attempt)
                    .precondition("netbox.token")
            }
            E::PartlyDeleted { .. } => Self::new(Code::FailedPrecondition, "NETBOX_TOKEN_MAY_NOT", message)
                .with("attempt", "DELETE ipam/ip-addresses/")
                .precondition("netbox.token"),
            E::UnsupportedVersion { found, .. } => {
                Self::new(Code::FailedPrecondition, "NETBOX_VERSION_UNSUPPORTED", message)
                    .with("version", found)
                    .precondition("netbox")
            }
            E::NotFound { .. } => Self::new(Code::NotFound, "NETBOX_RECORD_NOT_FOUND", message),
            E::InsufficientSpace { .. } => Self::new(Code::ResourceExhausted, "PREFIX_FULL", message),
            E::HasDependents { .. } => {
                Self::new(Code::FailedPrecondition, "RECORD_HAS_DEPENDENTS", message).precondition("netbox")
            }
            E::Changed => Self::new(Code::Aborted, "RECORD_CHANGED", message),
            E::DuplicateAddress { problems }
            | E::DuplicatePrefix { problems }
            | E::AddressInRange { problems }
            | E::AllocationIdTaken { problems }
            | E::Invalid { problems } => {
                Self::new(Code::InvalidArgument, "NETBOX_REFUSED", message).violated(violations(problems))
            }
            E::Aborted { detail } => Self::new(Code::InvalidArgument, "NETBOX_REFUSED", message)
                .violated(vec![("__all__".to_owned(), detail)]),
            E::Maintenance { .. } => {
                Self::new(Code::Unavailable, "NETBOX_UNAVAILABLE", message).retry_in(Duration::from_secs(30))
            }
            E::Crashed { .. } => {
                Self::new(Code::FailedPrecondition, "NETBOX_FAILED", message).precondition("netbox")
            }
            E::UnknownCustomField { problems } => {
                let message = "NetBox lacks a custom field of Leasehold: run `leasehold setup`";
                Self::new(Code::FailedPrecondition, "NETBOX_FIELDS_MISSING", message)
                    .violated(violations(problems))
                    .precondition("netbox")
            }
            E::Malformed { .. } => {
                let text = "the server could not understand NetBox's answer; its log has the details";
                Self::new(Code::Unavailable, "NETBOX_UNAVAILABLE", text).retry_in(wait).caused_by(message)
            }
        }
    }
}

/// The fields that NetBox refused, as violations of the request.
fn violations(problems: Vec<netbox::FieldProblem>) -> Vec<(String, String)> {
    problems.into_iter().map(|problem| (problem.field, problem.message)).collect()
}

fn list<T: ToString>(values: &[T]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

impl From<allocation::Error> for Problem {
    fn from(error: allocation::Error) -> Self {
        use allocation::Error as E;
        let message = error.to_string();
        match error {
            E::NetBox(error) => error.into(),
            E::Ledger(error) => error.into(),
            E::Cache(error) => (&*error).into(),
            E::NotReady(error) => error.into(),
            E::Prefix(error) => error.into(),
            E::Lease(error) => error.into(),
            E::IdsNotUnique { .. } => {
                Self::new(Code::FailedPrecondition, "ALLOCATION_IDS_NOT_UNIQUE", message)
                    .precondition("netbox")
            }
            E::Busy => {
                Self::new(Code::ResourceExhausted, "WRITES_BUSY", message).retry_in(Duration::from_secs(2))
            }
            E::UnderWay { request } => Self::new(Code::Unavailable, "REQUEST_UNDER_WAY", message)
                .with("request_id", request)
                .retry_in(Duration::from_secs(5)),
            E::Unsettled { request } => Self::new(Code::Unavailable, "OUTCOME_UNKNOWN", message)
                .with("request_id", request)
                .retry_in(Duration::from_secs(2)),
            E::TaskLost => {
                Self::new(Code::Unavailable, "OUTCOME_UNKNOWN", message).retry_in(Duration::from_secs(2))
            }
            E::Contended => Self::new(Code::Aborted, "CONTENDED", message).retry_in(Duration::from_secs(1)),
            E::RequestIdReused { request } => {
                Self::new(Code::InvalidArgument, "REQUEST_ID_REUSED", message.clone())
                    .with("request_id", request)
                    .violated(vec![("request_id".to_owned(), message)])
            }
            E::FingerprintVersion { request, .. } => {
                Self::new(Code::FailedPrecondition, "REQUEST_FROM_NEWER_VERSION", message)
                    .precondition(request)
            }
            E::ReleasedSince { request } => {
                Self::new(Code::FailedPrecondition, "ALLOCATION_RELEASED", message).precondition(request)
            }
            E::Refused { network, refused } => {
                let problem =
                    Self::new(Code::FailedPrecondition, "BLOCK_REFUSED", message).with("prefix", network);
                refused.into_iter().fold(problem, |problem, refused| {
                    problem.unmet(refused.refusal.reason(), network, refused.reason)
                })
            }
            E::Full { network, wanted, free, quarantined } => {
                Self::new(Code::ResourceExhausted, "PREFIX_FULL", message)
                    .with("prefix", network)
                    .with("wanted", wanted)
                    .with("free", free)
                    .with("quarantined", quarantined)
            }
            E::NoBlock { network, length, largest } => {
                let problem = Self::new(Code::ResourceExhausted, "PREFIX_FULL", message)
                    .with("prefix", network)
                    .with("wanted_length", length);
                match largest {
                    Some(largest) => problem.with("largest_free_length", largest),
                    None => problem,
                }
            }
            E::Length { .. } => Self::invalid_field("prefix_length", message),
            E::NothingFits { .. } => {
                Self::new(Code::FailedPrecondition, "NO_BLOCK_FITS", message).precondition("requirement")
            }
            E::AddressTaken { address, .. } => {
                Self::new(Code::AlreadyExists, "ADDRESS_TAKEN", message).with("address", address)
            }
            E::NoContainingPrefix { address, .. } => {
                Self::new(Code::FailedPrecondition, "NO_PREFIX_HOLDS_ADDRESS", message).precondition(address)
            }
            E::NotAssignable { address, .. } => {
                Self::new(Code::FailedPrecondition, "ADDRESS_NOT_ASSIGNABLE", message).precondition(address)
            }
            E::AddressesNotFound { addresses, .. } => {
                Self::new(Code::NotFound, "ADDRESS_NOT_FOUND", message).with("addresses", list(&addresses))
            }
            E::NotAllocatedHere { addresses } => {
                Self::new(Code::FailedPrecondition, "NOT_ALLOCATED_HERE", message)
                    .precondition(list(&addresses))
            }
            E::SharedAddresses { records } => {
                let addresses: Vec<_> = records.keys().copied().collect();
                Self::new(Code::FailedPrecondition, "ADDRESS_SHARED", message).precondition(list(&addresses))
            }
            E::AllocationNotFound { request } => {
                Self::new(Code::NotFound, "ALLOCATION_NOT_FOUND", message).with("request_id", request)
            }
        }
    }
}

impl From<lease::Error> for Problem {
    fn from(error: lease::Error) -> Self {
        use lease::Error as E;
        let message = error.to_string();
        match error {
            E::NotReady(error) => error.into(),
            E::Prefix(error) => error.into(),
            E::Term(TermError::EndsBeforeItStarts { .. }) => Self::invalid_field("expiry_date", message),
            E::Term(TermError::NoticeAfterExpiry { .. }) => Self::invalid_field("notice_date", message),
            E::UpdatedTerm(TermError::EndsBeforeItStarts { .. }) => {
                Self::invalid_field("lease.start_date", message)
            }
            E::UpdatedTerm(TermError::NoticeAfterExpiry { .. }) => {
                Self::invalid_field("lease.notice_date", message)
            }
            E::NoLease { .. } | E::NotCovered { .. } => Self::new(Code::NotFound, "LEASE_NOT_FOUND", message),
            E::Exists { network, .. } => {
                Self::new(Code::AlreadyExists, "LEASE_EXISTS", message).with("prefix", network)
            }
            E::EarlierExpiry { recorded, .. } => {
                Self::new(Code::FailedPrecondition, "EXPIRY_GOES_BACK", message)
                    .with("recorded_expiry_date", recorded)
                    .precondition("expiry_date")
            }
            E::InUse { network, count } => Self::new(Code::FailedPrecondition, "ADDRESSES_IN_USE", message)
                .with("count", count)
                .precondition(network),
            E::HasChildren { network, count } => {
                Self::new(Code::FailedPrecondition, "CHILD_PREFIXES_IN_USE", message)
                    .with("count", count)
                    .precondition(network)
            }
            E::Changed { network } => {
                Self::new(Code::Aborted, "LEASE_CHANGED", message).with("prefix", network)
            }
        }
    }
}

impl From<validation::Error> for Problem {
    fn from(error: validation::Error) -> Self {
        use validation::Error as E;
        let message = error.to_string();
        match error {
            E::Ledger(error) => error.into(),
            E::NotReady(error) => error.into(),
            E::NoOrigin { network } => {
                Self::new(Code::FailedPrecondition, "ORIGIN_MISSING", message).precondition(network)
            }
            E::Busy => {
                Self::new(Code::ResourceExhausted, "SWEEPS_BUSY", message).retry_in(Duration::from_secs(10))
            }
            E::TooLarge { .. } => Self::invalid_field("prefix", message),
        }
    }
}

/// The error of a job that reads documents of VRPs.
impl From<rpki::RefreshError> for Problem {
    fn from(error: rpki::RefreshError) -> Self {
        Self::new(Code::Unavailable, "VRPS_NOT_REFRESHED", error.to_string())
    }
}

/// The error of a round, which is a job and no call.
impl From<validation::RoundError> for Problem {
    fn from(error: validation::RoundError) -> Self {
        use validation::RoundError as E;
        let message = error.to_string();
        match error {
            E::Ledger(error) => error.into(),
            E::NetBox(error) => error.into(),
            E::Cache(error) => (&error).into(),
            E::Unchecked { .. } => Self::new(Code::Unavailable, "BLOCKS_UNCHECKED", message),
        }
    }
}

impl From<events::Error> for Problem {
    fn from(error: events::Error) -> Self {
        use events::ResumeTokenError as T;
        let message = error.to_string();
        match error {
            events::Error::Ledger(error) => error.into(),
            events::Error::ResumeToken(T::Malformed) => Self::invalid_field("resume_token", message),
            events::Error::ResumeToken(T::Foreign { oldest }) => {
                Self::new(Code::OutOfRange, "TOKEN_FOREIGN", message).with("oldest_token", oldest)
            }
            events::Error::ResumeToken(T::Compacted { oldest }) => {
                Self::new(Code::OutOfRange, "EVENTS_COMPACTED", message).with("oldest_token", oldest)
            }
        }
    }
}

impl From<events::HistoryError> for Problem {
    fn from(error: events::HistoryError) -> Self {
        use events::HistoryError as E;
        let message = error.to_string();
        match error {
            E::Future { .. } => Self::invalid_field("as_of_time", message),
            E::NotKept { known_since, .. } => {
                Self::new(Code::OutOfRange, "HISTORY_NOT_KEPT", message).with("known_since_time", known_since)
            }
            E::Ledger(error) => error.into(),
            E::Position(error) => events::Error::from(error).into(),
            E::NetBox(error) => error.into(),
        }
    }
}

impl From<notify::Error> for Problem {
    fn from(error: notify::Error) -> Self {
        match error {
            notify::Error::Ledger(error) => error.into(),
            notify::Error::SinkFailing { .. } => {
                Self::new(Code::Unavailable, "SINK_FAILED", error.to_string())
                    .retry_in(Duration::from_secs(15))
            }
            notify::Error::Sink { .. } | notify::Error::NoSuchSink(_) => {
                Self::new(Code::FailedPrecondition, "SINK_REFUSED", error.to_string())
            }
        }
    }
}

/// The end of a stream of events. `token` is where the client resumes.
pub(super) fn watch_closed(closed: events::WatchClosed, token: &events::ResumeToken) -> Problem {
    use events::WatchClosed as E;
    let message = closed.to_string();
    let problem = match closed {
        E::TooSlow => Problem::new(Code::Aborted, "WATCH_TOO_SLOW", message),
        E::Stopping => Problem::stopping(message),
        E::Compacted => Problem::new(Code::OutOfRange, "EVENTS_COMPACTED", message),
        E::Ledger(error) => error.into(),
    };
    problem.with("resume_token", token)
}

/// A sink that did not take a sample message.
pub(super) fn sink_failed(name: &str, failure: &DeliveryFailure) -> Problem {
    let message = format!("{name}: {}", failure.reason());
    let problem = match failure {
        DeliveryFailure::Transient { retry_after, .. } => {
            Problem::new(Code::Unavailable, failure.code(), message)
                .retry_in(retry_after.unwrap_or(Duration::from_secs(15)))
        }
        DeliveryFailure::Permanent { .. } => {
            Problem::new(Code::FailedPrecondition, failure.code(), message).precondition(name)
        }
    };
    problem.with("sink", name)
}
