//! What a sink is.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::message::Note;

/// Why something was not delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It may be tomorrow.
    Later {
        /// For people.
        why: String,
        /// The receiver asked for so much patience.
        after: Option<Duration>,
    },
    /// It never will: the receiver refuses it.
    Never {
        /// For people.
        why: String,
    },
}

impl Failure {
    /// It may be tomorrow.
    pub fn later(why: impl Into<String>) -> Self {
        Self::Later { why: why.into(), after: None }
    }

    /// It never will.
    pub fn never(why: impl Into<String>) -> Self {
        Self::Never { why: why.into() }
    }

    /// Why, for people.
    pub fn why(&self) -> &str {
        match self {
            Self::Later { why, .. } | Self::Never { why } => why,
        }
    }
}

/// Takes notes to where somebody reads them.
#[async_trait]
pub trait Sink: Send + Sync {
    /// What it is, for people. Example: `slack`.
    fn kind(&self) -> &'static str;

    /// How many notes it takes in one message.
    fn batch(&self) -> u32 {
        1
    }

    /// The least time between two messages.
    fn pace(&self) -> Duration {
        Duration::ZERO
    }

    /// Whether it keeps something open that a renewal takes back.
    fn takes_back(&self) -> bool {
        false
    }

    /// Delivers notes, all of them or none.
    async fn send(&self, notes: &[Note], now: Timestamp) -> Result<(), Failure>;
}
