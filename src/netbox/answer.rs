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
use super::fields::{Field, FieldNames};
use super::request::ApiRequest;

/// Parts of the texts of a 403 that blame the token itself.
const TOKEN_REFUSED: [&str; 5] =
    ["invalid", "credentials", "token disabled", "token expired", "user inactive"];
/// How NetBox begins the text of a 400 about an address or a prefix that its scope holds already. Texts of others' validators
/// may speak of duplicates too, so the beginning counts, and not a word.
const DUPLICATE_ADDRESS: &str = "Duplicate IP address found in ";
const DUPLICATE_PREFIX: &str = "Duplicate prefix found in ";
/// How NetBox begins and goes on in the text of a 400 about an address in an IP range that is marked as populated.
const ADDRESS_IN_RANGE: (&str, &str) = ("Cannot create IP address ", " inside range ");
/// Part of the text of a 500 in maintenance mode.
const MAINTENANCE: &str = "maintenance mode";
/// The exception by which NetBox refuses a request that its API views do not turn into a 400.
const ABORT_REQUEST: &str = "AbortRequest";
/// Parts of the texts of a 400 that say that a custom field does not exist: "Custom field 'x' does not exist for this
/// object type." (NetBox 4.7) and "Unknown field name 'x' in custom field data." (older). The name is in quotation marks.
const CUSTOM_FIELD_UNKNOWN: [&str; 2] = ["does not exist for this object type", "unknown field name"];

/// Interprets one answer. An empty body is `null`.
pub(super) fn interpret(
    request: &ApiRequest<'_>,
    url: &Url,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    fields: &FieldNames,
) -> NetBoxResult<Value> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let retry_after = || header(RETRY_AFTER)?.parse().ok().map(Duration::from_secs);
    if status == StatusCode::INTERNAL_SERVER_ERROR
        && let Some(error) = crashed(body)
    {
        return Err(error);
    }
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
        // A list names in its errors the entries that the permissions of the token do not cover.
        StatusCode::FORBIDDEN if json.get("errors").is_some() => {
            let problems: Vec<String> = problems(&json).iter().map(ToString::to_string).collect();
            Error::Forbidden { attempt: request.attempt(), detail: problems.join("; ") }
        }
        StatusCode::FORBIDDEN => forbidden(request, detail()),
        StatusCode::NOT_FOUND if json.get("detail").is_some() => {
            Error::NotFound { path: request.path.to_owned() }
        }
        StatusCode::NOT_FOUND => not_netbox(status.to_string()),
        StatusCode::CONFLICT if request.method == Method::DELETE => Error::HasDependents { detail: detail() },
        StatusCode::CONFLICT => Error::InsufficientSpace { detail: detail() },
        StatusCode::PRECONDITION_FAILED => Error::Changed,
        _ => refused(problems(&json), fields),
    })
}

/// The error of a 500 that NetBox's own code answered: a JSON object with the name of an exception. A proxy's 500 has none.
fn crashed(body: &[u8]) -> Option<Error> {
    let json: Value = serde_json::from_slice(body).ok()?;
    let exception = json.get("exception")?.as_str()?.to_owned();
    let detail = json.get("error").and_then(Value::as_str).unwrap_or_default().to_owned();
    Some(if exception == ABORT_REQUEST {
        Error::Aborted { detail }
    } else if contains_any(&detail, &[MAINTENANCE]) {
        Error::Maintenance { detail }
    } else {
        Error::Crashed { exception, detail }
    })
}

/// The ids of the records that NetBox calls missing in its refusal of a list of deletions.
pub(super) fn missing_ids(error: &Error) -> Vec<u64> {
    let Error::Invalid { problems } = error else { return Vec::new() };
    let id = |problem: &FieldProblem| {
        let rest = problem.message.strip_prefix("Object with ID ")?;
        rest.strip_suffix(" does not exist")?.parse().ok()
    };
    problems.iter().filter_map(id).collect()
}

/// NetBox answers 403 both to a bad token and to a valid one without the permission; only the text differs.
fn forbidden(request: &ApiRequest<'_>, detail: String) -> Error {
    if contains_any(&detail, &TOKEN_REFUSED) {
        Error::Unauthenticated { detail }
    } else {
        Error::Forbidden { attempt: request.attempt(), detail }
    }
}

/// The kind of a 400, from NetBox's own texts. Everything else is somebody's refusal and reaches the caller in their words.
pub(super) fn refused(problems: Vec<FieldProblem>, fields: &FieldNames) -> Error {
    let begins = |text: &str| problems.iter().any(|problem| problem.message.starts_with(text));
    let taken = format!("Custom field '{}' must have a unique value.", fields.name(Field::AllocationId));
    if problems.iter().any(|problem| is_field_of_ours_unknown(&problem.message, fields)) {
        Error::UnknownCustomField { problems }
    } else if begins(&taken) {
        Error::AllocationIdTaken { problems }
    } else if begins(DUPLICATE_ADDRESS) {
        Error::DuplicateAddress { problems }
    } else if begins(DUPLICATE_PREFIX) {
        Error::DuplicatePrefix { problems }
    } else if problems.iter().any(|problem| is_in_range(&problem.message)) {
        Error::AddressInRange { problems }
    } else {
        Error::Invalid { problems }
    }
}

