//! Findings of a preflight: what each is about, how severe it is, and who has to act.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

use crate::model::Network;

/// An aspect of an announcement that the preflight checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PreflightAspect {
    /// The lease is in force and has enough days left.
    Term,
    /// A letter of authorisation is recorded.
    Loa,
    /// The RPKI authorises every route that is to be announced.
    Roa,
    /// The IRR has a route object for every route that is to be announced.
    Irr,
    /// No other AS announces the block or a part of it.
    Bgp,
    /// The blocklists do not list the block.
    Reputation,
    /// The holder's geofeed covers the block.
    Geofeed,
}

impl PreflightAspect {
    /// Every aspect, in the order in which findings are reported.
    pub const ALL: [Self; 7] =
        [Self::Term, Self::Loa, Self::Roa, Self::Irr, Self::Bgp, Self::Reputation, Self::Geofeed];

    /// The word that `validation.preflight.required` has for it.
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

impl fmt::Display for PreflightAspect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for PreflightAspect {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|aspect| aspect.as_str() == word).ok_or_else(|| {
            let known: Vec<&str> = Self::ALL.into_iter().map(Self::as_str).collect();
            format!("{word:?} is none of {}", known.join(", "))
        })
    }
}

/// How a finding bears on the announcement, the most severe last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FindingSeverity {
    Pass,
    /// Neither good nor bad, such as a check without a configured source.
    Note,
    /// A fault that does not stand in the way of the announcement.
    Warning,
    /// The block must not be announced before this is repaired.
    Blocking,
}

/// Who has to act on a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FindingActor {
    Nobody,
    /// The holder of the resource: the owner of the block, or whoever leases it out.
    Holder,
    /// The organisation that leases the block and is going to announce it.
    Lessee,
    /// Whoever runs Leasehold: a source is not configured or does not answer.
    Operator,
}

/// One result of a preflight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreflightFinding {
    pub aspect: PreflightAspect,
    pub severity: FindingSeverity,
    /// A stable UPPER_SNAKE word for programs. Example: `ROA_MISSING`.
    pub reason: &'static str,
    /// The explanation for people.
    pub message: String,
    /// The block, or for a route the prefix that is to be announced.
    pub prefix: Network,
    /// The peer that answered; empty if the finding rests on the record alone.
    pub source: String,
    /// The time of the source's data; `None` if the finding rests on the record as it is now.
    pub observed: Option<Timestamp>,
    pub actor: FindingActor,
    /// What the actor should do. Empty if nobody has to act, or if another finding gives the same advice.
    pub advice: String,
}
