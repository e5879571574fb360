//! The API as JSON by HTTP: each refusal beside the same refusal of gRPC, deadlines, streams, sizes, and what browsers may not.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt as _;
use leasehold::emulator::Faults;
use leasehold::http::connect_router;
use leasehold::rpc::MAX_REQUEST_BYTES;
use leasehold::rpc::proto::{self, v1};
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tonic_types::StatusExt as _;

use crate::support::{HUNG, LOOPBACK, NetBox, Server, addresses, hosts, settings};

const LOOKUP: &str = "PrefixService/LookupAddress";
const ALLOCATE: &str = "AllocationService/AllocateAddresses";
const WATCH: &str = "EventService/WatchEvents";

async fn ready() -> (NetBox, Server) {
    let netbox = NetBox::emulated().await;
    netbox.post("ipam/prefixes/", json!({ "prefix": "203.0.113.0/24" })).await;
    let server = Server::before(&netbox).await;
    (netbox, server)
}

fn request(server: &Server, method: &str) -> reqwest::RequestBuilder {
    reqwest::Client::new().post(format!("http://{}/leasehold.v1.{method}", server.running.http))
}

/// Calls a method with JSON. Returns the HTTP status and the body.
async fn call(server: &Server, method: &str, message: &Value) -> (StatusCode, Value) {
    let answer = request(server, method).json(message).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/json", "{method} {message}");
    (answer.status(), answer.json().await.unwrap())
}

async fn ok(server: &Server, method: &str, message: &Value) -> Value {
    let (status, body) = call(server, method, message).await;
    assert_eq!(status, 200, "{method} {message}: {body}");
    body
}

/// The fields of one detail of an error. Its encoded bytes must be those of a message of this type with these fields.
fn detail<'a>(error: &'a Value, name: &str) -> &'a Value {
    let details = error["details"].as_array().unwrap_or_else(|| panic!("no details: {error}"));
    let found = details.iter().find(|detail| detail["type"] == format!("google.rpc.{name}"));
    &found.unwrap_or_else(|| panic!("no {name}: {error}"))["debug"]
}

fn reason(error: &Value) -> &str {
    assert_eq!(detail(error, "ErrorInfo")["domain"], "leasehold");
    detail(error, "ErrorInfo")["reason"].as_str().unwrap()
}

/// The fields that an INVALID_FIELDS names.
fn fields(error: &Value) -> Vec<&str> {
    assert_eq!(
        (error["code"].as_str(), reason(error)),
        (Some("invalid_argument"), "INVALID_FIELDS"),
        "{error}"
    );
    let violations = detail(error, "BadRequest")["fieldViolations"].as_array().unwrap();
    violations.iter().map(|violation| violation["field"].as_str().unwrap()).collect()
}

/// A frame of a stream.
fn frame(content: &[u8]) -> Vec<u8> {
    let mut frame = vec![0];
    frame.extend(u32::try_from(content.len()).unwrap().to_be_bytes());
    frame.extend(content);
    frame
}

/// A stream of JSON as it comes.
struct Frames {
    answer: reqwest::Response,
    buffer: Vec<u8>,
}

impl Frames {
    async fn of(server: &Server, method: &str, messages: &[Value]) -> Self {
        Self::with(request(server, method), messages).await
    }

    async fn with(request: reqwest::RequestBuilder, messages: &[Value]) -> Self {
        let body: Vec<u8> =
            messages.iter().flat_map(|message| frame(message.to_string().as_bytes())).collect();
        let request = request.header("content-type", "application/connect+json").body(body);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "application/connect+json");
        Self { answer, buffer: Vec::new() }
    }

    /// The flags and the content of the next frame; `None` after the last.
    async fn next(&mut self) -> Option<(u8, Value)> {
        loop {
            if let Some((head, rest)) = self.buffer.split_at_checked(5) {
                let length = u32::from_be_bytes(head[1..].try_into().unwrap()) as usize;
                if rest.len() >= length {
                    let found = (head[0], serde_json::from_slice(&rest[..length]).unwrap());
                    self.buffer.drain(..5 + length);
                    return Some(found);
                }
            }
            let Some(chunk) = self.answer.chunk().await.unwrap() else {
                assert!(self.buffer.is_empty(), "the answer ends inside a frame");
                return None;
            };
            self.buffer.extend_from_slice(&chunk);
        }
    }

    async fn message(&mut self) -> Value {
        let (flags, message) = self.next().await.expect("another message");
        assert_eq!(flags, 0, "{message}");
        message
    }

    /// The content of the last frame, which must be the next one.
    async fn end(&mut self) -> Value {
        let (flags, end) = self.next().await.expect("a last frame");
        assert_eq!(flags, 2, "{end}");
        assert_eq!(self.next().await, None, "nothing after the last frame");
        end
    }
}

