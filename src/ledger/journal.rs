//! The event log's table of events, and how far it reaches.

use std::collections::HashMap;

use async_trait::async_trait;
use jiff::Timestamp;
use jiff::civil::Date;

use super::error::Error;
use crate::model::{DomainEvent, Event, Network, TermDate, Threshold, VrfScope};

/// How far the event log reaches, back and forth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogExtent {
    /// 16 hexadecimal digits that no other event log has. A resume token carries them.
    pub epoch: String,
    /// Sequence of the last event; 0 if there is none.
    pub last: u64,
    /// Sequence of the last event that compaction has removed; 0 if it has removed none.
    pub compacted: u64,
    /// Since when every change of a record is in the log. `None` before the first full pass.
    pub continuous_since: Option<Timestamp>,
    /// Sequence of the last event for which the notifier has written the deliveries.
    pub routed: u64,
}

/// How much of the log compaction keeps. An event goes if either condition says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Events that were recorded before this instant go.
    pub before: Timestamp,
    /// Only this many of the latest events stay.
    pub at_most: u64,
}

/// From where, and in which direction, events are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogWalk {
    /// The events after this sequence, the oldest first.
    After(u64),
    /// The events before this sequence, the newest first.
    Before(u64),
}

/// A date of a lease: the id of its prefix, which of its dates, and the day.
pub type TermMarkKey = (u64, TermDate, Date);

/// Keeps events, durably and in one order that every replica sees.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Appends domain events in the order given, all or none, and returns the ones that were new. A change is not new if the
    /// log has it already, or has a later state of the same record. A threshold is not new if the same or a tighter one was
    /// published for that date.
    async fn append(&self, domain_events: &[DomainEvent], now: Timestamp) -> Result<Vec<Event>, Error>;

    /// How far the log reaches at this moment.
    async fn extent(&self) -> Result<LogExtent, Error>;

    /// Up to `limit` events after a sequence, the oldest first.
    async fn read(&self, after: u64, limit: u32) -> Result<Vec<Event>, Error>;

    /// Up to `limit` events before a sequence, the newest first.
    async fn read_back(&self, before: u64, limit: u32) -> Result<Vec<Event>, Error>;

    /// Up to `limit` events about exactly one of these networks, from a position on; events about prefixes inside them are left
    /// out.
    async fn about_networks(
        &self,
        scope: VrfScope,
        networks: &[Network],
        from: LogWalk,
        limit: u32,
    ) -> Result<Vec<Event>, Error>;

    /// Records that from `now` on every change of a record is in the log, and that earlier ones may be missing.
    async fn set_continuous_since(&self, now: Timestamp) -> Result<(), Error>;

    /// For each lease and date, the tightest threshold that was published.
    async fn term_marks(&self) -> Result<HashMap<TermMarkKey, Threshold>, Error>;

    /// Deletes the term marks of prefixes that no longer carry a lease, so that a later lease starts without any.
    async fn forget_term_marks(&self, prefixes: &[u64]) -> Result<(), Error>;

    /// Removes the events that retention lets go, as far as the notifier has routed them. Returns the sequence of the last
    /// event that was ever removed.
    async fn compact(&self, retention: Retention) -> Result<u64, Error>;
}
