//! Creates Leasehold's custom fields in NetBox.
//!
//! [`plan`] reads NetBox and decides what is missing, [`apply`] carries out one step. Both are idempotent: a NetBox that has
//! every field gets a plan without changes. A field that exists with a fitting type is adopted as it is. A field of another
//! type is a [`SchemaStep::Conflict`], which only a person can solve, by renaming the field or mapping the name.

use std::fmt;

use reqwest::Method;
use serde_json::{Value, json};

use super::client::Client;
use super::error::{Error, FieldProblem, NetBoxResult};
use super::fields::Field;
use super::request::ApiRequest;
use crate::model::{Reputation, RoaStatus};

const FIELDS: &str = "extras/custom-fields/";
const CHOICES: &str = "extras/custom-field-choice-sets/";

/// One step of a plan. `name` is the name in this NetBox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SchemaStep {
    /// The field exists and fits; nothing is to be done.
    Adopt { field: Field, name: String },
    /// A choice set is missing.
    CreateChoices { name: String, values: Vec<&'static str> },
    /// A field is missing.
    CreateField { field: Field, name: String },
    /// The field exists, but lacks an object type, its uniqueness or its exact filter. `id` is NetBox's id of the field;
    /// `object_types` and `unique` are what it shall have afterwards.
    Extend { field: Field, name: String, id: u64, object_types: Vec<String>, unique: bool },
    /// A field of this name exists and cannot be used. `why` also says what to do.
    Conflict { field: Field, name: String, why: String },
}

impl fmt::Display for SchemaStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Adopt { name, .. } => write!(f, "keep      {name} (it exists and fits)"),
            Self::CreateChoices { name, values } => {
                write!(f, "create    choice set {name:?}: {}", values.join(", "))
            }
            Self::CreateField { field, name } => {
                let definition = definition(*field);
                write!(
                    f,
                    "create    {name} ({}{})",
                    definition.kind,
                    if definition.unique { ", unique" } else { "" }
                )?;
                write!(f, " on {}", definition.object_types.join(", "))
            }
            Self::Extend { name, object_types, unique, .. } => {
                write!(f, "extend    {name} to {}", object_types.join(", "))?;
                if *unique { f.write_str(", unique") } else { Ok(()) }
            }
            Self::Conflict { name, why, .. } => write!(f, "CONFLICT  {name}: {why}"),
        }
    }
}

impl SchemaStep {
    /// Whether the step changes NetBox.
    pub fn is_change(&self) -> bool {
        matches!(self, Self::CreateChoices { .. } | Self::CreateField { .. } | Self::Extend { .. })
    }
}

/// The name of a choice set, and its values.
type ChoiceSet = (&'static str, fn() -> Vec<&'static str>);

/// The definition of a custom field, as NetBox spells it.
struct FieldDefinition {
    kind: &'static str,
    /// Further types of an existing field that Leasehold can use.
    also_fits: &'static [&'static str],
    object_types: &'static [&'static str],
    unique: bool,
    label: &'static str,
    description: &'static str,
    choices: Option<ChoiceSet>,
}

fn roa_statuses() -> Vec<&'static str> {
    RoaStatus::ALL.iter().map(|value| value.as_str()).collect()
}

fn reputations() -> Vec<&'static str> {
    Reputation::ALL.iter().map(|value| value.as_str()).collect()
}

