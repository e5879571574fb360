//! The three checks of a block, their verdicts, and the state that is kept for each verdict.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::choice::UnknownChoice;
use super::lease::{Reputation, RoaStatus};
use super::prefix::Prefix;

/// A check of a leased block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// Route origin validation (RFC 6811): valid, invalid or unknown.
    Roa,
    /// The registration of a route object in the IRR: registered or unregistered.
    Irr,
    /// The DNS blocklists: clean, watch or listed.
    Reputation,
}

impl Check {
    /// Every check, in the order in which status shows them.
    pub const ALL: [Self; 3] = [Self::Roa, Self::Irr, Self::Reputation];

    /// The name of the check in the ledger, in settings and in job names.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Roa => "roa",
            Self::Irr => "irr",
            Self::Reputation => "reputation",
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Check {
    type Err = UnknownChoice;

    fn from_str(text: &str) -> Result<Self, UnknownChoice> {
        let found = Self::ALL.into_iter().find(|check| check.as_str() == text);
        found.ok_or_else(|| UnknownChoice { given: text.to_owned(), choices: "roa, irr, reputation" })
    }
}

/// The result of a check. A check without an answer has no verdict ([`super::CouldNotCheck`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Roa(RoaStatus),
    /// Whether a route object exists for exactly this block and origin.
    Irr(bool),
    Reputation(Reputation),
}

impl Verdict {
    /// The check that has this result.
    pub fn check(self) -> Check {
        match self {
            Self::Roa(_) => Check::Roa,
            Self::Irr(_) => Check::Irr,
            Self::Reputation(_) => Check::Reputation,
        }
    }

    /// The result as text, for people and for the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Roa(status) => status.as_str(),
            Self::Irr(true) => "registered",
            Self::Irr(false) => "unregistered",
            Self::Reputation(reputation) => reputation.as_str(),
        }
    }

    /// Whether the result is the desired one: valid, registered or clean.
    pub fn is_good(self) -> bool {
        matches!(self, Self::Roa(RoaStatus::Valid) | Self::Irr(true) | Self::Reputation(Reputation::Clean))
    }
}

/// The confirmed verdict of one check of one block, with what was observed since. A new verdict replaces it only when it was
/// observed several times in a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VerdictState {
    /// The block, origin and lease that the verdict is for, as text. The verdict says nothing about a block with another text.
    pub about: String,
    pub verdict: Verdict,
    /// The time at which the verdict was first observed.
    pub since: Timestamp,
    /// The time at which the verdict was last observed.
    pub observed: Timestamp,
    /// Explains the verdict to people.
    pub reason: String,
    /// The peer that gave the verdict.
    pub source: String,
    /// Another verdict that was observed since, and how many times in a row.
    pub candidate: Option<(Verdict, u32)>,
    /// The error of the latest check and its time; `None` if that check gave an answer.
    #[serde(rename = "failure")]
    pub last_failure: Option<(String, Timestamp)>,
    /// The change that led to this verdict, until the event log has stored it.
    #[serde(rename = "untold")]
    pub unpublished: Option<VerdictChange>,
}

/// A confirmed change from one verdict to another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VerdictChange {
    /// The prefix with its lease at the time of the change.
    pub prefix: Arc<Prefix>,
    pub before: Verdict,
    /// The time at which `before` was first observed. It tells two changes apart that are otherwise equal.
    pub before_since: Timestamp,
    pub after: Verdict,
    /// Explains the change to people. Example: "no ROA covers 203.0.113.0/24 from AS64500".
    pub reason: String,
    /// The peer that gave the new verdict.
    pub source: String,
    /// The observation time of the new verdict.
    pub observed: Timestamp,
}
