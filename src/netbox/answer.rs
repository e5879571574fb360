//! What an answer of NetBox means: its status, headers and body become a JSON value or an [`Error`].
//!
//! This file alone reads NetBox's error texts. They are English because every request asks for English
//! (Accept-Language, in `transport.rs`); in another language a duplicate could not be recognised.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use url::Url;

use super::error::{Error, FieldProblem, NetBoxResult};
use super::request::ApiRequest;

/// Parts of the texts of a 403 that blame the token itself.
const TOKEN_REFUSED: [&str; 5] =
    ["invalid", "credentials", "token disabled", "token expired", "user inactive"];
/// Parts of the texts of a 400 that say that a unique value exists already: "Duplicate IP address found in …",
/// "Duplicate prefix found in …", "Custom field 'allocation_id' must have a unique value."
const DUPLICATE: [&str; 2] = ["duplicate", "unique"];
/// Parts of the texts of a 400 that say that a custom field does not exist: "Custom field 'x' does not exist for this
/// object type." (NetBox 4.7) and "Unknown field name 'x' in custom field data." (older).
const CUSTOM_FIELD_UNKNOWN: [&str; 2] = ["does not exist for this object type", "unknown field name"];

/// Interprets one answer. An empty body is `null`.
pub(super) fn interpret(
    request: &ApiRequest<'_>,
    url: &Url,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
) -> NetBoxResult<Value> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let retry_after = || header(RETRY_AFTER)?.parse().ok().map(Duration::from_secs);
    if status.is_server_error() {
        return Err(Error::Failing { status: status.as_u16(), retry_after: retry_after() });
    }
    if status == StatusCode::TOO_MANY_REQUESTS {
        return Err(Error::Throttled { retry_after: retry_after() });
    }
    let not_netbox = |found: String| Error::NotNetBox { url: url.to_string(), found };
    if status.is_redirection() {
        let to = header(LOCATION).unwrap_or("an unnamed place");
        return Err(not_netbox(format!("a redirect to {to}")));
    }
    let content_type = header(CONTENT_TYPE);
    if !body.is_empty() && !content_type.is_some_and(|kind| kind.starts_with("application/json")) {
        return Err(not_netbox(format!("{status}, {}", content_type.unwrap_or("no content type"))));
    }
    let json: Value = if body.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(body)
            .map_err(|error| Error::Malformed { attempt: request.attempt(), cause: error.to_string() })?
    };
    if status.is_success() {
        return Ok(json);
    }
    let detail = || json.get("detail").and_then(Value::as_str).unwrap_or_default().to_owned();
    Err(match status {
        StatusCode::UNAUTHORIZED => Error::Unauthenticated { detail: detail() },
        StatusCode::FORBIDDEN => forbidden(request, detail()),
        StatusCode::NOT_FOUND if json.get("detail").is_some() => {
            Error::NotFound { path: request.path.to_owned() }
        }
        StatusCode::NOT_FOUND => not_netbox(status.to_string()),
        StatusCode::CONFLICT if request.method == Method::DELETE => Error::HasDependents { detail: detail() },
        StatusCode::CONFLICT => Error::InsufficientSpace { detail: detail() },
        StatusCode::PRECONDITION_FAILED => Error::Changed,
        _ => refused(problems(&json)),
    })
}

/// NetBox answers 403 both to a bad token and to a valid one without the permission; only the text differs.
fn forbidden(request: &ApiRequest<'_>, detail: String) -> Error {
    if contains_any(&detail, &TOKEN_REFUSED) {
        Error::Unauthenticated { detail }
    } else {
        Error::Forbidden { attempt: request.attempt(), detail }
    }
}

/// The kind of a 400, from the texts of its field errors.
fn refused(problems: Vec<FieldProblem>) -> Error {
    let says = |signs: &[&str]| problems.iter().any(|problem| contains_any(&problem.message, signs));
    // First, because this text quotes the name of the field, which may contain a sign of a duplicate.
    if says(&CUSTOM_FIELD_UNKNOWN) {
        Error::UnknownCustomField { problems }
    } else if says(&DUPLICATE) {
        Error::Duplicate { problems }
    } else {
        Error::Invalid { problems }
    }
}

