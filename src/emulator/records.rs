//! The kinds of records, and one record of any kind.

use ipnet::IpNet;
use jiff::Timestamp;
use serde_json::{Map, Value};

/// The object types that the emulator has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum RecordKind {
    Prefix,
    Address,
    Range,
    Vrf,
    Tenant,
    Role,
    Tag,
    CustomField,
    ChoiceSet,
}

impl RecordKind {
    pub(super) const ALL: [Self; 9] = [
        Self::Prefix,
        Self::Address,
        Self::Range,
        Self::Vrf,
        Self::Tenant,
        Self::Role,
        Self::Tag,
        Self::CustomField,
        Self::ChoiceSet,
    ];

    /// The path of the list below `/api/`.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Prefix => "ipam/prefixes",
            Self::Address => "ipam/ip-addresses",
            Self::Range => "ipam/ip-ranges",
            Self::Vrf => "ipam/vrfs",
            Self::Tenant => "tenancy/tenants",
            Self::Role => "ipam/roles",
            Self::Tag => "extras/tags",
            Self::CustomField => "extras/custom-fields",
            Self::ChoiceSet => "extras/custom-field-choice-sets",
        }
    }

    /// The name in `object_types` and in the change log.
    pub(super) fn object_type(self) -> &'static str {
        match self {
            Self::Prefix => "ipam.prefix",
            Self::Address => "ipam.ipaddress",
            Self::Range => "ipam.iprange",
            Self::Vrf => "ipam.vrf",
            Self::Tenant => "tenancy.tenant",
            Self::Role => "ipam.role",
            Self::Tag => "extras.tag",
            Self::CustomField => "extras.customfield",
            Self::ChoiceSet => "extras.customfieldchoiceset",
        }
    }

    /// The name in the text of NetBox's 404.
    pub(super) fn model(self) -> &'static str {
        match self {
            Self::Prefix => "Prefix",
            Self::Address => "IPAddress",
            Self::Range => "IPRange",
            Self::Vrf => "VRF",
            Self::Tenant => "Tenant",
            Self::Role => "Role",
            Self::Tag => "Tag",
            Self::CustomField => "CustomField",
            Self::ChoiceSet => "CustomFieldChoiceSet",
        }
    }
}

/// A record of any kind. Fields that its kind does not have keep their default.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct EmulatedRecord {
    pub(super) id: u64,
    /// The prefix, the address with its mask, or the first address of a range.
    pub(super) net: Option<IpNet>,
    /// The last address of a range.
    pub(super) end: Option<IpNet>,
    pub(super) vrf: Option<u64>,
    pub(super) status: String,
    /// The role of a prefix, by id.
    pub(super) role: Option<u64>,
    /// The role of an address, which NetBox takes from a fixed set.
    pub(super) role_value: String,
    pub(super) tenant: Option<u64>,
    pub(super) tags: Vec<u64>,
    pub(super) description: String,
    pub(super) dns_name: String,
    pub(super) name: String,
    pub(super) slug: String,
    pub(super) rd: Option<String>,
    /// `is_pool` of a prefix, `mark_populated` of a range, `enforce_unique` of a VRF.
    pub(super) flag: bool,
    pub(super) mark_utilized: bool,
    pub(super) custom_fields: Map<String, Value>,
    /// The attributes of a custom field or a choice set, as they were posted.
    pub(super) definition: Map<String, Value>,
    pub(super) created: Timestamp,
    pub(super) last_updated: Option<Timestamp>,
}

impl EmulatedRecord {
    pub(super) fn new(kind: RecordKind, now: Timestamp) -> Self {
        Self {
            id: 0,
            net: None,
            end: None,
            vrf: None,
            status: "active".to_owned(),
            role: None,
            role_value: String::new(),
            tenant: None,
            tags: Vec::new(),
            description: String::new(),
            dns_name: String::new(),
            name: String::new(),
            slug: String::new(),
            rd: None,
            // NetBox's default: a VRF enforces uniqueness, a prefix is no pool, a range is not populated.
            flag: kind == RecordKind::Vrf,
            mark_utilized: false,
            custom_fields: Map::new(),
            definition: Map::new(),
            created: now,
            last_updated: Some(now),
        }
    }
}
