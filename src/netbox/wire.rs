//! The JSON of NetBox's records, parsed into the nouns of the model.

use ipnet::IpNet;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::fields::{Field, FieldNames};
use crate::model::{
    Address, AddressId, AllocationId, Asn, IpRange, Lease, NamedRef, Network, Prefix, PrefixId, RangeId,
    RecordState, Reputation, Revision, RoaStatus, Term, Vrf, VrfId, VrfScope,
};

#[derive(Deserialize)]
struct WirePrefix {
    id: u64,
    prefix: IpNet,
    vrf: Option<WireId>,
    status: Choice,
    #[serde(default)]
    is_pool: bool,
    #[serde(default)]
    mark_utilized: bool,
    tenant: Option<NamedRef>,
    role: Option<NamedRef>,
    #[serde(default)]
    tags: Vec<NamedRef>,
    #[serde(default)]
    description: String,
    #[serde(default)]
    custom_fields: Map<String, Value>,
    #[serde(default)]
    last_updated: Revision,
}

#[derive(Deserialize)]
struct WireAddress {
    id: u64,
    address: IpNet,
    vrf: Option<WireId>,
    status: Choice,
    role: Option<Choice>,
    tenant: Option<NamedRef>,
    #[serde(default)]
    tags: Vec<NamedRef>,
    #[serde(default)]
    dns_name: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    custom_fields: Map<String, Value>,
    #[serde(default)]
    last_updated: Revision,
}

#[derive(Deserialize)]
struct WireRange {
    id: u64,
    start_address: IpNet,
    end_address: IpNet,
    vrf: Option<WireId>,
    status: Choice,
    /// Exists since NetBox 4.3; in older versions the addresses of every range count as taken.
    mark_populated: Option<bool>,
    #[serde(default)]
    description: String,
    #[serde(default)]
    last_updated: Revision,
}

#[derive(Deserialize)]
struct WireVrf {
    id: u64,
    name: String,
    rd: Option<String>,
    #[serde(default)]
    enforce_unique: bool,
    #[serde(default)]
    last_updated: Revision,
}

#[derive(Deserialize)]
struct WireId {
    id: u64,
}

/// A choice field: `{value, label}`, or the bare value in some answers.
#[derive(Deserialize)]
#[serde(untagged)]
enum Choice {
    Labelled { value: String },
    Bare(String),
}

impl From<Choice> for String {
    fn from(choice: Choice) -> String {
        match choice {
            Choice::Labelled { value } | Choice::Bare(value) => value,
        }
    }
}

fn scope(vrf: Option<&WireId>) -> VrfScope {
    vrf.map_or(VrfScope::Global, |vrf| VrfScope::Vrf(VrfId(vrf.id)))
}

fn deserialize<T: for<'de> Deserialize<'de>>(kind: &str, json: &Value) -> Result<T, String> {
    T::deserialize(json).map_err(|error| {
        let id = json.get("id").map(ToString::to_string).unwrap_or_default();
        format!("{kind} {id}: {error}")
    })
}

pub(super) fn prefix(json: &Value, names: &FieldNames) -> Result<Prefix, String> {
    let wire: WirePrefix = deserialize("prefix", json)?;
    let own = OwnFields { names, fields: &wire.custom_fields, kind: "prefix", id: wire.id };
    Ok(Prefix {
        id: PrefixId(wire.id),
        network: Network::containing(wire.prefix),
        scope: scope(wire.vrf.as_ref()),
        status: wire.status.into(),
        is_pool: wire.is_pool,
        mark_utilized: wire.mark_utilized,
        tenant: wire.tenant,
        role: wire.role,
        tags: wire.tags,
        description: wire.description,
        lease: own.lease().map(Box::new),
        allocation: own.allocation(),
        custom_fields: own.others(),
        revision: wire.last_updated,
    })
}

pub(super) fn address(json: &Value, names: &FieldNames) -> Result<Address, String> {
    let wire: WireAddress = deserialize("address", json)?;
    let own = OwnFields { names, fields: &wire.custom_fields, kind: "address", id: wire.id };
    Ok(Address {
        id: AddressId(wire.id),
        interface: wire.address,
        scope: scope(wire.vrf.as_ref()),
        status: wire.status.into(),
        role: wire.role.map(Into::into).filter(|role: &String| !role.is_empty()),
        tenant: wire.tenant,
        tags: wire.tags,
        dns_name: wire.dns_name,
        description: wire.description,
        allocation: own.allocation(),
        custom_fields: own.others(),
        revision: wire.last_updated,
        record_state: RecordState::Recorded,
    })
}

pub(super) fn ip_range(json: &Value) -> Result<IpRange, String> {
    let wire: WireRange = deserialize("IP range", json)?;
    Ok(IpRange {
        id: RangeId(wire.id),
        start: wire.start_address.addr(),
        end: wire.end_address.addr(),
        scope: scope(wire.vrf.as_ref()),
        status: wire.status.into(),
        populated: wire.mark_populated.unwrap_or(true),
        description: wire.description,
        revision: wire.last_updated,
    })
}

