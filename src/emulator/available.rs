//! The endpoints available-ips and available-prefixes of a prefix.

use axum::http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::answer::{RestAnswer, RestRequest};
use super::commit;
use super::free_space;
use super::records::{EmulatedRecord, RecordKind};
use super::render;
use super::state::EmulatorState;
use super::writes;

/// GET lists free addresses; POST creates as many records as its body has entries, on the lowest free addresses.
pub(super) fn ips(state: &mut EmulatorState, parent: u64, request: &RestRequest<'_>) -> RestAnswer {
    let Some(parent) = state.get(RecordKind::Prefix, parent).cloned() else {
        return RestAnswer::ok(Value::Null);
    };
    let (bodies, is_list) = match request.body {
        Value::Array(bodies) => (bodies.clone(), true),
        body => (vec![body.clone()], false),
    };
    if *request.method == Method::GET {
        let free = free_space::addresses(state, &parent, 50);
        return RestAnswer::ok(free.iter().map(|net| json!({ "address": net.to_string() })).collect());
    }
    let free = free_space::addresses(state, &parent, bodies.len());
    if free.len() < bodies.len() {
        // NetBox checks the entries before it looks for space, so a malformed entry is answered first.
        return malformed_entries(state, &bodies).unwrap_or_else(insufficient);
    }
    // NetBox checks each entry against the stored records, but not against the other entries.
    let mut errors: Vec<Value> = Vec::new();
    let mut records = Vec::new();
    for (body, net) in bodies.iter().zip(free) {
        let mut body = body.as_object().cloned().unwrap_or_default();
        body.insert("address".to_owned(), json!(net.to_string()));
        body.insert("vrf".to_owned(), json!(parent.vrf));
        match commit::checked_new(state, RecordKind::Address, &Value::Object(body)) {
            Ok(record) => {
                errors.push(json!({}));
                records.push(record);
            }
            Err(commit::RefusedWrite::Fields(found)) => errors.push(Value::Object(found)),
            Err(aborted) => return aborted.of_available(),
        }
    }
    let list_or_first = |mut values: Vec<Value>| match is_list {
        true => Value::Array(values),
        false if values.is_empty() => Value::Null,
        false => values.swap_remove(0),
    };
    if records.len() < bodies.len() {
        return RestAnswer::bad_request(list_or_first(errors));
    }
    let ids: Vec<u64> = records
        .into_iter()
        .zip(&bodies)
        .map(|(record, body)| {
            state.note(body);
            commit::put_new(state, RecordKind::Address, record, request.id)
        })
        .collect();
    let rows: Vec<Value> = ids
        .iter()
        .filter_map(|id| state.get(RecordKind::Address, *id))
        .map(|row| render::record(state, RecordKind::Address, row))
        .collect();
    // NetBox answers without an ETag here.
    RestAnswer::new(StatusCode::CREATED, list_or_first(rows))
}

/// The errors of entries that are wrong whatever address they would get; `None` if there is none.
fn malformed_entries(state: &mut EmulatorState, bodies: &[Value]) -> Option<RestAnswer> {
    let now = state.now();
    let check = |body: &Value| {
        let record = EmulatedRecord::new(RecordKind::Address, now);
        writes::apply_body(state, RecordKind::Address, body, record, false)
    };
    let errors: Vec<Value> =
        bodies.iter().map(|body| Value::Object(check(body).err().unwrap_or_default())).collect();
    let sound = errors.iter().all(|found| found.as_object().is_some_and(Map::is_empty));
    (!sound).then(|| RestAnswer::bad_request(Value::Array(errors)))
}

fn insufficient() -> RestAnswer {
    let message = "Insufficient resources are available to satisfy the request";
    RestAnswer::detail(StatusCode::CONFLICT, message)
}

/// POST creates a child prefix on the lowest free block of the length asked for.
pub(super) fn prefixes(state: &mut EmulatorState, parent: u64, request: &RestRequest<'_>) -> RestAnswer {
    let Some(parent) = state.get(RecordKind::Prefix, parent).cloned() else {
        return RestAnswer::ok(Value::Null);
    };
    let length = request
        .body
        .get("prefix_length")
        .and_then(Value::as_u64)
        .and_then(|length| u8::try_from(length).ok());
    let Some(length) = length else {
        return RestAnswer::bad_request(json!({ "prefix_length": ["This field is required."] }));
    };
    let Some(block) = free_space::block(state, &parent, length) else { return insufficient() };
    let mut body = request.body.as_object().cloned().unwrap_or_default();
    body.insert("prefix".to_owned(), json!(block.to_string()));
    body.insert("vrf".to_owned(), json!(parent.vrf));
    match commit::create(state, RecordKind::Prefix, &Value::Object(body), request.id) {
        Ok(id) => RestAnswer::created(state, RecordKind::Prefix, id),
        Err(refusal) => refusal.of_available(),
    }
}
