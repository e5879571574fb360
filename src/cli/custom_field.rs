//! Custom fields on the command line: `--field NAME=VALUE`.
//!
//! A value is JSON if it can be read as JSON, and a text otherwise: `cost_center=CC-0815` is a text, `rack=7` a number, `rack='"7"'` a
//! text of one digit.

use serde_json::{Map, Value};

use crate::rpc;

/// A custom field and its value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CustomField {
    name: String,
    value: Value,
}

/// Reads a field and its value.
pub(crate) fn parse(text: &str) -> Result<CustomField, String> {
    let (name, value) = text.split_once('=').ok_or("is no NAME=VALUE")?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
    Ok(CustomField { name: name.to_owned(), value })
}

/// The fields as a message; `None` if there are none. Of a field that is named twice, the last value counts.
pub(crate) fn message(fields: Vec<CustomField>) -> Option<prost_types::Struct> {
    let fields: Map<String, Value> = fields.into_iter().map(|field| (field.name, field.value)).collect();
    rpc::custom_fields(&fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_value_is_json_or_a_text() {
        let value = |text: &str| parse(text).map(|field| (field.name, field.value));
        let read = |name: &str, value: Value| Ok((name.to_owned(), value));
        assert_eq!(value("cost_center=CC-0815"), read("cost_center", json!("CC-0815")));
        assert_eq!(value("rack=7"), read("rack", json!(7)));
        assert_eq!(value("rack=\"7\""), read("rack", json!("7")));
        assert_eq!(value("tags=[1, 2]"), read("tags", json!([1, 2])));
        assert_eq!(value("note=a=b"), read("note", json!("a=b")));
        assert_eq!(value("empty="), read("empty", json!("")));
        assert_eq!(value("rack"), Err("is no NAME=VALUE".to_owned()));
    }
}
