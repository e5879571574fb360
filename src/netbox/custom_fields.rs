//! What this NetBox says of its custom fields, as far as Leasehold's writes depend on it: whether allocation ids are unique, which
//! values new records get by default, and which fields a new record must have.
//!
//! NetBox fills in the defaults itself only if a request names no custom field at all, or, depending on its version, after it has
//! looked for required ones. Each creation of ours names a custom field (the allocation id), so it sends the defaults along.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::records::NetBoxRecord;
use crate::model::{Address, Prefix};

/// The custom field `allocation_id` of this NetBox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AllocationIdField {
    Unique,
    NotUnique,
    #[default]
    Missing,
}

/// The custom fields of addresses and prefixes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CustomFields {
    /// Whether allocation ids are unique.
    pub allocation_id: AllocationIdField,
    /// Fields of other people that NetBox requires and has no default for. It refuses every record of these kinds that is
    /// created without a value from the caller.
    pub without_value: Vec<RequiredField>,
    /// The defaults of new records, by object type.
    defaults: BTreeMap<&'static str, Map<String, Value>>,
}

/// A custom field that NetBox requires and has no default for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequiredField {
    pub name: String,
    /// What cannot be created, as in `ipam.ipaddress`.
    pub object_types: Vec<&'static str>,
}

/// A kind of record with custom fields that Leasehold creates.
pub(super) trait WithCustomFields: NetBoxRecord {
    const OBJECT_TYPE: &'static str;
}

impl WithCustomFields for Address {
    const OBJECT_TYPE: &'static str = "ipam.ipaddress";
}

impl WithCustomFields for Prefix {
    const OBJECT_TYPE: &'static str = "ipam.prefix";
}

impl CustomFields {
    /// Reads definitions. `own` says whether a name is that of a field of ours.
    pub(super) fn of(rows: &[Value], allocation_id: &str, own: impl Fn(&str) -> bool) -> Self {
        let mut found = Self::default();
        for row in rows {
            let Some(name) = row.get("name").and_then(Value::as_str) else { continue };
            if name == allocation_id {
                let unique = row.get("unique").and_then(Value::as_bool) == Some(true);
                found.allocation_id =
                    if unique { AllocationIdField::Unique } else { AllocationIdField::NotUnique };
            }
            if own(name) {
                continue;
            }
            let is_of = |kind: &str| {
                let types = row.get("object_types").and_then(Value::as_array);
                types.is_some_and(|types| types.iter().any(|found| found == kind))
            };
            let kinds = [Address::OBJECT_TYPE, Prefix::OBJECT_TYPE].into_iter();
            let object_types: Vec<&'static str> = kinds.filter(|kind| is_of(kind)).collect();
            match row.get("default").filter(|default| !default.is_null()) {
                Some(default) => {
                    for kind in object_types {
                        found.defaults.entry(kind).or_default().insert(name.to_owned(), default.clone());
                    }
                }
                None if row.get("required").and_then(Value::as_bool) == Some(true)
                    && !object_types.is_empty() =>
                {
                    found.without_value.push(RequiredField { name: name.to_owned(), object_types });
                }
                None => {}
            }
        }
        found
    }

    /// The defaults of a new record of a kind.
    pub(super) fn defaults<R: WithCustomFields>(&self) -> Map<String, Value> {
        self.defaults.get(R::OBJECT_TYPE).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn defaults_and_required_fields_are_those_of_addresses_and_prefixes_and_none_of_ours() {
        let both = json!(["ipam.ipaddress", "ipam.prefix"]);
        let rows = [
            json!({"name": "allocation_id", "object_types": both, "unique": true, "default": "x", "required": true}),
            json!({"name": "cost_center", "object_types": both, "required": true, "default": "CC-0000"}),
            json!({"name": "rack", "object_types": ["ipam.prefix"], "required": false, "default": 7}),
            json!({"name": "server", "object_types": ["ipam.ipaddress"], "required": true, "default": null}),
            json!({"name": "model", "object_types": ["dcim.device"], "required": true, "default": null}),
            json!({"name": "note", "object_types": both, "required": false, "default": null}),
        ];
        let found = CustomFields::of(&rows, "allocation_id", |name| name == "allocation_id");
        assert_eq!(found.allocation_id, AllocationIdField::Unique);
        assert_eq!(Value::from(found.defaults::<Address>()), json!({"cost_center": "CC-0000"}));
        assert_eq!(Value::from(found.defaults::<Prefix>()), json!({"cost_center": "CC-0000", "rack": 7}));
        let server = RequiredField { name: "server".to_owned(), object_types: vec!["ipam.ipaddress"] };
        assert_eq!(found.without_value, [server]);
        assert_eq!(CustomFields::of(&[], "allocation_id", |_| false), CustomFields::default());
    }
}
