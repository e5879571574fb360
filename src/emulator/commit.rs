//! Writes to the state, each together with its entry in the change log.

use serde_json::Value;

use super::change_log::LoggedChange;
use super::records::{EmulatedRecord, RecordKind};
use super::render;
use super::state::EmulatorState;
use super::writes::{self, FieldErrors};

/// Checks the body of a POST and creates its record; returns the new id.
pub(super) fn create(
    state: &mut EmulatorState,
    kind: RecordKind,
    body: &Value,
    request_id: &str,
) -> Result<u64, FieldErrors> {
    let record = checked_new(state, kind, body)?;
    Ok(put_new(state, kind, record, request_id))
}

/// The record that the body of a POST describes, checked but not stored.
pub(super) fn checked_new(
    state: &mut EmulatorState,
    kind: RecordKind,
    body: &Value,
) -> Result<EmulatedRecord, FieldErrors> {
    let now = state.now();
    let record = writes::apply_body(state, kind, body, EmulatedRecord::new(kind, now), true)?;
    writes::validate(state, kind, &record)?;
    Ok(record)
}

/// A stored record after the body of a PATCH, checked but not stored.
pub(super) fn checked_update(
    state: &EmulatorState,
    kind: RecordKind,
    body: &Value,
    record: EmulatedRecord,
) -> Result<EmulatedRecord, FieldErrors> {
    let record = writes::apply_body(state, kind, body, record, false)?;
    writes::validate(state, kind, &record)?;
    Ok(record)
}

pub(super) fn put_new(
    state: &mut EmulatorState,
    kind: RecordKind,
    record: EmulatedRecord,
    request_id: &str,
) -> u64 {
    let id = state.put(kind, record);
    log_creation(state, kind, id, request_id);
    id
}

/// The change-log entry of a record that a bulk request has just stored.
pub(super) fn log_creation(state: &mut EmulatorState, kind: RecordKind, id: u64, request_id: &str) {
    log_change(state, request_id, "create", kind, id, None);
}

/// Replaces a record and returns its id.
pub(super) fn update(
    state: &mut EmulatorState,
    kind: RecordKind,
    before: &EmulatedRecord,
    mut after: EmulatedRecord,
    request_id: &str,
) -> u64 {
    after.last_updated = Some(state.now());
    let id = state.put(kind, after);
    log_change(state, request_id, "update", kind, id, Some(before));
    id
}

pub(super) fn delete(state: &mut EmulatorState, kind: RecordKind, id: u64, request_id: &str) {
    if let Some(record) = state.remove(kind, id) {
        log_change(state, request_id, "delete", kind, id, Some(&record));
    }
}

/// Appends an entry about a record that was `before`; the record as it is now is taken from the state.
fn log_change(
    state: &mut EmulatorState,
    request_id: &str,
    action: &'static str,
    kind: RecordKind,
    object_id: u64,
    before: Option<&EmulatedRecord>,
) {
    let after = state.get(kind, object_id);
    let latest = after.or(before);
    let repr = latest.map(|record| record.net.map_or_else(|| record.name.clone(), |net| net.to_string()));
    let rendered = |record: Option<&EmulatedRecord>| {
        record.map_or(Value::Null, |row| render::change_log_data(state, kind, row))
    };
    let (before, after) = (rendered(before), rendered(after));
    let time = state.now();
    state.change_log.append(LoggedChange {
        id: 0,
        time,
        request_id: request_id.to_owned(),
        action,
        kind,
        object_id,
        object_repr: repr.unwrap_or_default(),
        message: state.message.clone(),
        before,
        after,
    });
}
