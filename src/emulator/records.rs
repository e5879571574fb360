//! One record, of whatever kind.

use ipnet::IpNet;
use jiff::Timestamp;
use serde_json::{Map, Value};

/// The kinds that are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
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

impl Kind {
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

    /// Below `/api/`.
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

    /// As the change log and object types name it.
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

    /// As NetBox's 404 names it.
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

/// A record. A kind uses the parts that it has.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Record {
    pub(super) id: u64,
    /// Prefix, address with mask, or first address of a range.
    pub(super) net: Option<IpNet>,
    /// Last address of a range.
    pub(super) end: Option<IpNet>,
    pub(super) vrf: Option<u64>,
    pub(super) status: String,
    pub(super) role: Option<u64>,
    /// Role value of an address.
    pub(super) role_value: String,
    pub(super) tenant: Option<u64>,
    pub(super) tags: Vec<u64>,
    pub(super) description: String,
    pub(super) dns_name: String,
    pub(super) name: String,
    pub(super) slug: String,
    pub(super) rd: Option<String>,
    /// is_pool, mark_populated, enforce_unique: whichever the kind has.
    pub(super) flag: bool,
    pub(super) mark_utilized: bool,
    pub(super) custom_fields: Map<String, Value>,
    /// What definitions of custom fields and choice sets say.
    pub(super) definition: Map<String, Value>,
    pub(super) created: Timestamp,
    pub(super) last_updated: Option<Timestamp>,
}

impl Record {
    pub(super) fn new(kind: Kind, now: Timestamp) -> Self {
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
            // VRFs enforce uniqueness unless told.
            flag: kind == Kind::Vrf,
            mark_utilized: false,
            custom_fields: Map::new(),
            definition: Map::new(),
            created: now,
            last_updated: Some(now),
        }
    }
}