#[tokio::test]
async fn addresses_are_allocated_found_and_released_by_json() {
    let (_netbox, server) = ready().await;
    let order =
        json!({ "prefix": "203.0.113.0/24", "count": 2, "dnsName": "web.example", "requestId": "order-1" });
    let first = ok(&server, ALLOCATE, &order).await;
    assert_eq!(first["addresses"][0]["address"], "203.0.113.1/24");
    assert_eq!(first["addresses"][1]["allocationId"], "order-1/1");
    assert_eq!(first["addresses"][0]["id"].as_str().map(str::is_empty), Some(false), "64 bits are a string");
    assert_eq!(first.get("repeated"), None, "a default value is left out");
    let again = ok(&server, ALLOCATE, &order).await;
    assert_eq!((&again["repeated"], &again["addresses"]), (&json!(true), &first["addresses"]));
    // The names of the proto files mean the same.
    let order =
        json!({ "prefix": "203.0.113.0/24", "count": 2, "dns_name": "web.example", "request_id": "order-1" });
    assert_eq!(ok(&server, ALLOCATE, &order).await["repeated"], true);
    // gRPC and JSON are two forms of one service.
    assert_eq!(server.lookup(0, "203.0.113.1").await.records[0].dns_name, "web.example");
    let found = ok(&server, LOOKUP, &json!({ "address": "203.0.113.2" })).await;
    assert_eq!(found["records"][0]["allocationId"], "order-1/1");
    assert_eq!(found["chain"][0]["prefix"], "203.0.113.0/24");
    let released =
        ok(&server, "AllocationService/ReleaseAddresses", &json!({ "allocationRequestId": "order-1" })).await;
    assert_eq!(released["addresses"].as_array().unwrap().len(), 2);
    assert_eq!(ok(&server, LOOKUP, &json!({ "address": "203.0.113.2" })).await.get("records"), None);
}

#[tokio::test]
async fn protobuf_by_http_is_the_message_itself() {
    let (_netbox, server) = ready().await;
    let message = addresses(0, "203.0.113.0/24", 1, "proto-1").encode_to_vec();
    let send = async |body: Vec<u8>| {
        request(&server, ALLOCATE)
            .header("content-type", "application/proto")
            .body(body)
            .send()
            .await
            .unwrap()
    };
    let answer = send(message).await;
    assert_eq!(answer.headers()["content-type"], "application/proto");
    let answer = v1::AllocateAddressesResponse::decode(answer.bytes().await.unwrap()).unwrap();
    assert_eq!(hosts(&answer), ["203.0.113.1"]);
    // An error is JSON, whatever the call is written in.
    let answer = send(vec![0xff; 3]).await;
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["content-type"]),
        (400, &"application/json".parse().unwrap())
    );
    assert_eq!(fields(&answer.json().await.unwrap()), ["body"]);
}

/// The status of a call over gRPC, of which the request is given as JSON.
async fn grpc_status(server: &Server, method: &str, request: &Value) -> tonic::Status {
    let pool = DescriptorPool::decode(proto::DESCRIPTORS).unwrap();
    let (service, name) = method.split_once('/').unwrap();
    let service = pool.get_service_by_name(&format!("leasehold.v1.{service}")).unwrap();
    let method = service.methods().find(|method| method.name() == name).unwrap();
    let message = DynamicMessage::deserialize(method.input(), request).unwrap();
    let answer = reqwest::Client::new()
        .post(format!("http://{}/{}/{name}", server.running.grpc, service.full_name()))
        .header("content-type", "application/grpc-web+proto")
        .body(frame(&message.encode_to_vec()))
        .send()
        .await
        .unwrap();
    tonic::Status::from_header_map(answer.headers()).expect("a refusal")
}

