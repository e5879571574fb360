//! The error that a client sees: a google.rpc status with details that programs act on (AIP-193).

use std::collections::HashMap;
use std::fmt::Display;
use std::time::Duration;

use prost::Message as _;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::jobs::JobError;
use crate::model::Failure;

use super::proto::google::rpc;

/// The `domain` of every ErrorInfo.
const DOMAIN: &str = "leasehold";

/// An error on its way to a client. It becomes a status with an ErrorInfo (the reason and the metadata) and, where they apply,
/// BadRequest, PreconditionFailure and RetryInfo.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    code: Code,
    /// UPPER_SNAKE. Reasons are a part of the API and never change.
    reason: &'static str,
    /// For people: what is wrong and what to do about it.
    message: String,
    metadata: Vec<(&'static str, String)>,
    /// Field and description of everything that is wrong with the request.
    violations: Vec<(String, String)>,
    /// Type, subject and description of each condition that does not hold.
    preconditions: Vec<(&'static str, String, String)>,
    /// How long to wait before the same call is worth trying again.
    retry: Option<Duration>,
    /// What the log says and no client sees, such as the text of a library.
    cause: Option<String>,
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
            cause: None,
        }
    }

    /// A malformed request. Takes the field and the description of every violation.
    pub(super) fn invalid(violations: Vec<(String, String)>) -> Self {
        let all: Vec<String> = violations.iter().map(|(field, why)| format!("{field}: {why}")).collect();
        Self::new(Code::InvalidArgument, "INVALID_FIELDS", all.join("; ")).violated(violations)
    }

    /// A request in which one field is wrong.
    pub(super) fn invalid_field(field: &str, why: impl Into<String>) -> Self {
        Self::invalid(vec![(field.to_owned(), why.into())])
    }

    /// A defect of the server. The details go to the log and not to the client.
    pub(super) fn internal(details: impl Display) -> Self {
        Self::new(Code::Internal, "INTERNAL", "internal error of the server; its log has the details")
            .caused_by(details)
    }

    /// The server stops before the answer is complete.
    pub(super) fn stopping(message: impl Into<String>) -> Self {
        Self::new(Code::Unavailable, "SERVER_STOPPING", message).retry_in(Duration::from_secs(1))
    }

    pub(super) fn with(mut self, key: &'static str, value: impl Display) -> Self {
        self.metadata.push((key, value.to_string()));
        self
    }

    pub(super) fn violated(mut self, violations: Vec<(String, String)>) -> Self {
        self.violations = violations;
        self
    }

    pub(super) fn retry_in(mut self, wait: Duration) -> Self {
        self.retry = Some(wait);
        self
    }

    /// The reason and the text, as a state shows them.
    pub(super) fn failure(&self) -> Failure {
        Failure::new(self.reason, self.message.clone())
    }

    /// Adds what only the log says.
    pub(super) fn caused_by(mut self, cause: impl Display) -> Self {
        self.cause = Some(cause.to_string());
        self
    }

    /// Adds that the condition `kind` does not hold for a subject.
    pub(super) fn unmet(mut self, kind: &'static str, subject: impl Display, why: String) -> Self {
        self.preconditions.push((kind, subject.to_string(), why));
        self
    }

    /// Adds the problem itself as the one condition that does not hold for a subject.
    pub(super) fn precondition(self, subject: impl Display) -> Self {
        let (reason, message) = (self.reason, self.message.clone());
        self.unmet(reason, subject, message)
    }
}

/// A job that meets the problem fails with the same reason and text as a call.
impl From<Problem> for JobError {
    fn from(problem: Problem) -> Self {
        Self { failure: problem.failure(), cause: problem.cause.unwrap_or_default() }
    }
}

impl From<Problem> for Status {
    fn from(problem: Problem) -> Self {
        if let Some(cause) = &problem.cause {
            tracing::error!(reason = problem.reason, cause, "a call failed for a reason inside the server");
        }
        let metadata: HashMap<String, String> =
            problem.metadata.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        let mut details = ErrorDetails::with_error_info(problem.reason, DOMAIN, metadata);
        for (field, why) in &problem.violations {
            details.add_bad_request_violation(field, why);
        }
        for (kind, subject, why) in &problem.preconditions {
            details.add_precondition_failure_violation(*kind, subject, why);
        }
        if problem.retry.is_some() {
            details.set_retry_info(problem.retry);
        }
        Status::with_error_details(problem.code, problem.message, details)
    }
}

/// The error as a value, where it concerns one item of an answer and not the whole call.
impl From<Problem> for rpc::Status {
    fn from(problem: Problem) -> Self {
        let status = Status::from(problem);
        let (code, message) = (status.code() as i32, status.message().to_owned());
        // The details of a status are this message already, encoded.
        Self::decode(status.details()).unwrap_or(Self { code, message, details: Vec::new() })
    }
}
