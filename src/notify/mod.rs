//! What happens reaches people where they already look: chat, mail, pagers, trackers, and programs of theirs.
//!
//! The log is the source. The router walks it, event by event, and writes a delivery into the ledger's outbox for each sink
//! that a [`Route`] names, together with how far it has come: nothing is routed twice, nothing is left out. The [`Notifier`]
//! then sends what is due. A delivery is *sent* once its sink has said so; until then it is tried again, ever more rarely,
//! and after [`policy::GIVE_UP_AFTER`] it is dead: listed for a person, who can replay it. So a delivery arrives at least
//! once, under an id that never changes.
//!
//! [`policy`], [`route`] and [`message`] are pure; each sink is one file and one [`sink::Sink`]. Sinks go to addresses that a
//! person configured, over the network of a server that others may configure: [`crate::web::guard`] keeps them off private and loopback
//! addresses unless told.

pub mod alertmanager;
pub mod email;
mod http;
pub mod message;
mod notifier;
pub mod policy;
pub mod route;
pub mod settings;
pub mod sink;
pub mod slack;
pub mod ticket;
pub mod webhook;

pub use notifier::{Error, Notifier, SinkState};
pub use route::{Route, Severity};
pub use settings::{NotifySettings, SinkSettings, Target};
