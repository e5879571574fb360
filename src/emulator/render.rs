//! Records to NetBox's JSON.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::records::{Kind, Record};
use super::state::{Entry, State};

/// An instant as NetBox's JSON spells it.
pub(super) fn instant(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

/// An instant as Python's isoformat spells it, which is what ETags are made of.
pub(super) fn etag(at: Timestamp) -> String {
    let shape =
        if at.subsec_nanosecond() == 0 { "%Y-%m-%dT%H:%M:%S+00:00" } else { "%Y-%m-%dT%H:%M:%S.%6f+00:00" };
    format!("W/\"{}\"", at.strftime(shape))
}

fn label(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn choice(value: &str) -> Value {
    if value.is_empty() { Value::Null } else { json!({ "value": value, "label": label(value) }) }
}

fn named(state: &State, kind: Kind, id: Option<u64>) -> Value {
    match id.and_then(|id| state.get(kind, id)) {
        None => Value::Null,
        Some(found) => {
            json!({ "id": found.id, "display": found.name, "name": found.name, "slug": found.slug, "description": found.description })
        }
    }
}

fn custom_fields(state: &State, kind: Kind, record: &Record) -> Value {
    let mut shown = Map::new();
    for field in state.fields_of(kind) {
        let raw = record.custom_fields.get(&field.name).cloned().unwrap_or(Value::Null);
        let select = field.definition.get("type").and_then(Value::as_str) == Some("select");
        let value = match raw.as_str() {
            Some(word) if select && !state.older => json!({ "value": word, "label": word }),
            _ => raw,
        };
        shown.insert(field.name.clone(), value);
    }
    Value::Object(shown)
}

/// A record in full.
pub(super) fn record(state: &State, kind: Kind, record: &Record) -> Value {
    let net = record.net.map(|net| net.to_string());
    let family = record.net.map(|net| if net.addr().is_ipv4() { 4 } else { 6 });
    let family = json!({ "value": family, "label": family.map(|family| format!("IPv{family}")) });
    let vrf = match record.vrf.and_then(|id| state.get(Kind::Vrf, id)) {
        None => Value::Null,
        Some(vrf) => json!({ "id": vrf.id, "name": vrf.name, "rd": vrf.rd, "description": vrf.description }),
    };
    let tags: Vec<Value> = record.tags.iter().map(|id| named(state, Kind::Tag, Some(*id))).collect();
    let tenant = named(state, Kind::Tenant, record.tenant);
    let mut json = match kind {
        Kind::Prefix => json!({
            "prefix": net, "family": family, "vrf": vrf, "status": choice(&record.status), "tenant": tenant,
            "role": named(state, Kind::Role, record.role), "is_pool": record.flag,
            "mark_utilized": record.mark_utilized, "tags": tags,
            "custom_fields": custom_fields(state, kind, record),
        }),
        Kind::Address => json!({
            "address": net, "family": family, "vrf": vrf, "status": choice(&record.status), "tenant": tenant,
            "role": choice(&record.role_value), "dns_name": record.dns_name, "tags": tags,
            "custom_fields": custom_fields(state, kind, record),
        }),
        Kind::Range => json!({
            "start_address": net, "end_address": record.end.map(|end| end.to_string()), "family": family,
            "vrf": vrf, "status": choice(&record.status), "mark_populated": record.flag, "tags": tags,
        }),
        Kind::Vrf => json!({ "name": record.name, "rd": record.rd, "enforce_unique": record.flag }),
        Kind::Tenant | Kind::Role | Kind::Tag => json!({ "name": record.name, "slug": record.slug }),
        Kind::CustomField | Kind::ChoiceSet => {
            let mut shown = record.definition.clone();
            shown.insert("name".to_owned(), json!(record.name));
            for key in ["type", "filter_logic"] {
                if let Some(word) = shown.get(key).and_then(Value::as_str) {
                    shown.insert(key.to_owned(), choice(word));
                }
            }
            Value::Object(shown)
        }
    };
    if let Value::Object(shown) = &mut json {
        shown.insert("id".to_owned(), json!(record.id));
        shown.insert("display".to_owned(), json!(net.unwrap_or_else(|| record.name.clone())));
        shown.insert("description".to_owned(), json!(record.description));
        shown.insert("created".to_owned(), json!(instant(record.created)));
        shown.insert("last_updated".to_owned(), json!(record.last_updated.map(instant)));
    }
    json
}

/// A record as the change log spells it: ids instead of objects, names instead of tags, raw custom fields.
pub(super) fn logged(state: &State, kind: Kind, record: &Record) -> Value {
    let mut tags: Vec<&str> =
        record.tags.iter().filter_map(|id| Some(state.get(Kind::Tag, *id)?.name.as_str())).collect();
    tags.sort_unstable();
    let mut fields = Map::new();
    for field in state.fields_of(kind) {
        let raw = record.custom_fields.get(&field.name).cloned().unwrap_or(Value::Null);
        fields.insert(field.name.clone(), raw);
    }
    let net = record.net.map(|net| net.to_string());
    match kind {
        Kind::Prefix => json!({
            "prefix": net, "vrf": record.vrf, "status": record.status, "tenant": record.tenant, "role": record.role,
            "is_pool": record.flag, "mark_utilized": record.mark_utilized, "description": record.description,
            "tags": tags, "custom_fields": fields, "created": instant(record.created),
        }),
        Kind::Address => json!({
            "address": net, "vrf": record.vrf, "status": record.status, "tenant": record.tenant,
            "role": record.role_value, "dns_name": record.dns_name, "description": record.description, "tags": tags,
            "custom_fields": fields, "created": instant(record.created),
        }),
        _ => json!({ "name": record.name, "description": record.description }),
    }
}

/// An entry of the change log.
pub(super) fn entry(entry: &Entry) -> Value {
    // What did not stand is an empty object, not null.
    let state = |state: &Value| if state.is_null() { json!({}) } else { state.clone() };
    json!({
        "id": entry.id, "time": instant(entry.time), "user_name": "emulator", "request_id": entry.request,
        "action": { "value": entry.action, "label": format!("{}d", label(entry.action)) },
        "changed_object_type": entry.kind.object_type(), "changed_object_id": entry.object,
        "object_repr": entry.repr, "message": "", "prechange_data": state(&entry.before),
        "postchange_data": state(&entry.after),
    })
}

/// Cuts a row to the fields asked for.
pub(super) fn cut(row: Value, fields: Option<&str>) -> Value {
    match (row, fields) {
        (Value::Object(row), Some(fields)) => {
            let wanted: Vec<&str> = fields.split(',').collect();
            Value::Object(row.into_iter().filter(|(name, _)| wanted.contains(&name.as_str())).collect())
        }
        (row, _) => row,
    }
}
