//! What can go wrong with NetBox, told by what the caller can still do.

use std::fmt;
use std::time::Duration;

use super::version::Version;

/// Result of this room.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Whether a write that failed is known not to have happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certainty {
    /// NetBox refused it or never saw it.
    NotDone,
    /// It may have been committed: only the record can tell.
    Unknown,
}

/// One field that NetBox refused, in NetBox's own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldProblem {
    /// NetBox's name of the field; `__all__` where it blames the whole record. In a list, `[index].field`.
    pub field: String,
    /// Its words.
    pub message: String,
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

/// Why a call to NetBox did not give what it should.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// No connection was made: wrong host or port, NetBox down, TLS refused. Nothing was sent.
    #[error("NetBox at {url} cannot be reached: {cause}")]
    Unreachable {
        /// Base URL.
        url: String,
        /// What the connection said.
        cause: String,
    },
    /// The connection was made and then broke, or no whole answer came.
    #[error("the connection to NetBox broke before its answer was whole: {cause}")]
    Interrupted {
        /// What the connection said.
        cause: String,
    },
    /// No answer in time.
    #[error("NetBox did not answer within {} s", after.as_secs_f32())]
    TimedOut {
        /// How long was waited.
        after: Duration,
    },
    /// 5xx: NetBox or a proxy before it is in trouble.
    #[error("NetBox answered {status}")]
    Failing {
        /// HTTP status.
        status: u16,
        /// From Retry-After.
        retry_after: Option<Duration>,
    },
    /// 429.
    #[error("NetBox asks for fewer requests")]
    Throttled {
        /// From Retry-After.
        retry_after: Option<Duration>,
    },
    /// What answered is no NetBox API.
    #[error(
        "{url} does not answer as NetBox's API does ({found}): is the base URL right? It is the address of NetBox itself, without /api"
    )]
    NotNetBox {
        /// URL asked.
        url: String,
        /// What came instead.
        found: String,
    },
    /// 401, or 403 with words about the token.
    #[error("NetBox does not accept the token: {detail}")]
    Unauthenticated {
        /// NetBox's words.
        detail: String,
    },
    /// 403: the token is good and may not do this.
    #[error("the token may not {attempt}: {detail}")]
    Forbidden {
        /// Method and path tried.
        attempt: String,
        /// NetBox's words.
        detail: String,
    },
    /// 404.
    #[error("NetBox has no {path}")]
    NotFound {
        /// Path asked.
        path: String,
    },
    /// 409 of available-ips: not enough free addresses.
    #[error("NetBox has not enough free space in the prefix: {detail}")]
    Full {
        /// NetBox's words.
        detail: String,
    },
    /// 409 of a DELETE: other records hang on this one.
    #[error("other records in NetBox depend on it: {detail}")]
    Dependents {
        /// NetBox's words.
        detail: String,
    },
    /// 412: the record has moved on since it was read.
    #[error("the record changed in NetBox since it was read")]
    Changed,
    /// 400: refused, field by field.
    #[error("NetBox refused the record: {}", join(.problems))]
    Rejected {
        /// Every field that it blamed.
        problems: Vec<FieldProblem>,
    },
    /// Too old, or not yet known.
    #[error("NetBox {found} is not supported: Leasehold needs {} to {}", Version::OLDEST, Version::NEWEST)]
    UnsupportedVersion {
        /// What answered.
        found: Version,
    },
    /// A 2xx whose body is not what NetBox documents.
    #[error("NetBox's answer to {attempt} is not as documented: {cause}")]
    Malformed {
        /// Method and path tried.
        attempt: String,
        /// What was wrong.
        cause: String,
    },
}

fn join(problems: &[FieldProblem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl Error {
    /// Whether the same read may well succeed a little later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Interrupted { .. }
            | Self::TimedOut { .. }
            | Self::Failing { .. }
            | Self::Throttled { .. } => true,
            Self::NotNetBox { .. }
            | Self::Unauthenticated { .. }
            | Self::Forbidden { .. }
            | Self::NotFound { .. }
            | Self::Full { .. }
            | Self::Dependents { .. }
            | Self::Changed
            | Self::Rejected { .. }
            | Self::UnsupportedVersion { .. }
            | Self::Malformed { .. } => false,
        }
    }

    /// For a write: whether it is known not to have happened.
    pub fn certainty(&self) -> Certainty {
        match self {
            Self::Interrupted { .. }
            | Self::TimedOut { .. }
            | Self::Failing { .. }
            | Self::Malformed { .. } => Certainty::Unknown,
            Self::Unreachable { .. }
            | Self::Throttled { .. }
            | Self::NotNetBox { .. }
            | Self::Unauthenticated { .. }
            | Self::Forbidden { .. }
            | Self::NotFound { .. }
            | Self::Full { .. }
            | Self::Dependents { .. }
            | Self::Changed
            | Self::Rejected { .. }
            | Self::UnsupportedVersion { .. } => Certainty::NotDone,
        }
    }

    /// How long NetBox asks to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Failing { retry_after, .. } | Self::Throttled { retry_after } => *retry_after,
            _ => None,
        }
    }

    /// Whether NetBox refused it because a value that must be unique is there already (an address, a prefix, an
    /// `allocation_id`).
    pub fn is_duplicate(&self) -> bool {
        let Self::Rejected { problems } = self else { return false };
        problems.iter().any(|problem| {
            let words = problem.message.to_lowercase();
            words.contains("duplicate") || words.contains("unique")
        })
    }
}