/// Each refusal beside the same refusal of gRPC: the code, the text, and every detail with its bytes.
#[tokio::test]
async fn every_refusal_is_that_of_grpc() {
    let (netbox, server) = ready().await;
    let fields = json!({ "lease_owner": "ACME-LIR", "lease_expiry": "2001-01-01" });
    netbox.post("ipam/prefixes/", json!({ "prefix": "198.51.100.0/24", "custom_fields": fields })).await;
    server.run("sync.poll").await;
    server.allocate(addresses(0, "203.0.113.0/24", 1, "once")).await.unwrap();
    let date = json!({ "year": 2040, "month": 1, "day": 1 });
    let table = [
        (
            ALLOCATE,
            json!({ "prefix": "banana", "count": 1001, "dnsName": "web 01", "requestId": "a b" }),
            400,
            "invalid_argument",
        ),
        (ALLOCATE, json!({ "prefix": "192.0.2.0/24", "requestId": "x" }), 404, "not_found"),
        (
            ALLOCATE,
            json!({ "prefix": "203.0.113.0/24", "count": 500, "requestId": "y" }),
            429,
            "resource_exhausted",
        ),
        (
            ALLOCATE,
            json!({ "prefix": "203.0.113.0/24", "count": 2, "requestId": "once" }),
            400,
            "invalid_argument",
        ),
        (ALLOCATE, json!({ "prefix": "198.51.100.0/24", "requestId": "z" }), 400, "failed_precondition"),
        ("AllocationService/AssignAddress", json!({ "address": "203.0.113.1" }), 409, "already_exists"),
        ("AllocationService/GetAllocation", json!({ "requestId": "never" }), 404, "not_found"),
        (LOOKUP, json!({ "address": "203.0.113.5/24" }), 400, "invalid_argument"),
        (LOOKUP, json!({ "address": "203.0.113.5", "vrf": { "name": "nowhere" } }), 404, "not_found"),
        (
            LOOKUP,
            json!({ "address": "203.0.113.5", "asOfTime": "2001-01-01T00:00:00Z" }),
            400,
            "out_of_range",
        ),
        ("PrefixService/GetPrefix", json!({ "prefixId": "4711" }), 404, "not_found"),
        ("LeaseService/GetLease", json!({ "prefix": "203.0.113.0/24" }), 404, "not_found"),
        (
            "LeaseService/RegisterLease",
            json!({ "prefix": "198.51.100.0/24", "owner": "SOMEBODY-ELSE", "expiryDate": date }),
            409,
            "already_exists",
        ),
        ("AdminService/TriggerCheck", json!({ "job": "sync.ful" }), 404, "not_found"),
    ];
    let mut reasons = BTreeSet::new();
    for (method, request, http, code) in table {
        let (status, error) = call(&server, method, &request).await;
        assert_eq!(
            (status.as_u16(), error["code"].as_str()),
            (http, Some(code)),
            "{method} {request}: {error}"
        );
        let grpc = grpc_status(&server, method, &request).await;
        assert_eq!(format!("{:?}", grpc.code()).to_lowercase(), code.replace('_', ""), "{method} {request}");
        assert_eq!(error["message"].as_str(), Some(grpc.message()), "{method} {request}");
        let theirs: Vec<(String, Vec<u8>)> = tonic_types::pb::Status::decode(grpc.details())
            .unwrap()
            .details
            .into_iter()
            .map(|detail| (detail.type_url.rsplit('/').next().unwrap().to_owned(), detail.value))
            .collect();
        let ours: Vec<(String, Vec<u8>)> = error["details"]
            .as_array()
            .unwrap()
            .iter()
            .map(|detail| {
                // gRPC writes binary metadata in the same base64.
                let value = detail["value"].as_str().unwrap();
                let mut headers = reqwest::header::HeaderMap::new();
                headers.insert("value-bin", value.parse().unwrap());
                let value = tonic::metadata::MetadataMap::from_headers(headers);
                let value = value.get_bin("value-bin").unwrap().to_bytes().unwrap();
                (detail["type"].as_str().unwrap().to_owned(), value.to_vec())
            })
            .collect();
        // The metadata of an ErrorInfo are a map, whose order on the wire is not fixed: it is compared by its fields.
        let others = |details: &[(String, Vec<u8>)]| {
            details.iter().filter(|(name, _)| name != "google.rpc.ErrorInfo").cloned().collect::<Vec<_>>()
        };
        assert_eq!(others(&ours), others(&theirs), "{method} {request}");
        let info = grpc.get_details_error_info().unwrap();
        assert_eq!(reason(&error), info.reason, "{method} {request}");
        let metadata = detail(&error, "ErrorInfo").get("metadata").cloned().unwrap_or(json!({}));
        assert_eq!(metadata, json!(info.metadata), "{method} {request}");
        reasons.insert(info.reason);
    }
    assert!(reasons.len() >= 10, "{reasons:?}");
}