/// Whether a text contains one of these lower-case signs, in whatever case.
fn contains_any(text: &str, signs: &[&str]) -> bool {
    let text = text.to_lowercase();
    signs.iter().any(|sign| text.contains(sign))
}

/// Flattens NetBox's field errors: `{field: [messages]}`, a list of such objects, or
/// `{detail, errors: [{index, errors}]}` (list requests since 4.7).
fn problems(json: &Value) -> Vec<FieldProblem> {
    let mut found = Vec::new();
    collect(json, "", &mut found);
    if found.is_empty() {
        found.push(FieldProblem { field: "__all__".to_owned(), message: json.to_string() });
    }
    found
}

fn collect(json: &Value, path: &str, found: &mut Vec<FieldProblem>) {
    let field = || if path.is_empty() { "__all__".to_owned() } else { path.to_owned() };
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match json {
        Value::String(message) => found.push(FieldProblem { field: field(), message: message.clone() }),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                match item {
                    Value::Object(entry) if entry.contains_key("index") => {
                        let index = entry.get("index").map(ToString::to_string).unwrap_or_default();
                        let errors = entry.get("errors").unwrap_or(&Value::Null);
                        collect(errors, &format!("[{index}]"), found);
                    }
                    Value::Object(entry) if entry.is_empty() => {}
                    Value::Object(_) => collect(item, &below(&format!("[{index}]")), found),
                    _ => collect(item, path, found),
                }
            }
        }
        Value::Object(entries) => {
            let bulk = entries.get("errors").is_some_and(Value::is_array);
            for (key, value) in entries {
                match key.as_str() {
                    "detail" if bulk => {}
                    "errors" if bulk => collect(value, path, found),
                    "detail" | "non_field_errors" | "__all__" => collect(value, path, found),
                    other => collect(value, &below(other), found),
                }
            }
        }
        Value::Null => {}
        other => found.push(FieldProblem { field: field(), message: other.to_string() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn flat(json: &Value) -> Vec<String> {
        problems(json).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_shape_of_field_errors_names_its_fields() {
        assert_eq!(flat(&json!({"prefix": ["bad"]})), ["prefix: bad"]);
        assert_eq!(flat(&json!({"__all__": ["must have a unique value."]})), ["must have a unique value."]);
        assert_eq!(
            flat(&json!([{}, {"status": ["x is not a valid choice."]}])),
            ["[1].status: x is not a valid choice."]
        );
        assert_eq!(
            flat(&json!({"detail": "1 of 2", "errors": [{"index": 1, "errors": {"address": ["dup"]}}]})),
            ["[1].address: dup"]
        );
    }

    #[test]
    fn an_error_body_of_an_unknown_shape_is_kept_as_text() {
        assert_eq!(flat(&json!(null)), ["null"]);
        assert_eq!(flat(&json!({"count": 3})), ["count: 3"]);
    }

    #[test]
    fn a_400_becomes_a_duplicate_an_unknown_custom_field_or_an_invalid_value() {
        let kind = |json: &Value| refused(problems(json));
        let taken = json!({"address": ["Duplicate IP address found in VRF blue: 203.0.113.5/24"]});
        assert!(matches!(kind(&taken), Error::Duplicate { .. }));
        let taken = json!([{}, {"__all__": ["Custom field 'allocation_id' must have a unique value."]}]);
        assert!(matches!(kind(&taken), Error::Duplicate { .. }));
        let unknown =
            json!({"custom_fields": {"nope": "Custom field 'nope' does not exist for this object type."}});
        assert!(matches!(kind(&unknown), Error::UnknownCustomField { .. }));
        let unknown = json!({"__all__": ["Unknown field name 'nope' in custom field data."]});
        assert!(matches!(kind(&unknown), Error::UnknownCustomField { .. }));
        assert!(matches!(kind(&json!({"status": ["x is not a valid choice."]})), Error::Invalid { .. }));
    }
}
