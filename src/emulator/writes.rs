//! Writes: a body checked as NetBox checks it, then put.

use ipnet::IpNet;
use serde_json::{Map, Value, json};

use super::records::{Kind, Record};
use super::state::State;

/// Field errors, as NetBox's 400 lists them.
pub(super) type Errors = Map<String, Value>;

fn complain(errors: &mut Errors, field: &str, words: impl Into<String>) {
    errors.insert(field.to_owned(), json!([words.into()]));
}

/// The record that a body makes of a new one or of one that stands.
pub(super) fn read(
    state: &State,
    kind: Kind,
    body: &Value,
    mut record: Record,
    creating: bool,
) -> Result<Record, Errors> {
    let mut errors = Errors::new();
    let empty = Map::new();
    let body = body.as_object().unwrap_or(&empty);
    let text = |key: &str| body.get(key).and_then(Value::as_str);
    if let Some(words) = text("description") {
        words.clone_into(&mut record.description);
    }
    match kind {
        Kind::Prefix => {
            net(&mut errors, body, "prefix", creating, &mut record.net, true);
            flag(body, "is_pool", &mut record.flag);
            flag(body, "mark_utilized", &mut record.mark_utilized);
            let known = ["container", "active", "reserved", "deprecated"];
            status(&mut errors, body, &known, &mut record.status);
            record.role = reference(state, &mut errors, body, "role", Kind::Role, record.role);
        }
        Kind::Address => {
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
        Kind::Range => {
            net(&mut errors, body, "start_address", creating, &mut record.net, false);
            net(&mut errors, body, "end_address", creating, &mut record.end, false);
            flag(body, "mark_populated", &mut record.flag);
            status(&mut errors, body, &["active", "reserved", "deprecated"], &mut record.status);
        }
        Kind::Vrf => {
            flag(body, "enforce_unique", &mut record.flag);
            record.rd = text("rd").map(str::to_owned).or(record.rd);
        }
        Kind::CustomField | Kind::ChoiceSet => {
            for (key, value) in body.iter().filter(|(key, _)| *key != "name") {
                record.definition.insert(key.clone(), value.clone());
            }
        }
        Kind::Tenant | Kind::Role | Kind::Tag => {
            if let Some(slug) = text("slug") {
                slug.clone_into(&mut record.slug);
            }
        }
    }
    match text("name") {
        Some(name) => name.clone_into(&mut record.name),
        None if creating && !matches!(kind, Kind::Prefix | Kind::Address | Kind::Range) => {
            complain(&mut errors, "name", "This field is required.");
        }
        None => {}
    }
    if matches!(kind, Kind::Prefix | Kind::Address | Kind::Range) {
        record.vrf = reference(state, &mut errors, body, "vrf", Kind::Vrf, record.vrf);
        record.tenant = reference(state, &mut errors, body, "tenant", Kind::Tenant, record.tenant);
        if let Some(tags) = body.get("tags").and_then(Value::as_array) {
            record.tags =
                tags.iter().filter_map(|tag| find(state, &mut errors, "tags", Kind::Tag, tag)).collect();
        }
        custom_fields(state, &mut errors, kind, body, &mut record);
    }
    if errors.is_empty() { Ok(record) } else { Err(errors) }
}

/// What NetBox checks when a record is saved: rivals and unique values.
pub(super) fn validate(state: &State, kind: Kind, record: &Record) -> Result<(), Errors> {
    let mut errors = Errors::new();
    for field in state.unique_fields(kind) {
        let Some(value) = record.custom_fields.get(&field).and_then(Value::as_str) else { continue };
        if state.holder(kind, &field, value).is_some_and(|holder| holder != record.id) {
            complain(&mut errors, "__all__", format!("Custom field '{field}' must have a unique value."));
        }
    }
    let Some(net) = record.net else { return done(errors) };
    let enforced = record.vrf.is_none_or(|id| state.get(Kind::Vrf, id).is_some_and(|vrf| vrf.flag));
    let place = match record.vrf.and_then(|id| state.get(Kind::Vrf, id)) {
        None => "global table".to_owned(),
        Some(vrf) => format!("VRF {}", vrf.name),
    };
    let standing = || {
        let found = state.in_span(kind, Some(record.vrf), net.addr()..=net.addr());
        found.into_iter().filter(|other| other.id != record.id)
    };
    match kind {
        Kind::Prefix if enforced && standing().any(|other| other.net == Some(net)) => {
            complain(&mut errors, "prefix", format!("Duplicate prefix found in {place}: {net}"));
        }
        Kind::Address => {
            if enforced && let Some(other) = standing().next().and_then(|other| other.net) {
                complain(&mut errors, "address", format!("Duplicate IP address found in {place}: {other}"));
            }
            let populated = |range: &&Record| {
                range.flag
                    && range.vrf == record.vrf
                    && range.net.is_some_and(|first| first.addr() <= net.addr())
                    && range.end.is_some_and(|last| last.addr() >= net.addr())
            };
            if record.id == 0 && state.all(Kind::Range).any(|range| populated(&range)) {
                complain(&mut errors, "address", format!("Cannot create IP address {net} inside a range."));
            }
        }
        _ => {}
    }
    done(errors)
}

fn done(errors: Errors) -> Result<(), Errors> {
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

fn flag(body: &Map<String, Value>, key: &str, into: &mut bool) {
    if let Some(value) = body.get(key).and_then(Value::as_bool) {
        *into = value;
    }
}

fn status(errors: &mut Errors, body: &Map<String, Value>, known: &[&str], into: &mut String) {
    let Some(word) = body.get("status").and_then(Value::as_str) else { return };
    if known.contains(&word) {
        word.clone_into(into);
    } else {
        complain(errors, "status", format!("{word} is not a valid choice."));
    }
}

fn net(
    errors: &mut Errors,
    body: &Map<String, Value>,
    key: &str,
    required: bool,
    into: &mut Option<IpNet>,
    without_host_bits: bool,
) {
    let Some(text) = body.get(key).and_then(Value::as_str) else {
        if required {
            complain(errors, key, "This field is required.");
        }
        return;
    };
    match text.parse::<IpNet>() {
        Err(_) => complain(errors, key, format!("Invalid IP address format: {text}")),
        Ok(net) if without_host_bits && net != net.trunc() => {
            complain(errors, key, format!("{net} is not a valid prefix. Did you mean {}?", net.trunc()));
        }
        Ok(net) => *into = Some(net),
    }
}

fn reference(
    state: &State,
    errors: &mut Errors,
    body: &Map<String, Value>,
    key: &str,
    kind: Kind,
    standing: Option<u64>,
) -> Option<u64> {
    match body.get(key) {
        None => standing,
        Some(Value::Null) => None,
        Some(named) => find(state, errors, key, kind, named),
    }
}

/// A related object, by id or by its attributes.
fn find(state: &State, errors: &mut Errors, key: &str, kind: Kind, named: &Value) -> Option<u64> {
    if let Some(id) = named.as_u64() {
        if state.get(kind, id).is_none() {
            complain(errors, key, format!("Related object not found using the provided numeric ID: {id}"));
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
            let shown = slug.map_or_else(
                || format!("{{'name': '{}'}}", name.unwrap_or_default()),
                |slug| format!("{{'slug': '{slug}'}}"),
            );
            complain(errors, key, format!("Related object not found using the provided attributes: {shown}"));
            None
        }
    }
}

fn custom_fields(
    state: &State,
    errors: &mut Errors,
    kind: Kind,
    body: &Map<String, Value>,
    record: &mut Record,
) {
    let Some(given) = body.get("custom_fields").and_then(Value::as_object) else { return };
    for (name, value) in given {
        let Some(field) = state.fields_of(kind).find(|field| field.name == *name) else {
            let words = format!("Custom field '{name}' does not exist for this object type.");
            errors.insert("custom_fields".to_owned(), json!({ name.clone(): words }));
            continue;
        };
        if value.is_null() {
            record.custom_fields.remove(name);
            continue;
        }
        let word = value.as_str();
        let wrong = match field.definition.get("type").and_then(Value::as_str).unwrap_or("text") {
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
        match wrong {
            Some(why) => {
                complain(errors, "__all__", format!("Invalid value for custom field '{name}': {why}"));
            }
            None => {
                record.custom_fields.insert(name.clone(), value.clone());
            }
        }
    }
}

fn choices(state: &State, field: &Record) -> Vec<String> {
    let set = field.definition.get("choice_set").and_then(|set| set.get("name")).and_then(Value::as_str);
    let set = set.and_then(|name| state.all(Kind::ChoiceSet).find(|row| row.name == name));
    let pairs = set.and_then(|set| set.definition.get("extra_choices")).and_then(Value::as_array);
    let word = |pair: &Value| pair.get(0).and_then(Value::as_str).map(str::to_owned);
    pairs.map(|pairs| pairs.iter().filter_map(word).collect()).unwrap_or_default()
}
