//! The kinds of NetBox records that the cache holds: where each is read, and how it becomes a noun of the model.

use serde_json::Value;

use super::fields::FieldNames;
use super::wire;
use crate::model::{Address, IpRange, Prefix, Vrf};

/// A kind of NetBox record that the cache holds.
pub trait NetBoxRecord: Sized + Send + Sync + 'static {
    /// Path of the list endpoint, relative to `/api/`, with a trailing slash.
    const PATH: &'static str;
    /// The fields to ask for (`fields=`). NetBox needs a quarter of the time that all fields would take.
    const FIELDS: &'static str;

    /// NetBox's id of the record.
    fn id(&self) -> u64;

    /// Parses NetBox's JSON. The error names the record and the field that could not be understood.
    fn parse(json: &Value, names: &FieldNames) -> Result<Self, String>;
}

impl NetBoxRecord for Prefix {
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

impl NetBoxRecord for Address {
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

impl NetBoxRecord for IpRange {
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

impl NetBoxRecord for Vrf {
    const PATH: &'static str = "ipam/vrfs/";
    const FIELDS: &'static str = "id,name,rd,enforce_unique,last_updated";

    fn id(&self) -> u64 {
        self.id.0
    }

    fn parse(json: &Value, _: &FieldNames) -> Result<Self, String> {
        wire::vrf(json)
    }
}
