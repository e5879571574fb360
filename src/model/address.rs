//! Addresses and IP ranges as NetBox records them.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::{AddressId, AllocationId, NamedRef, RangeId, Revision, Table};

/// NetBox's record of an address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Address {
    /// NetBox's id.
    pub id: AddressId,
    /// The address with the mask that NetBox holds for it.
    pub interface: IpNet,
    /// The table it stands in.
    pub table: Table,
    /// NetBox's status value, such as `active`.
    pub status: String,
    /// NetBox's role value, such as `vip` or `anycast`.
    pub role: Option<String>,
    /// The tenant.
    pub tenant: Option<NamedRef>,
    /// The tags.
    pub tags: Vec<NamedRef>,
    /// The DNS name, empty if none.
    pub dns_name: String,
    /// Free text.
    pub description: String,
    /// Who allocated it through Leasehold.
    pub allocation: Option<AllocationId>,
    /// Custom fields that are not Leasehold's own.
    pub custom_fields: serde_json::Map<String, serde_json::Value>,
    /// NetBox's version of the record.
    pub revision: Revision,
}

impl Address {
    /// The host address without its mask.
    pub fn host(&self) -> IpAddr {
        self.interface.addr()
    }
}

/// NetBox's record of an IP range, both ends inclusive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IpRange {
    /// NetBox's id.
    pub id: RangeId,
    /// First address.
    pub start: IpAddr,
    /// Last address.
    pub end: IpAddr,
    /// The table it stands in.
    pub table: Table,
    /// NetBox's status value.
    pub status: String,
    /// Its addresses count as taken: available-ips skips them (NetBox 4.3 and later; before, every range was skipped).
    pub populated: bool,
    /// Free text.
    pub description: String,
    /// NetBox's version of the record.
    pub revision: Revision,
}
