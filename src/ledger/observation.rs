//! What Leasehold has observed of leased blocks and cannot read again: the last verdicts, how far the blocklists were asked, and
//! what was listed when a lease began. The bodies are JSON of types that belong to `validation/`.

use async_trait::async_trait;
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::Error;
use crate::model::PrefixId;

/// What an observation records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObservationKind {
    /// The verdict that is held; its subject is the check.
    Verdict,
    /// Which addresses of the block a blocklist was asked about; its subject is the zone. Stored as `sweep`, a former name.
    ZoneCoverage,
    /// What was listed when the lease began.
    Baseline,
}

impl ObservationKind {
    /// The word under which the ledger stores it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Verdict => "verdict",
            Self::ZoneCoverage => "sweep",
            Self::Baseline => "baseline",
        }
    }
}

/// One observation of a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    pub prefix: PrefixId,
    /// The check or the zone; empty if a kind has one observation for a prefix.
    pub subject: String,
    /// JSON of a type in `validation/`.
    pub body: String,
}

impl Observation {
    /// An observation with a body that is serialised as JSON. Fails if the body cannot be serialised.
    pub fn of(prefix: PrefixId, subject: impl Into<String>, body: &impl Serialize) -> Result<Self, Error> {
        let body = serde_json::to_string(body).map_err(Error::unreadable)?;
        Ok(Self { prefix, subject: subject.into(), body })
    }

    /// The body. Fails if it is not JSON of a `T`.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_str(&self.body).map_err(Error::unreadable)
    }
}

/// Keeps observations, one for each kind, prefix and subject.
#[async_trait]
pub trait Observations: Send + Sync {
    /// All observations of a kind, by prefix and subject; of one prefix only, if one is given.
    async fn load(&self, kind: ObservationKind, prefix: Option<PrefixId>) -> Result<Vec<Observation>, Error>;

    /// The prefixes that have an observation of a kind, in ascending order.
    async fn prefixes(&self, kind: ObservationKind) -> Result<Vec<PrefixId>, Error>;

    /// Stores observations, all or none. Each replaces the one with the same prefix and subject.
    async fn put(&self, kind: ObservationKind, rows: &[Observation], now: Timestamp) -> Result<(), Error>;

    /// Deletes every observation of these prefixes, whose leases have ended.
    async fn forget(&self, prefixes: &[PrefixId]) -> Result<(), Error>;
}
