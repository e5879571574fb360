//! GETs of documents over HTTP, bounded in time and size, with ETags so that an unchanged document is not sent again.
//!
//! Every HTTP peer uses it except NetBox and the notification sinks, which have clients of their own. Some URLs are not the
//! operator's choice: the URL of a geofeed comes from a record that many people may edit. For those [`WebClient::public`]
//! connects to public addresses only; see [`guard`].

mod client;
mod connection_fault;
mod error;
pub mod guard;

pub use client::{Fetched, WebClient};
pub use connection_fault::ConnectionFault;
pub use error::{Error, PrivateAddress};
