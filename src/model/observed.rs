//! What was observed, by whom and when; and that something could not be.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// An answer of a peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed<T> {
    /// What it said.
    pub value: T,
    /// Who said it. Example: "rtr 127.0.0.1:8282".
    pub source: String,
    /// As of when: the time of the data, not of the question.
    pub time: Timestamp,
}

impl<T> Observed<T> {
    /// The same answer, seen otherwise.
    pub fn map<U>(self, with: impl FnOnce(T) -> U) -> Observed<U> {
        Observed { value: with(self.value), source: self.source, time: self.time }
    }
}

/// Nobody could be asked, or nobody gave an answer. It is no verdict, and never takes the place of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub struct CouldNotCheck {
    /// Each source, and why it gave none. Empty if none is configured.
    pub causes: Vec<Cause>,
}

/// Why one source gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// Which source.
    pub source: String,
    /// In words.
    pub why: String,
}

impl CouldNotCheck {
    /// Of one source.
    pub fn one(source: impl Into<String>, why: impl fmt::Display) -> Self {
        Self { causes: vec![Cause { source: source.into(), why: why.to_string() }] }
    }

    /// Because nothing is configured to ask.
    pub fn not_configured() -> Self {
        Self { causes: Vec::new() }
    }

    /// Whether nothing is configured to ask.
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
            write!(f, "{between}{}: {}", cause.source, cause.why)?;
        }
        Ok(())
    }
}
