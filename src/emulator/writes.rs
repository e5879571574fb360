//! Checks the bodies of writes as NetBox does, and applies them to records.

use ipnet::IpNet;
use serde_json::{Map, Value, json};

use super::records::{EmulatedRecord, RecordKind};
use super::state::EmulatorState;

/// Error texts by field name: the body of NetBox's 400.
pub(super) type FieldErrors = Map<String, Value>;

fn add_error(errors: &mut FieldErrors, field: &str, message: impl Into<String>) {
    errors.insert(field.to_owned(), json!([message.into()]));
}

/// Applies a body to a new or a stored record. With `creating`, required fields that are missing are errors.
pub(super) fn apply_body(
    state: &EmulatorState,
    kind: RecordKind,
    body: &Value,
    mut record: EmulatedRecord,
    creating: bool,
) -> Result<EmulatedRecord, FieldErrors> {
    let mut errors = FieldErrors::new();
    let empty = Map::new();
    let body = body.as_object().unwrap_or(&empty);
    let text = |key: &str| body.get(key).and_then(Value::as_str);
    if let Some(description) = text("description") {
        description.clone_into(&mut record.description);
    }
    match kind {
        RecordKind::Prefix => {
            net(&mut errors, body, "prefix", creating, &mut record.net, true);
            flag(body, "is_pool", &mut record.flag);
            flag(body, "mark_utilized", &mut record.mark_utilized);
            let known = ["container", "active", "reserved", "deprecated"];
            status(&mut errors, body, &known, &mut record.status);
            record.role = reference(state, &mut errors, body, "role", RecordKind::Role, record.role);
        }
        RecordKind::Address => {
            net(&mut errors, body, "address", creating, &mut record.net, false);
            let known = ["active", "reserved", "deprecated", "dhcp", "slaac"];
            status(&mut errors, body, &known, &mut record.status);
            if let Some(name) = text("dns_name") {
                name.to_lowercase().clone_into(&mut record.dns_name);
            }
            if let Some(role) = text("role") {
                role.clone_into(&mut record.role_value);
            }
        }
        RecordKind::Range => {
            net(&mut errors, body, "start_address", creating, &mut record.net, false);
            net(&mut errors, body, "end_address", creating, &mut record.end, false);
            flag(body, "mark_populated", &mut record.flag);
            status(&mut errors, body, &["active", "reserved", "deprecated"], &mut record.status);
        }
        RecordKind::Vrf => {
            flag(body, "enforce_unique", &mut record.flag);
            record.rd = text("rd").map(str::to_owned).or(record.rd);
        }
        RecordKind::CustomField | RecordKind::ChoiceSet => {
            for (key, value) in body.iter().filter(|(key, _)| *key != "name") {
                record.definition.insert(key.clone(), value.clone());
            }
        }
        RecordKind::Tenant | RecordKind::Role | RecordKind::Tag => {
            if let Some(slug) = text("slug") {
                slug.clone_into(&mut record.slug);
            }
            if let Some(types) = body.get("object_types") {
                record.definition.insert("object_types".to_owned(), types.clone());
            }
        }
    }
    match text("name") {
        Some(name) => name.clone_into(&mut record.name),
        None if creating && !matches!(kind, RecordKind::Prefix | RecordKind::Address | RecordKind::Range) => {
            add_error(&mut errors, "name", "This field is required.");
        }
        None => {}
    }
    if matches!(kind, RecordKind::Prefix | RecordKind::Address | RecordKind::Range) {
        record.vrf = reference(state, &mut errors, body, "vrf", RecordKind::Vrf, record.vrf);
        record.tenant = reference(state, &mut errors, body, "tenant", RecordKind::Tenant, record.tenant);
        if let Some(tags) = body.get("tags").and_then(Value::as_array) {
            record.tags = tags
                .iter()
                .filter_map(|tag| find(state, &mut errors, "tags", RecordKind::Tag, tag))
                .collect();
        }
        custom_fields(state, &mut errors, kind, body, &mut record);
        if creating {
            fill_defaults(state, &mut errors, kind, body, &mut record);
        }
    }
    if errors.is_empty() { Ok(record) } else { Err(errors) }
}

