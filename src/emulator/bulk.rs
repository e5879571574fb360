//! Writes of lists. NetBox runs each in one transaction: either every entry is written or none is.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::answer::{RestAnswer, RestRequest};
use super::commit;
use super::records::RecordKind;
use super::render;
use super::state::EmulatorState;

/// Creates every record of a list. Each entry is checked against the stored records and the entries before it.
pub(super) fn create(
    state: &mut EmulatorState,
    kind: RecordKind,
    bodies: &[Value],
    request_id: &str,
) -> RestAnswer {
    let mut created = Vec::new();
    let mut failed = Vec::new();
    for (index, body) in bodies.iter().enumerate() {
        match commit::checked_new(state, kind, body) {
            Ok(record) => created.push(state.put(kind, record)),
            Err(refusal) => failed.push(json!({ "index": index, "errors": refusal.in_list() })),
        }
    }
    if !failed.is_empty() {
        for id in created {
            state.remove(kind, id);
        }
        return failure("created", &failed, bodies.len());
    }
    for id in &created {
        commit::log_creation(state, kind, *id, request_id);
    }
    let records = created.iter().filter_map(|id| state.get(kind, *id));
    RestAnswer::new(StatusCode::CREATED, records.map(|row| render::record(state, kind, row)).collect())
}

/// Updates every record of a list.
pub(super) fn update(state: &mut EmulatorState, kind: RecordKind, request: &RestRequest<'_>) -> RestAnswer {
    let Some(bodies) = request.body.as_array() else { return no_list() };
    let (mut changed, mut failed) = (Vec::new(), Vec::new());
    for (index, body) in bodies.iter().enumerate() {
        let id = body.get("id").and_then(Value::as_u64);
        let Some(record) = id.and_then(|id| state.get(kind, id)).cloned() else {
            failed.push(json!({ "index": index, "errors": { "id": ["Object does not exist"] } }));
            continue;
        };
        match commit::checked_update(state, kind, body, record.clone()) {
            Ok(after) => changed.push((record, after)),
            Err(refusal) => failed.push(json!({ "id": record.id, "errors": refusal.in_list() })),
        }
    }
    if !failed.is_empty() {
        return failure("updated", &failed, bodies.len());
    }
    let mut rows = Vec::new();
    for (before, after) in changed {
        let id = commit::update(state, kind, &before, after, request.id);
        rows.extend(state.get(kind, id).map(|row| render::record(state, kind, row)));
    }
    RestAnswer::ok(rows.into())
}

/// Deletes every record of a list.
pub(super) fn delete(state: &mut EmulatorState, kind: RecordKind, request: &RestRequest<'_>) -> RestAnswer {
    let Some(bodies) = request.body.as_array() else { return no_list() };
    let mut ids: Vec<u64> = bodies.iter().filter_map(|body| body.get("id").and_then(Value::as_u64)).collect();
    if state.older {
        // Until 4.6 what cannot be deleted was left out without a word.
        ids.retain(|id| state.get_writable(kind, *id).is_some());
    }
    let missing: Vec<Value> = ids
        .iter()
        .filter(|id| state.get_writable(kind, **id).is_none())
        .map(|id| json!({ "id": id, "errors": { "id": [format!("Object with ID {id} does not exist")] } }))
        .collect();
    if !missing.is_empty() {
        return failure("found", &missing, ids.len());
    }
    for id in ids {
        commit::delete(state, kind, id, request.id);
    }
    RestAnswer::new(StatusCode::NO_CONTENT, Value::Null)
}

fn failure(action: &str, failed: &[Value], total: usize) -> RestAnswer {
    let message = format!("{} of {total} objects could not be {action}.", failed.len());
    RestAnswer::bad_request(json!({ "detail": message, "errors": failed }))
}

fn no_list() -> RestAnswer {
    let message = "Expected a list of objects, but no data was submitted.";
    RestAnswer::detail(StatusCode::BAD_REQUEST, message)
}
