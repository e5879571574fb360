//! The REST: paths, methods, and what happens around them.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Query, State as Extract};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Map, Value, json};

use super::Emulator;
use super::available;
use super::filter;
use super::records::{Kind, Record};
use super::render;
use super::state::State;
use super::writes::{self, Errors};

pub(super) fn router(emulator: Emulator) -> Router {
    Router::new().fallback(serve).with_state(emulator)
}

/// What an answer is made of, before faults.
struct Answer {
    status: StatusCode,
    body: Value,
    etag: Option<String>,
}

impl Answer {
    fn new(status: StatusCode, body: Value) -> Self {
        Self { status, body, etag: None }
    }

    fn ok(body: Value) -> Self {
        Self::new(StatusCode::OK, body)
    }

    fn detail(status: StatusCode, words: impl Into<String>) -> Self {
        Self::new(status, json!({ "detail": words.into() }))
    }

    fn bad(body: Value) -> Self {
        Self::new(StatusCode::BAD_REQUEST, body)
    }
}

async fn serve(
    Extract(emulator): Extract<Emulator>,
    method: Method,
    uri: Uri,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let fate = emulator.faults.lock().unwrap_or_else(std::sync::PoisonError::into_inner).draw();
    if !fate.delay.is_zero() {
        tokio::time::sleep(fate.delay).await;
    }
    if fate.fail {
        return (StatusCode::INTERNAL_SERVER_ERROR, "<h1>Server Error</h1>").into_response();
    }
    if fate.throttle {
        let words = axum::Json(json!({ "detail": "Request was throttled." }));
        return (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "1")], words).into_response();
    }
    let request_id = uuid::Uuid::new_v4().to_string();
    let Some(path) = uri.path().strip_prefix("/api/").and_then(|path| path.strip_suffix('/')) else {
        return (StatusCode::NOT_FOUND, axum::response::Html("<html>Page not found</html>")).into_response();
    };
    let answer = match refuse(&emulator, &method, &headers) {
        Some(answer) => answer,
        None => {
            let json: Result<Value, _> =
                if body.is_empty() { Ok(Value::Null) } else { serde_json::from_slice(&body) };
            let if_match = headers.get(header::IF_MATCH).and_then(|value| value.to_str().ok());
            match json {
                Ok(json) => {
                    let request =
                        Request { method: &method, query: &query, body: &json, if_match, id: &request_id };
                    dispatch(&mut emulator.state(), path, &request)
                }
                Err(error) => Answer::bad(json!({ "detail": format!("JSON parse error - {error}") })),
            }
        }
    };
    let written = !matches!(method, Method::GET | Method::OPTIONS) && answer.status.is_success();
    if written && fate.drop_after_commit {
        return broken(StatusCode::CREATED, Bytes::new());
    }
    render_answer(answer, &request_id, fate.cut)
}