/// The checks that NetBox makes when it saves a record: duplicates in the same VRF and unique custom field values.
pub(super) fn validate(
    state: &EmulatorState,
    kind: RecordKind,
    record: &EmulatedRecord,
) -> Result<(), FieldErrors> {
    let mut errors = FieldErrors::new();
    for field in state.unique_fields(kind) {
        let Some(value) = record.custom_fields.get(&field).and_then(Value::as_str) else { continue };
        if state.with_unique_value(kind, &field, value).is_some_and(|id| id != record.id) {
            add_error(&mut errors, "__all__", format!("Custom field '{field}' must have a unique value."));
        }
    }
    let Some(net) = record.net else { return as_result(errors) };
    let enforced = record.vrf.is_none_or(|id| state.get(RecordKind::Vrf, id).is_some_and(|vrf| vrf.flag));
    let scope = match record.vrf.and_then(|id| state.get(RecordKind::Vrf, id)) {
        None => "global table".to_owned(),
        Some(vrf) => format!("VRF {}", vrf.name),
    };
    let same_address = || {
        let found = state.in_span(kind, Some(record.vrf), net.addr()..=net.addr());
        found.into_iter().filter(|other| other.id != record.id)
    };
    match kind {
        RecordKind::Prefix if enforced && same_address().any(|other| other.net == Some(net)) => {
            add_error(&mut errors, "prefix", format!("Duplicate prefix found in {scope}: {net}"));
        }
        RecordKind::Address => {
            if enforced && let Some(other) = same_address().next().and_then(|other| other.net) {
                add_error(&mut errors, "address", format!("Duplicate IP address found in {scope}: {other}"));
            }
            let populated = |range: &&EmulatedRecord| {
                range.flag
                    && range.vrf == record.vrf
                    && range.net.is_some_and(|first| first.addr() <= net.addr())
                    && range.end.is_some_and(|last| last.addr() >= net.addr())
            };
            let range = state.all(RecordKind::Range).find(populated);
            if record.id == 0
                && let Some((first, last)) = range.and_then(|range| range.net.zip(range.end))
            {
                let text =
                    format!("Cannot create IP address {net} inside range {}-{}.", first.addr(), last.addr());
                add_error(&mut errors, "address", text);
            }
        }
        _ => {}
    }
    as_result(errors)
}

