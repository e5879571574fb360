//! Paths and methods: what each request does to the records.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::answer::{RestAnswer, RestRequest};
use super::available;
use super::bulk;
use super::change_list;
use super::commit;
use super::lists;
use super::query;
use super::records::RecordKind;
use super::render;
use super::state::EmulatorState;

/// Answers a request to a path below `/api/`.
pub(super) fn dispatch(state: &mut EmulatorState, path: &str, request: &RestRequest<'_>) -> RestAnswer {
    match path {
        "status" => {
            let version = if state.older { "4.5.9" } else { "4.7.3" };
            return RestAnswer::ok(json!({ "netbox-version": version, "hostname": "emulator" }));
        }
        "core/object-changes" => {
            return match change_list::list(state, request.query) {
                Ok(page) => RestAnswer::ok(page),
                Err(errors) => RestAnswer::bad_request(errors),
            };
        }
        _ => {}
    }
    state.note(request.body);
    let not_found = || RestAnswer::detail(StatusCode::NOT_FOUND, "Not found.");
    let Some((kind, rest)) =
        RecordKind::ALL.into_iter().find_map(|kind| Some((kind, path.strip_prefix(kind.path())?)))
    else {
        return not_found();
    };
    let parts: Vec<&str> = rest.split('/').filter(|part| !part.is_empty()).collect();
    let writes = matches!(*request.method, Method::PATCH | Method::PUT | Method::DELETE);
    let reachable = |id: u64, itself: bool| {
        let found = if writes && itself { state.get_writable(kind, id) } else { state.get(kind, id) };
        found.is_some()
    };
    match *parts.as_slice() {
        [] => collection(state, kind, request),
        [id, ref below @ ..] => match id.parse::<u64>().ok().filter(|id| reachable(*id, below.is_empty())) {
            None => {
                let message = format!("No {} matches the given query.", kind.model());
                RestAnswer::detail(StatusCode::NOT_FOUND, message)
            }
            Some(id) => match below {
                [] => single(state, kind, id, request),
                ["available-ips"] if kind == RecordKind::Prefix => available::ips(state, id, request),
                ["available-prefixes"] if kind == RecordKind::Prefix => {
                    available::prefixes(state, id, request)
                }
                _ => not_found(),
            },
        },
    }
}

/// A request to the list of a kind.
fn collection(state: &mut EmulatorState, kind: RecordKind, request: &RestRequest<'_>) -> RestAnswer {
    match *request.method {
        Method::GET => match lists::list(state, kind, request.query) {
            Ok(page) => RestAnswer::ok(page),
            Err(errors) => RestAnswer::bad_request(errors),
        },
        Method::OPTIONS => RestAnswer::ok(json!({ "actions": { "POST": {}, "PUT": {} } })),
        Method::POST => match request.body {
            Value::Array(bodies) => bulk::create(state, kind, bodies, request.id),
            body => match commit::create(state, kind, body, request.id) {
                Ok(id) => RestAnswer::created(state, kind, id),
                Err(refusal) => refusal.alone(),
            },
        },
        Method::DELETE => bulk::delete(state, kind, request),
        Method::PATCH => bulk::update(state, kind, request),
        _ => RestAnswer::method_not_allowed(),
    }
}

/// A request to one record, which exists.
fn single(state: &mut EmulatorState, kind: RecordKind, id: u64, request: &RestRequest<'_>) -> RestAnswer {
    let Some(record) = state.get(kind, id).cloned() else { return RestAnswer::ok(Value::Null) };
    let etag = record.last_updated.map(render::etag);
    if !state.older && request.if_match.is_some() && request.if_match != etag.as_deref() {
        return RestAnswer::detail(StatusCode::PRECONDITION_FAILED, "Precondition failed.");
    }
    match *request.method {
        Method::GET => {
            let row = render::record(state, kind, &record);
            let body = render::select_fields(row, query::first(request.query, "fields"));
            RestAnswer { etag, ..RestAnswer::ok(body) }
        }
        Method::PATCH | Method::PUT => {
            match commit::checked_update(state, kind, request.body, record.clone()) {
                Err(refusal) => refusal.alone(),
                Ok(changed) => {
                    commit::update(state, kind, &record, changed, request.id);
                    RestAnswer { status: StatusCode::OK, ..RestAnswer::created(state, kind, id) }
                }
            }
        }
        Method::DELETE => {
            let used = kind == RecordKind::Vrf
                && [RecordKind::Prefix, RecordKind::Address]
                    .iter()
                    .any(|of| state.all(*of).any(|row| row.vrf == Some(id)));
            if used {
                let message = "Unable to delete object. Dependent objects were found.";
                return RestAnswer::detail(StatusCode::CONFLICT, message);
            }
            commit::delete(state, kind, id, request.id);
            RestAnswer::new(StatusCode::NO_CONTENT, Value::Null)
        }
        _ => RestAnswer::method_not_allowed(),
    }
}
