//! Wiring: the only room that knows every other. It starts a server, runs it, drains it and stops it.
//!
//! A start has four steps, each in a file of its own: open the stores, make the capabilities, start the jobs, serve the
//! edge. It needs the settings, the files and the ports, and nothing else: NetBox may be out of reach. A stop takes no more
//! calls, ends the streams with their resume tokens, and waits for the writes that calls began.

mod capabilities;
mod descriptors;
mod edge;
mod error;
mod gathered;
mod jobs;
mod leadership;
mod running;
mod sources;
mod stores;
mod triggers;

pub use error::Error;
pub use running::{Running, start};
