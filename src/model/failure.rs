//! A failure, in the form in which every state shows it.

use std::fmt;

use jiff::Timestamp;

/// Something that was tried and failed. Neither part holds a text of a library: what a library said goes to the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// For programs: UPPER_SNAKE, and the same in every version. Where a call can fail in the same way, its error has this reason.
    pub reason: &'static str,
    /// A sentence for people.
    pub message: String,
    /// When it failed; `None` if that is not known.
    pub time: Option<Timestamp>,
}

impl Failure {
    /// A failure at an unknown time.
    pub fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), time: None }
    }

    /// The same failure, at this time.
    #[must_use]
    pub fn at(self, time: Timestamp) -> Self {
        Self { time: Some(time), ..self }
    }
}

/// Why a source of checks gave no usable answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceFault {
    /// No connection could be made, or it broke.
    Unreachable,
    TimedOut,
    /// It answers that it will not answer.
    Refused,
    /// It asks for fewer queries.
    Throttled,
    /// Its answer is not as documented.
    AnswerInvalid,
    /// It holds no data yet.
    NoData,
    /// What it holds is too old to be used.
    DataExpired,
    /// Its new data have lost too much to be believed.
    DataCollapsed,
    /// A blocklist that fails its self-test, or stops answering: none of its answers can be used.
    BlocklistUnusable,
    /// A blocklist has not been asked about every address yet.
    NotAskedYet,
    /// A blocklist gave no answer about some addresses.
    QueriesUnanswered,
}

impl SourceFault {
    /// The reason for programs.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Unreachable => "SOURCE_UNREACHABLE",
            Self::TimedOut => "SOURCE_TIMED_OUT",
            Self::Refused => "SOURCE_REFUSED",
            Self::Throttled => "SOURCE_THROTTLED",
            Self::AnswerInvalid => "SOURCE_ANSWER_INVALID",
            Self::NoData => "SOURCE_WITHOUT_DATA",
            Self::DataExpired => "SOURCE_DATA_EXPIRED",
            Self::DataCollapsed => "SOURCE_DATA_COLLAPSED",
            Self::BlocklistUnusable => "BLOCKLIST_UNUSABLE",
            Self::NotAskedYet => "NOT_ASKED_YET",
            Self::QueriesUnanswered => "QUERIES_UNANSWERED",
        }
    }

    /// The failure of a source, at an unknown time.
    pub fn failure(self, message: impl Into<String>) -> Failure {
        Failure::new(self.reason(), message)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
