//! The bytes that a command's fingerprint is made of, version 1.
//!
//! A retry is recognised by the fingerprint that the ledger stored for its request id, so the bytes of a version never change:
//! if they did, a retry across an upgrade would be refused as REQUEST_ID_REUSED. Version 1 is JSON without whitespace, with the
//! names below, in this order. The structs here exist only to spell them: a field of a command can be renamed freely, and a
//! field that is added to a command must be left out of the JSON while it has its default value. What cannot be said in this
//! form needs version 2 beside version 1, not a change of version 1.
//!
//! tests/golden/fingerprints.json holds bodies and digests as version 0.1 of Leasehold wrote them.

use serde::Serialize;
use serde_json::{Map, Value};

use super::commands::{
    AllocateAddresses, AllocatePrefix, AssignAddress, ParentSelector, RecordText, ReleaseAddresses,
};
use super::plan::Purpose;
use super::plan::requirement::Requirement;
use crate::ledger::Fingerprint;
use crate::model::{DnsName, Network, VrfScope};

/// A command whose retries are recognised by a fingerprint.
pub(super) trait Fingerprinted {
    /// The JSON that stands for the command, without its request id.
    fn body(&self) -> String;

    /// The digest of the body.
    fn fingerprint_of_body(&self) -> Fingerprint {
        Fingerprint::version_1(self.body().as_bytes())
    }
}

impl Fingerprinted for AllocateAddresses {
    fn body(&self) -> String {
        json(&AllocateAddressesV1 {
            origin: (&self.parent).into(),
            count: self.count,
            text: (&self.text).into(),
            exclude: texts(&self.exclude),
            include_children: self.include_children,
            purpose: purpose(self.purpose),
            include_resting: self.include_quarantined,
        })
    }
}

impl Fingerprinted for AllocatePrefix {
    fn body(&self) -> String {
        json(&AllocatePrefixV1 {
            origin: (&self.parent).into(),
            length: self.length,
            text: (&self.text).into(),
            exclude: texts(&self.exclude),
            purpose: purpose(self.purpose),
        })
    }
}

impl Fingerprinted for AssignAddress {
    fn body(&self) -> String {
        json(&AssignAddressV1 {
            address: self.address.to_string(),
            table: self.scope.into(),
            text: (&self.text).into(),
        })
    }
}

impl Fingerprinted for ReleaseAddresses {
    fn body(&self) -> String {
        json(&match self {
            Self::Allocation(request) => ReleaseV1::Allocation(request.as_str()),
            Self::Addresses { scope, addresses, allow_foreign } => ReleaseV1::Addresses {
                table: (*scope).into(),
                addresses: addresses.iter().map(ToString::to_string).collect(),
                foreign: *allow_foreign,
            },
        })
    }
}

#[derive(Serialize)]
struct AllocateAddressesV1<'a> {
    origin: OriginV1<'a>,
    count: u32,
    text: TextV1<'a>,
    exclude: Vec<String>,
    include_children: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    purpose: Option<&'static str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    include_resting: bool,
}

#[derive(Serialize)]
struct AllocatePrefixV1<'a> {
    origin: OriginV1<'a>,
    length: u8,
    text: TextV1<'a>,
    exclude: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purpose: Option<&'static str>,
}

#[derive(Serialize)]
struct AssignAddressV1<'a> {
    address: String,
    table: TableV1,
    text: TextV1<'a>,
}

#[derive(Serialize)]
enum ReleaseV1<'a> {
    Allocation(&'a str),
    Addresses { table: TableV1, addresses: Vec<String>, foreign: bool },
}

#[derive(Serialize)]
enum OriginV1<'a> {
    Prefix(TableV1, String),
    Id(u64),
    Any(RequirementV1<'a>),
}

#[derive(Serialize)]
pub(super) enum TableV1 {
    Global,
    Vrf(u64),
}

#[derive(Serialize)]
struct RequirementV1<'a> {
    owner: Option<&'a str>,
    tag: Option<&'a str>,
    role: Option<&'a str>,
    table: Option<TableV1>,
    min_days_left: Option<i32>,
    clean: bool,
    ipv6: bool,
}

#[derive(Serialize)]
struct TextV1<'a> {
    status: &'a str,
    description: &'a str,
    dns_name: &'a str,
    tenant: Option<String>,
    role: Option<&'a str>,
    tags: &'a [String],
    #[serde(skip_serializing_if = "Map::is_empty")]
    custom_fields: &'a Map<String, Value>,
}

impl<'a> From<&'a ParentSelector> for OriginV1<'a> {
    fn from(parent: &'a ParentSelector) -> Self {
        match parent {
            ParentSelector::Prefix(scope, network) => Self::Prefix((*scope).into(), network.to_string()),
            ParentSelector::Id(id) => Self::Id(id.0),
            ParentSelector::Any(requirement) => Self::Any(requirement.into()),
        }
    }
}

impl From<VrfScope> for TableV1 {
    fn from(scope: VrfScope) -> Self {
        match scope {
            VrfScope::Global => Self::Global,
            VrfScope::Vrf(id) => Self::Vrf(id.0),
        }
    }
}

impl<'a> From<&'a Requirement> for RequirementV1<'a> {
    fn from(requirement: &'a Requirement) -> Self {
        Self {
            owner: requirement.owner.as_deref(),
            tag: requirement.tag.as_deref(),
            role: requirement.role.as_deref(),
            table: requirement.scope.map(TableV1::from),
            min_days_left: requirement.min_days_left,
            clean: requirement.clean,
            ipv6: requirement.ipv6,
        }
    }
}

