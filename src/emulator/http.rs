//! The HTTP side: token check, JSON, faults, headers. What a request does to the records is in `routes`.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::answer::{RestAnswer, RestRequest};
use super::faults::DrawnFaults;
use super::language;
use super::routes;
use super::shared::SharedEmulator;

/// The longest request line that gunicorn accepts with its default `limit_request_line`, in bytes.
const LONGEST_REQUEST_LINE: usize = 4094;

/// How NetBox refuses a write in its maintenance mode.
const MAINTENANCE: &str =
    "NetBox is currently operating in maintenance mode and is unable to perform write operations.";

pub(super) fn router(shared: Arc<SharedEmulator>) -> Router {
    Router::new().fallback(serve).with_state(shared)
}

/// Carries a request out, whether or not its client waits for the answer: like gunicorn, which does not notice that a client is
/// gone before it sends.
async fn serve(
    state: State<Arc<SharedEmulator>>,
    method: Method,
    uri: Uri,
    query: Query<Vec<(String, String)>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let faults = state.draw_faults();
    let writes = !matches!(method, Method::GET | Method::OPTIONS);
    let late = faults.late.filter(|_| writes);
    let carried_out = tokio::spawn(async move {
        if let Some(late) = late {
            tokio::time::sleep(late).await;
        }
        carry_out(state, faults, method, uri, query, headers, body).await
    });
    if late.is_some() {
        return broken_off(StatusCode::CREATED, Bytes::new());
    }
    // A task ends without an answer only if it panics, which is a defect of the emulator.
    carried_out.await.unwrap_or_else(|_| (StatusCode::BAD_GATEWAY, "the emulator failed").into_response())
}

async fn carry_out(
    State(shared): State<Arc<SharedEmulator>>,
    faults: DrawnFaults,
    method: Method,
    uri: Uri,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if !faults.delay.is_zero() {
        tokio::time::sleep(faults.delay).await;
    }
    if faults.fail {
        return (StatusCode::INTERNAL_SERVER_ERROR, "<h1>Server Error</h1>").into_response();
    }
    if faults.throttle {
        let body = axum::Json(json!({ "detail": "Request was throttled." }));
        return (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "1")], body).into_response();
    }
    let target = uri.path_and_query().map_or(0, |target| target.as_str().len());
    if method.as_str().len() + target + "  HTTP/1.1".len() > LONGEST_REQUEST_LINE {
        let page = axum::response::Html("<html>Request Line is too large</html>");
        return (StatusCode::BAD_REQUEST, page).into_response();
    }
    let request_id = uuid::Uuid::new_v4().to_string();
    let Some(path) = uri.path().strip_prefix("/api/").and_then(|path| path.strip_suffix('/')) else {
        return (StatusCode::NOT_FOUND, axum::response::Html("<html>Page not found</html>")).into_response();
    };
    let writes = !matches!(method, Method::GET | Method::OPTIONS);
    let mut answer = match refuse(&shared.token, &method, &headers) {
        Some(refusal) => refusal,
        None if writes && faults.maintenance => RestAnswer::crashed("InternalError", MAINTENANCE),
        None => {
            let json: Result<Value, _> =
                if body.is_empty() { Ok(Value::Null) } else { serde_json::from_slice(&body) };
            let if_match = headers.get(header::IF_MATCH).and_then(|value| value.to_str().ok());
            match json {
                Ok(json) => {
                    let request = RestRequest {
                        method: &method,
                        query: &query,
                        body: &json,
                        if_match,
                        id: &request_id,
                    };
                    routes::dispatch(&mut shared.state(), path, &request)
                }
                Err(error) => {
                    RestAnswer::detail(StatusCode::BAD_REQUEST, format!("JSON parse error - {error}"))
                }
            }
        }
    };
    if answer.status.is_client_error() && language::is_german(&headers, shared.state().german) {
        language::into_german(&mut answer.body);
    }
    let written = writes && answer.status.is_success();
    if written && faults.drop_after_commit {
        return broken_off(StatusCode::CREATED, Bytes::new());
    }
    response(answer, &request_id, faults.cut)
}

/// The answer to a request whose token is missing, wrong, or may not write; `None` if the request is allowed.
fn refuse(accepted: &str, method: &Method, headers: &HeaderMap) -> Option<RestAnswer> {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some((scheme, token)) = given.and_then(|given| given.split_once(' ')) else {
        let message = "Authentication credentials were not provided.";
        return Some(RestAnswer::detail(StatusCode::FORBIDDEN, message));
    };
    let reading = matches!(*method, Method::GET | Method::OPTIONS);
    match token.strip_prefix(accepted) {
        Some("") => None,
        Some("-readonly") if reading => None,
        Some("-readonly") => {
            let message = "You do not have permission to perform this action.";
            Some(RestAnswer::detail(StatusCode::FORBIDDEN, message))
        }
        _ => {
            let version = if scheme == "Bearer" { "v2" } else { "v1" };
            Some(RestAnswer::detail(StatusCode::FORBIDDEN, format!("Invalid {version} token")))
        }
    }
}

fn response(answer: RestAnswer, request_id: &str, cut: bool) -> Response {
    let text = if answer.body.is_null() { String::new() } else { answer.body.to_string() };
    if cut && !text.is_empty() {
        let half = text.as_bytes().get(..text.len() / 2).unwrap_or_default();
        return broken_off(answer.status, Bytes::copy_from_slice(half));
    }
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = answer.status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.extend(request_id.parse().map(|value| (HeaderName::from_static("x-request-id"), value)));
    if let Some(etag) = answer.etag {
        headers.extend(etag.parse().map(|value| (header::ETAG, value)));
    }
    response
}

/// An answer whose body fails after its first part, as the client sees it when the connection is cut.
fn broken_off(status: StatusCode, half: Bytes) -> Response {
    let parts = [Ok(half), Err(std::io::Error::other("cut"))];
    let mut response = Response::new(Body::from_stream(futures::stream::iter(parts)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
