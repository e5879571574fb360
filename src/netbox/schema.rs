//! The custom fields that Leasehold keeps in NetBox: which are missing, and making them.
//!
//! [`plan`] looks and decides, [`apply`] does. Both are idempotent: a NetBox that has everything gets an empty plan.
//! A field that is there and of a fitting type is adopted as it is; one of another type is a [`Step::Conflict`], which
//! nothing but a person (or a mapping of names) can solve.

use std::fmt;

use reqwest::Method;
use serde_json::{Value, json};

use super::client::Client;
use super::error::{Error, Result};
use super::fields::Field;
use super::transport::Request;
use crate::model::{Reputation, RoaStatus};

const FIELDS: &str = "extras/custom-fields/";
const CHOICES: &str = "extras/custom-field-choice-sets/";

/// One thing to do in NetBox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is there and fits.
    Adopt {
        /// Which field.
        field: Field,
        /// Its name in this NetBox.
        name: String,
    },
    /// A choice set is missing.
    CreateChoices {
        /// Its name.
        name: String,
        /// Its values.
        values: Vec<&'static str>,
    },
    /// A field is missing.
    CreateField {
        /// Which field.
        field: Field,
        /// Its name in this NetBox.
        name: String,
    },
    /// A field is there and lacks an object type or its uniqueness.
    Extend {
        /// Which field.
        field: Field,
        /// Its name in this NetBox.
        name: String,
        /// NetBox's id of it.
        id: u64,
        /// The object types that it shall have.
        object_types: Vec<String>,
        /// Whether it shall be unique.
        unique: bool,
    },
    /// A field of this name is there and cannot be used.
    Conflict {
        /// Which field.
        field: Field,
        /// Its name in this NetBox.
        name: String,
        /// Why not, and what to do.
        why: String,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Adopt { name, .. } => write!(f, "keep      {name} (it is there and fits)"),
            Self::CreateChoices { name, values } => {
                write!(f, "create    choice set {name:?}: {}", values.join(", "))
            }
            Self::CreateField { field, name } => {
                let shape = shape(*field);
                write!(f, "create    {name} ({}{})", shape.kind, if shape.unique { ", unique" } else { "" })?;
                write!(f, " on {}", shape.object_types.join(", "))
            }
            Self::Extend { name, object_types, unique, .. } => {
                write!(f, "extend    {name} to {}", object_types.join(", "))?;
                if *unique { f.write_str(", unique") } else { Ok(()) }
            }
            Self::Conflict { name, why, .. } => write!(f, "CONFLICT  {name}: {why}"),
        }
    }
}

impl Step {
    /// Whether it changes NetBox.
    pub fn is_change(&self) -> bool {
        matches!(self, Self::CreateChoices { .. } | Self::CreateField { .. } | Self::Extend { .. })
    }
}

/// Name of a choice set, and its values.
type ChoiceSet = (&'static str, fn() -> Vec<&'static str>);

/// How a field is to be made, and which types of an existing one fit.
struct Shape {
    kind: &'static str,
    also_fits: &'static [&'static str],
    object_types: &'static [&'static str],
    unique: bool,
    label: &'static str,
    description: &'static str,
    choices: Option<ChoiceSet>,
}

fn roa_words() -> Vec<&'static str> {
    RoaStatus::ALL.iter().map(|word| word.as_str()).collect()
}

fn reputation_words() -> Vec<&'static str> {
    Reputation::ALL.iter().map(|word| word.as_str()).collect()
}

