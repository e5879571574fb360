//! A record that another record refers to by id and name.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A tenant, role or tag of a prefix or address, as NetBox nests it in that record.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NamedRef {
    pub id: u64,
    /// The name that people read.
    pub name: Arc<str>,
    /// The slug that API filters use.
    pub slug: Arc<str>,
}
