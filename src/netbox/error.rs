//! The errors of a call to NetBox. Each variant says what the caller can still do, not which library failed.
//!
//! NetBox tells some refusals apart by their text only (a duplicate and an invalid value are both a 400). Those texts are
//! read once, where the answer arrives; everybody else matches variants.

use std::fmt;
use std::time::Duration;

/// The result of a call to NetBox.
pub type NetBoxResult<T> = Result<T, Error>;

/// Whether a write that failed is known not to have happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certainty {
    /// NetBox refused the write, or never received it.
    NotDone,
    /// NetBox itself answered that it failed: the request is over, and the record tells whether it was committed.
    Ended,
    /// NetBox may have committed the write; only a later read of the record can tell.
    Unknown,
}

/// One field that NetBox refused, with NetBox's own explanation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldProblem {
    /// NetBox's name of the field, or `__all__` if the whole record is refused. In a list it is `[index].field`.
    pub field: String,
    pub message: String,
}

impl FieldProblem {
    /// The number of the entry of a list, and the field within it.
    fn entry(&self) -> Option<(usize, &str)> {
        let (number, rest) = self.field.strip_prefix('[')?.split_once(']')?;
        let field = match rest.strip_prefix('.') {
            Some(field) => field,
            None if rest.is_empty() => "__all__",
            None => return None,
        };
        number.bytes().all(|byte| byte.is_ascii_digit()).then_some((number.parse().ok()?, field))
    }

    /// The number of the entry of a list that NetBox refused, if it names one.
    pub(super) fn place(&self) -> Option<usize> {
        self.entry().map(|(place, _)| place)
    }

    /// The same problem of another entry.
    pub(super) fn moved_to(&self, place: usize) -> Self {
        let field = match self.entry() {
            Some((_, "__all__")) | None => format!("[{place}]"),
            Some((_, field)) => format!("[{place}].{field}"),
        };
        Self { field, message: self.message.clone() }
    }

    /// Removes the number of the entry from the field.
    fn leave_entry(&mut self) {
        if let Some((_, field)) = self.entry() {
            self.field = field.to_owned();
        }
    }
}

impl fmt::Display for FieldProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field == "__all__" {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.field, self.message)
        }
    }
}

