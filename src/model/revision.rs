//! The version of a record, by which an older copy is told from a newer one.

use serde::{Deserialize, Serialize};

/// NetBox's `last_updated` of a record, parsed into an instant. The cache keeps the copy with the later revision, and If-Match
/// is computed from it.
///
/// Revisions are compared as instants, never as text: NetBox leaves out a fraction of zero, so the order of its text is not
/// the order of time. A record without `last_updated` (written past the API, by a bulk load) counts as older than any other.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub Option<jiff::Timestamp>);

impl Revision {
    /// The time of the last change; `None` if NetBox recorded none.
    pub fn instant(&self) -> Option<jiff::Timestamp> {
        self.0
    }
}
