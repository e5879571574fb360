//! A request and its answer, before the faults of the connection.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::query::QueryPairs;
use super::records::RecordKind;
use super::render;
use super::state::EmulatorState;

pub(super) struct RestRequest<'a> {
    pub(super) method: &'a Method,
    pub(super) query: &'a QueryPairs,
    /// Null if the request has no body.
    pub(super) body: &'a Value,
    pub(super) if_match: Option<&'a str>,
    /// The id that the change log and the `X-Request-ID` header carry.
    pub(super) id: &'a str,
}

pub(super) struct RestAnswer {
    pub(super) status: StatusCode,
    /// Null for an answer without a body.
    pub(super) body: Value,
    pub(super) etag: Option<String>,
}

impl RestAnswer {
    pub(super) fn new(status: StatusCode, body: Value) -> Self {
        Self { status, body, etag: None }
    }

    pub(super) fn ok(body: Value) -> Self {
        Self::new(StatusCode::OK, body)
    }

    /// 201 with a record and its ETag.
    pub(super) fn created(state: &EmulatorState, kind: RecordKind, id: u64) -> Self {
        let record = state.get(kind, id);
        let etag = record.and_then(|record| record.last_updated).map(render::etag);
        let body = record.map_or(Value::Null, |record| render::record(state, kind, record));
        Self { status: StatusCode::CREATED, body, etag }
    }

    /// An error whose body is one text, as Django REST framework writes it.
    pub(super) fn detail(status: StatusCode, message: impl Into<String>) -> Self {
        Self::new(status, json!({ "detail": message.into() }))
    }

    pub(super) fn bad_request(body: Value) -> Self {
        Self::new(StatusCode::BAD_REQUEST, body)
    }

    /// 500 as NetBox's own error handler writes it.
    pub(super) fn crashed(exception: &str, message: &str) -> Self {
        let body = json!({ "error": message, "exception": exception, "netbox_version": "4.7.3" });
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, body)
    }

    pub(super) fn method_not_allowed() -> Self {
        Self::detail(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed.")
    }
}
