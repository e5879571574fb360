//! An answer of a peer with its source and time, and the error for a check without an answer.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::failure::Failure;

/// An answer of a peer, with its evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed<T> {
    pub value: T,
    /// The peer that answered. Example: "rtr 127.0.0.1:8282".
    pub source: String,
    /// The time of the data, which may be earlier than the time of the question.
    pub time: Timestamp,
}

impl<T> Observed<T> {
    /// Converts the value and keeps source and time.
    pub fn map<U>(self, with: impl FnOnce(T) -> U) -> Observed<U> {
        Observed { value: with(self.value), source: self.source, time: self.time }
    }
}

/// A check without an answer: no source is configured, or none of them answered. This is never a verdict: it never replaces
/// one and never passes a required check.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct CouldNotCheck {
    /// One cause for each source that was asked. Empty if no source is configured.
    pub causes: Vec<Cause>,
}

/// The reason why one source gave no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    pub source: String,
    pub failure: Failure,
}

impl Cause {
    /// The cause that a source gave no answer.
    pub fn new(source: impl Into<String>, failure: impl Into<Failure>) -> Self {
        Self { source: source.into(), failure: failure.into() }
    }
}

impl CouldNotCheck {
    /// The error of a single source.
    pub fn from_source(source: impl Into<String>, failure: impl Into<Failure>) -> Self {
        Self { causes: vec![Cause::new(source, failure)] }
    }

    /// The error of a check for which no source is configured.
    pub fn not_configured() -> Self {
        Self { causes: Vec::new() }
    }

    /// Whether the reason is that no source is configured.
    pub fn is_not_configured(&self) -> bool {
        self.causes.is_empty()
    }
}

impl fmt::Display for CouldNotCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.causes.is_empty() {
            return f.write_str("no source is configured");
        }
        for (nth, cause) in self.causes.iter().enumerate() {
            let between = if nth == 0 { "" } else { "; " };
            write!(f, "{between}{}: {}", cause.source, cause.failure)?;
        }
        Ok(())
    }
}