fn shape(field: Field) -> Shape {
    let prefix: &[&str] = &["ipam.prefix"];
    let plain = |kind, label, description| Shape {
        kind,
        also_fits: &[],
        object_types: prefix,
        unique: false,
        label,
        description,
        choices: None,
    };
    match field {
        Field::LeaseOwner => Shape {
            also_fits: &["longtext"],
            ..plain("text", "Lease owner", "Who holds the resource and creates the ROA")
        },
        Field::LeaseStart => plain("date", "Lease start", "First day of the term"),
        Field::LeaseExpiry => plain("date", "Lease expiry", "Last day of the term, inclusive"),
        Field::LeaseNoticeDate => plain("date", "Lease notice date", "Last day to renew or give notice"),
        Field::LoaReference => Shape {
            also_fits: &["longtext"],
            ..plain("text", "LOA reference", "Reference of the Letter of Authorisation")
        },
        Field::OriginAsn => plain("integer", "Origin ASN", "The AS that may originate the block"),
        Field::RoaStatus => Shape {
            also_fits: &["text"],
            choices: Some(("Leasehold ROA status", roa_words)),
            ..plain("select", "ROA status", "Last verdict of origin validation (RFC 6811)")
        },
        Field::RoaChecked => plain("datetime", "ROA checked", "When that verdict was observed"),
        Field::IrrRegistered => {
            plain("boolean", "IRR registered", "Whether a route object with the origin stands")
        }
        Field::Reputation => Shape {
            also_fits: &["text"],
            choices: Some(("Leasehold reputation", reputation_words)),
            ..plain("select", "Reputation", "Last verdict of the blocklists")
        },
        Field::ReputationChecked => plain("datetime", "Reputation checked", "When that verdict was observed"),
        Field::AllocationId => Shape {
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

/// Looks at NetBox and says what is to be done. Nothing is written.
pub async fn plan(client: &Client) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    for field in Field::ALL {
        let name = client.fields().name(field).to_owned();
        let shape = shape(field);
        let found = find(client, FIELDS, &name).await?;
        let Some(found) = found else {
            if let Some((set, values)) = shape.choices
                && find(client, CHOICES, set).await?.is_none()
            {
                steps.push(Step::CreateChoices { name: set.to_owned(), values: values() });
            }
            steps.push(Step::CreateField { field, name });
            continue;
        };
        steps.push(judge(field, name, &shape, &found));
    }
    Ok(steps)
}

/// Whether an existing field can be used. Pure.
fn judge(field: Field, name: String, shape: &Shape, found: &Value) -> Step {
    let text = |pointer: &str| found.pointer(pointer).and_then(Value::as_str);
    let kind = text("/type/value").or_else(|| text("/type")).unwrap_or("unknown").to_owned();
    if kind != shape.kind && !shape.also_fits.contains(&kind.as_str()) {
        let why = format!(
            "it is of type {kind}, Leasehold needs {}; rename it, or map the name with netbox.fields.{field}",
            shape.kind
        );
        return Step::Conflict { field, name, why };
    }
    if found.get("required").and_then(Value::as_bool) == Some(true) {
        let why =
            "it is required, so that no record without it could be written; make it optional".to_owned();
        return Step::Conflict { field, name, why };
    }
    let mut object_types: Vec<String> = found
        .get("object_types")
        .and_then(Value::as_array)
        .map(|types| types.iter().filter_map(Value::as_str).map(str::to_owned).collect())
        .unwrap_or_default();
    let unique = found.get("unique").and_then(Value::as_bool).unwrap_or(false);
    let missing: Vec<&str> = shape
        .object_types
        .iter()
        .copied()
        .filter(|kind| !object_types.iter().any(|has| has == kind))
        .collect();
    // "loose" finds an id inside longer ones: too many rows, and slowly.
    let exact = text("/filter_logic/value").or_else(|| text("/filter_logic")) == Some("exact");
    if missing.is_empty() && (unique && exact || !shape.unique) {
        return Step::Adopt { field, name };
    }
    object_types.extend(missing.into_iter().map(str::to_owned));
    let id = found.get("id").and_then(Value::as_u64).unwrap_or_default();
    Step::Extend { field, name, id, object_types, unique: unique || shape.unique }
}

/// Does one step. A conflict is not for us to solve and is refused.
pub async fn apply(client: &Client, step: &Step) -> Result<()> {
    match step {
        Step::Adopt { .. } => Ok(()),
        Step::Conflict { name, why, .. } => Err(Error::Rejected {
            problems: vec![super::error::FieldProblem { field: name.clone(), message: why.clone() }],
        }),
        Step::CreateChoices { name, values } => {
            let pairs: Vec<[&str; 2]> = values.iter().map(|value| [*value, *value]).collect();
            let body = json!({ "name": name, "extra_choices": pairs });
            client.transport().write(Request::write(Method::POST, CHOICES, &body)).await.map(drop)
        }
        Step::CreateField { field, name } => {
            let shape = shape(*field);
            let mut body = json!({
                "name": name,
                "label": shape.label,
                "description": shape.description,
                "group_name": "Lease",
                "object_types": shape.object_types,
                "type": shape.kind,
                "unique": shape.unique,
                "filter_logic": filter_logic(shape.unique),
                "required": false,
            });
            if let (Some((set, _)), Some(body)) = (shape.choices, body.as_object_mut()) {
                body.insert("choice_set".to_owned(), json!({ "name": set }));
            }
            if let (Field::OriginAsn, Some(body)) = (field, body.as_object_mut()) {
                body.insert("validation_minimum".to_owned(), json!(1));
                body.insert("validation_maximum".to_owned(), json!(u32::MAX));
            }
            client.transport().write(Request::write(Method::POST, FIELDS, &body)).await.map(drop)
        }
        Step::Extend { id, object_types, unique, .. } => {
            let body = json!({
                "object_types": object_types,
                "unique": unique,
                "filter_logic": filter_logic(*unique),
            });
            let path = format!("{FIELDS}{id}/");
            client.transport().write(Request::write(Method::PATCH, &path, &body)).await.map(drop)
        }
    }
}

/// Identities are looked up whole; other fields as NetBox does unless told.
fn filter_logic(unique: bool) -> &'static str {
    if unique { "exact" } else { "loose" }
}

async fn find(client: &Client, path: &str, name: &str) -> Result<Option<Value>> {
    let query = [("name", name.to_owned()), ("limit", "100".to_owned())];
    let page = client.transport().read(Request::get(path, &query)).await?;
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
    fn a_text_field_from_the_article_is_adopted_for_a_select() {
        let found = existing("text", &["ipam.prefix"], false);
        let step = judge(Field::RoaStatus, "roa_status".into(), &shape(Field::RoaStatus), &found);
        assert_eq!(step, Step::Adopt { field: Field::RoaStatus, name: "roa_status".into() });
    }

    #[test]
    fn a_field_of_another_type_is_a_conflict_that_says_what_to_do() {
        let found = existing("text", &["ipam.prefix"], false);
        let step = judge(Field::LeaseExpiry, "lease_expiry".into(), &shape(Field::LeaseExpiry), &found);
        let Step::Conflict { why, .. } = step else { panic!("{step:?}") };
        assert!(why.contains("netbox.fields.lease_expiry"), "{why}");
    }

    #[test]
    fn an_allocation_id_that_is_not_unique_is_made_so() {
        let found = existing("text", &["ipam.ipaddress"], false);
        let step = judge(Field::AllocationId, "allocation_id".into(), &shape(Field::AllocationId), &found);
        let Step::Extend { object_types, unique, .. } = step else { panic!("{step:?}") };
        assert_eq!(object_types, ["ipam.ipaddress", "ipam.prefix"]);
        assert!(unique);
    }
}