/// Whether a message says that a custom field of ours does not exist. One that the caller names is the caller's mistake.
fn is_field_of_ours_unknown(message: &str, fields: &FieldNames) -> bool {
    let quoted = message.split('\'').nth(1);
    contains_any(message, &CUSTOM_FIELD_UNKNOWN) && quoted.is_some_and(|name| fields.is_own(name))
}

/// Whether a text says that an address is in a populated range.
fn is_in_range(text: &str) -> bool {
    text.strip_prefix(ADDRESS_IN_RANGE.0).is_some_and(|rest| rest.contains(ADDRESS_IN_RANGE.1))
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
                    // Lists of changes and deletions name the entry by the id of its record.
                    Value::Object(entry)
                        if entry.contains_key("id") && entry.get("errors").is_some_and(Value::is_object) =>
                    {
                        collect(entry.get("errors").unwrap_or(&Value::Null), &format!("[{index}]"), found);
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
        assert_eq!(
            flat(
                &json!({"detail": "1 of 1", "errors": [{"id": 91, "errors": {"__all__": ["no such tag"]}}]})
            ),
            ["[0]: no such tag"]
        );
    }

    #[test]
    fn an_error_body_of_an_unknown_shape_is_kept_as_text() {
        assert_eq!(flat(&json!(null)), ["null"]);
        assert_eq!(flat(&json!({"count": 3})), ["count: 3"]);
    }

    #[test]
    fn a_400_is_told_by_netbox_s_own_texts_and_never_by_a_word() {
        let kind = |json: &Value| refused(problems(json), &FieldNames::default());
        let taken = json!({"address": ["Duplicate IP address found in VRF blue: 203.0.113.5/24"]});
        assert!(matches!(kind(&taken), Error::DuplicateAddress { .. }));
        let taken = json!({"prefix": ["Duplicate prefix found in global table: 203.0.113.0/24"]});
        assert!(matches!(kind(&taken), Error::DuplicatePrefix { .. }));
        let taken = json!([{}, {"__all__": ["Custom field 'allocation_id' must have a unique value."]}]);
        assert!(matches!(kind(&taken), Error::AllocationIdTaken { .. }));
        let range = "Cannot create IP address 203.0.113.129/25 inside range 203.0.113.100-150/24.";
        assert!(matches!(kind(&json!([{}, {"address": [range]}])), Error::AddressInRange { .. }));
        let mask = json!({"address": ["Cannot create IP address with /0 mask."]});
        assert!(matches!(kind(&mask), Error::Invalid { .. }));
        // Other people's rules, which speak of uniqueness too.
        let other = json!({"__all__": ["Custom field 'server_id' must have a unique value."]});
        assert!(matches!(kind(&other), Error::Invalid { .. }));
        let other =
            json!({"dns_name": ["House rule: a name must be unique, and another address bears web.example"]});
        assert!(matches!(kind(&other), Error::Invalid { .. }));
        for (field, ours) in [("loa_reference", true), ("nope", false)] {
            let words = format!("Custom field '{field}' does not exist for this object type.");
            let unknown = json!({"custom_fields": {field: words}});
            assert_eq!(matches!(kind(&unknown), Error::UnknownCustomField { .. }), ours);
            let unknown = json!({"__all__": [format!("Unknown field name '{field}' in custom field data.")]});
            assert_eq!(matches!(kind(&unknown), Error::UnknownCustomField { .. }), ours);
        }
        assert!(matches!(kind(&json!({"status": ["x is not a valid choice."]})), Error::Invalid { .. }));
    }

    #[test]
    fn a_500_of_netbox_itself_is_told_from_a_proxy_s() {
        let of = |json: &Value| crashed(json.to_string().as_bytes());
        let aborted = json!({"error": "Tag devices-only cannot be assigned to ipaddress objects.", "exception": "AbortRequest"});
        assert!(matches!(of(&aborted), Some(Error::Aborted { .. })));
        let maintenance = json!({"error": "NetBox is currently operating in maintenance mode and is unable to perform write operations.", "exception": "InternalError"});
        assert!(matches!(of(&maintenance), Some(Error::Maintenance { .. })));
        let crash = json!({"error": "\\u0000 cannot be converted to text.", "exception": "DataError"});
        assert!(matches!(of(&crash), Some(Error::Crashed { .. })));
        assert!(crashed(b"<html>502</html>").is_none());
        assert!(of(&json!({"detail": "a proxy's own JSON"})).is_none());
    }
}