#[tokio::test]
async fn a_request_that_is_no_message_is_told_every_wrong_field() {
    let (_netbox, server) = ready().await;
    let wrong =
        json!({ "prefix": 7, "count": "many", "purpose": "MAIL", "exclusions": ["a", 1], "requestID": "x" });
    let (status, error) = call(&server, ALLOCATE, &wrong).await;
    assert_eq!(status, 400);
    let mut named = fields(&error);
    named.sort_unstable();
    assert_eq!(named, ["count", "exclusions[1]", "prefix", "purpose", "requestID"], "{error}");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("purpose: must be one of ALLOCATION_PURPOSE_UNSPECIFIED, "), "{message}");
    let (_, error) = call(&server, ALLOCATE, &json!({ "requirement": { "vrf": { "id": -1 } } })).await;
    assert_eq!(fields(&error), ["requirement.vrf.id"]);
    let (_, error) = call(&server, ALLOCATE, &json!({ "prefix": "203.0.113.0/24", "prefixId": "1" })).await;
    assert_eq!(fields(&error), ["prefix_id"]);
    for body in ["", "{", "[]", "{\"count\": 1} {}", "count=1"] {
        let answer = request(&server, ALLOCATE).header("content-type", "application/json").body(body);
        let answer = answer.send().await.unwrap();
        assert_eq!(answer.status(), 400, "{body}");
        assert_eq!(fields(&answer.json().await.unwrap()), ["body"], "{body}");
    }
    let twice = request(&server, ALLOCATE).header("content-type", "application/json");
    let twice = twice.body(r#"{"count": 1, "count": 2}"#).send().await.unwrap();
    assert_eq!(fields(&twice.json().await.unwrap()), ["count"]);
}

#[tokio::test]
async fn what_is_no_call_of_a_method_is_refused_by_http() {
    let (_netbox, server) = ready().await;
    let lookup = json!({ "address": "203.0.113.5" });
    let (status, error) = call(&server, "PrefixService/NoSuchMethod", &lookup).await;
    assert_eq!(
        (status.as_u16(), error["code"].as_str(), reason(&error)),
        (404, Some("unimplemented"), "METHOD_NOT_FOUND")
    );
    let (status, _) = call(&server, "NoSuchService/GetPrefix", &lookup).await;
    assert_eq!(status, 404);
    // Health and reflection are asked for by gRPC.
    let health = format!("http://{}/grpc.health.v1.Health/Check", server.running.http);
    assert_eq!(reqwest::Client::new().post(health).json(&json!({})).send().await.unwrap().status(), 404);

    let url = format!("http://{}/leasehold.v1.{LOOKUP}", server.running.http);
    for method in [reqwest::Method::GET, reqwest::Method::PUT, reqwest::Method::OPTIONS] {
        let answer = reqwest::Client::new().request(method.clone(), &url).json(&lookup).send().await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["allow"]),
            (405, &"POST".parse().unwrap()),
            "{method}"
        );
        assert_eq!(reason(&answer.json().await.unwrap()), "POST_ONLY");
    }

    // A browser sends these types, or none, without asking first.
    let types = [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/grpc",
    ];
    for kind in types.map(Some).into_iter().chain([None, Some("application/connect+json")]) {
        let mut sent = request(&server, LOOKUP).body(lookup.to_string());
        if let Some(kind) = kind {
            sent = sent.header("content-type", kind);
        }
        let answer = sent.send().await.unwrap();
        assert_eq!(answer.status(), 415, "{kind:?}");
        assert!(answer.headers()["accept-post"].to_str().unwrap().contains("application/json"));
        assert_eq!(reason(&answer.json().await.unwrap()), "CONTENT_TYPE_UNSUPPORTED");
    }
    let (status, error) = call(&server, WATCH, &json!({})).await;
    assert_eq!(
        (status.as_u16(), reason(&error)),
        (415, "CONTENT_TYPE_UNSUPPORTED"),
        "a stream is not application/json"
    );
}

