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
    for (id, body) in created.iter().zip(bodies) {
        state.note(body);
        commit::log_creation(state, kind, *id, request_id);
    }
    let records = created.iter().filter_map(|id| state.get(kind, *id));
    RestAnswer::new(StatusCode::CREATED, records.map(|row| render::record(state, kind, row)).collect())
}

/// Updates every record of a list.
pub(super) fn update(state: &mut EmulatorState, kind: RecordKind, request: &RestRequest<'_>) -> RestAnswer {
    let Some(bodies) = request.body.as_array() else { return no_list() };
    let ids: Vec<u64> = bodies.iter().filter_map(id_of).collect();
    if let Some(missing) = missing(&ids, |id| state.get(kind, id).is_some()) {
        return missing;
    }
    let (mut changed, mut failed) = (Vec::new(), Vec::new());
    for body in bodies {
        let Some(record) = id_of(body).and_then(|id| state.get(kind, id)).cloned() else { continue };
        match commit::checked_update(state, kind, body, record.clone()) {
            Ok(after) => changed.push((record, after, body)),
            Err(refusal) => failed.push(json!({ "id": record.id, "errors": refusal.in_list() })),
        }
    }
    if !failed.is_empty() {
        return failure("updated", &failed, bodies.len());
    }
    let mut rows = Vec::new();
    for (before, after, body) in changed {
        state.note(body);
        let id = commit::update(state, kind, &before, after, request.id);
        rows.extend(state.get(kind, id).map(|row| render::record(state, kind, row)));
    }
    RestAnswer::ok(rows.into())
}

/// Deletes every record of a list.
pub(super) fn delete(state: &mut EmulatorState, kind: RecordKind, request: &RestRequest<'_>) -> RestAnswer {
    let Some(bodies) = request.body.as_array() else { return no_list() };
    let mut entries: Vec<(u64, &Value)> =
        bodies.iter().filter_map(|body| Some((id_of(body)?, body))).collect();
    if state.older {
        // Until 4.6 what cannot be deleted was left out without a word.
        entries.retain(|(id, _)| state.get_writable(kind, *id).is_some());
    }
    let ids: Vec<u64> = entries.iter().map(|(id, _)| *id).collect();
    if let Some(missing) = missing(&ids, |id| state.get_writable(kind, id).is_some()) {
        return missing;
    }
    for (id, body) in entries {
        state.note(body);
        commit::delete(state, kind, id, request.id);
    }
    RestAnswer::new(StatusCode::NO_CONTENT, Value::Null)
}

fn id_of(body: &Value) -> Option<u64> {
    body.get("id").and_then(Value::as_u64)
}

/// The refusal of a list that names objects which do not exist.
fn missing(ids: &[u64], exists: impl Fn(u64) -> bool) -> Option<RestAnswer> {
    let missing = ids.iter().filter(|id| !exists(**id));
    let missing: Vec<Value> = missing
        .map(|id| json!({ "id": id, "errors": { "id": [format!("Object with ID {id} does not exist")] } }))
        .collect();
    (!missing.is_empty()).then(|| failure("found", &missing, ids.len()))
}

fn failure(action: &str, failed: &[Value], total: usize) -> RestAnswer {
    let message = format!("{} of {total} objects could not be {action}.", failed.len());
    RestAnswer::bad_request(json!({ "detail": message, "errors": failed }))
}

fn no_list() -> RestAnswer {
    let message = "Expected a list of objects, but no data was submitted.";
    RestAnswer::detail(StatusCode::BAD_REQUEST, message)
}
