//! The client of NetBox's REST API, and everything that is specific to NetBox.
//!
//! NetBox's JSON, filter names (`vrf_id=null`, `within_include`, `cf_…`), error texts, page and URL limits are known in this
//! room only. Other rooms call a named question or write of [`Client`], such as [`Client::addresses_at`] or
//! [`Client::create_prefix`], and receive nouns of [`crate::model`].
//!
//! Reads are retried with a back-off that honours Retry-After. **Writes are sent once**, because a repeated POST could
//! allocate twice. Everything is read in [`IdSlice`]s by id, never by offset; single changes come from the change log as
//! [`ObjectChange`]s. What differs between versions of NetBox is decided once, in [`Capabilities`].
//!
//! # Error handling
//!
//! [`Error`] says what the caller can still do, not which library failed. Two questions have an answer on the type: may the
//! same read be tried again ([`Error::is_transient`]), and is a write that failed *known* not to have happened
//! ([`Error::certainty`])? A time-out, a broken connection, a 5xx or a truncated answer leave a write
//! [`Certainty::Unknown`]; only a later read of the record can tell. Refusals that NetBox tells apart by text alone, such as
//! a duplicate, are variants of their own; every request asks for English, so that the texts can be recognised.
//!
//! # Custom fields
//!
//! An existing NetBox may have other names for Leasehold's custom fields ([`Field`]); [`FieldNames`] maps them. [`schema`]
//! creates the missing ones, [`permissions`] checks what the token may do.

mod address_lists;
mod answer;
mod change_log;
mod client;
mod custom_fields;
mod error;
mod field_defaults;
mod fields;
mod links;
mod lists;
mod lookups;
mod measure_check;
mod noted_changes;
mod object_changes;
mod pages;
pub mod permissions;
mod records;
mod request;
mod rights;
pub mod schema;
mod settings;
mod transport;
mod unique_check;
mod version;
mod wire;
mod writes;

pub use address_lists::{AddressChange, AddressDraft, NewAddress};
pub use change_log::{ChangeAction, ObjectChange, ObjectKind};
pub use client::Client;
pub use custom_fields::{AllocationIdField, CustomFields, RequiredField};
pub use error::{Certainty, Error, FieldProblem, NetBoxResult};
pub use fields::{Field, FieldChange, FieldNames, FieldNamesError};
pub use links::prefix_page;
pub use noted_changes::{NotedChange, NotedRecord};
pub use object_changes::ObjectChangeData;
pub use pages::{IdBounds, IdSlice};
pub use records::NetBoxRecord;
pub use settings::{NetBoxSettings, NetBoxSettingsError};
pub use unique_check::UniqueCheck;
pub use version::{Capabilities, Version};
pub use writes::{ChangeNote, PrefixDraft, ValueChange};