#[tokio::test]
async fn the_headers_of_the_protocol_are_checked() {
    let (_netbox, server) = ready().await;
    let send = async |name: &str, value: &str| {
        let answer = request(&server, LOOKUP).json(&json!({ "address": "203.0.113.5" })).header(name, value);
        let answer = answer.send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    assert_eq!(send("connect-protocol-version", "1").await.0, 200);
    assert_eq!(send("connect-timeout-ms", "60000").await.0, 200);
    assert_eq!(send("content-encoding", "identity").await.0, 200);
    let (status, error) = send("connect-protocol-version", "2").await;
    assert_eq!((status, fields(&error)), (400, vec!["connect-protocol-version"]));
    for wrong in ["soon", "-1", "12345678901"] {
        let (status, error) = send("connect-timeout-ms", wrong).await;
        assert_eq!((status, fields(&error)), (400, vec!["connect-timeout-ms"]), "{wrong}");
    }
    let (status, error) = send("content-encoding", "gzip").await;
    assert_eq!(
        (status, error["code"].as_str(), reason(&error)),
        (501, Some("unimplemented"), "COMPRESSION_UNSUPPORTED")
    );
}

/// Nobody is authenticated, so a page must not be able to use the browser of somebody who can reach the port.
#[tokio::test]
async fn a_page_of_a_browser_cannot_call_a_method() {
    let (_netbox, server) = ready().await;
    let url = format!("http://{}/leasehold.v1.{ALLOCATE}", server.running.http);
    let order = json!({ "prefix": "203.0.113.0/24", "requestId": "page" });
    let own = format!("http://{}", server.running.http);
    for origin in ["https://example.com", "null", &own] {
        let answer = request(&server, ALLOCATE).json(&order).header("origin", origin).send().await.unwrap();
        assert_eq!(answer.status(), 403, "{origin}");
        assert!(answer.headers().keys().all(|name| !name.as_str().starts_with("access-control-")));
        assert_eq!(reason(&answer.json().await.unwrap()), "BROWSER_REFUSED");
        // A browser asks before it sends JSON, and sends nothing unless an answer allows it.
        let preflight = reqwest::Client::new()
            .request(reqwest::Method::OPTIONS, &url)
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "content-type");
        let answer = preflight.send().await.unwrap();
        assert_eq!(answer.status(), 403);
        assert!(answer.headers().keys().all(|name| !name.as_str().starts_with("access-control-")));
    }
    assert!(server.lookup(0, "203.0.113.1").await.records.is_empty(), "nothing was allocated");
}

#[tokio::test]
async fn a_body_may_have_a_mebibyte_and_no_more() {
    let (_netbox, server) = ready().await;
    let send = async |length: usize, chunked: bool| {
        let mut body = json!({ "address": "203.0.113.5" }).to_string();
        body.push_str(&" ".repeat(length - body.len()));
        if chunked {
            return send_in_chunks(&server, &body).await;
        }
        let answer = request(&server, LOOKUP).header("content-type", "application/json").body(body);
        let answer = answer.send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    for chunked in [false, true] {
        let (status, answer) = send(MAX_REQUEST_BYTES, chunked).await;
        assert_eq!(status, 200, "{answer}");
        let (status, error) = send(MAX_REQUEST_BYTES + 1, chunked).await;
        assert_eq!((status, error["code"].as_str()), (429, Some("resource_exhausted")));
        assert_eq!(reason(&error), "REQUEST_TOO_LARGE");
    }
}

/// Sends a body without saying first how long it is.
async fn send_in_chunks(server: &Server, body: &str) -> (u16, Value) {
    let mut connection = tokio::net::TcpStream::connect(server.running.http).await.unwrap();
    let mut sent = format!(
        "POST /leasehold.v1.{LOOKUP} HTTP/1.1\r\nhost: leasehold\r\ncontent-type: application/json\r\n\
         transfer-encoding: chunked\r\nconnection: close\r\n\r\n"
    );
    for chunk in body.as_bytes().chunks(1 << 16) {
        write!(sent, "{:x}\r\n{}\r\n", chunk.len(), std::str::from_utf8(chunk).unwrap()).unwrap();
    }
    sent.push_str("0\r\n\r\n");
    connection.write_all(sent.as_bytes()).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap())
}

