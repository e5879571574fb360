//! What a preflight finds: about what, how much it weighs, and who has to act.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

use crate::model::Network;

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Aspect {
    /// The lease is in force, and for long enough.
    Term,
    /// A letter of authorisation is recorded.
    Loa,
    /// The RPKI authorises what would be announced.
    Roa,
    /// Route objects say what would be announced.
    Irr,
    /// Nobody else announces it.
    Bgp,
    /// Blocklists do not list it.
    Reputation,
    /// The holder's geofeed covers it.
    Geofeed,
}

impl Aspect {
    /// Every aspect, in the order in which people read them.
    pub const ALL: [Self; 7] =
        [Self::Term, Self::Loa, Self::Roa, Self::Irr, Self::Bgp, Self::Reputation, Self::Geofeed];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Term => "term",
            Self::Loa => "loa",
            Self::Roa => "roa",
            Self::Irr => "irr",
            Self::Bgp => "bgp",
            Self::Reputation => "reputation",
            Self::Geofeed => "geofeed",
        }
    }
}

impl fmt::Display for Aspect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Aspect {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|aspect| aspect.as_str() == word).ok_or_else(|| {
            let known: Vec<&str> = Self::ALL.into_iter().map(Self::as_str).collect();
            format!("{word:?} is none of {}", known.join(", "))
        })
    }
}

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// As it should be.
    Pass,
    /// Good to know.
    Note,
    /// Not as it should be, and no reason to wait.
    Warning,
    /// Not to be announced before it is mended.
    Blocking,
}

/// Who has to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Actor {
    /// Nobody.
    Nobody,
    /// The holder of the resource: the owner of the block, or who leases it out.
    Holder,
    /// You who lease it.
    Lessee,
    /// Whoever runs Leasehold: a source is missing or does not answer.
    Operator,
}

/// One thing found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub aspect: Aspect,
    /// How much it weighs.
    pub severity: Severity,
    /// UPPER_SNAKE, stable. Example: `ROA_MISSING`.
    pub reason: &'static str,
    /// What was found, in words.
    pub message: String,
    /// What it is about.
    pub prefix: Network,
    /// Who said so; empty for what the record itself says.
    pub source: String,
    /// As of when; `None` for what holds now.
    pub observed: Option<Timestamp>,
    /// Who has to act.
    pub actor: Actor,
    /// What to ask of whoever has to act; empty if nobody has to.
    pub ask: String,
}
