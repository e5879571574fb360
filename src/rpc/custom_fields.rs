//! Custom fields: JSON objects in NetBox, `google.protobuf.Struct` in messages.

use prost_types::value::Kind;
use prost_types::{ListValue, Struct};
use serde_json::{Map, Number, Value};

use super::parse::Violations;
use crate::netbox::FieldNames;

/// The largest number below which every whole number has a floating-point number of its own.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Custom fields as a message; `None` if there are none.
pub fn custom_fields(fields: &Map<String, Value>) -> Option<Struct> {
    (!fields.is_empty()).then(|| structure(fields))
}

fn structure(fields: &Map<String, Value>) -> Struct {
    Struct { fields: fields.iter().map(|(name, json)| (name.clone(), message(json))).collect() }
}

fn message(json: &Value) -> prost_types::Value {
    let kind = match json {
        Value::Null => Kind::NullValue(0),
        Value::Bool(flag) => Kind::BoolValue(*flag),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Array(items) => Kind::ListValue(ListValue { values: items.iter().map(message).collect() }),
        Value::Object(fields) => Kind::StructValue(structure(fields)),
    };
    prost_types::Value { kind: Some(kind) }
}

impl Violations {
    /// The custom fields that a request sets. Those of Leasehold are not the caller's to set.
    pub(super) fn custom_fields(
        &mut self,
        field: &str,
        given: Option<Struct>,
        own: &FieldNames,
    ) -> Map<String, Value> {
        let mut fields = Map::new();
        for (name, value) in given.unwrap_or_default().fields {
            let at = format!("{field}.{name}");
            if own.is_own(&name) {
                self.add(&at, "is kept by Leasehold and cannot be set here");
            } else if !FieldNames::is_name(&name) {
                self.add(&at, "is not the name of a custom field: letters, digits and _ only");
            } else if let Some(value) = self.take(&at, json(value)) {
                fields.insert(name, value);
            }
        }
        fields
    }
}

/// The reason why a value cannot be written to NetBox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Unwritable {
    #[error("has a number that is not finite")]
    NotFinite,
    #[error("has the character U+0000, which NetBox cannot store")]
    Nul,
}

/// A value of a message as JSON. All numbers of messages are floating-point; a whole one becomes an integer, since NetBox takes
/// nothing else in a field of integers.
fn json(value: prost_types::Value) -> Result<Value, Unwritable> {
    Ok(match value.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(flag)) => flag.into(),
        Some(Kind::StringValue(text)) => without_nul(text)?.into(),
        Some(Kind::NumberValue(number)) => self::number(number)?.into(),
        Some(Kind::ListValue(list)) => {
            list.values.into_iter().map(json).collect::<Result<Vec<_>, _>>()?.into()
        }
        Some(Kind::StructValue(object)) => {
            let entries =
                object.fields.into_iter().map(|(name, value)| Ok((without_nul(name)?, json(value)?)));
            entries.collect::<Result<Map<_, _>, _>>()?.into()
        }
    })
}

fn without_nul(text: String) -> Result<String, Unwritable> {
    if text.contains('\0') { Err(Unwritable::Nul) } else { Ok(text) }
}

fn number(number: f64) -> Result<Number, Unwritable> {
    if number.fract() == 0.0 && number.abs() < EXACT {
        // Exact, as the bound says.
        #[allow(clippy::cast_possible_truncation)]
        return Ok((number as i64).into());
    }
    Number::from_f64(number).ok_or(Unwritable::NotFinite)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;
    use tonic::Status;
    use tonic_types::StatusExt as _;

    fn parsed(given: Struct) -> Result<Map<String, Value>, Vec<String>> {
        let own = FieldNames::from_pairs([("lease_owner", "lieferant")]).unwrap();
        let mut violations = Violations::default();
        let fields = violations.custom_fields("custom_fields", Some(given), &own);
        match violations.finish() {
            Ok(()) => Ok(fields),
            Err(problem) => {
                let details = Status::from(problem).get_details_bad_request().unwrap();
                Err(details.field_violations.into_iter().map(|found| found.field).collect())
            }
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-9_000_000_000_000_000i64..9_000_000_000_000_000).prop_map(Value::from),
            (-1000i32..1000).prop_map(|eighths| Value::from(f64::from(eighths) + 0.125)),
            "[^\0]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 12, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-z]{1,3}", inner, 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn fields_are_parsed_as_they_were(value in value()) {
            let fields: Map<String, Value> = [("cost_center".to_owned(), value)].into_iter().collect();
            prop_assert_eq!(parsed(structure(&fields)), Ok(fields));
        }
    }

    #[test]
    fn what_netbox_cannot_store_and_what_is_not_the_caller_s_is_named() {
        let fields = json!({
            "lieferant": "ACME-LIR", "allocation_id": "a/0", "lease_owner": "a field of somebody else", "cost center": 1,
            "nul": ["a\0b"], "": true,
        });
        let mut given = structure(fields.as_object().unwrap());
        let infinite = prost_types::Value { kind: Some(Kind::NumberValue(f64::INFINITY)) };
        given.fields.insert("infinite".to_owned(), infinite);
        let wrong = ["", "allocation_id", "cost center", "infinite", "lieferant", "nul"];
        assert_eq!(parsed(given), Err(wrong.map(|name| format!("custom_fields.{name}")).to_vec()));
    }
}
