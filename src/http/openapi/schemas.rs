//! The JSON schema of each message, by the JSON mapping of proto3.

use std::collections::BTreeMap;

use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Value, json};

use super::comments::Comments;

/// Collects the schemas of messages, and of the messages and enums in their fields.
pub(super) struct Schemas<'a> {
    comments: &'a Comments,
    by_name: BTreeMap<String, Value>,
}

impl<'a> Schemas<'a> {
    pub(super) fn new(comments: &'a Comments) -> Self {
        Self { comments, by_name: BTreeMap::new() }
    }

    /// Every schema that was asked for, by its name.
    pub(super) fn into_value(self) -> Value {
        self.by_name.into_iter().collect()
    }

    /// The schema of a message: a reference, or the schema itself if the message has a JSON form of its own.
    pub(super) fn message(&mut self, message: &MessageDescriptor) -> Value {
        if let Some(schema) = well_known(message.full_name()) {
            return schema;
        }
        let name = component(message.full_name());
        if !self.by_name.contains_key(&name) {
            // The name is taken first, because a message may contain itself.
            self.by_name.insert(name.clone(), Value::Null);
            let schema = self.object(message);
            self.by_name.insert(name.clone(), schema);
        }
        reference(&name)
    }

    fn object(&mut self, message: &MessageDescriptor) -> Value {
        let mut description = self.comments.at(&message.parent_file(), message.path()).to_owned();
        for oneof in message.oneofs().filter(|oneof| !oneof.is_synthetic()) {
            let fields: Vec<String> =
                oneof.fields().map(|field| format!("`{}`", field.json_name())).collect();
            let comment = self.comments.at(&oneof.parent_file(), oneof.path());
            description.push_str(&format!("\n\nAt most one of {}. {comment}", fields.join(", ")));
        }
        let mut properties = BTreeMap::new();
        for field in message.fields() {
            properties.insert(field.json_name().to_owned(), self.field(&field));
        }
        // A request with other properties is refused, but an answer may get more of them in time.
        json!({ "type": "object", "description": description.trim(), "properties": properties })
    }

    fn field(&mut self, field: &FieldDescriptor) -> Value {
        let mut schema = match field.kind() {
            Kind::Message(entry) if field.is_map() => {
                json!({ "type": "object", "additionalProperties": self.kind(&entry.map_entry_value_field().kind()) })
            }
            kind if field.is_list() => json!({ "type": "array", "items": self.kind(&kind) }),
            kind => self.kind(&kind),
        };
        let comment = self.comments.at(&field.parent_file(), field.path());
        if let (Some(schema), false) = (schema.as_object_mut(), comment.is_empty()) {
            schema.insert("description".to_owned(), json!(comment));
        }
        schema
    }

    fn kind(&mut self, kind: &Kind) -> Value {
        match kind {
            Kind::Double => json!({ "type": "number", "format": "double" }),
            Kind::Float => json!({ "type": "number", "format": "float" }),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => json!({ "type": "integer", "format": "int32" }),
            Kind::Uint32 | Kind::Fixed32 => json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX }),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
                json!({ "type": "string", "pattern": "^-?[0-9]+$" })
            }
            Kind::Uint64 | Kind::Fixed64 => json!({ "type": "string", "pattern": "^[0-9]+$" }),
            Kind::Bool => json!({ "type": "boolean" }),
            Kind::String => json!({ "type": "string" }),
            Kind::Bytes => json!({ "type": "string", "contentEncoding": "base64" }),
            Kind::Message(message) => self.message(message),
            Kind::Enum(values) => self.names(values),
        }
    }

    fn names(&mut self, values: &EnumDescriptor) -> Value {
        let name = component(values.full_name());
        if !self.by_name.contains_key(&name) {
            let mut description = self.comments.at(&values.parent_file(), values.path()).to_owned();
            for value in values.values() {
                let comment = self.comments.at(&value.parent_file(), value.path());
                if !comment.is_empty() {
                    description.push_str(&format!("\n\n`{}`: {comment}", value.name()));
                }
            }
            let names: Vec<String> = values.values().map(|value| value.name().to_owned()).collect();
            let schema = json!({ "type": "string", "description": description.trim(), "enum": names });
            self.by_name.insert(name.clone(), schema);
        }
        reference(&name)
    }
}

/// The schemas of Google's messages whose JSON is not an object of their fields.
fn well_known(name: &str) -> Option<Value> {
    Some(match name {
        "google.protobuf.Timestamp" => json!({ "type": "string", "format": "date-time" }),
        "google.protobuf.Duration" => json!({ "type": "string", "pattern": r"^-?[0-9]+(\.[0-9]{1,9})?s$" }),
        "google.protobuf.FieldMask" => json!({ "type": "string" }),
        "google.protobuf.Struct" => json!({ "type": "object" }),
        "google.protobuf.Value" => json!({}),
        "google.protobuf.ListValue" => json!({ "type": "array" }),
        "google.protobuf.Any" => {
            json!({ "type": "object", "properties": { "@type": { "type": "string" } }, "required": ["@type"] })
        }
        _ => return None,
    })
}

/// The name of a schema: that of the message, without the package of the API.
fn component(name: &str) -> String {
    name.strip_prefix("leasehold.v1.").unwrap_or(name).to_owned()
}

pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}
