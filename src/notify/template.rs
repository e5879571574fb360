//! Placeholders such as `{{title}}` in the requests to a tracker. Pure.
//!
//! The values come from NetBox, where many people write. In a JSON body a value can only become part of a string, in a URL only
//! part of one path segment or query value, and placeholders inside a value are not replaced again.

use serde_json::Value;

/// The value of each placeholder, by name.
pub(super) type Placeholders<'a> = [(&'a str, String)];

/// Replaces the placeholders in every string of a JSON value.
pub(super) fn fill_json(template: &Value, placeholders: &Placeholders<'_>) -> Value {
    match template {
        Value::String(text) => Value::String(fill(text, placeholders, str::to_owned)),
        Value::Array(items) => items.iter().map(|item| fill_json(item, placeholders)).collect(),
        Value::Object(entries) => {
            entries.iter().map(|(key, value)| (key.clone(), fill_json(value, placeholders))).collect()
        }
        other => other.clone(),
    }
}

/// Replaces the placeholders in a URL, percent-encoded.
pub(super) fn fill_url(template: &str, placeholders: &Placeholders<'_>) -> String {
    fill(template, placeholders, |value| {
        url::form_urlencoded::byte_serialize(value.as_bytes()).collect::<String>().replace('+', "%20")
    })
}

/// One pass from left to right. A placeholder without a value, and braces that are none, stay as they are.
fn fill(template: &str, placeholders: &Placeholders<'_>, encode: impl Fn(&str) -> String) -> String {
    let (mut text, mut rest) = (String::with_capacity(template.len()), template);
    while let Some((before, after)) = rest.split_once("{{") {
        text.push_str(before);
        let found = after.split_once("}}").and_then(|(name, after)| {
            placeholders.iter().find(|(known, _)| *known == name).map(|(_, value)| (value, after))
        });
        match found {
            Some((value, after)) => {
                text.push_str(&encode(value));
                rest = after;
            }
            None => {
                text.push_str("{{");
                rest = after;
            }
        }
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_value_stays_text_whatever_it_holds() {
        let values = [("title", "a \"quote\", {{body}}".to_owned()), ("body", "x".to_owned())];
        let template = json!({ "t": "{{title}}!", "n": 1, "l": ["{{body}}", "{{nope}}", "{{"] });
        let filled = fill_json(&template, &values);
        assert_eq!(filled, json!({ "t": "a \"quote\", {{body}}!", "n": 1, "l": ["x", "{{nope}}", "{{"] }));
        let values = [("reference", "../../x?y=1&z".to_owned())];
        assert_eq!(fill_url("https://h/i/{{reference}}", &values), "https://h/i/..%2F..%2Fx%3Fy%3D1%26z");
    }
}