pub(super) fn vrf(json: &Value) -> Result<Vrf, String> {
    let wire: WireVrf = deserialize("VRF", json)?;
    Ok(Vrf {
        id: VrfId(wire.id),
        name: wire.name,
        rd: wire.rd.filter(|rd| !rd.is_empty()),
        enforce_unique: wire.enforce_unique,
        revision: wire.last_updated,
    })
}

/// Leasehold's custom fields on one record. People edit them too, so a value that cannot be parsed is logged and counts as
/// absent; it never hides the record.
struct OwnFields<'a> {
    names: &'a FieldNames,
    fields: &'a Map<String, Value>,
    kind: &'static str,
    id: u64,
}

impl OwnFields<'_> {
    /// The value of a field. NetBox 4.7 wraps the value of a select field as `{value, label}`; older versions do not.
    fn raw(&self, field: Field) -> Option<&Value> {
        let value = self.fields.get(self.names.name(field))?;
        let value = value.as_object().and_then(|choice| choice.get("value")).unwrap_or(value);
        (!value.is_null()).then_some(value)
    }

    fn text(&self, field: Field) -> Option<String> {
        match self.raw(field)? {
            Value::String(text) if text.is_empty() => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }

    fn parsed<T: std::str::FromStr>(&self, field: Field) -> Option<T>
    where
        T::Err: std::fmt::Display,
    {
        let text = self.text(field)?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                tracing::warn!(kind = self.kind, id = self.id, field = %field, %error, "ignored the value of a custom field in NetBox that cannot be parsed");
                None
            }
        }
    }

    fn lease(&self) -> Option<Lease> {
        let owner = self.text(Field::LeaseOwner);
        let expiry = self.parsed::<Date>(Field::LeaseExpiry);
        if owner.is_none() && expiry.is_none() {
            return None;
        }
        Some(Lease {
            owner,
            term: Term {
                start: self.parsed(Field::LeaseStart),
                expiry,
                notice: self.parsed(Field::LeaseNoticeDate),
            },
            loa_reference: self.text(Field::LoaReference),
            origin: self.parsed::<Asn>(Field::OriginAsn),
            roa_status: self.parsed::<RoaStatus>(Field::RoaStatus),
            roa_checked: self.parsed::<Timestamp>(Field::RoaChecked),
            irr_registered: self.parsed(Field::IrrRegistered),
            reputation: self.parsed::<Reputation>(Field::Reputation),
            reputation_checked: self.parsed::<Timestamp>(Field::ReputationChecked),
        })
    }

    fn allocation(&self) -> Option<AllocationId> {
        self.parsed(Field::AllocationId)
    }

    fn others(&self) -> Map<String, Value> {
        self.fields
            .iter()
            .filter(|(name, value)| !self.names.is_own(name) && !value.is_null())
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sample(custom_fields: &Value) -> Value {
        json!({
            "id": 7, "prefix": "203.0.113.0/24", "vrf": null, "status": {"value": "active", "label": "Active"},
            "is_pool": false, "mark_utilized": false, "tenant": null, "role": null, "tags": [],
            "description": "", "custom_fields": custom_fields, "last_updated": "2026-06-15T10:00:00.123456Z",
        })
    }

    #[test]
    fn select_fields_are_read_raw_and_labelled() {
        for status in [json!("valid"), json!({"value": "valid", "label": "Valid"})] {
            let json = sample(&json!({"lease_owner": "ACME-LIR", "roa_status": status}));
            let lease = prefix(&json, &FieldNames::default()).unwrap().lease.unwrap();
            assert_eq!(lease.roa_status, Some(RoaStatus::Valid));
        }
    }

    #[test]
    fn a_prefix_with_neither_owner_nor_expiry_carries_no_lease() {
        let json = sample(&json!({"lease_owner": "", "lease_expiry": null, "roa_status": "valid"}));
        assert_eq!(prefix(&json, &FieldNames::default()).unwrap().lease, None);
    }

    #[test]
    fn an_unreadable_custom_field_does_not_hide_the_record() {
        let json = sample(&json!({"lease_owner": "ACME-LIR", "lease_expiry": "next year", "site_note": "x"}));
        let prefix = prefix(&json, &FieldNames::default()).unwrap();
        assert_eq!(prefix.lease.unwrap().term.expiry, None);
        assert_eq!(prefix.custom_fields.get("site_note"), Some(&json!("x")));
    }

    #[test]
    fn an_unreadable_record_is_named_by_its_id() {
        let error = prefix(&json!({"id": 9, "status": "active"}), &FieldNames::default()).unwrap_err();
        assert!(error.starts_with("prefix 9:"), "{error}");
    }
}
