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
    pub fn at(self, time: Timestamp) -> Self {
        Self { time: Some(time), ..self }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