/// Why a call to NetBox gave no usable answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// No connection could be made, so nothing was sent: wrong host or port, NetBox is down, or TLS was refused.
    #[error("NetBox at {url} cannot be reached: {cause}")]
    Unreachable { url: String, cause: String },
    /// The connection broke after the request was sent, before the whole answer arrived.
    #[error("the connection to NetBox broke before its answer was whole: {cause}")]
    Interrupted { cause: String },
    /// NetBox did not answer within the time limit.
    #[error("NetBox did not answer within {} s", after.as_secs_f32())]
    TimedOut { after: Duration },
    /// NetBox, or a proxy in front of it, answered 5xx.
    #[error("NetBox answered {status}")]
    Failing { status: u16, retry_after: Option<Duration> },
    /// NetBox itself answered 500, with the name of an exception. Nothing of the request is under way any more.
    #[error("NetBox failed: {detail}")]
    Crashed { exception: String, detail: String },
    /// 500 with an exception by which NetBox refuses a request (AbortRequest). It is rolled back, and will be refused again.
    #[error("NetBox refused the record: {detail}")]
    Aborted { detail: String },
    /// 500: NetBox is in maintenance mode and refuses every write.
    #[error("NetBox is in maintenance mode: {detail}")]
    Maintenance { detail: String },
    /// NetBox, or a proxy in front of it, answered 429.
    #[error("NetBox asks for fewer requests")]
    Throttled { retry_after: Option<Duration> },
    /// The URL leads to something that is not NetBox's API: a redirect, an HTML page, a status without a version.
    #[error(
        "{url} does not answer as NetBox's API does ({found}): is the base URL right? It is the address of NetBox itself, without /api"
    )]
    NotNetBox { url: String, found: String },
    /// 401, or a 403 whose text blames the token.
    #[error("NetBox does not accept the token: {detail}")]
    Unauthenticated { detail: String },
    /// 403: the token is valid, but its user lacks the permission. `attempt` is the method and path.
    #[error("the token may not {attempt}: {detail}")]
    Forbidden { attempt: String, detail: String },
    /// 404 of a path that names a record.
    #[error("NetBox has no {path}")]
    NotFound { path: String },
    /// 409 of available-ips: the prefix has fewer free addresses than were asked for.
    #[error("NetBox has not enough free space in the prefix: {detail}")]
    InsufficientSpace { detail: String },
    /// 409 of a DELETE: other records refer to this one.
    #[error("other records in NetBox depend on it: {detail}")]
    HasDependents { detail: String },
    /// A list of deletions was answered as done, and NetBox still has these records: those that the token may not delete (before
    /// NetBox 4.7).
    #[error(
        "NetBox deleted only a part and still has the records {}: the token may not delete them",
        ids(.left)
    )]
    PartlyDeleted { left: Vec<u64> },
    /// 412, or the same found by comparing `last_updated`: somebody changed the record since it was read.
    #[error("the record changed in NetBox since it was read")]
    Changed,
    /// 400: the scope enforces unique addresses, and holds one of them already.
    #[error("NetBox refused the record: {}", join(.problems))]
    DuplicateAddress { problems: Vec<FieldProblem> },
    /// 400: the scope enforces unique prefixes, and holds this one already.
    #[error("NetBox refused the record: {}", join(.problems))]
    DuplicatePrefix { problems: Vec<FieldProblem> },
    /// 400: an IP range that is marked as populated contains one of the addresses.
    #[error("NetBox refused the record: {}", join(.problems))]
    AddressInRange { problems: Vec<FieldProblem> },
    /// 400: a record with one of these allocation ids exists already.
    #[error("NetBox refused the record: {}", join(.problems))]
    AllocationIdTaken { problems: Vec<FieldProblem> },
    /// 400: a custom field of the request does not exist in this NetBox. `leasehold setup` creates it.
    #[error("NetBox refused the record: {}", join(.problems))]
    UnknownCustomField { problems: Vec<FieldProblem> },
    /// Every other 400: NetBox finds fault with the content of the request and names the fields.
    #[error("NetBox refused the record: {}", join(.problems))]
    Invalid { problems: Vec<FieldProblem> },
    /// This version of NetBox is older or newer than those that Leasehold knows.
    #[error("NetBox {found} is not supported: Leasehold needs {supported}")]
    UnsupportedVersion { found: String, supported: String },
    /// A 2xx whose body is not what NetBox documents. `attempt` is the method and path.
    #[error("NetBox's answer to {attempt} is not as documented: {cause}")]
    Malformed { attempt: String, cause: String },
}

