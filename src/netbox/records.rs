//! The kinds of records that are read from NetBox.

use serde_json::Value;

use super::fields::FieldNames;
use super::wire;
use crate::model::{Address, IpRange, Prefix, Vrf};

/// A kind of NetBox record that is cached.
pub trait Record: Sized + Send + Sync + 'static {
    /// Below `/api/`, with a trailing slash.
    const PATH: &'static str;
    /// The fields asked for: a quarter of the cost of all of them.
    const FIELDS: &'static str;

    /// NetBox's id.
    fn id(&self) -> u64;

    /// From NetBox's JSON. The error says which field of which record could not be understood.
    fn parse(json: &Value, names: &FieldNames) -> Result<Self, String>;
}

impl Record for Prefix {
    const PATH: &'static str = "ipam/prefixes/";
    const FIELDS: &'static str =
        "id,prefix,vrf,status,is_pool,mark_utilized,tenant,role,tags,description,custom_fields,last_updated";

    fn id(&self) -> u64 {
        self.id.0
    }

    fn parse(json: &Value, names: &FieldNames) -> Result<Self, String> {
        wire::prefix(json, names)
    }
}

impl Record for Address {
    const PATH: &'static str = "ipam/ip-addresses/";
    const FIELDS: &'static str =
        "id,address,vrf,status,role,tenant,tags,dns_name,description,custom_fields,last_updated";

    fn id(&self) -> u64 {
        self.id.0
    }

    fn parse(json: &Value, names: &FieldNames) -> Result<Self, String> {
        wire::address(json, names)
    }
}

impl Record for IpRange {
    const PATH: &'static str = "ipam/ip-ranges/";
    const FIELDS: &'static str =
        "id,start_address,end_address,vrf,status,mark_populated,description,last_updated";

    fn id(&self) -> u64 {
        self.id.0
    }

    fn parse(json: &Value, _: &FieldNames) -> Result<Self, String> {
        wire::ip_range(json)
    }
}

impl Record for Vrf {
    const PATH: &'static str = "ipam/vrfs/";
    const FIELDS: &'static str = "id,name,rd,enforce_unique,last_updated";

    fn id(&self) -> u64 {
        self.id.0
    }

    fn parse(json: &Value, _: &FieldNames) -> Result<Self, String> {
        wire::vrf(json)
    }
}
