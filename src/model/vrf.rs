//! VRFs, and the scope that every prefix, address and range belongs to.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::ids::VrfId;
use super::revision::Revision;

/// The scope of a record: NetBox's global table, or one VRF. The same prefix may exist in several scopes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum VrfScope {
    /// Records without a VRF.
    #[default]
    Global,
    Vrf(VrfId),
}

impl VrfScope {
    /// The id of the VRF; `None` for the global table.
    pub fn vrf(self) -> Option<VrfId> {
        match self {
            Self::Global => None,
            Self::Vrf(id) => Some(id),
        }
    }

    /// Reads the number that the API and the ledger use for a scope: 0 for the global table, else the VRF's id.
    pub fn from_number(id: u64) -> Self {
        if id == 0 { Self::Global } else { Self::Vrf(VrfId(id)) }
    }

    /// The number that the API and the ledger use for this scope: 0 for the global table, else the VRF's id.
    pub fn number(self) -> u64 {
        self.vrf().map_or(0, |id| id.0)
    }
}

impl fmt::Display for VrfScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Global => f.write_str("the global table"),
            Self::Vrf(id) => write!(f, "VRF {id}"),
        }
    }
}

/// NetBox's record of a VRF.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vrf {
    pub id: VrfId,
    /// NetBox allows several VRFs of the same name.
    pub name: String,
    /// The route distinguisher, if one is set.
    pub rd: Option<String>,
    /// Whether NetBox refuses duplicate prefixes and addresses in this VRF.
    pub enforce_unique: bool,
    pub revision: Revision,
}
