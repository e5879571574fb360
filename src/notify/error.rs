//! The errors of the notifier and of its settings.

use crate::ledger;
use crate::web::PrivateAddress;

/// Notifications cannot be set up, or one cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("sink {name}: {source}")]
    Sink { name: String, source: NotifySettingsError },
    #[error("there is no sink named {0:?}, but a route leads to it")]
    NoSuchSink(String),
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    /// The last message to the sink failed. The deliveries wait and are tried again; nobody has to do anything.
    #[error("{sink} does not accept deliveries, which are tried again later: {reason}")]
    SinkFailing { sink: String, reason: String },
}

/// Settings from which no sink can be made.
#[derive(Debug, thiserror::Error)]
pub enum NotifySettingsError {
    #[error("the setting url is not a URL")]
    Url,
    #[error(transparent)]
    PrivateAddress(#[from] PrivateAddress),
    #[error("the signing secret is not base64, with or without whsec_ before it")]
    Secret,
    #[error("{0:?} is not a mailbox such as Leasehold <leasehold@example.net>")]
    Mailbox(String),
    #[error("the setting to names no recipient")]
    NoRecipient,
    #[error("the template {0:?} does not give a URL")]
    Template(String),
    #[error("the client cannot be set up: {0}")]
    Client(String),
}
