//! The outbox: what is to be told to whom, until it is told.

use async_trait::async_trait;
use jiff::Timestamp;

use super::database::Error;
use crate::model::Event;

/// What has become of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// To be sent, or to be sent again.
    Waiting,
    /// The sink took it.
    Sent,
    /// Given up: it waits for a person.
    Dead,
}

impl DeliveryState {
    /// Its word in the ledger.
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
            other => Err(Error::Unreadable(format!("a delivery that is {other:?}"))),
        }
    }
}

/// One event for one sink.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// Stable over retries. Example: `6f1c2a90-17-ops`.
    pub id: String,
    /// The sink's name.
    pub sink: String,
    /// The event, whole: it stays tellable after the log has let it go.
    pub event: Event,
    /// What has become of it.
    pub state: DeliveryState,
    /// Tries so far.
    pub attempts: u32,
    /// Not before this.
    pub due: Timestamp,
    /// When it was routed.
    pub created: Timestamp,
    /// When it was last tried.
    pub updated: Timestamp,
    /// Why the last try failed; empty if none did.
    pub error: String,
}

/// What a try came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The sink took it.
    Sent,
    /// Try again at this time.
    Later(Timestamp, String),
    /// Give up.
    Dead(String),
}

/// Which deliveries to list; the newest first.
#[derive(Clone, Debug, Default)]
pub struct ListDeliveries {
    /// Only in this state.
    pub state: Option<DeliveryState>,
    /// Only for this sink; all if empty.
    pub sink: String,
    /// Only those that come after this one in the order.
    pub after: Option<(Timestamp, String)>,
    /// At most so many.
    pub limit: u32,
}

/// Keeps deliveries and open tickets, durably.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// Adds deliveries and records, with them, up to which event all are routed. A delivery that is there stays as it is.
    async fn route(&self, upto: u64, deliveries: &[Delivery]) -> Result<(), Error>;

    /// Takes deliveries of a sink that are due, the oldest first; none while an earlier one of the same matter waits for a later
    /// time, so that an end is never told before its beginning. They are due again at `until`, should this server die
    /// before it says what became of them.
    async fn claim(
        &self,
        sink: &str,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<Delivery>, Error>;

    /// Says what became of deliveries that were claimed.
    async fn settle(&self, ids: &[String], outcome: &Outcome, now: Timestamp) -> Result<(), Error>;

    /// A page of deliveries, the newest first.
    async fn deliveries(&self, wanted: &ListDeliveries) -> Result<Vec<Delivery>, Error>;

    /// Makes dead deliveries wait again, all of a sink's or those named; how many.
    async fn replay(&self, sink: &str, ids: &[String], now: Timestamp) -> Result<u64, Error>;

    /// How many wait and how many are dead.
    async fn backlog(&self) -> Result<(u64, u64), Error>;

    /// Removes deliveries that were sent before this time.
    async fn forget_sent(&self, before: Timestamp) -> Result<(), Error>;

    /// The tracker's name of the ticket that stands open about something.
    async fn ticket(&self, sink: &str, key: &str) -> Result<Option<String>, Error>;

    /// Records a ticket.
    async fn open_ticket(&self, sink: &str, key: &str, reference: &str, now: Timestamp) -> Result<(), Error>;

    /// Forgets a ticket that was closed.
    async fn close_ticket(&self, sink: &str, key: &str) -> Result<(), Error>;
}
