//! NetBox's records of IP addresses and IP ranges.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::allocation_id::AllocationId;
use super::ids::{AddressId, RangeId};
use super::named_ref::NamedRef;
use super::revision::Revision;
use super::vrf::VrfScope;

/// Whether NetBox's record of an address says what is shown here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordState {
    #[default]
    Recorded,
    /// The address was handed out of a pool. NetBox holds its record, which still says that the pool has reserved it.
    Pending,
}

impl RecordState {
    // serde passes a reference.
    #[expect(clippy::trivially_copy_pass_by_ref)]
    fn is_recorded(&self) -> bool {
        *self == Self::Recorded
    }
}

/// NetBox's record of an IP address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Address {
    pub id: AddressId,
    /// The address with the mask that NetBox records for it.
    pub interface: IpNet,
    #[serde(rename = "table")]
    pub scope: VrfScope,
    /// NetBox's value, such as `active`. It is text because an administrator of NetBox can add choices.
    pub status: String,
    /// NetBox's value, such as `vip` or `anycast`.
    pub role: Option<String>,
    pub tenant: Option<NamedRef>,
    pub tags: Vec<NamedRef>,
    /// Empty if the record has no DNS name.
    pub dns_name: String,
    pub description: String,
    /// Identifies the request that allocated the address; `None` if Leasehold did not allocate it.
    pub allocation: Option<AllocationId>,
    /// The custom fields that are not Leasehold's own, as NetBox's JSON.
    pub custom_fields: serde_json::Map<String, serde_json::Value>,
    pub revision: Revision,
    #[serde(default, skip_serializing_if = "RecordState::is_recorded")]
    pub record_state: RecordState,
}

impl Address {
    /// An active address with every optional part empty.
    pub fn bare(id: AddressId, interface: IpNet, scope: VrfScope) -> Self {
        Self {
            id,
            interface,
            scope,
            status: "active".to_owned(),
            role: None,
            tenant: None,
            tags: Vec::new(),
            dns_name: String::new(),
            description: String::new(),
            allocation: None,
            custom_fields: serde_json::Map::new(),
            revision: Revision::default(),
            record_state: RecordState::Recorded,
        }
    }

    /// Whether a pool has reserved the address, and nobody has it.
    pub fn is_in_pool(&self) -> bool {
        self.allocation.as_ref().is_some_and(|allocation| allocation.request.is_of_pool())
    }

    /// The host address without its mask.
    pub fn host(&self) -> IpAddr {
        self.interface.addr()
    }
}

/// NetBox's record of an IP range. Both ends belong to the range.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IpRange {
    pub id: RangeId,
    pub start: IpAddr,
    pub end: IpAddr,
    #[serde(rename = "table")]
    pub scope: VrfScope,
    /// NetBox's value, such as `active`. It is text because an administrator of NetBox can add choices.
    pub status: String,
    /// Whether every address of the range counts as taken. NetBox decides so since 4.3 by `mark_populated`; older versions
    /// take every range for populated.
    pub populated: bool,
    pub description: String,
    pub revision: Revision,
}
