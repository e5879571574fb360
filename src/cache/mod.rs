//! The copy of NetBox's records: an [`Index`] in memory for readers, and a file from which a restarted server continues.
//!
//! Readers call [`Cache::read`] and get a snapshot. They never lock, never wait and never touch the file. A change copies only
//! the few nodes on its path ([`trie::Trie`]) and shares all others with the earlier snapshot. So one change among a million
//! addresses costs microseconds, and nobody who still reads the earlier snapshot notices it.
//!
//! An answer takes one snapshot by [`Cache::ready_snapshot`], which fails while there is nothing to serve. It finds the prefix
//! that a request names by [`Index::resolve`], and a list of prefixes by [`search_prefixes`].
//!
//! There is one writer. Changes come as a [`Batch`] and are in the current snapshot when [`Cache::apply`] returns. A full pass
//! builds the next *generation* beside the one in service ([`Cache::begin_pass`], [`Cache::add_page`], [`Cache::finish_pass`]).
//! Changes that arrive during the pass are applied to both. A pass that is interrupted leaves the old generation in service.
//!
//! Whoever reads records from NetBox says when the read began ([`Cache::begin_reading`]), so that a record that was deleted meanwhile
//! does not come back. What was handed out of a pool is shown as the record is to be, whatever is read ([`HandedOut`]).
//!
//! A [`CommitHook`] receives every change, with the records before and after it, before readers see it. The event log is that
//! hook, so what is served and what is published as events cannot differ.
//!
//! # Data storage
//!
//! One SQLite file holds one row for each record, keyed by generation, kind and id. The record is JSON, because nothing is ever
//! looked up in the file: it is read as a whole at the start. A single row beside them holds the identity of the file, the
//! generation in service and its [`Position`] in NetBox's change log. Rows and position are written in one transaction, so the
//! position never promises rows that are missing.
//!
//! The file uses a write-ahead log with `synchronous=NORMAL`. A loss of power can undo the last seconds; the position is then
//! undone with them, and the change log gives them again. The file may be deleted at any time: the next start makes a full pass.
//!
//! The identity says which NetBox the records were read from, with which custom field names, and in which format they are
//! stored. A file of another identity, of another schema, or that is damaged is never served: it gets the suffix
//! `.aside-<time>`, and the cache is read from NetBox again ([`Opened::SetAside`]).
//!
//! # Error handling
//!
//! An [`Error`] from [`Cache::open`] means that the disk refuses: the server cannot start until that is repaired. An error from
//! a write means that the file is older than the memory. Answers stay right and the caller may go on: the position is not moved
//! in that case, so that a restart reads more of the change log. After [`Error::CommitHook`], the change was not made at all.

mod batch;
mod building;
mod commit_hook;
mod deletions;
mod differences;
mod error;
mod family_key;
mod freshness;
mod handed_out;
mod index;
mod lease_order;
mod migrations;
mod position;
mod ready;
mod resolve;
mod search;
mod store;
mod store_rows;
pub mod trie;
mod vrf_key;
mod vrf_names;
mod writer;

pub use batch::Batch;
pub use commit_hook::{CommitHook, NoHook};
pub use deletions::{Deletions, Reading};
pub use differences::Differences;
pub use error::Error;
pub use freshness::Freshness;
pub use handed_out::HandedOut;
pub use index::{Counts, Index, Lookup, Mention};
pub use lease_order::{LeaseOrder, LeaseSortKey};
pub use position::Position;
pub use ready::NotReady;
pub use resolve::{PrefixKey, ResolveError};
pub use search::{Examined, PrefixFilter, PrefixPosition, search_prefixes};
pub use store::{Opened, StoreIdentity};
pub use vrf_key::{VrfError, VrfKey};
pub use writer::Cache;