fn definition(field: Field) -> FieldDefinition {
    let prefix: &[&str] = &["ipam.prefix"];
    let plain = |kind, label, description| FieldDefinition {
        kind,
        also_fits: &[],
        object_types: prefix,
        unique: false,
        label,
        description,
        choices: None,
    };
    match field {
        Field::LeaseOwner => FieldDefinition {
            also_fits: &["longtext"],
            ..plain("text", "Lease owner", "Who holds the resource and creates the ROA")
        },
        Field::LeaseStart => plain("date", "Lease start", "First day of the term"),
        Field::LeaseExpiry => plain("date", "Lease expiry", "Last day of the term, inclusive"),
        Field::LeaseNoticeDate => plain("date", "Lease notice date", "Last day to renew or give notice"),
        Field::LoaReference => FieldDefinition {
            also_fits: &["longtext"],
            ..plain("text", "LOA reference", "Reference of the Letter of Authorisation")
        },
        Field::OriginAsn => plain("integer", "Origin ASN", "The AS that may originate the block"),
        Field::RoaStatus => FieldDefinition {
            also_fits: &["text"],
            choices: Some(("Leasehold ROA status", roa_statuses)),
            ..plain("select", "ROA status", "Last verdict of origin validation (RFC 6811)")
        },
        Field::RoaChecked => plain("datetime", "ROA checked", "When that verdict was observed"),
        Field::IrrRegistered => {
            plain("boolean", "IRR registered", "Whether the IRR has a route object with the origin")
        }
        Field::Reputation => FieldDefinition {
            also_fits: &["text"],
            choices: Some(("Leasehold reputation", reputations)),
            ..plain("select", "Reputation", "Last verdict of the blocklists")
        },
        Field::ReputationChecked => plain("datetime", "Reputation checked", "When that verdict was observed"),
        Field::AllocationId => FieldDefinition {
            object_types: &["ipam.ipaddress", "ipam.prefix"],
            unique: true,
            ..plain(
                "text",
                "Allocation id",
                "Request id and index of the allocation; written by Leasehold only",
            )
        },
    }
}

/// Reads the custom fields and choice sets (GET /api/extras/custom-fields/ and /api/extras/custom-field-choice-sets/) and
/// decides what is to be done. Nothing is written.
pub async fn plan(client: &Client) -> NetBoxResult<Vec<SchemaStep>> {
    let mut steps = Vec::new();
    for field in Field::ALL {
        let name = client.fields().name(field).to_owned();
        let definition = definition(field);
        let found = find(client, FIELDS, &name).await?;
        let Some(found) = found else {
            if let Some((set, values)) = definition.choices
                && find(client, CHOICES, set).await?.is_none()
            {
                steps.push(SchemaStep::CreateChoices { name: set.to_owned(), values: values() });
            }
            steps.push(SchemaStep::CreateField { field, name });
            continue;
        };
        steps.push(compare(field, name, &definition, &found));
    }
    Ok(steps)
}

/// Decides whether an existing field can be used.
fn compare(field: Field, name: String, definition: &FieldDefinition, found: &Value) -> SchemaStep {
    let text = |pointer: &str| found.pointer(pointer).and_then(Value::as_str);
    let kind = text("/type/value").or_else(|| text("/type")).unwrap_or("unknown").to_owned();
    if kind != definition.kind && !definition.also_fits.contains(&kind.as_str()) {
        let why = format!(
            "it is of type {kind}, and Leasehold needs {}; rename it, or map the name with netbox.fields.{field}",
            definition.kind
        );
        return SchemaStep::Conflict { field, name, why };
    }
    if found.get("required").and_then(Value::as_bool) == Some(true) {
        let why = "it is required, so no record without it could be written; make it optional".to_owned();
        return SchemaStep::Conflict { field, name, why };
    }
    let mut object_types: Vec<String> = found
        .get("object_types")
        .and_then(Value::as_array)
        .map(|types| types.iter().filter_map(Value::as_str).map(str::to_owned).collect())
        .unwrap_or_default();
    let unique = found.get("unique").and_then(Value::as_bool).unwrap_or(false);
    let missing: Vec<&str> = definition
        .object_types
        .iter()
        .copied()
        .filter(|kind| !object_types.iter().any(|has| has == kind))
        .collect();
    // A "loose" filter also finds ids that contain this one, and cannot use an index.
    let exact = text("/filter_logic/value").or_else(|| text("/filter_logic")) == Some("exact");
    if missing.is_empty() && (unique && exact || !definition.unique) {
        return SchemaStep::Adopt { field, name };
    }
    object_types.extend(missing.into_iter().map(str::to_owned));
    let id = found.get("id").and_then(Value::as_u64).unwrap_or_default();
    SchemaStep::Extend { field, name, id, object_types, unique: unique || definition.unique }
}

