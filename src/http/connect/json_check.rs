//! What is wrong with a JSON request, all of it at once.
//!
//! The library that reads JSON into messages stops at the first error, and keeps the last of two values that have the same name.
//! So the request is compared with the descriptor first: each field must exist, be there once, and have a value that its type
//! takes.

use std::collections::{HashMap, HashSet};
use std::fmt;

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// No answer lists more violations than this: a request of a million wrong values must not get an answer of that length.
const MOST_VIOLATIONS: usize = 100;

/// The field and the description of everything that is wrong with a request. Empty if the request is a message of this type.
pub(super) fn violations(descriptor: &MessageDescriptor, json: &[u8]) -> Vec<(String, String)> {
    let mut check = Check { violations: Vec::new() };
    match serde_json::from_slice(json) {
        Ok(Json::Object(fields)) => check.message("", descriptor, &fields),
        Ok(_) => check.add("body", format!("must be a JSON object, the fields of {}", descriptor.name())),
        Err(error) => {
            check.add("body", format!("is not JSON: line {}, column {}", error.line(), error.column()));
        }
    }
    check.violations
}

/// JSON in which a name may be there twice.
#[derive(Clone, Debug)]
enum Json {
    Scalar(Value),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    fn is_null(&self) -> bool {
        matches!(self, Self::Scalar(Value::Null))
    }

