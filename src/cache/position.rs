//! A position in NetBox's change log.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The entry of NetBox's change log up to which the cache is complete. Its request id proves later that the log is still the
/// same one: after a restore of NetBox, another entry may have the same id. Stored in the cache file as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The id of the entry; 0 before the first one.
    pub id: u64,
    /// The time of the entry; `None` before the first one.
    pub time: Option<Timestamp>,
    /// NetBox's request id of the entry; empty before the first one.
    pub request: String,
}