/// Carries out one step (POST or PATCH of the same endpoints). A [`SchemaStep::Conflict`] is an error.
pub async fn apply(client: &Client, step: &SchemaStep) -> NetBoxResult<()> {
    match step {
        SchemaStep::Adopt { .. } => Ok(()),
        SchemaStep::Conflict { name, why, .. } => {
            Err(Error::Invalid { problems: vec![FieldProblem { field: name.clone(), message: why.clone() }] })
        }
        SchemaStep::CreateChoices { name, values } => {
            let pairs: Vec<[&str; 2]> = values.iter().map(|value| [*value, *value]).collect();
            let body = json!({ "name": name, "extra_choices": pairs });
            client.transport().write(ApiRequest::write(Method::POST, CHOICES, &body)).await.map(drop)
        }
        SchemaStep::CreateField { field, name } => {
            let definition = definition(*field);
            let mut body = json!({
                "name": name,
                "label": definition.label,
                "description": definition.description,
                "group_name": "Lease",
                "object_types": definition.object_types,
                "type": definition.kind,
                "unique": definition.unique,
                "filter_logic": filter_logic(definition.unique),
                "required": false,
            });
            if let (Some((set, _)), Some(body)) = (definition.choices, body.as_object_mut()) {
                body.insert("choice_set".to_owned(), json!({ "name": set }));
            }
            if let (Field::OriginAsn, Some(body)) = (field, body.as_object_mut()) {
                body.insert("validation_minimum".to_owned(), json!(1));
                body.insert("validation_maximum".to_owned(), json!(u32::MAX));
            }
            client.transport().write(ApiRequest::write(Method::POST, FIELDS, &body)).await.map(drop)
        }
        SchemaStep::Extend { id, object_types, unique, .. } => {
            let body = json!({
                "object_types": object_types,
                "unique": unique,
                "filter_logic": filter_logic(*unique),
            });
            let path = format!("{FIELDS}{id}/");
            client.transport().write(ApiRequest::write(Method::PATCH, &path, &body)).await.map(drop)
        }
    }
}

/// A unique field is looked up by its whole value; other fields keep NetBox's default.
fn filter_logic(unique: bool) -> &'static str {
    if unique { "exact" } else { "loose" }
}

async fn find(client: &Client, path: &str, name: &str) -> NetBoxResult<Option<Value>> {
    let query = [("name", name.to_owned()), ("limit", "100".to_owned())];
    let page = client.transport().read(ApiRequest::get(path, &query)).await?;
    let rows = page.get("results").and_then(Value::as_array).cloned().unwrap_or_default();
    Ok(rows.into_iter().find(|row| row.get("name").and_then(Value::as_str) == Some(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn existing(kind: &str, object_types: &[&str], unique: bool) -> Value {
        json!({"id": 5, "type": {"value": kind}, "object_types": object_types, "unique": unique, "required": false})
    }

    #[test]
    fn a_text_field_is_adopted_for_a_select() {
        let found = existing("text", &["ipam.prefix"], false);
        let step = compare(Field::RoaStatus, "roa_status".into(), &definition(Field::RoaStatus), &found);
        assert_eq!(step, SchemaStep::Adopt { field: Field::RoaStatus, name: "roa_status".into() });
    }

    #[test]
    fn a_field_of_another_type_is_a_conflict_that_says_what_to_do() {
        let found = existing("text", &["ipam.prefix"], false);
        let step =
            compare(Field::LeaseExpiry, "lease_expiry".into(), &definition(Field::LeaseExpiry), &found);
        let SchemaStep::Conflict { why, .. } = step else { panic!("{step:?}") };
        assert!(why.contains("netbox.fields.lease_expiry"), "{why}");
    }

    #[test]
    fn an_allocation_id_that_is_not_unique_is_extended() {
        let found = existing("text", &["ipam.ipaddress"], false);
        let step =
            compare(Field::AllocationId, "allocation_id".into(), &definition(Field::AllocationId), &found);
        let SchemaStep::Extend { object_types, unique, .. } = step else { panic!("{step:?}") };
        assert_eq!(object_types, ["ipam.ipaddress", "ipam.prefix"]);
        assert!(unique);
    }
}