fn as_result(errors: FieldErrors) -> Result<(), FieldErrors> {
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

fn flag(body: &Map<String, Value>, key: &str, target: &mut bool) {
    if let Some(value) = body.get(key).and_then(Value::as_bool) {
        *target = value;
    }
}

fn status(errors: &mut FieldErrors, body: &Map<String, Value>, known: &[&str], target: &mut String) {
    let Some(word) = body.get("status").and_then(Value::as_str) else { return };
    if known.contains(&word) {
        word.clone_into(target);
    } else {
        add_error(errors, "status", format!("{word} is not a valid choice."));
    }
}

fn net(
    errors: &mut FieldErrors,
    body: &Map<String, Value>,
    key: &str,
    required: bool,
    target: &mut Option<IpNet>,
    without_host_bits: bool,
) {
    let Some(text) = body.get(key).and_then(Value::as_str) else {
        if required {
            add_error(errors, key, "This field is required.");
        }
        return;
    };
    match text.parse::<IpNet>() {
        Err(_) => add_error(errors, key, format!("Invalid IP address format: {text}")),
        Ok(net) if without_host_bits && net != net.trunc() => {
            add_error(errors, key, format!("{net} is not a valid prefix. Did you mean {}?", net.trunc()));
        }
        Ok(net) => *target = Some(net),
    }
}

fn reference(
    state: &EmulatorState,
    errors: &mut FieldErrors,
    body: &Map<String, Value>,
    key: &str,
    kind: RecordKind,
    current: Option<u64>,
) -> Option<u64> {
    match body.get(key) {
        None => current,
        Some(Value::Null) => None,
        Some(named) => find(state, errors, key, kind, named),
    }
}

/// The id of a related object that a body names by id or by its attributes.
fn find(
    state: &EmulatorState,
    errors: &mut FieldErrors,
    key: &str,
    kind: RecordKind,
    named: &Value,
) -> Option<u64> {
    if let Some(id) = named.as_u64() {
        if state.get(kind, id).is_none() {
            add_error(errors, key, format!("Related object not found using the provided numeric ID: {id}"));
            return None;
        }
        return Some(id);
    }
    let slug = named.get("slug").and_then(Value::as_str);
    let name = named.get("name").and_then(Value::as_str);
    let found = state
        .all(kind)
        .find(|row| slug.is_none_or(|slug| row.slug == slug) && name.is_none_or(|name| row.name == name));
    match found {
        Some(found) if slug.is_some() || name.is_some() => Some(found.id),
        _ => {
            let attributes = slug.map_or_else(
                || format!("{{'name': '{}'}}", name.unwrap_or_default()),
                |slug| format!("{{'slug': '{slug}'}}"),
            );
            add_error(
                errors,
                key,
                format!("Related object not found using the provided attributes: {attributes}"),
            );
            None
        }
    }
}

fn custom_fields(
    state: &EmulatorState,
    errors: &mut FieldErrors,
    kind: RecordKind,
    body: &Map<String, Value>,
    record: &mut EmulatedRecord,
) {
    let Some(given) = body.get("custom_fields").and_then(Value::as_object) else { return };
    for (name, value) in given {
        let Some(field) = state.fields_of(kind).find(|field| field.name == *name) else {
            let message = format!("Custom field '{name}' does not exist for this object type.");
            errors.insert("custom_fields".to_owned(), json!({ name.clone(): message }));
            continue;
        };
        if value.is_null() {
            record.custom_fields.remove(name);
            continue;
        }
        let word = value.as_str();
        let problem = match field.definition.get("type").and_then(Value::as_str).unwrap_or("text") {
            "date" if word.is_none_or(|word| word.parse::<jiff::civil::Date>().is_err()) => {
                Some("Date values must be in ISO 8601 format (YYYY-MM-DD).".to_owned())
            }
            "integer" if !value.is_i64() && !value.is_u64() => Some("Value must be an integer.".to_owned()),
            "boolean" if !value.is_boolean() => Some("Value must be true or false.".to_owned()),
            "select" if !choices(state, field).iter().any(|choice| Some(choice.as_str()) == word) => {
                Some(format!("Invalid choice ({})", word.unwrap_or_default()))
            }
            _ => None,
        };
        match problem {
            Some(why) => {
                add_error(errors, "__all__", format!("Invalid value for custom field '{name}': {why}"));
            }
            None => {
                record.custom_fields.insert(name.clone(), value.clone());
            }
        }
    }
}

/// What NetBox does about the defaults of custom fields: a request without custom fields gets all of them at once; another one is
/// first searched for required fields.
fn fill_defaults(
    state: &EmulatorState,
    errors: &mut FieldErrors,
    kind: RecordKind,
    body: &Map<String, Value>,
    record: &mut EmulatedRecord,
) {
    let given = body.get("custom_fields").and_then(Value::as_object);
    for field in state.fields_of(kind) {
        let default = field.definition.get("default").filter(|default| !default.is_null());
        let required = field.definition.get("required").and_then(Value::as_bool) == Some(true);
        let named = given.is_some_and(|given| given.contains_key(&field.name));
        let name = &field.name;
        match (default, given) {
            (None, None) if required => {
                let why = format!("Invalid value for custom field '{name}': Required field cannot be empty.");
                add_error(errors, "__all__", why);
            }
            (_, Some(_)) if required && !named => {
                add_error(errors, "__all__", format!("Missing required custom field '{name}'."));
            }
            (Some(default), _) if !named => {
                record.custom_fields.insert(name.clone(), default.clone());
            }
            _ => {}
        }
    }
}

fn choices(state: &EmulatorState, field: &EmulatedRecord) -> Vec<String> {
    let set = field.definition.get("choice_set").and_then(|set| set.get("name")).and_then(Value::as_str);
    let set = set.and_then(|name| state.all(RecordKind::ChoiceSet).find(|row| row.name == name));
    let pairs = set.and_then(|set| set.definition.get("extra_choices")).and_then(Value::as_array);
    let word = |pair: &Value| pair.get(0).and_then(Value::as_str).map(str::to_owned);
    pairs.map(|pairs| pairs.iter().filter_map(word).collect()).unwrap_or_default()
}
