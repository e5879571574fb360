//! What a sink is: something that takes notifications to where people or programs read them.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::notification::Notification;

/// Why a sink did not take a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryFailure {
    /// The same message may be taken later.
    Transient {
        reason: String,
        /// The least time that the receiver asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// The receiver refuses this message, and would do so again.
    Permanent { reason: String },
}

impl DeliveryFailure {
    /// [`DeliveryFailure::code`] of a transient failure.
    pub const FAILED: &str = "SINK_FAILED";
    /// [`DeliveryFailure::code`] of a permanent failure.
    pub const REFUSED: &str = "SINK_REFUSED";

    /// A failure after which the message is tried again.
    pub fn transient(reason: impl Into<String>) -> Self {
        Self::Transient { reason: reason.into(), retry_after: None }
    }

    /// A failure after which the message is not tried again.
    pub fn permanent(reason: impl Into<String>) -> Self {
        Self::Permanent { reason: reason.into() }
    }

    /// The reason for programs: the same in the state of a sink, in that of a delivery, and in the error of TestSink.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Transient { .. } => Self::FAILED,
            Self::Permanent { .. } => Self::REFUSED,
        }
    }

    /// Why the message was not taken, for people. It may quote the sink, and holds neither a secret nor the text of a library.
    pub fn reason(&self) -> &str {
        match self {
            Self::Transient { reason, .. } | Self::Permanent { reason } => reason,
        }
    }
}

/// The kind of place that a sink sends to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinkKind {
    Slack,
    Webhook,
    Email,
    Alertmanager,
    Ticket,
}

/// Takes notifications to where somebody reads them.
#[async_trait]
pub trait Sink: Send + Sync {
    /// What kind of sink it is.
    fn kind(&self) -> SinkKind;

    /// The greatest number of notifications in one message.
    fn batch_size(&self) -> u32 {
        1
    }

    /// The least time between two messages.
    fn min_interval(&self) -> Duration {
        Duration::ZERO
    }

    /// Whether the sink keeps a problem open, such as a ticket, until an event resolves it.
    fn keeps_open(&self) -> bool {
        false
    }

    /// Sends notifications. After an error all of them count as not sent, and are sent again under the same ids.
    async fn send(&self, notifications: &[Notification], now: Timestamp) -> Result<(), DeliveryFailure>;
}
