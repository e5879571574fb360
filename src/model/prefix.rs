//! NetBox's record of a prefix.

use serde::{Deserialize, Serialize};

use super::allocation_id::AllocationId;
use super::ids::PrefixId;
use super::lease::Lease;
use super::named_ref::NamedRef;
use super::network::Network;
use super::revision::Revision;
use super::vrf::VrfScope;

/// NetBox's record of a prefix, with the custom fields of Leasehold parsed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prefix {
    pub id: PrefixId,
    pub network: Network,
    #[serde(rename = "table")]
    pub scope: VrfScope,
    /// NetBox's value, such as `active` or `container`. It is text because an administrator of NetBox can add choices.
    pub status: String,
    /// NetBox's `is_pool`: the network address and the broadcast address are usable too.
    pub is_pool: bool,
    /// NetBox's `mark_utilized`: the prefix counts as fully used, whatever it contains.
    pub mark_utilized: bool,
    pub tenant: Option<NamedRef>,
    pub role: Option<NamedRef>,
    pub tags: Vec<NamedRef>,
    pub description: String,
    /// The lease that this prefix itself carries. A lease of a covering prefix is not repeated here.
    pub lease: Option<Box<Lease>>,
    /// Identifies the request that allocated the prefix; `None` if Leasehold did not allocate it.
    pub allocation: Option<AllocationId>,
    /// The custom fields that are not Leasehold's own, as NetBox's JSON.
    pub custom_fields: serde_json::Map<String, serde_json::Value>,
    pub revision: Revision,
}

impl Prefix {
    /// An active prefix with every optional part empty.
    pub fn bare(id: PrefixId, network: Network, scope: VrfScope) -> Self {
        Self {
            id,
            network,
            scope,
            status: "active".to_owned(),
            is_pool: false,
            mark_utilized: false,
            tenant: None,
            role: None,
            tags: Vec::new(),
            description: String::new(),
            lease: None,
            allocation: None,
            custom_fields: serde_json::Map::new(),
            revision: Revision::default(),
        }
    }
}