impl<'a> From<&'a RecordText> for TextV1<'a> {
    fn from(text: &'a RecordText) -> Self {
        Self {
            status: &text.status,
            description: &text.description,
            dns_name: text.dns_name.as_ref().map_or("", DnsName::as_written),
            tenant: text.tenant.as_ref().map(ToString::to_string),
            role: text.role.as_deref(),
            tags: &text.tags,
            custom_fields: &text.custom_fields,
        }
    }
}

/// The general purpose is left out: requests made before purposes existed keep their fingerprints.
fn purpose(purpose: Purpose) -> Option<&'static str> {
    match purpose {
        Purpose::General => None,
        Purpose::Mail => Some("mail"),
    }
}

pub(super) fn texts(networks: &[Network]) -> Vec<String> {
    networks.iter().map(ToString::to_string).collect()
}

pub(super) fn json(body: &impl Serialize) -> String {
    // Structs of strings, numbers and lists always serialise.
    serde_json::to_string(body).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{PrefixId, RequestId, TenantKey, VrfId};

    const GOLDEN: &str = include_str!("../../tests/golden/fingerprints.json");

    fn assert_golden(name: &str, command: &impl Fingerprinted) {
        let golden: Value = serde_json::from_str(GOLDEN).unwrap();
        assert_eq!(command.body(), golden[name]["body"].as_str().unwrap(), "{name}");
        assert_eq!(
            command.fingerprint_of_body().stored(),
            golden[name]["sha256"].as_str().unwrap(),
            "{name}"
        );
    }

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    #[test]
    fn fingerprints_are_those_that_version_0_1_stored() {
        let text = RecordText {
            status: "reserved".into(),
            description: "Customer 4711 \"quoted\" äöü".into(),
            dns_name: Some("host.customer.example".parse().unwrap()),
            tenant: Some(TenantKey::Slug("acme".into())),
            role: Some("customer".into()),
            tags: vec!["leased".into(), "web".into()],
            custom_fields: Map::new(),
        };
        let plain = RecordText { status: "active".into(), ..RecordText::default() };
        let request: RequestId = "request-1".parse().unwrap();
        let vrf = VrfScope::Vrf(VrfId(3));
        let requirement = Requirement {
            owner: Some("ACME-LIR".into()),
            tag: Some("mail".into()),
            role: Some("customer".into()),
            scope: Some(vrf),
            min_days_left: Some(30),
            clean: true,
            ipv6: true,
        };

        let full = AllocateAddresses {
            parent: ParentSelector::Prefix(vrf, network("203.0.113.0/24")),
            count: 2,
            text: text.clone(),
            exclude: vec![network("203.0.113.0/29"), network("2001:db8::/64")],
            include_children: true,
            purpose: Purpose::Mail,
            include_quarantined: true,
            request: request.clone(),
        };
        let few = AllocateAddresses {
            parent: ParentSelector::Prefix(VrfScope::Global, network("203.0.113.0/24")),
            count: 1,
            text: plain.clone(),
            exclude: Vec::new(),
            include_children: false,
            purpose: Purpose::General,
            include_quarantined: false,
            request: request.clone(),
        };
        let from = |parent| AllocateAddresses { parent, ..few.clone() };
        assert_golden("allocate_addresses", &full);
        assert_golden("allocate_addresses_plain", &few);
        assert_golden("allocate_addresses_by_id", &from(ParentSelector::Id(PrefixId(17))));
        assert_golden("allocate_addresses_by_requirement", &from(ParentSelector::Any(requirement)));
        assert_golden("allocate_addresses_by_any", &from(ParentSelector::Any(Requirement::default())));

        let prefix = AllocatePrefix {
            parent: full.parent.clone(),
            length: 28,
            text: text.clone(),
            exclude: full.exclude.clone(),
            purpose: Purpose::Mail,
            request: request.clone(),
        };
        assert_golden("allocate_prefix", &prefix);
        let prefix = AllocatePrefix {
            parent: ParentSelector::Id(PrefixId(17)),
            text: plain.clone(),
            exclude: Vec::new(),
            purpose: Purpose::General,
            ..prefix
        };
        assert_golden("allocate_prefix_plain", &prefix);

        let address = "203.0.113.200".parse().unwrap();
        assert_golden(
            "assign_address",
            &AssignAddress { address, scope: vrf, text, request: request.clone() },
        );
        let address = "2001:db8::1".parse().unwrap();
        let assign = AssignAddress { address, scope: VrfScope::Global, text: plain, request };
        assert_golden("assign_address_plain", &assign);

        assert_golden("release_allocation", &ReleaseAddresses::Allocation("request-0".parse().unwrap()));
        let (one, two) = ("203.0.113.9".parse().unwrap(), "2001:db8::1".parse().unwrap());
        let release =
            ReleaseAddresses::Addresses { scope: vrf, addresses: vec![one, two], allow_foreign: true };
        assert_golden("release_addresses", &release);
        let release = ReleaseAddresses::Addresses {
            scope: VrfScope::Global,
            addresses: vec![one],
            allow_foreign: false,
        };
        assert_golden("release_addresses_plain", &release);
    }
}
