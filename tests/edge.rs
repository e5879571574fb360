//! The edge as clients see it: gRPC-Web, deadlines, reflection, size limits, and the HTTP side.

use std::time::Duration;

use leasehold::emulator::Faults;
use leasehold::rpc::proto::v1;
use prost::Message as _;
use serde_json::json;
use tonic::Code;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServiceResponse};

use crate::support::{NetBox, Server, addresses};

async fn ready() -> (NetBox, Server) {
    let netbox = NetBox::emulated().await;
    netbox.post("ipam/prefixes/", json!({ "prefix": "203.0.113.0/24" })).await;
    let server = Server::before(&netbox).await;
    (netbox, server)
}

/// Makes a call as a browser does, over HTTP/1.1 and with the trailers in the body. Returns the `grpc-status` header, which
/// only a refusal has, and the body.
async fn grpc_web(
    server: &Server,
    method: &str,
    message: &impl prost::Message,
    timeout: Option<&str>,
) -> (Option<String>, Vec<u8>) {
    let mut body = vec![0];
    body.extend(u32::try_from(message.encoded_len()).unwrap().to_be_bytes());
    body.extend(message.encode_to_vec());
    let mut request = reqwest::Client::new()
        .post(format!("http://{}/leasehold.v1.{method}", server.running.grpc))
        .header("content-type", "application/grpc-web+proto")
        .header("x-grpc-web", "1")
        .body(body);
    if let Some(timeout) = timeout {
        request = request.header("grpc-timeout", timeout);
    }
    let answer = request.send().await.unwrap();
    let status = answer.headers().get("grpc-status").map(|status| status.to_str().unwrap().to_owned());
    (status, answer.bytes().await.unwrap().to_vec())
}

#[tokio::test]
async fn a_browser_can_call_by_grpc_web() {
    let (_netbox, server) = ready().await;
    let request = v1::LookupAddressRequest { address: "203.0.113.5".to_owned(), ..Default::default() };
    let (_, body) = grpc_web(&server, "PrefixService/LookupAddress", &request, None).await;
    let length = u32::from_be_bytes(body[1..5].try_into().unwrap()) as usize;
    let answer = v1::LookupAddressResponse::decode(&body[5..5 + length]).unwrap();
    assert_eq!(answer.chain[0].prefix, "203.0.113.0/24");
    let trailers = String::from_utf8_lossy(&body[5 + length..]).to_string();
    assert!(trailers.contains("grpc-status:0"), "{trailers}");
}

#[tokio::test]
async fn a_passed_deadline_answers_deadline_exceeded_and_the_write_goes_on() {
    let (netbox, server) = ready().await;
    // The server gets the request long before the deadline, and NetBox answers long after it.
    let slow = Faults { delay: Duration::from_secs(3), ..Faults::default() };
    netbox.emulator.as_ref().unwrap().set_faults(slow);
    let request = addresses(0, "203.0.113.0/24", 1, "slow");
    let (status, _) = grpc_web(&server, "AllocationService/AllocateAddresses", &request, Some("1S")).await;
    assert_eq!(status.as_deref(), Some("4"), "DEADLINE_EXCEEDED");
    netbox.emulator.as_ref().unwrap().set_faults(Faults::default());
    assert!(server.allocate(request).await.unwrap().repeated);
}

/// What reflection answers to one question.
async fn reflect(server: &Server, question: MessageRequest) -> MessageResponse {
    let url = format!("http://{}", server.running.grpc);
    let channel = tonic::transport::Channel::from_shared(url).unwrap().connect().await.unwrap();
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(question) };
    let mut answers = ServerReflectionClient::new(channel)
        .server_reflection_info(tokio_stream::iter([request]))
        .await
        .unwrap()
        .into_inner();
    answers.message().await.unwrap().unwrap().message_response.unwrap()
}

#[tokio::test]
async fn reflection_knows_the_error_of_a_streamed_lookup_and_its_details() {
    let (_netbox, server) = ready().await;
    let mut declared = Vec::new();
    for symbol in ["google.rpc.Status", "google.rpc.ErrorInfo", "google.rpc.BadRequest"] {
        let question = MessageRequest::FileContainingSymbol(symbol.to_owned());
        let MessageResponse::FileDescriptorResponse(files) = reflect(&server, question).await else {
            panic!("{symbol} is in no file");
        };
        let file = prost_types::FileDescriptorProto::decode(&files.file_descriptor_proto[0][..]).unwrap();
        let name = symbol.rsplit('.').next();
        assert!(file.message_type.iter().any(|message| message.name.as_deref() == name), "{symbol}");
        declared.push((file.name().to_owned(), file.message_type.len()));
    }
    // A file of this name is in two sets of descriptors. The one that the API was built from is shown.
    assert_eq!(declared[0], ("google/rpc/status.proto".to_owned(), 1));
}

#[tokio::test]
async fn reflection_lists_every_service() {
    let (_netbox, server) = ready().await;
    let MessageResponse::ListServicesResponse(listed) =
        reflect(&server, MessageRequest::ListServices(String::new())).await
    else {
        panic!("no list of services");
    };
    let names: Vec<String> = listed.service.into_iter().map(|ServiceResponse { name }| name).collect();
    for service in ["PrefixService", "LeaseService", "AllocationService", "AdminService"] {
        assert!(names.contains(&format!("leasehold.v1.{service}")), "{names:?}");
    }
}

#[tokio::test]
async fn a_request_that_is_too_large_is_refused_before_it_is_read() {
    let (_netbox, mut server) = ready().await;
    let request =
        v1::BatchLookupAddressesRequest { addresses: vec!["x".repeat(2 << 20)], ..Default::default() };
    let status = server.prefixes.batch_lookup_addresses(request).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status:?}");
}

#[tokio::test]
async fn the_http_side_answers_health_and_metrics() {
    let (mut netbox, server) = ready().await;
    let get = async |path: &str| {
        let answer = reqwest::get(format!("http://{}{path}", server.running.http)).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    assert_eq!(get("/healthz").await, (200, "ok\n".to_owned()));
    assert_eq!(get("/readyz").await, (200, "ok\n".to_owned()));
    server.lookup(0, "203.0.113.5").await;
    let (_, metrics) = get("/metrics").await;
    assert!(metrics.contains("leasehold_cache_records{kind=\"prefix\"}"), "{metrics}");
    assert!(
        metrics.contains("leasehold_grpc_calls_total{method=\"/leasehold.v1.PrefixService/LookupAddress\"")
    );
    netbox.stop().await;
    crate::support::eventually("readiness says that NetBox is away", async || {
        get("/readyz").await == (200, "serving from the cache; NetBox is out of reach\n".to_owned())
    })
    .await;
}