    fn into_value(self) -> Value {
        match self {
            Self::Scalar(value) => value,
            Self::List(items) => items.into_iter().map(Self::into_value).collect(),
            Self::Object(fields) => {
                fields.into_iter().map(|(name, value)| (name, value.into_value())).collect()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Scalar(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Scalar(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Json::Scalar(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Scalar(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Json, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element()? {
            items.push(item);
        }
        Ok(Json::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Json::Object(fields))
    }
}

struct Check {
    violations: Vec<(String, String)>,
}

impl Check {
    fn add(&mut self, path: &str, why: impl Into<String>) {
        if self.violations.len() < MOST_VIOLATIONS {
            self.violations.push((path.to_owned(), why.into()));
        }
    }

    /// Checks the fields of a message. Paths have the names of the proto files, as the violations that the methods report.
    fn message(&mut self, path: &str, descriptor: &MessageDescriptor, fields: &[(String, Json)]) {
        let mut seen = HashSet::new();
        let mut chosen: HashMap<String, String> = HashMap::new();
        for (name, value) in fields {
            let field =
                descriptor.get_field_by_json_name(name).or_else(|| descriptor.get_field_by_name(name));
            let Some(field) = field else {
                self.add(&join(path, name), format!("{} has no such field", descriptor.name()));
                continue;
            };
            let path = join(path, field.name());
            if !seen.insert(field.number()) {
                self.add(&path, "is there twice");
                continue;
            }
            // In the JSON of proto3 null means absent.
            if value.is_null() {
                continue;
            }
            if let Some(oneof) = field.containing_oneof()
                && let Some(other) = chosen.insert(oneof.full_name().to_owned(), field.name().to_owned())
            {
                self.add(&path, format!("cannot be there together with {other}: only one of them can"));
            }
            self.field(&path, &field, name, value);
        }
    }

    fn field(&mut self, path: &str, field: &FieldDescriptor, name: &str, value: &Json) {
        if field.is_map() {
            let Json::Object(entries) = value else { return self.add(path, "must be an object") };
            let mut seen = HashSet::new();
            let kind = field.kind();
            let Some(entry) = kind.as_message() else { return };
            for (key, value) in entries {
                let path = format!("{path}[{key:?}]");
                if !seen.insert(key) {
                    self.add(&path, "is there twice");
                }
                self.value(&path, &entry.map_entry_value_field(), value, |value| {
                    let entry: Value = [(key.clone(), value)].into_iter().collect();
                    takes(field, name, entry)
                });
            }
        } else if field.is_list() {
            let Json::List(items) = value else { return self.add(path, "must be a list") };
            for (index, item) in items.iter().enumerate() {
                self.value(&format!("{path}[{index}]"), field, item, |item| {
                    takes(field, name, Value::Array(vec![item]))
                });
            }
        } else {
            self.value(path, field, value, |value| takes(field, name, value));
        }
    }

    /// Checks one value, an item of a list for example. `fits` says whether the field takes it.
    fn value(&mut self, path: &str, field: &FieldDescriptor, json: &Json, fits: impl Fn(Value) -> bool) {
        match (field.kind(), json) {
            (Kind::Message(message), Json::Object(fields)) if !has_own_json(&message) => {
                self.message(path, &message, fields);
            }
            (kind, json) => {
                if !fits(json.clone().into_value()) {
                    self.add(path, format!("must be {}", expected(&kind)));
                }
            }
        }
    }
}

/// Whether a message that has this field alone can be read.
fn takes(field: &FieldDescriptor, name: &str, value: Value) -> bool {
    let message: Value = [(name.to_owned(), value)].into_iter().collect();
    DynamicMessage::deserialize(field.parent_message().clone(), message).is_ok()
}

/// Whether the JSON of a message is not an object of its fields, as that of a Timestamp.
fn has_own_json(message: &MessageDescriptor) -> bool {
    message.package_name() == "google.protobuf"
}

/// What a field of this kind takes.
fn expected(kind: &Kind) -> String {
    let text = match kind {
        Kind::Double | Kind::Float => "a number",
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => "a whole number of 32 bits with a sign",
        Kind::Uint32 | Kind::Fixed32 => "a whole number of 32 bits without a sign",
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
            "a whole number of 64 bits with a sign, as a string or a number"
        }
        Kind::Uint64 | Kind::Fixed64 => "a whole number of 64 bits without a sign, as a string or a number",
        Kind::Bool => "true or false",
        Kind::String => "a string",
        Kind::Bytes => "a string in base64",
        Kind::Enum(values) => {
            let names: Vec<String> = values.values().map(|value| value.name().to_owned()).collect();
            return format!("one of {}", names.join(", "));
        }
        Kind::Message(message) => match message.full_name() {
            "google.protobuf.Timestamp" => r#"an instant such as "2026-11-02T14:00:00Z""#,
            "google.protobuf.Duration" => r#"seconds such as "3.5s""#,
            "google.protobuf.FieldMask" => {
                r#"names of fields with commas between them, such as "owner,expiryDate""#
            }
            _ => return format!("an object, the fields of {}", message.name()),
        },
    };
    text.to_owned()
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost_reflect::DescriptorPool;
    use prost_types::field_descriptor_proto::{Label, Type};
    use prost_types::{
        DescriptorProto, EnumDescriptorProto, EnumValueDescriptorProto, FieldDescriptorProto,
        FileDescriptorProto, FileDescriptorSet, OneofDescriptorProto,
    };

    use super::*;

    fn field(name: &str, number: i32, r#type: Type, type_name: &str) -> FieldDescriptorProto {
        FieldDescriptorProto {
            name: Some(name.to_owned()),
            number: Some(number),
            label: Some(Label::Optional.into()),
            r#type: Some(r#type.into()),
            type_name: (!type_name.is_empty()).then(|| type_name.to_owned()),
            ..FieldDescriptorProto::default()
        }
    }

    /// An order with a field of each form: scalars, a list, an enum, a message, a list of messages, an instant, a oneof.
    fn order() -> MessageDescriptor {
        let list = |field: FieldDescriptorProto| FieldDescriptorProto {
            label: Some(Label::Repeated.into()),
            ..field
        };
        let chosen = |field: FieldDescriptorProto| FieldDescriptorProto { oneof_index: Some(0), ..field };
        let value = |name: &str, number| EnumValueDescriptorProto {
            name: Some(name.to_owned()),
            number: Some(number),
            ..EnumValueDescriptorProto::default()
        };
        let file = FileDescriptorProto {
            name: Some("order.proto".to_owned()),
            package: Some("example".to_owned()),
            syntax: Some("proto3".to_owned()),
            dependency: vec!["google/protobuf/timestamp.proto".to_owned()],
            enum_type: vec![EnumDescriptorProto {
                name: Some("Colour".to_owned()),
                value: vec![value("COLOUR_UNSPECIFIED", 0), value("COLOUR_RED", 1)],
                ..EnumDescriptorProto::default()
            }],
            message_type: vec![DescriptorProto {
                name: Some("Order".to_owned()),
                field: vec![
                    field("item_count", 1, Type::Int32, ""),
                    field("total", 2, Type::Uint64, ""),
                    list(field("names", 3, Type::String, "")),
                    field("colour", 4, Type::Enum, ".example.Colour"),
                    field("parent", 5, Type::Message, ".example.Order"),
                    list(field("parts", 6, Type::Message, ".example.Order")),
                    field("order_time", 7, Type::Message, ".google.protobuf.Timestamp"),
                    chosen(field("by_id", 8, Type::Uint64, "")),
                    chosen(field("by_name", 9, Type::String, "")),
                    field("urgent", 10, Type::Bool, ""),
                ],
                oneof_decl: vec![OneofDescriptorProto {
                    name: Some("key".to_owned()),
                    ..OneofDescriptorProto::default()
                }],
                ..DescriptorProto::default()
            }],
            ..FileDescriptorProto::default()
        };
        let mut pool = DescriptorPool::global();
        pool.add_file_descriptor_set(FileDescriptorSet { file: vec![file] }).unwrap();
        pool.get_message_by_name("example.Order").unwrap()
    }

    fn found(json: &str) -> Vec<(String, String)> {
        violations(&order(), json.as_bytes())
    }

    fn fields(json: &str) -> Vec<String> {
        found(json).into_iter().map(|(field, _)| field).collect()
    }

    #[test]
    fn a_request_that_fits_has_no_violations() {
        let json = r#"{"itemCount": 3, "total": "18446744073709551615", "names": ["a"], "colour": "COLOUR_RED",
            "parent": {"urgent": true, "order_time": "2026-11-02T14:00:00Z"}, "parts": [{}, {"total": 1}],
            "byName": "x", "byId": null}"#;
        assert_eq!(found(json), []);
        assert_eq!(found("{}"), []);
    }

    #[test]
    fn every_wrong_field_is_named_by_its_path_and_told_what_it_takes() {
        let json = r#"{"itemCount": "three", "total": -1, "names": ["a", 5], "colour": "COLOUR_BLUE",
            "parent": {"urgent": "yes", "colour_of_car": 1}, "parts": [{}, {"orderTime": "yesterday"}, 7]}"#;
        let expected = [
            ("item_count", "must be a whole number of 32 bits with a sign"),
            ("total", "must be a whole number of 64 bits without a sign, as a string or a number"),
            ("names[1]", "must be a string"),
            ("colour", "must be one of COLOUR_UNSPECIFIED, COLOUR_RED"),
            ("parent.urgent", "must be true or false"),
            ("parent.colour_of_car", "Order has no such field"),
            ("parts[1].order_time", r#"must be an instant such as "2026-11-02T14:00:00Z""#),
            ("parts[2]", "must be an object, the fields of Order"),
        ];
        let expected = expected.map(|(field, why)| (field.to_owned(), why.to_owned()));
        assert_eq!(found(json), expected);
        assert_eq!(fields(r#"{"names": "a", "itemCount": 2147483648}"#), ["names", "item_count"]);
    }

    #[test]
    fn a_field_that_is_there_twice_is_refused_under_either_name() {
        assert_eq!(fields(r#"{"total": 1, "total": 2}"#), ["total"]);
        assert_eq!(fields(r#"{"itemCount": 1, "item_count": 1}"#), ["item_count"]);
        assert_eq!(fields(r#"{"byId": 1, "byName": "x"}"#), ["by_name"]);
    }

    #[test]
    fn a_body_that_is_no_object_is_refused_as_a_whole() {
        for json in ["", "[]", "7", "null", "{", r#"{"total": 1} x"#, "{'total': 1}"] {
            assert_eq!(fields(json), ["body"], "{json}");
        }
        assert_eq!(found("{\n  x}")[0].1, "is not JSON: line 2, column 3");
    }

    #[test]
    fn a_long_list_of_wrong_values_gets_a_short_answer() {
        let json = format!(r#"{{"names": [{}1]}}"#, "1,".repeat(5000));
        assert_eq!(found(&json).len(), MOST_VIOLATIONS);
    }

    proptest! {
        #[test]
        fn what_has_no_violations_can_be_read(json in r#"\{("(total|itemCount|names|parent|byId|byName|colour)": ?("?[0-9a-z]{0,3}"?|\[\]|\{\}|null|true),? ?){0,3}\}"#) {
            if found(&json).is_empty() {
                let mut text = serde_json::Deserializer::from_str(&json);
                prop_assert!(DynamicMessage::deserialize(order(), &mut text).is_ok(), "{}", json);
            }
        }

        #[test]
        fn no_body_causes_a_panic(body in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = violations(&order(), &body);
        }
    }
}
