//! NetBox as a peer: everything that is known of its REST stands here and leaves only as nouns of [`crate::model`].
//!
//! A [`Client`] speaks to one NetBox. Reads are retried (back-off, Retry-After); **writes never are**, since a repeated
//! POST may allocate twice: the caller asks the record what became of it. Big reads come in [`Slice`]s by id, never by
//! offset; single changes come from the change log ([`Change`]). What NetBox's versions do differently is decided once,
//! from its version, in [`Capabilities`].
//!
//! # Error handling
//!
//! [`Error`] says what the caller can still do, not which library failed. Two questions matter and both have an answer
//! on the type: may the same read be tried again ([`Error::is_transient`]), and is a write that failed *known* not to
//! have happened ([`Error::certainty`])? A time-out, a cut connection, a 5xx or half an answer leave a write
//! [`Certainty::Unknown`]: only the record can tell.
//!
//! # Field names
//!
//! Leasehold's own custom fields ([`Field`]) may be called otherwise in an existing NetBox; [`FieldNames`] maps them.
//! [`schema`] creates what is missing.

mod changes;
mod client;
mod error;
mod fields;
mod pages;
mod past;
pub mod permissions;
mod records;
pub mod schema;
mod settings;
mod transport;
mod version;
mod wire;
mod writes;

pub use changes::{Action, Change, ObjectKind};
pub use client::Client;
pub use error::{Certainty, Error, FieldProblem, Result};
pub use fields::{Field, FieldChange, FieldNames};
pub use pages::{Extent, Slice};
pub use past::{About, Logged, PastChange};
pub use records::Record;
pub use settings::{NetBoxSettings, SettingsError};
pub use version::{Capabilities, Version};
pub use writes::{AddressDraft, PrefixDraft};
