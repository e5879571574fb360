//! The outbox: each event that a sink has to receive, until the sink has taken it.

use async_trait::async_trait;
use jiff::Timestamp;

use super::error::Error;
use crate::model::Event;

/// Whether a delivery is still to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// To be sent, for the first time or again.
    Waiting,
    /// The sink has confirmed it.
    Sent,
    /// It is not tried again until a person replays it.
    Dead,
}

impl DeliveryState {
    /// The word under which the ledger stores it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sent => "sent",
            Self::Dead => "dead",
        }
    }
}

impl std::str::FromStr for DeliveryState {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self, Error> {
        match word {
            "waiting" => Ok(Self::Waiting),
            "sent" => Ok(Self::Sent),
            "dead" => Ok(Self::Dead),
            other => Err(Error::Unreadable(format!("a delivery in the state {other:?}"))),
        }
    }
}

/// One event for one sink.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// The same for every attempt, so that a receiver can recognise a repetition. Example: `6f1c2a90-17-ops`.
    pub id: String,
    /// The name of the sink.
    pub sink: String,
    /// A full copy: compaction may remove the event from the log before the sink has taken it.
    pub event: Event,
    pub state: DeliveryState,
    /// How often it was claimed to be sent.
    pub attempts: u32,
    /// It is not sent before this instant.
    pub due: Timestamp,
    /// When the notifier wrote it, or a person replayed it.
    pub created: Timestamp,
    /// When it was last claimed, or its last outcome was recorded.
    pub updated: Timestamp,
    /// Why the last attempt failed; `None` if none did.
    pub last_failure: Option<FailedAttempt>,
}

/// Why an attempt to deliver failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedAttempt {
    /// Whether the sink refused the delivery itself, and would refuse it again.
    pub refused: bool,
    /// What happened, for people. It may quote the sink, and never a library.
    pub message: String,
    /// When it failed; `None` if a server of an older version recorded it.
    pub at: Option<Timestamp>,
}

/// What an attempt to deliver came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryOutcome {
    /// The sink has confirmed it.
    Sent,
    /// It is tried again at this time; and why the attempt failed.
    Later(Timestamp, FailedAttempt),
    /// It is not tried again; and why.
    Dead(FailedAttempt),
}

/// Which deliveries to list; the newest come first.
#[derive(Clone, Debug, Default)]
pub struct ListDeliveries {
    /// Only deliveries in this state.
    pub state: Option<DeliveryState>,
    /// Only deliveries to this sink; to any sink if empty.
    pub sink: String,
    /// Begin after the delivery with this time of creation and this id, which is the last one of the page before.
    pub after: Option<(Timestamp, String)>,
    /// The greatest number of deliveries to return.
    pub limit: u32,
}

/// Keeps deliveries and the tickets that are open at trackers, durably.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// Adds deliveries and records, in the same transaction, that the events through the sequence `routed` have theirs. A
    /// delivery that exists already stays as it is.
    async fn enqueue(&self, routed: u64, deliveries: &[Delivery]) -> Result<(), Error>;

    /// Takes up to `limit` deliveries of a sink that are due, the oldest first, and counts an attempt for each. A delivery is
    /// left out while an earlier one with the same ordering key waits for a later time: a sink never hears of an end before
    /// the beginning. Until `until` no other server gets them; after that they are due again, in case this server has died
    /// before it recorded their outcome.
    async fn claim(
        &self,
        sink: &str,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<Delivery>, Error>;

    /// Records what the attempt at claimed deliveries came to.
    async fn record_outcome(
        &self,
        ids: &[String],
        outcome: &DeliveryOutcome,
        now: Timestamp,
    ) -> Result<(), Error>;

    /// A page of deliveries, the newest first.
    async fn deliveries(&self, wanted: &ListDeliveries) -> Result<Vec<Delivery>, Error>;

    /// Makes dead deliveries wait again: those with the given ids, or all if none are given; of one sink, or of any if `sink` is
    /// empty. Returns how many there were.
    async fn replay(&self, sink: &str, ids: &[String], now: Timestamp) -> Result<u64, Error>;

    /// How many deliveries wait, and how many are dead.
    async fn backlog(&self) -> Result<(u64, u64), Error>;

    /// Deletes the deliveries that were sent before an instant.
    async fn forget_sent(&self, before: Timestamp) -> Result<(), Error>;

    /// The tracker's name for the ticket that a sink has open under a deduplication key.
    async fn ticket(&self, sink: &str, key: &str) -> Result<Option<String>, Error>;

    /// Records that a ticket is open. A ticket that is recorded under the key already stays.
    async fn open_ticket(&self, sink: &str, key: &str, reference: &str, now: Timestamp) -> Result<(), Error>;

    /// Deletes the record of a ticket that was closed.
    async fn close_ticket(&self, sink: &str, key: &str) -> Result<(), Error>;
}
