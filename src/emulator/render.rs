//! Records and change-log entries as NetBox's JSON.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::change_log::LoggedChange;
use super::records::{EmulatedRecord, RecordKind};
use super::state::EmulatorState;

/// A time in the format of NetBox's JSON.
pub(super) fn instant(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

/// The ETag of a record: its last update in the format of Python's `isoformat`, which leaves out zero microseconds.
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

fn named(state: &EmulatorState, kind: RecordKind, id: Option<u64>) -> Value {
    match id.and_then(|id| state.get(kind, id)) {
        None => Value::Null,
        Some(found) => {
            json!({ "id": found.id, "display": found.name, "name": found.name, "slug": found.slug, "description": found.description })
        }
    }
}

fn custom_fields(state: &EmulatorState, kind: RecordKind, record: &EmulatedRecord) -> Value {
    let mut json = Map::new();
    for field in state.fields_of(kind) {
        let raw = record.custom_fields.get(&field.name).cloned().unwrap_or(Value::Null);
        let select = field.definition.get("type").and_then(Value::as_str) == Some("select");
        let value = match raw.as_str() {
            Some(word) if select && !state.older => json!({ "value": word, "label": word }),
            _ => raw,
        };
        json.insert(field.name.clone(), value);
    }
    Value::Object(json)
}

/// A record with all its fields, as `GET` answers it.
pub(super) fn record(state: &EmulatorState, kind: RecordKind, record: &EmulatedRecord) -> Value {
    let net = record.net.map(|net| net.to_string());
    let family = record.net.map(|net| if net.addr().is_ipv4() { 4 } else { 6 });
    let family = json!({ "value": family, "label": family.map(|family| format!("IPv{family}")) });
    let vrf = match record.vrf.and_then(|id| state.get(RecordKind::Vrf, id)) {
        None => Value::Null,
        Some(vrf) => json!({ "id": vrf.id, "name": vrf.name, "rd": vrf.rd, "description": vrf.description }),
    };
    let tags: Vec<Value> = record.tags.iter().map(|id| named(state, RecordKind::Tag, Some(*id))).collect();
    let tenant = named(state, RecordKind::Tenant, record.tenant);
    let mut json = match kind {
        RecordKind::Prefix => json!({
            "prefix": net, "family": family, "vrf": vrf, "status": choice(&record.status), "tenant": tenant,
            "role": named(state, RecordKind::Role, record.role), "is_pool": record.flag,
            "mark_utilized": record.mark_utilized, "tags": tags,
            "custom_fields": custom_fields(state, kind, record),
        }),
        RecordKind::Address => json!({
            "address": net, "family": family, "vrf": vrf, "status": choice(&record.status), "tenant": tenant,
            "role": choice(&record.role_value), "dns_name": record.dns_name, "tags": tags,
            "custom_fields": custom_fields(state, kind, record),
        }),
        RecordKind::Range => json!({
            "start_address": net, "end_address": record.end.map(|end| end.to_string()), "family": family,
            "vrf": vrf, "status": choice(&record.status), "mark_populated": record.flag, "tags": tags,
        }),
        RecordKind::Vrf => json!({ "name": record.name, "rd": record.rd, "enforce_unique": record.flag }),
        RecordKind::Tenant | RecordKind::Role | RecordKind::Tag => {
            json!({ "name": record.name, "slug": record.slug })
        }
        RecordKind::CustomField | RecordKind::ChoiceSet => {
            let mut json = record.definition.clone();
            json.insert("name".to_owned(), json!(record.name));
            for key in ["type", "filter_logic"] {
                if let Some(word) = json.get(key).and_then(Value::as_str) {
                    json.insert(key.to_owned(), choice(word));
                }
            }
            Value::Object(json)
        }
    };
    if let Value::Object(json) = &mut json {
        json.insert("id".to_owned(), json!(record.id));
        json.insert("display".to_owned(), json!(net.unwrap_or_else(|| record.name.clone())));
        json.insert("description".to_owned(), json!(record.description));
        json.insert("created".to_owned(), json!(instant(record.created)));
        json.insert("last_updated".to_owned(), json!(record.last_updated.map(instant)));
    }
    json
}

/// A record in the format of the change log: related objects by id, tags by name, custom fields as stored.
pub(super) fn change_log_data(state: &EmulatorState, kind: RecordKind, record: &EmulatedRecord) -> Value {
    let mut tags: Vec<&str> =
        record.tags.iter().filter_map(|id| Some(state.get(RecordKind::Tag, *id)?.name.as_str())).collect();
    tags.sort_unstable();
    let mut fields = Map::new();
    for field in state.fields_of(kind) {
        let raw = record.custom_fields.get(&field.name).cloned().unwrap_or(Value::Null);
        fields.insert(field.name.clone(), raw);
    }
    let net = record.net.map(|net| net.to_string());
    match kind {
        RecordKind::Prefix => json!({
            "prefix": net, "vrf": record.vrf, "status": record.status, "tenant": record.tenant, "role": record.role,
            "is_pool": record.flag, "mark_utilized": record.mark_utilized, "description": record.description,
            "tags": tags, "custom_fields": fields, "created": instant(record.created),
        }),
        RecordKind::Address => json!({
            "address": net, "vrf": record.vrf, "status": record.status, "tenant": record.tenant,
            "role": record.role_value, "dns_name": record.dns_name, "description": record.description, "tags": tags,
            "custom_fields": fields, "created": instant(record.created),
        }),
        _ => json!({ "name": record.name, "description": record.description }),
    }
}

/// An entry of the change log.
pub(super) fn change(entry: &LoggedChange) -> Value {
    // NetBox answers an empty object instead of null where there was no record.
    let data = |data: &Value| if data.is_null() { json!({}) } else { data.clone() };
    json!({
        "id": entry.id, "time": instant(entry.time), "user_name": "emulator", "request_id": entry.request_id,
        "action": { "value": entry.action, "label": format!("{}d", label(entry.action)) },
        "changed_object_type": entry.kind.object_type(), "changed_object_id": entry.object_id,
        "object_repr": entry.object_repr, "message": entry.message, "prechange_data": data(&entry.before),
        "postchange_data": data(&entry.after),
    })
}

/// Reduces a row to the fields that `fields=` names; `None` keeps all of them.
pub(super) fn select_fields(row: Value, fields: Option<&str>) -> Value {
    match (row, fields) {
        (Value::Object(row), Some(fields)) => {
            let wanted: Vec<&str> = fields.split(',').collect();
            Value::Object(row.into_iter().filter(|(name, _)| wanted.contains(&name.as_str())).collect())
        }
        (row, _) => row,
    }
}
