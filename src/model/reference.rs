//! Identities: NetBox's ids, the table a record stands in, and named things that hang on a record.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

macro_rules! netbox_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

netbox_id!(
    /// NetBox's id of a prefix. Never reused by NetBox.
    PrefixId
);
netbox_id!(
    /// NetBox's id of an address.
    AddressId
);
netbox_id!(
    /// NetBox's id of an IP range.
    RangeId
);
netbox_id!(
    /// NetBox's id of a VRF.
    VrfId
);

/// The routing table that a record stands in. The same prefix may stand in several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Table {
    /// NetBox's global table: records without a VRF.
    #[default]
    Global,
    /// The table of one VRF.
    Vrf(VrfId),
}

impl Table {
    /// The VRF's id, `None` for the global table.
    pub fn vrf(self) -> Option<VrfId> {
        match self {
            Self::Global => None,
            Self::Vrf(id) => Some(id),
        }
    }

    /// From a wire number where 0 stands for the global table.
    pub fn from_number(id: u64) -> Self {
        if id == 0 { Self::Global } else { Self::Vrf(VrfId(id)) }
    }

    /// The wire number: 0 for the global table.
    pub fn number(self) -> u64 {
        self.vrf().map_or(0, |id| id.0)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Global => f.write_str("the global table"),
            Self::Vrf(id) => write!(f, "VRF {id}"),
        }
    }
}

/// Where else something stands, as the end of a sentence; nothing if it stands nowhere.
pub fn elsewhere(tables: &[Table]) -> String {
    if tables.is_empty() {
        return String::new();
    }
    let names: Vec<String> = tables.iter().map(ToString::to_string).collect();
    format!("; it stands in {}: name the table with vrf_id", names.join(", "))
}

/// A VRF: a routing table of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vrf {
    /// NetBox's id.
    pub id: VrfId,
    /// Its name, not necessarily unique.
    pub name: String,
    /// Route distinguisher, if one is set.
    pub rd: Option<String>,
    /// Whether NetBox refuses duplicate prefixes and addresses in this VRF (`enforce_unique`).
    pub enforce_unique: bool,
    /// When NetBox last changed it.
    pub revision: Revision,
}

/// A tenant, a role or a tag as it stands on a record.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NamedRef {
    /// NetBox's id.
    pub id: u64,
    /// The name that people read.
    pub name: Arc<str>,
    /// The slug that programs filter by.
    pub slug: Arc<str>,
}

/// NetBox's `last_updated` of a record, to the letter: the version that If-Match and cache races are decided by.
///
/// NetBox writes ISO 8601 in UTC with a fixed width, so the text orders as time does; a record without one (bulk loads
/// past the API) is older than any other.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub Option<jiff::Timestamp>);

impl Revision {
    /// The instant, if NetBox recorded one.
    pub fn instant(&self) -> Option<jiff::Timestamp> {
        self.0
    }
}
