//! What was observed of leased blocks: kept by kind, prefix and subject; what it says is for the rooms above.

use async_trait::async_trait;
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::database::Error;
use crate::model::PrefixId;

/// What kind of thing was observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObservationKind {
    /// A verdict that is held; its subject is the check.
    Verdict,
    /// How far the blocklists were asked; its subject is the zone.
    Sweep,
    /// What was listed when the lease began.
    Baseline,
}

impl ObservationKind {
    /// Its word in the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Verdict => "verdict",
            Self::Sweep => "sweep",
            Self::Baseline => "baseline",
        }
    }
}

/// One thing that was observed, as the ledger holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// Of which prefix.
    pub prefix: PrefixId,
    /// About what; empty where there is only one.
    pub subject: String,
    /// JSON.
    pub body: String,
}

impl Observation {
    /// Writes what was observed.
    pub fn of(prefix: PrefixId, subject: impl Into<String>, body: &impl Serialize) -> Result<Self, Error> {
        let body = serde_json::to_string(body).map_err(|error| Error::Unreadable(error.to_string()))?;
        Ok(Self { prefix, subject: subject.into(), body })
    }

    /// Reads it.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_str(&self.body).map_err(|error| Error::Unreadable(error.to_string()))
    }
}

/// Keeps what was observed.
#[async_trait]
pub trait Observations: Send + Sync {
    /// All of a kind; of one prefix, if one is given.
    async fn load(&self, kind: ObservationKind, prefix: Option<PrefixId>) -> Result<Vec<Observation>, Error>;

    /// The prefixes of which there is anything of a kind.
    async fn prefixes(&self, kind: ObservationKind) -> Result<Vec<PrefixId>, Error>;

    /// Writes, all or none, over what stood under the same prefix and subject.
    async fn put(&self, kind: ObservationKind, rows: &[Observation], now: Timestamp) -> Result<(), Error>;

    /// Forgets everything about these prefixes: they are leased no more.
    async fn forget(&self, prefixes: &[PrefixId]) -> Result<(), Error>;
}
