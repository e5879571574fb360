//! German error texts, for a NetBox whose `DEFAULT_LANGUAGE` is `de`.
//!
//! NetBox writes its errors in the language of Accept-Language, and in its DEFAULT_LANGUAGE if the header is missing. Only
//! the texts that Leasehold's client interprets are translated.

use axum::http::{HeaderMap, header};
use serde_json::Value;

/// Parts of English texts, and their counterparts in NetBox's German translation (translations/de/LC_MESSAGES/django.po) and
/// in that of Django REST framework.
const GERMAN: &[(&str, &str)] = &[
    ("Duplicate IP address found in ", "Doppelte IP-Adresse gefunden in "),
    ("Duplicate prefix found in ", "Doppeltes Prefix gefunden in "),
    ("global table", "globale Tabelle"),
    ("Custom field '", "Benutzerdefiniertes Feld '"),
    ("' must have a unique value.", "'muss einen eindeutigen Wert haben."),
    ("' does not exist for this object type.", "' existiert nicht für diesen Objekttyp."),
    ("Authentication credentials were not provided.", "Anmeldedaten fehlen."),
];

/// Whether an answer to a request with these headers is written in German.
pub(super) fn is_german(headers: &HeaderMap, german_by_default: bool) -> bool {
    match headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()) {
        Some(wanted) if wanted.starts_with("de") => true,
        Some(wanted) if wanted.starts_with("en") => false,
        _ => german_by_default,
    }
}

/// Translates every text of an error's body.
pub(super) fn into_german(body: &mut Value) {
    match body {
        Value::String(text) => {
            for (english, german) in GERMAN {
                *text = text.replace(english, german);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(into_german),
        Value::Object(entries) => entries.iter_mut().for_each(|(_, value)| into_german(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