#[tokio::test]
async fn a_deadline_in_milliseconds_ends_the_call_and_the_write_goes_on() {
    let (netbox, server) = ready().await;
    // The server gets the request long before the deadline, and NetBox answers long after it.
    netbox
        .emulator
        .as_ref()
        .unwrap()
        .set_faults(Faults { delay: Duration::from_secs(3), ..Faults::default() });
    let order = json!({ "prefix": "203.0.113.0/24", "requestId": "slow" });
    let answer =
        request(&server, ALLOCATE).json(&order).header("connect-timeout-ms", "1000").send().await.unwrap();
    assert_eq!(answer.status(), 504);
    assert_eq!(answer.json::<Value>().await.unwrap()["code"], "deadline_exceeded");
    netbox.emulator.as_ref().unwrap().set_faults(Faults::default());
    assert_eq!(ok(&server, ALLOCATE, &order).await["repeated"], true);
}

#[tokio::test]
async fn a_body_that_never_ends_does_not_outlast_the_deadline() {
    let (_netbox, server) = ready().await;
    let mut connection = tokio::net::TcpStream::connect(server.running.http).await.unwrap();
    let head = format!(
        "POST /leasehold.v1.{LOOKUP} HTTP/1.1\r\nhost: leasehold\r\ncontent-type: application/json\r\n\
         connect-timeout-ms: 300\r\ncontent-length: 100\r\nconnection: close\r\n\r\n{{\"address\":"
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 504 ") && answer.contains("\"deadline_exceeded\""), "{answer}");
}

#[tokio::test]
async fn a_stream_sends_each_message_at_once_and_ends_with_the_server() {
    let (netbox, server) = with_bookmarks().await;
    let mut watch = Frames::of(&server, WATCH, &[json!({ "skipSnapshot": true })]).await;
    assert!(watch.message().await["synced"].is_object());
    ok(&server, ALLOCATE, &json!({ "prefix": "203.0.113.0/24", "requestId": "seen" })).await;
    let event = loop {
        let message = watch.message().await;
        if message["event"]["type"] == "EVENT_TYPE_ADDRESS_ALLOCATED" {
            break message;
        }
    };
    // After that nothing happens, and a bookmark comes all the same.
    let bookmark = watch.message().await;
    assert!(bookmark["bookmark"].is_object(), "{bookmark}");
    // The stream can be resumed by gRPC, and the other way round.
    let token = event["resumeToken"].as_str().unwrap();
    let mut resumed = Frames::of(&server, WATCH, &[json!({ "resumeToken": token })]).await;
    assert!(resumed.message().await["bookmark"].is_object());
    drop(resumed);

    let stopped = tokio::spawn(server.running.stop());
    let end = loop {
        let (flags, content) = watch.next().await.unwrap();
        if flags == 2 {
            break content;
        }
    };
    let error = &end["error"];
    assert_eq!((error["code"].as_str(), reason(error)), (Some("unavailable"), "SERVER_STOPPING"), "{end}");
    assert!(detail(error, "ErrorInfo")["metadata"]["resume_token"].is_string(), "{end}");
    assert_eq!(detail(error, "RetryInfo")["retryDelay"], "1s");
    stopped.await.unwrap();
    drop(netbox);
}

/// A server whose streams send a bookmark twice a second.
async fn with_bookmarks() -> (NetBox, Server) {
    let netbox = NetBox::emulated().await;
    netbox.post("ipam/prefixes/", json!({ "prefix": "203.0.113.0/24" })).await;
    let mut settings = settings(&netbox);
    settings.events.bookmark_interval = Duration::from_millis(500);
    let server = Server::with(settings).await;
    server.live().await;
    (netbox, server)
}

