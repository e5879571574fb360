//! The event log: what is taken up, and what is kept of it.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;

use super::database::Error;
use crate::model::{Event, Happening, Network, Subject, Table, TermDate, Threshold, fingerprint};

/// How far the log reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Tells this log from any other.
    pub epoch: String,
    /// Sequence of the last event; 0 if there is none.
    pub last: u64,
    /// Sequence of the last event that compaction has removed; 0 if it has removed none.
    pub compacted: u64,
    /// Since when no change of a record has gone unrecorded. `None` before the first full pass.
    pub continuous_since: Option<Timestamp>,
    /// Sequence of the last event that the notifier has routed.
    pub routed: u64,
}

/// How much of the log is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Events taken up before this go.
    pub before: Timestamp,
    /// Of the others, so many of the latest stay.
    pub at_most: u64,
}

/// A date of a lease, as marks know it.
pub type MarkKey = (u64, TermDate, Date);

/// Keeps events, durably and in one order.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Takes up what happened, all or none, and gives those that are new: a change that was told before, or a threshold no
    /// tighter than one told before, is none.
    async fn append(&self, happenings: &[Happening], now: Timestamp) -> Result<Vec<Event>, Error>;

    /// How far it reaches.
    async fn extent(&self) -> Result<Extent, Error>;

    /// Events after this sequence, the oldest first.
    async fn read(&self, after: u64, limit: u32) -> Result<Vec<Event>, Error>;

    /// Events before this sequence, the newest first.
    async fn read_back(&self, before: u64, limit: u32) -> Result<Vec<Event>, Error>;

    /// Events about exactly one of these networks, the newest first.
    async fn touching(&self, table: Table, networks: &[Network]) -> Result<Vec<Event>, Error>;

    /// Says that records are known whole as of now, and that what changed before may have gone unrecorded.
    async fn begin_continuity(&self, now: Timestamp) -> Result<(), Error>;

    /// The tightest threshold told of, for each lease and date.
    async fn marks(&self) -> Result<HashMap<MarkKey, Threshold>, Error>;

    /// Forgets the marks of prefixes that carry no lease any more: a new lease is told of anew.
    async fn forget_marks(&self, prefixes: &[u64]) -> Result<(), Error>;

    /// Removes what retention lets go and the notifier has routed; answers the last sequence removed so far.
    async fn compact(&self, retention: Retention) -> Result<u64, Error>;
}

/// Which record a change is about.
type RecordKey = (&'static str, i64);

/// What was last told of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) revision: i64,
    pub(super) digest: String,
}

/// Decides which happenings are new. Pure: what the database knows is loaded before and stored after.
#[derive(Debug, Default)]
pub(super) struct Admission {
    pub(super) told: BTreeMap<RecordKey, Told>,
    pub(super) marks: BTreeMap<MarkKey, Threshold>,
    /// What has to be stored.
    pub(super) told_anew: BTreeMap<RecordKey, Told>,
    pub(super) marked_anew: BTreeMap<MarkKey, Threshold>,
}

impl Admission {
    /// Whether this one is new; remembers it if so.
    pub(super) fn admit(&mut self, happening: &Happening) -> Result<bool, Error> {
        match &happening.subject {
            Subject::Sync(_) => Ok(true),
            Subject::Term(reached) => {
                let key = mark_key(reached);
                if self.marks.get(&key).is_some_and(|told| *told <= reached.threshold) {
                    return Ok(false);
                }
                self.marks.insert(key, reached.threshold);
                self.marked_anew.insert(key, reached.threshold);
                Ok(true)
            }
            Subject::Prefix(_) | Subject::Address(_) | Subject::Verdict(_) => {
                let Some((key, state)) = state_told(happening)? else { return Ok(true) };
                if let Some(before) = self.told.get(&key) {
                    // Seen before, or older than what was seen: a page that was read early and arrives late.
                    if before.digest == state.digest || before.revision > state.revision {
                        return Ok(false);
                    }
                }
                self.told.insert(key, state.clone());
                self.told_anew.insert(key, state);
                Ok(true)
            }
        }
    }
}

/// The mark that an event of a term sets.
pub(super) fn mark_key(reached: &crate::model::TermReached) -> MarkKey {
    (reached.prefix.id.0, reached.which, reached.date)
}

/// The record that a change is about, and its state after it.
pub(super) fn state_told(happening: &Happening) -> Result<Option<(RecordKey, Told)>, Error> {
    let state = match &happening.subject {
        Subject::Prefix(change) => {
            let Some(latest) = change.latest() else { return Ok(None) };
            let told = told(change.after.as_deref(), latest.revision.instant())?;
            (("prefix", to_sql(latest.id.0)), told)
        }
        Subject::Address(change) => {
            let Some(latest) = change.latest() else { return Ok(None) };
            let told = told(change.after.as_deref(), latest.revision.instant())?;
            (("address", to_sql(latest.id.0)), told)
        }
        Subject::Verdict(change) => {
            let lease = change.prefix.lease.as_deref();
            let of = lease.map(|lease| (lease.owner.as_deref(), lease.term.start));
            let json = serde_json::to_vec(&(change.before, change.before_since, change.after, of))
                .map_err(|error| Error::Unreadable(error.to_string()))?;
            let told = Told { revision: change.observed.as_microsecond(), digest: fingerprint(json, 12) };
            ((change.after.check().as_str(), to_sql(change.prefix.id.0)), told)
        }
        Subject::Term(_) | Subject::Sync(_) => return Ok(None),
    };
    Ok(Some(state))
}

fn told(record: Option<&impl Serialize>, revision: Option<Timestamp>) -> Result<Told, Error> {
    let revision = revision.map_or(0, Timestamp::as_microsecond);
    let digest = match record {
        // NetBox never uses an id again, so what is gone stays gone.
        None => return Ok(Told { revision: i64::MAX, digest: "gone".to_owned() }),
        Some(record) => {
            let json = serde_json::to_vec(record).map_err(|error| Error::Unreadable(error.to_string()))?;
            fingerprint(json, 12)
        }
    };
    Ok(Told { revision, digest })
}

pub(super) fn to_sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