/// A body that breaks off: what a connection looks like that was cut.
fn broken(status: StatusCode, half: Bytes) -> Response {
    let parts = [Ok(half), Err(std::io::Error::other("cut"))];
    let mut response = Response::new(Body::from_stream(futures::stream::iter(parts)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}

fn render_answer(answer: Answer, request_id: &str, cut: bool) -> Response {
    let text = if answer.body.is_null() { String::new() } else { answer.body.to_string() };
    if cut && !text.is_empty() {
        let half = text.as_bytes().get(..text.len() / 2).unwrap_or_default();
        return broken(answer.status, Bytes::copy_from_slice(half));
    }
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = answer.status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    headers.extend(request_id.parse().map(|value| (header::HeaderName::from_static("x-request-id"), value)));
    if let Some(etag) = answer.etag {
        headers.extend(etag.parse().map(|value| (header::ETAG, value)));
    }
    response
}

/// Who may not.
fn refuse(emulator: &Emulator, method: &Method, headers: &HeaderMap) -> Option<Answer> {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some((scheme, token)) = given.and_then(|given| given.split_once(' ')) else {
        return Some(Answer::detail(StatusCode::FORBIDDEN, "Authentication credentials were not provided."));
    };
    let reading = matches!(*method, Method::GET | Method::OPTIONS);
    match token.strip_prefix(&*emulator.token) {
        Some("") => None,
        Some("-readonly") if reading => None,
        Some("-readonly") => {
            Some(Answer::detail(StatusCode::FORBIDDEN, "You do not have permission to perform this action."))
        }
        _ => {
            let version = if scheme == "Bearer" { "v2" } else { "v1" };
            Some(Answer::detail(StatusCode::FORBIDDEN, format!("Invalid {version} token")))
        }
    }
}

struct Request<'a> {
    method: &'a Method,
    query: &'a filter::Query,
    body: &'a Value,
    if_match: Option<&'a str>,
    id: &'a str,
}

fn dispatch(state: &mut State, path: &str, request: &Request<'_>) -> Answer {
    match path {
        "status" => {
            let version = if state.older { "4.5.9" } else { "4.7.3" };
            return Answer::ok(json!({ "netbox-version": version, "hostname": "emulator" }));
        }
        "core/object-changes" => {
            return match filter::changes(state, request.query) {
                Ok(page) => Answer::ok(page),
                Err(errors) => Answer::bad(errors),
            };
        }
        _ => {}
    }
    let not_found = || Answer::new(StatusCode::NOT_FOUND, json!({ "detail": "Not found." }));
    let Some((kind, rest)) =
        Kind::ALL.into_iter().find_map(|kind| Some((kind, path.strip_prefix(kind.path())?)))
    else {
        return not_found();
    };
    let parts: Vec<&str> = rest.split('/').filter(|part| !part.is_empty()).collect();
    match *parts.as_slice() {
        [] => collection(state, kind, request),
        [id, ref below @ ..] => match id.parse::<u64>().ok().filter(|id| state.get(kind, *id).is_some()) {
            None => {
                Answer::detail(StatusCode::NOT_FOUND, format!("No {} matches the given query.", kind.model()))
            }
            Some(id) => match below {
                [] => detail(state, kind, id, request),
                ["available-ips"] if kind == Kind::Prefix => available_ips(state, id, request),
                ["available-prefixes"] if kind == Kind::Prefix => available_prefixes(state, id, request),
                _ => not_found(),
            },
        },
    }
}

fn collection(state: &mut State, kind: Kind, request: &Request<'_>) -> Answer {
    match *request.method {
        Method::GET => match filter::list(state, kind, request.query) {
            Ok(page) => Answer::ok(page),
            Err(errors) => Answer::bad(errors),
        },
        Method::OPTIONS => Answer::ok(json!({ "actions": { "POST": {}, "PUT": {} } })),
        Method::POST => match request.body {
            Value::Array(bodies) => create_list(state, kind, bodies, request.id),
            body => match create(state, kind, body, request.id) {
                Ok(id) => created(state, kind, id),
                Err(errors) => Answer::bad(Value::Object(errors)),
            },
        },
        Method::DELETE => delete_list(state, kind, request),
        Method::PATCH => patch_list(state, kind, request),
        _ => Answer::detail(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed."),
    }
}

fn created(state: &State, kind: Kind, id: u64) -> Answer {
    let record = state.get(kind, id);
    let etag = record.and_then(|record| record.last_updated).map(render::etag);
    let body = record.map_or(Value::Null, |record| render::record(state, kind, record));
    Answer { status: StatusCode::CREATED, body, etag }
}

fn create(state: &mut State, kind: Kind, body: &Value, request: &str) -> Result<u64, Errors> {
    let now = state.now();
    let record = writes::read(state, kind, body, Record::new(kind, now), true)?;
    writes::validate(state, kind, &record)?;
    Ok(put_new(state, kind, record, request))
}

fn put_new(state: &mut State, kind: Kind, record: Record, request: &str) -> u64 {
    let id = state.put(kind, record);
    state.log(request, "create", kind, id, None);
    id
}

/// All or none. Each entry is checked against what stands, the entries before it included.
fn create_list(state: &mut State, kind: Kind, bodies: &[Value], request: &str) -> Answer {
    let mut made = Vec::new();
    let mut failed = Vec::new();
    for (index, body) in bodies.iter().enumerate() {
        let now = state.now();
        let checked = writes::read(state, kind, body, Record::new(kind, now), true)
            .and_then(|record| writes::validate(state, kind, &record).map(|()| record));
        match checked {
            Ok(record) => made.push(state.put(kind, record)),
            Err(errors) => failed.push(json!({ "index": index, "errors": errors })),
        }
    }
    if !failed.is_empty() {
        for id in made {
            state.remove(kind, id);
        }
        let words = format!("{} of {} objects could not be created.", failed.len(), bodies.len());
        return Answer::bad(json!({ "detail": words, "errors": failed }));
    }
    for id in &made {
        state.log(request, "create", kind, *id, None);
    }
    let rows = made.iter().filter_map(|id| state.get(kind, *id)).map(|row| render::record(state, kind, row));
    Answer::new(StatusCode::CREATED, rows.collect())
}

/// All or none.
fn patch_list(state: &mut State, kind: Kind, request: &Request<'_>) -> Answer {
    let Some(bodies) = request.body.as_array() else {
        return Answer::detail(
            StatusCode::BAD_REQUEST,
            "Expected a list of objects, but no data was submitted.",
        );
    };
    let (mut changed, mut failed) = (Vec::new(), Vec::new());
    for (index, body) in bodies.iter().enumerate() {
        let id = body.get("id").and_then(Value::as_u64);
        let Some(record) = id.and_then(|id| state.get(kind, id)).cloned() else {
            failed.push(json!({ "index": index, "errors": { "id": ["Object does not exist"] } }));
            continue;
        };
        let before = record.clone();
        let checked = writes::read(state, kind, body, record, false)
            .and_then(|record| writes::validate(state, kind, &record).map(|()| record));
        match checked {
            Ok(record) => changed.push((before, record)),
            Err(errors) => failed.push(json!({ "index": index, "errors": errors })),
        }
    }
    if !failed.is_empty() {
        let words = format!("{} of {} objects could not be updated.", failed.len(), bodies.len());
        return Answer::bad(json!({ "detail": words, "errors": failed }));
    }
    let mut rows = Vec::new();
    for (before, mut record) in changed {
        record.last_updated = Some(state.now());
        let id = state.put(kind, record);
        state.log(request.id, "update", kind, id, Some(&before));
        rows.extend(state.get(kind, id).map(|row| render::record(state, kind, row)));
    }
    Answer::ok(rows.into())
}

fn delete_list(state: &mut State, kind: Kind, request: &Request<'_>) -> Answer {
    let Some(bodies) = request.body.as_array() else {
        return Answer::detail(
            StatusCode::BAD_REQUEST,
            "Expected a list of objects, but no data was submitted.",
        );
    };
    let ids: Vec<u64> = bodies.iter().filter_map(|body| body.get("id").and_then(Value::as_u64)).collect();
    let missing: Vec<Value> = ids
        .iter()
        .filter(|id| state.get(kind, **id).is_none())
        .map(|id| json!({ "id": id, "errors": { "id": [format!("Object with ID {id} does not exist")] } }))
        .collect();
    if !missing.is_empty() {
        let words = format!("{} of {} objects could not be found.", missing.len(), ids.len());
        return Answer::bad(json!({ "detail": words, "errors": missing }));
    }
    for id in ids {
        remove(state, kind, id, request.id);
    }
    Answer::new(StatusCode::NO_CONTENT, Value::Null)
}

fn remove(state: &mut State, kind: Kind, id: u64, request: &str) {
    if let Some(record) = state.remove(kind, id) {
        state.log(request, "delete", kind, id, Some(&record));
    }
}

fn detail(state: &mut State, kind: Kind, id: u64, request: &Request<'_>) -> Answer {
    let Some(record) = state.get(kind, id).cloned() else { return Answer::ok(Value::Null) };
    let etag = record.last_updated.map(render::etag);
    if !state.older && request.if_match.is_some() && request.if_match != etag.as_deref() {
        return Answer::detail(StatusCode::PRECONDITION_FAILED, "Precondition failed.");
    }
    match *request.method {
        Method::GET => {
            let row = render::record(state, kind, &record);
            let body = render::cut(row, filter::first(request.query, "fields"));
            Answer { etag, ..Answer::ok(body) }
        }
        Method::PATCH | Method::PUT => {
            let before = record.clone();
            let changed = writes::read(state, kind, request.body, record, false)
                .and_then(|record| writes::validate(state, kind, &record).map(|()| record));
            match changed {
                Err(errors) => Answer::bad(Value::Object(errors)),
                Ok(mut record) => {
                    record.last_updated = Some(state.now());
                    state.put(kind, record);
                    state.log(request.id, "update", kind, id, Some(&before));
                    Answer { status: StatusCode::OK, ..created(state, kind, id) }
                }
            }
        }
        Method::DELETE => {
            let used = kind == Kind::Vrf
                && [Kind::Prefix, Kind::Address]
                    .iter()
                    .any(|of| state.all(*of).any(|row| row.vrf == Some(id)));
            if used {
                return Answer::detail(
                    StatusCode::CONFLICT,
                    "Unable to delete object. Dependent objects were found.",
                );
            }
            remove(state, kind, id, request.id);
            Answer::new(StatusCode::NO_CONTENT, Value::Null)
        }
        _ => Answer::detail(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed."),
    }
}

fn available_ips(state: &mut State, parent: u64, request: &Request<'_>) -> Answer {
    let Some(parent) = state.get(Kind::Prefix, parent).cloned() else { return Answer::ok(Value::Null) };
    let (bodies, listed) = match request.body {
        Value::Array(bodies) => (bodies.clone(), true),
        body => (vec![body.clone()], false),
    };
    if *request.method == Method::GET {
        let free = available::addresses(state, &parent, 50);
        return Answer::ok(free.iter().map(|net| json!({ "address": net.to_string() })).collect());
    }
    // The entries are checked one by one against what stands, not against one another.
    let mut errors: Vec<Value> = Vec::new();
    let mut records = Vec::new();
    let free = available::addresses(state, &parent, bodies.len());
    if free.len() < bodies.len() {
        // What NetBox looks at first is the shape of the entries, then the space.
        if let Some(answer) = shapes(state, &bodies) {
            return answer;
        }
        let words = "Insufficient resources are available to satisfy the request";
        return Answer::detail(StatusCode::CONFLICT, words);
    }
    for (body, net) in bodies.iter().zip(free) {
        let now = state.now();
        let mut body = body.as_object().cloned().unwrap_or_default();
        body.insert("address".to_owned(), json!(net.to_string()));
        body.insert("vrf".to_owned(), json!(parent.vrf));
        let checked =
            writes::read(state, Kind::Address, &Value::Object(body), Record::new(Kind::Address, now), true)
                .and_then(|record| writes::validate(state, Kind::Address, &record).map(|()| record));
        match checked {
            Ok(record) => {
                errors.push(json!({}));
                records.push(record);
            }
            Err(found) => errors.push(Value::Object(found)),
        }
    }
    if records.len() < bodies.len() {
        return Answer::bad(if listed {
            Value::Array(errors)
        } else {
            errors.into_iter().next().unwrap_or(Value::Null)
        });
    }
    let ids: Vec<u64> =
        records.into_iter().map(|record| put_new(state, Kind::Address, record, request.id)).collect();
    let rows: Vec<Value> = ids
        .iter()
        .filter_map(|id| state.get(Kind::Address, *id))
        .map(|row| render::record(state, Kind::Address, row))
        .collect();
    let body = if listed { Value::Array(rows) } else { rows.into_iter().next().unwrap_or(Value::Null) };
    // No ETag: the real one gives none here.
    Answer::new(StatusCode::CREATED, body)
}

/// Complaints about the entries themselves, whatever addresses they would get.
fn shapes(state: &mut State, bodies: &[Value]) -> Option<Answer> {
    let now = state.now();
    let check =
        |body: &Value| writes::read(state, Kind::Address, body, Record::new(Kind::Address, now), false);
    let errors: Vec<Value> =
        bodies.iter().map(|body| Value::Object(check(body).err().unwrap_or_default())).collect();
    let sound = errors.iter().all(|found| found.as_object().is_some_and(Map::is_empty));
    (!sound).then(|| Answer::bad(Value::Array(errors)))
}

fn available_prefixes(state: &mut State, parent: u64, request: &Request<'_>) -> Answer {
    let Some(parent) = state.get(Kind::Prefix, parent).cloned() else { return Answer::ok(Value::Null) };
    let length = request
        .body
        .get("prefix_length")
        .and_then(Value::as_u64)
        .and_then(|length| u8::try_from(length).ok());
    let Some(length) = length else {
        return Answer::bad(json!({ "prefix_length": ["This field is required."] }));
    };
    let Some(block) = available::block(state, &parent, length) else {
        let words = "Insufficient resources are available to satisfy the request";
        return Answer::detail(StatusCode::CONFLICT, words);
    };
    let mut body = request.body.as_object().cloned().unwrap_or_default();
    body.insert("prefix".to_owned(), json!(block.to_string()));
    body.insert("vrf".to_owned(), json!(parent.vrf));
    match create(state, Kind::Prefix, &Value::Object(body), request.id) {
        Ok(id) => created(state, Kind::Prefix, id),
        Err(errors) => Answer::bad(Value::Object(errors)),
    }
}