#[tokio::test]
async fn a_stream_that_is_refused_says_so_in_its_last_frame() {
    let (_netbox, server) = ready().await;
    let error = async |messages: &[Value]| {
        let mut end = Frames::of(&server, WATCH, messages).await.end().await;
        end["error"].take()
    };
    let refused = error(&[json!({ "resumeToken": "not-a-token", "horizonDays": -1 })]).await;
    let mut named = fields(&refused);
    named.sort_unstable();
    assert_eq!(named, ["horizon_days", "resume_token"], "what the method itself refuses");
    assert_eq!(fields(&error(&[json!({ "nonsense": 1 })]).await), ["nonsense"]);
    assert_eq!(fields(&error(&[]).await), ["body"], "the method takes one message");
    assert_eq!(fields(&error(&[json!({}), json!({})]).await), ["body"], "the method takes one message");
    let timeout = request(&server, WATCH).header("connect-timeout-ms", "soon");
    let end = Frames::with(timeout, &[json!({})]).await.end().await;
    assert_eq!(fields(&end["error"]), ["connect-timeout-ms"]);
    let compressed = request(&server, WATCH).header("connect-content-encoding", "gzip");
    let end = Frames::with(compressed, &[json!({})]).await.end().await;
    assert_eq!(reason(&end["error"]), "COMPRESSION_UNSUPPORTED");
}

#[tokio::test]
async fn a_stream_ends_at_its_deadline() {
    let (_netbox, server) = ready().await;
    let watch = request(&server, WATCH).header("connect-timeout-ms", "300");
    let mut watch = Frames::with(watch, &[json!({ "skipSnapshot": true })]).await;
    assert!(watch.message().await["synced"].is_object());
    assert_eq!(watch.end().await["error"]["code"], "deadline_exceeded");
}

#[tokio::test]
async fn a_stream_of_requests_is_answered_when_it_is_complete() {
    let (_netbox, server) = ready().await;
    let requests = ["203.0.113.5", "banana", "2001:db8::1"].map(|address| json!({ "address": address }));
    let mut answers = Frames::of(&server, "PrefixService/StreamLookupAddresses", &requests).await;
    assert_eq!(answers.message().await["result"]["chain"][0]["prefix"], "203.0.113.0/24");
    // The error of one request has details of any type, which JSON names.
    let error = answers.message().await;
    assert_eq!(error["error"]["details"][0]["@type"], "type.googleapis.com/google.rpc.ErrorInfo", "{error}");
    assert_eq!(error["error"]["details"][0]["reason"], "INVALID_FIELDS");
    assert_eq!(answers.message().await["result"]["address"], "2001:db8::1");
    assert_eq!(answers.end().await, json!({}));
}

#[tokio::test]
async fn calls_by_json_are_counted_with_those_by_grpc() {
    let (_netbox, server) = ready().await;
    ok(&server, LOOKUP, &json!({ "address": "203.0.113.5" })).await;
    let metrics =
        reqwest::get(format!("http://{}/metrics", server.running.http)).await.unwrap().text().await.unwrap();
    let counted =
        "leasehold_grpc_calls_total{method=\"/leasehold.v1.PrefixService/LookupAddress\",outcome=\"ok\"} 1";
    assert!(metrics.contains(counted), "{metrics}");
}

/// A service in the place of Leasehold's: what it does with a request is what the test says.
async fn listen<F, A>(answer: F) -> SocketAddr
where
    F: Fn(http::Request<tonic::body::Body>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = http::Response<axum::body::Body>> + Send + 'static,
{
    let pool = DescriptorPool::decode(proto::DESCRIPTORS).unwrap();
    let service = tower::service_fn(move |request| {
        let answer = answer(request);
        async move { Ok::<_, std::convert::Infallible>(answer.await) }
    });
    let listener = tokio::net::TcpListener::bind(LOOPBACK).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, connect_router(pool, service, MAX_REQUEST_BYTES)).into_future());
    address
}

