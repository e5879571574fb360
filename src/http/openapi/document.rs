//! The description as a whole, and the route that serves it.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use prost::bytes::Bytes;
use prost_reflect::{DescriptorPool, MethodDescriptor};
use serde_json::{Value, json};

use super::comments::Comments;
use super::schemas::{Schemas, reference};
use crate::http::connect::code;

const DESCRIPTION: &str = "\
Leasehold's API as JSON by HTTP: every method of the gRPC services as a POST, by the Connect protocol. Names, errors and \
their reasons are those of gRPC. In answers, fields with their default value (zero, an empty text, an empty list) are left \
out. docs/http.md says how to call methods and streams.";

/// The schema of errors. It is not a message of the API, so it has a name that no message can have.
const ERROR: &str = "connect.error";

/// The route of the description. It is made when it is first asked for.
pub fn openapi_router(pool: DescriptorPool) -> Router {
    let text: Arc<OnceLock<Bytes>> = Arc::default();
    let answer = async move || {
        let text = text.get_or_init(|| document(&pool).to_string().into()).clone();
        ([(CONTENT_TYPE, "application/json")], text)
    };
    Router::new().route("/openapi.json", get(answer))
}

/// The OpenAPI description of all methods in the pool.
fn document(pool: &DescriptorPool) -> Value {
    let comments = Comments::of(pool);
    let mut schemas = Schemas::new(&comments);
    let mut paths = BTreeMap::new();
    let mut tags = Vec::new();
    for service in pool.services() {
        let description = comments.at(&service.parent_file(), service.path());
        tags.push(json!({ "name": service.name(), "description": description }));
        for method in service.methods() {
            let path = format!("/{}/{}", service.full_name(), method.name());
            paths.insert(path, json!({ "post": operation(&method, &comments, &mut schemas) }));
        }
    }
    let mut schemas = schemas.into_value();
    if let Some(schemas) = schemas.as_object_mut() {
        schemas.insert(ERROR.to_owned(), error_schema());
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Leasehold",
            "version": "v1",
            "description": DESCRIPTION,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "http://127.0.0.1:50080" }],
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": schemas,
            "parameters": parameters(),
            "responses": {
                "Error": {
                    "description": "The call is refused. The HTTP status follows from the code.",
                    "content": { "application/json": { "schema": reference(ERROR) } },
                },
            },
        },
    })
}

fn operation(method: &MethodDescriptor, comments: &Comments, schemas: &mut Schemas<'_>) -> Value {
    let comment = comments.at(&method.parent_file(), method.path());
    let service = method.parent_service();
    let (kind, description, answer) = if method.is_client_streaming() || method.is_server_streaming() {
        let framed = "\n\nThe bodies are streams: each message is framed by a byte of flags and its length in four bytes. \
                      The last frame of the answer has the flags 2; it holds `error` if the stream failed.";
        ("application/connect+json", format!("{comment}{framed}"), "The messages, framed.")
    } else {
        ("application/json", comment.to_owned(), "The answer.")
    };
    let summary = comment.split_once(". ").map_or(comment, |(first, _)| first).trim_end_matches('.');
    json!({
        "operationId": format!("{}_{}", service.name(), method.name()),
        "tags": [service.name()],
        "summary": summary,
        "description": description,
        "parameters": [
            { "$ref": "#/components/parameters/ConnectProtocolVersion" },
            { "$ref": "#/components/parameters/ConnectTimeoutMs" },
        ],
        "requestBody": {
            "required": true,
            "content": { kind: { "schema": schemas.message(&method.input()) } },
        },
        "responses": {
            "200": {
                "description": answer,
                "content": { kind: { "schema": schemas.message(&method.output()) } },
            },
            "default": { "$ref": "#/components/responses/Error" },
        },
    })
}

fn parameters() -> Value {
    json!({
        "ConnectProtocolVersion": {
            "name": "Connect-Protocol-Version",
            "in": "header",
            "description": "The version of the protocol; may be left out.",
            "schema": { "const": "1" },
        },
        "ConnectTimeoutMs": {
            "name": "Connect-Timeout-Ms",
            "in": "header",
            "description": "After so many milliseconds the call answers `deadline_exceeded`. A write may go on after that: \
                            repeat it with the same requestId to learn its result.",
            "schema": { "type": "string", "pattern": "^[0-9]{1,10}$" },
        },
    })
}

fn error_schema() -> Value {
    let codes: Vec<&str> = code::names().collect();
    json!({
        "type": "object",
        "description": "An error of gRPC as JSON.",
        "properties": {
            "code": { "type": "string", "enum": codes },
            "message": { "type": "string", "description": "For people: what is wrong and what to do about it." },
            "details": {
                "type": "array",
                "description": "For programs. There is always a google.rpc.ErrorInfo with the domain `leasehold` and a stable \
                                reason, unless the call ended before the server could answer.",
                "items": {
                    "type": "object",
                    "properties": {
                        "type": { "type": "string", "description": "Example: \"google.rpc.ErrorInfo\"." },
                        "value": {
                            "type": "string",
                            "contentEncoding": "base64",
                            "description": "The encoded message, as base64 without padding.",
                        },
                        "debug": { "type": "object", "description": "The fields of the message." },
                    },
                    "required": ["type", "value"],
                },
            },
        },
        "required": ["code"],
    })
}
