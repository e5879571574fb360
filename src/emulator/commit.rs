//! Writes to the state, each together with its entry in the change log.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::answer::RestAnswer;
use super::change_log::LoggedChange;
use super::records::{EmulatedRecord, RecordKind};
use super::render;
use super::state::EmulatorState;
use super::writes::{self, FieldErrors};

/// Why a write is refused.
pub(super) enum RefusedWrite {
    /// The check of the record found fault with fields.
    Fields(FieldErrors),
    /// A signal handler of NetBox raised AbortRequest while the record was saved.
    Aborted(String),
}

impl RefusedWrite {
    /// The errors of one entry of a list.
    pub(super) fn in_list(self) -> Value {
        match self {
            Self::Fields(errors) => Value::Object(errors),
            Self::Aborted(message) => json!({ "__all__": [message] }),
        }
    }

    /// The answer to a request about this record alone.
    pub(super) fn alone(self) -> RestAnswer {
        match self {
            Self::Fields(errors) => RestAnswer::bad_request(Value::Object(errors)),
            Self::Aborted(message) => RestAnswer::detail(StatusCode::BAD_REQUEST, message),
        }
    }

    /// The answer of available-ips and available-prefixes, whose view does not turn AbortRequest into a 400.
    pub(super) fn of_available(self) -> RestAnswer {
        match self {
            Self::Fields(errors) => RestAnswer::bad_request(Value::Object(errors)),
            Self::Aborted(message) => RestAnswer::crashed("AbortRequest", &message),
        }
    }
}

impl From<FieldErrors> for RefusedWrite {
    fn from(errors: FieldErrors) -> Self {
        Self::Fields(errors)
    }
}

/// Checks the body of a POST and creates its record; returns the new id.
pub(super) fn create(
    state: &mut EmulatorState,
    kind: RecordKind,
    body: &Value,
    request_id: &str,
) -> Result<u64, RefusedWrite> {
    let record = checked_new(state, kind, body)?;
    Ok(put_new(state, kind, record, request_id))
}

/// The record that the body of a POST describes, checked but not stored.
pub(super) fn checked_new(
    state: &mut EmulatorState,
    kind: RecordKind,
    body: &Value,
) -> Result<EmulatedRecord, RefusedWrite> {
    let now = state.now();
    let record = writes::apply_body(state, kind, body, EmulatedRecord::new(kind, now), true)?;
    writes::validate(state, kind, &record)?;
    check_tags(state, kind, &record)?;
    Ok(record)
}

/// A stored record after the body of a PATCH, checked but not stored.
pub(super) fn checked_update(
    state: &EmulatorState,
    kind: RecordKind,
    body: &Value,
    record: EmulatedRecord,
) -> Result<EmulatedRecord, RefusedWrite> {
    let record = writes::apply_body(state, kind, body, record, false)?;
    writes::validate(state, kind, &record)?;
    check_tags(state, kind, &record)?;
    Ok(record)
}

/// NetBox checks when it saves the tags, after all other checks, whether they may stand on records of this kind.
fn check_tags(state: &EmulatorState, kind: RecordKind, record: &EmulatedRecord) -> Result<(), RefusedWrite> {
    let forbidden = record.tags.iter().filter_map(|id| state.get(RecordKind::Tag, *id)).find(|tag| {
        let types = tag.definition.get("object_types").and_then(Value::as_array);
        types.is_some_and(|types| !types.is_empty() && !types.iter().any(|name| name == kind.object_type()))
    });
    let Some(tag) = forbidden else { return Ok(()) };
    let model = kind.model().to_lowercase();
    Err(RefusedWrite::Aborted(format!("Tag {} cannot be assigned to {model} objects.", tag.name)))
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