fn ids(ids: &[u64]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn join(problems: &[FieldProblem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl Error {
    /// The same refusal without the numbers of entries, each problem once: for a caller who has not made the list himself, and of
    /// whose request all entries were made.
    #[must_use]
    pub fn without_entries(mut self) -> Self {
        match &mut self {
            Self::DuplicateAddress { problems }
            | Self::DuplicatePrefix { problems }
            | Self::AddressInRange { problems }
            | Self::AllocationIdTaken { problems }
            | Self::UnknownCustomField { problems }
            | Self::Invalid { problems } => {
                let mut seen = std::collections::BTreeSet::new();
                for problem in problems.iter_mut() {
                    problem.leave_entry();
                }
                problems.retain(|problem| seen.insert((problem.field.clone(), problem.message.clone())));
            }
            _ => {}
        }
        self
    }

    /// Whether the same read may succeed a little later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Interrupted { .. }
            | Self::TimedOut { .. }
            | Self::Failing { .. }
            | Self::Crashed { .. }
            | Self::Maintenance { .. }
            | Self::Throttled { .. } => true,
            Self::NotNetBox { .. }
            | Self::Unauthenticated { .. }
            | Self::Forbidden { .. }
            | Self::NotFound { .. }
            | Self::InsufficientSpace { .. }
            | Self::HasDependents { .. }
            | Self::PartlyDeleted { .. }
            | Self::Changed
            | Self::DuplicateAddress { .. }
            | Self::DuplicatePrefix { .. }
            | Self::AddressInRange { .. }
            | Self::AllocationIdTaken { .. }
            | Self::Aborted { .. }
            | Self::UnknownCustomField { .. }
            | Self::Invalid { .. }
            | Self::UnsupportedVersion { .. }
            | Self::Malformed { .. } => false,
        }
    }

    /// Whether a write that failed with this error is known not to have happened.
    pub fn certainty(&self) -> Certainty {
        match self {
            Self::Interrupted { .. }
            | Self::TimedOut { .. }
            | Self::Failing { .. }
            | Self::PartlyDeleted { .. }
            | Self::Malformed { .. } => Certainty::Unknown,
            Self::Crashed { .. } => Certainty::Ended,
            Self::Unreachable { .. }
            | Self::Throttled { .. }
            | Self::NotNetBox { .. }
            | Self::Unauthenticated { .. }
            | Self::Forbidden { .. }
            | Self::NotFound { .. }
            | Self::InsufficientSpace { .. }
            | Self::HasDependents { .. }
            | Self::Changed
            | Self::DuplicateAddress { .. }
            | Self::DuplicatePrefix { .. }
            | Self::AddressInRange { .. }
            | Self::AllocationIdTaken { .. }
            | Self::Aborted { .. }
            | Self::Maintenance { .. }
            | Self::UnknownCustomField { .. }
            | Self::Invalid { .. }
            | Self::UnsupportedVersion { .. } => Certainty::NotDone,
        }
    }

    /// How long NetBox asks to wait before the next request (the Retry-After header).
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Failing { retry_after, .. } | Self::Throttled { retry_after } => *retry_after,
            _ => None,
        }
    }

    /// Whether one record of a list can be the cause, so that the others may succeed without it: NetBox found fault with the
    /// content, or with a right that depends on it, or an exception ended the request.
    pub fn is_of_records(&self) -> bool {
        self.is_content_refused() || matches!(self, Self::Forbidden { .. } | Self::Crashed { .. })
    }

    /// The fields that NetBox refused; none if it was not for the content.
    pub(super) fn problems(&self) -> &[FieldProblem] {
        match self {
            Self::DuplicateAddress { problems }
            | Self::DuplicatePrefix { problems }
            | Self::AddressInRange { problems }
            | Self::AllocationIdTaken { problems }
            | Self::UnknownCustomField { problems }
            | Self::Invalid { problems } => problems,
            _ => &[],
        }
    }

    /// Whether NetBox found fault with the content of the request (any 400). In a list request one record can be the
    /// cause, so the others may succeed when they are sent without it.
    pub fn is_content_refused(&self) -> bool {
        matches!(
            self,
            Self::DuplicateAddress { .. }
                | Self::DuplicatePrefix { .. }
                | Self::AddressInRange { .. }
                | Self::AllocationIdTaken { .. }
                | Self::Aborted { .. }
                | Self::UnknownCustomField { .. }
                | Self::Invalid { .. }
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_list_names_each_problem_once_and_no_entry() {
        let problem = |field: &str| FieldProblem { field: field.to_owned(), message: "no".to_owned() };
        let problems = ["[0].dns_name", "[1].dns_name", "[1]", "description", "[x].y"].map(problem).to_vec();
        let Error::Invalid { problems } = (Error::Invalid { problems }).without_entries() else { panic!() };
        let fields: Vec<&str> = problems.iter().map(|problem| problem.field.as_str()).collect();
        assert_eq!(fields, ["dns_name", "__all__", "description", "[x].y"]);
    }
}
