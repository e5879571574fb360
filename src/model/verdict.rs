//! Verdicts that are kept, and that they changed.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Prefix, UnknownWord};

/// What a block is checked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// Origin validation: valid, invalid, unknown.
    Roa,
    /// The registries: registered, unregistered.
    Irr,
    /// The blocklists: clean, watch, listed.
    Reputation,
}

impl Check {
    /// Every check.
    pub const ALL: [Self; 3] = [Self::Roa, Self::Irr, Self::Reputation];

    /// Its word.
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
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        let known = "roa, irr, reputation";
        let found = Self::ALL.into_iter().find(|check| check.as_str() == word);
        found.ok_or_else(|| UnknownWord { word: word.to_owned(), known })
    }
}

/// A verdict as a word: a check and what it said, never something that it cannot say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Of origin validation.
    Roa(super::RoaStatus),
    /// Whether a route object says exactly this.
    Irr(bool),
    /// Of the blocklists.
    Reputation(super::Reputation),
}

impl Verdict {
    /// Which check said it.
    pub fn check(self) -> Check {
        match self {
            Self::Roa(_) => Check::Roa,
            Self::Irr(_) => Check::Irr,
            Self::Reputation(_) => Check::Reputation,
        }
    }

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Roa(status) => status.as_str(),
            Self::Irr(true) => "registered",
            Self::Irr(false) => "unregistered",
            Self::Reputation(reputation) => reputation.as_str(),
        }
    }

    /// Whether it is as it should be.
    pub fn is_good(self) -> bool {
        matches!(
            self,
            Self::Roa(super::RoaStatus::Valid) | Self::Irr(true) | Self::Reputation(super::Reputation::Clean)
        )
    }
}

/// A verdict that is held of a block, and what has been seen since.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// What it is a verdict on, in words that are compared: of another block, origin or lease it says nothing.
    pub about: String,
    /// What is held.
    pub verdict: Verdict,
    /// Since when.
    pub since: Timestamp,
    /// When it was last observed.
    pub observed: Timestamp,
    /// Why, in words.
    pub reason: String,
    /// Who said so.
    pub source: String,
    /// What was observed instead, and how many times in a row.
    pub candidate: Option<(Verdict, u32)>,
    /// Why the last check gave no answer, and when that was; `None` if it gave one.
    pub failure: Option<(String, Timestamp)>,
    /// The change that made it what it is, until it is known to be told.
    pub untold: Option<VerdictChange>,
}

/// A verdict that was confirmed to differ from the one before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VerdictChange {
    /// The prefix with its lease, as it stood then.
    pub prefix: Arc<Prefix>,
    /// What was held before.
    pub before: Verdict,
    /// Since when that was held: two changes that read alike are told apart by it.
    pub before_since: Timestamp,
    /// What is held now.
    pub after: Verdict,
    /// In words, for people. Example: "no ROA covers 203.0.113.0/24 from AS64500".
    pub reason: String,
    /// Who said so.
    pub source: String,
    /// As of when.
    pub observed: Timestamp,
}
