//! Notifications: events reach people and their programs where they already look, which is chat, mail, pagers and trackers.
//!
//! The [`Notifier`] has two jobs. The first reads the event log and writes a delivery into the ledger's outbox for each sink that a
//! [`NotificationRoute`] names, together with its position in the log: no event is routed twice or left out. The second sends the
//! deliveries that are due. A delivery is *sent* once its sink has confirmed it. Until then it is tried again, at growing
//! intervals, and after [`GIVE_UP_AFTER`] it is *dead*: it is listed for a person, who can replay it. So a delivery arrives at
//! least once, under an id that never changes.
//!
//! Routes, severities, the texts and the retry policy are pure; each kind of sink is one file that implements [`Sink`].
//!
//! Sinks are at addresses that a person has configured, and the requests come from inside the server's network. Unless a sink is
//! allowed to, [`crate::web::guard`] keeps them away from private and loopback addresses.
//!
//! # Error handling
//!
//! A [`DeliveryFailure`] says whether the message may be taken later. A sink that fails delays no other sink. An [`Error`] of
//! the ledger leaves the deliveries waiting; the next run tries again.

mod alertmanager;
mod email;
mod error;
mod http;
mod notification;
mod notifier;
mod policy;
mod resolution;
mod route;
mod sample;
mod settings;
mod severity;
mod sink;
mod slack;
mod template;
mod ticket;
pub mod trackers;
mod webhook;

pub use error::{Error, NotifySettingsError};
pub use notification::Notification;
pub use notifier::{Notifier, SinkState};
pub use policy::GIVE_UP_AFTER;
pub use route::NotificationRoute;
pub use sample::sample_event;
pub use settings::{
    MailSettings, MailTls, NotifySettings, RequestTemplate, SinkSettings, SinkTarget, TicketAuth,
    TicketSettings,
};
pub use severity::AlertSeverity;
pub use sink::{DeliveryFailure, Sink, SinkKind};