#[tokio::test]
async fn a_client_that_goes_away_ends_the_call_under_way() {
    for stream in [true, false] {
        let (held, mut gone) = tokio::sync::mpsc::channel::<()>(1);
        let held = Arc::new(Mutex::new(Some(held)));
        let (began, mut begins) = tokio::sync::mpsc::channel(1);
        // Neither the answer to the one method nor the stream of the other ever ends by itself.
        let address = listen(move |_| {
            let (held, began) = (held.lock().unwrap().take().unwrap(), began.clone());
            async move {
                began.send(()).await.unwrap();
                if !stream {
                    std::future::pending::<()>().await;
                }
                let first = futures::stream::iter([Ok::<_, std::io::Error>(frame(&[]))]);
                let rest = futures::stream::once(async move {
                    std::future::pending::<()>().await;
                    drop(held);
                    Ok(Vec::new())
                });
                let body = axum::body::Body::from_stream(first.chain(rest));
                http::Response::builder().header("content-type", "application/grpc").body(body).unwrap()
            }
        })
        .await;
        let request =
            |method: &str| reqwest::Client::new().post(format!("http://{address}/leasehold.v1.{method}"));
        if stream {
            let mut watch = Frames::with(request(WATCH), &[json!({})]).await;
            assert_eq!(watch.message().await, json!({}));
        } else {
            let call = tokio::spawn(request(LOOKUP).json(&json!({})).send());
            begins.recv().await.unwrap();
            call.abort();
        }
        let ended = tokio::time::timeout(HUNG, gone.recv()).await;
        assert_eq!(ended, Ok(None), "nothing holds the call any more (stream: {stream})");
    }
}

#[tokio::test]
async fn metadata_goes_in_as_headers_and_comes_back_as_headers() {
    let address = listen(async |request| {
        let seen = |name: &str| request.headers().get(name).map_or("none", |value| value.to_str().unwrap());
        let names =
            ["authorization", "x-ticket", "grpc-timeout", "connect-timeout-ms", "content-type", "host"];
        let seen = names.map(seen).join("|");
        let mut status = tonic::Status::aborted("try again");
        status.metadata_mut().insert("x-seen", seen.parse().unwrap());
        status.into_http()
    })
    .await;
    let request = reqwest::Client::new()
        .post(format!("http://{address}/leasehold.v1.{LOOKUP}"))
        .json(&json!({}))
        .header("authorization", "Bearer secret")
        .header("x-ticket", "NET-7")
        .header("grpc-timeout", "1n")
        .header("connect-timeout-ms", "2500");
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 409);
    let seen = answer.headers()["trailer-x-seen"].to_str().unwrap();
    assert_eq!(seen, "Bearer secret|NET-7|2500000u|none|application/grpc|none");
    assert!(
        answer.headers().keys().all(|name| !name.as_str().starts_with("grpc-")),
        "{:?}",
        answer.headers()
    );
    assert_eq!(answer.json::<Value>().await.unwrap(), json!({ "code": "aborted", "message": "try again" }));
}

/// docs/openapi.json is what the protos say now, and what the server serves.
#[tokio::test]
async fn the_openapi_description_is_that_of_the_protos() {
    let (_netbox, server) = ready().await;
    let answer = reqwest::get(format!("http://{}/openapi.json", server.running.http)).await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/json");
    let made: Value = answer.json().await.unwrap();

    let names: BTreeSet<String> = DescriptorPool::decode(proto::DESCRIPTORS)
        .unwrap()
        .services()
        .flat_map(|service| service.methods().map(|method| path(&method)).collect::<Vec<_>>())
        .collect();
    let described: BTreeSet<String> = made["paths"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(described, names);
    let mut references = Vec::new();
    collect_references(&made, &mut references);
    assert!(references.len() > 200, "only {} references were found", references.len());
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(made.pointer(pointer).is_some_and(|found| !found.is_null()), "{reference} leads nowhere");
    }
    let lookup = &made["paths"]["/leasehold.v1.PrefixService/LookupAddress"]["post"];
    assert!(lookup["description"].as_str().unwrap().starts_with("Says who is on an address"), "{lookup}");

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/openapi.json");
    let text = format!("{}\n", serde_json::to_string_pretty(&made).unwrap());
    if std::fs::read_to_string(&path).unwrap_or_default() != text {
        let new = Path::new(env!("CARGO_TARGET_TMPDIR")).join("openapi.json");
        std::fs::write(&new, text).unwrap();
        panic!(
            "docs/openapi.json is not what the protos say. Make it so: cp {} {}",
            new.display(),
            path.display()
        );
    }
}

fn path(method: &prost_reflect::MethodDescriptor) -> String {
    format!("/{}/{}", method.parent_service().full_name(), method.name())
}

fn collect_references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(reference)) = fields.get("$ref") {
                found.push(reference.clone());
            }
            fields.values().for_each(|value| collect_references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| collect_references(item, found)),
        _ => {}
    }
}
