//! Carries out a call: reads the request, calls the method by gRPC, and writes the answer.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{ALLOW, CONTENT_TYPE, ORIGIN};
use axum::http::request::Parts;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use futures::{StreamExt as _, stream};
use prost::bytes::{Bytes, BytesMut};
use prost_reflect::{DescriptorPool, MethodDescriptor};
use tokio::time::{Instant, timeout};
use tonic::Streaming;
use tonic::client::{Grpc, GrpcService};
use tonic::metadata::MetadataMap;

use super::envelope;
use super::error_body::error_body;
use super::format::MessageFormat;
use super::head::{self, CallHead};
use super::open_stream::{self, OpenStream};
use super::raw_codec::RawCodec;
use super::refusal::CallRefusal;

/// The routes of all methods in the pool. `services` carries them out: the same services with the same layers as on the gRPC
/// listener. No body of a request may be larger than `limit`.
pub fn connect_router<S>(pool: DescriptorPool, services: S, limit: usize) -> Router
where
    S: GrpcService<tonic::body::Body, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::ResponseBody: Send + 'static,
    <S::ResponseBody as axum::body::HttpBody>::Error: Into<tonic::codegen::StdError>,
{
    let methods = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>());
    let methods = methods.map(|method| (path(&method), method)).collect();
    let caller = Arc::new(Caller { services, pool, methods, limit });
    let call = move |request: Request| {
        let caller = caller.clone();
        async move { caller.call(request).await }
    };
    Router::new().route("/{service}/{method}", any(call))
}

fn path(method: &MethodDescriptor) -> String {
    format!("/{}/{}", method.parent_service().full_name(), method.name())
}

/// What a call needs. Nothing of it changes.
struct Caller<S> {
    services: S,
    pool: DescriptorPool,
    /// Each method by its path.
    methods: HashMap<String, MethodDescriptor>,
    limit: usize,
}

impl<S> Caller<S>
where
    S: GrpcService<tonic::body::Body, Error = Infallible> + Clone,
    S::ResponseBody: Send + 'static,
    <S::ResponseBody as axum::body::HttpBody>::Error: Into<tonic::codegen::StdError>,
{
    async fn call(&self, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let (method, stream, format) = match self.addressed(&parts) {
            Ok(addressed) => addressed,
            Err(refusal) => return self.refused(&refusal),
        };
        let answer = async {
            let head = CallHead::parse(format, stream, &parts.headers)?;
            // A body that trickles in does not outlast the deadline either.
            let body = read(body, self.limit);
            let body = match head.timeout {
                Some(limit) => timeout(limit, body).await.map_err(|_| CallRefusal::deadline())??,
                None => body.await?,
            };
            if stream { self.stream(method, head, body).await } else { self.unary(method, head, body).await }
        };
        match answer.await {
            Ok(response) => response,
            // The error of a stream is its last frame, and the HTTP status is that of a stream.
            Err(refusal) if stream => {
                let end = open_stream::refused(&refusal.status, &self.pool);
                ([(CONTENT_TYPE, format.content_type(true))], end).into_response()
            }
            Err(refusal) => self.refused(&refusal),
        }
    }

    /// The method that a request is for, whether it has streams, and the format of its messages.
    fn addressed(&self, request: &Parts) -> Result<(&MethodDescriptor, bool, MessageFormat), CallRefusal> {
        // Browsers send it with every POST, also from a page that a name server has moved to this address.
        if request.headers.contains_key(ORIGIN) {
            return Err(CallRefusal::from_a_browser());
        }
        let path = request.uri.path();
        let method = self.methods.get(path).ok_or_else(|| CallRefusal::no_such_method(path))?;
        if request.method != Method::POST {
            return Err(CallRefusal::not_post());
        }
        let stream = method.is_client_streaming() || method.is_server_streaming();
        let format = head::format(stream, &request.headers).ok_or_else(|| {
            CallRefusal::content_type(MessageFormat::BOTH.map(|format| format.content_type(stream)))
        })?;
        Ok((method, stream, format))
    }

    async fn unary(
        &self,
        method: &MethodDescriptor,
        head: CallHead,
        body: Bytes,
    ) -> Result<Response, CallRefusal> {
        let format = head.format;
        let message = format.read(&method.input(), body)?;
        let (headers, mut messages) = self.begin(method, head, vec![message]).await?;
        let message =
            messages.message().await?.ok_or_else(|| CallRefusal::internal("an answer without a message"))?;
        let trailers = messages.trailers().await?.unwrap_or_default().into_headers();
        let body = format.write(&method.output(), message)?;
        let mut response = ([(CONTENT_TYPE, format.content_type(false))], body).into_response();
        response.headers_mut().extend(head::answered(&headers, ""));
        response.headers_mut().extend(head::answered(&trailers, "trailer-"));
        Ok(response)
    }

    /// Answers a method with streams. Each message is sent when the method gives it. When the client goes away, the body of the
    /// answer is dropped, and the call with it.
    async fn stream(
        &self,
        method: &MethodDescriptor,
        head: CallHead,
        body: Bytes,
    ) -> Result<Response, CallRefusal> {
        let format = head.format;
        let deadline = head.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let frames =
            envelope::messages(body).map_err(|error| CallRefusal::invalid_body(error.to_string()))?;
        if !method.is_client_streaming() && frames.len() != 1 {
            let why = format!("has {} messages, and this method takes one", frames.len());
            return Err(CallRefusal::invalid_body(why));
        }
        let read = frames.into_iter().map(|frame| format.read(&method.input(), frame));
        let (headers, messages) = self.begin(method, head, read.collect::<Result<_, _>>()?).await?;
        let open =
            OpenStream { messages, deadline, format, output: method.output(), pool: self.pool.clone() };
        let body = Body::from_stream(open.frames().map(Ok::<_, Infallible>));
        let mut response = ([(CONTENT_TYPE, format.content_type(true))], body).into_response();
        response.headers_mut().extend(head::answered(&headers, ""));
        Ok(response)
    }

    /// Calls the method, and returns the headers of its answer and the messages. A call with one message and an answer with one
    /// message look the same on the wire as streams of one, so this serves both.
    async fn begin(
        &self,
        method: &MethodDescriptor,
        head: CallHead,
        messages: Vec<Bytes>,
    ) -> Result<(HeaderMap, Streaming<Bytes>), CallRefusal> {
        let path = PathAndQuery::try_from(path(method))
            .map_err(|_| CallRefusal::internal("a method with a name that is no path"))?;
        let mut request = tonic::Request::new(stream::iter(messages));
        *request.metadata_mut() = MetadataMap::from_headers(head.metadata);
        if let Some(timeout) = head.timeout {
            request.set_timeout(timeout);
        }
        // The methods see to it that answers are small enough.
        let mut services = Grpc::new(self.services.clone()).max_decoding_message_size(usize::MAX);
        services.ready().await.map_err(|never| -> CallRefusal { match never {} })?;
        let (metadata, messages, _) = services.streaming(request, path, RawCodec).await?.into_parts();
        Ok((metadata.into_headers(), messages))
    }

    fn refused(&self, refusal: &CallRefusal) -> Response {
        let body = error_body(&refusal.status, &self.pool).to_string();
        let mut response = (refusal.http, [(CONTENT_TYPE, "application/json")], body).into_response();
        let headers = response.headers_mut();
        headers.extend(head::answered(&refusal.status.metadata().clone().into_headers(), "trailer-"));
        if refusal.http == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, HeaderValue::from_static("POST"));
        }
        if refusal.http == StatusCode::UNSUPPORTED_MEDIA_TYPE {
            let types =
                "application/json, application/proto, application/connect+json, application/connect+proto";
            headers.insert(HeaderName::from_static("accept-post"), HeaderValue::from_static(types));
        }
        response
    }
}

/// Reads the body of a request, of at most `limit` bytes.
async fn read(body: Body, limit: usize) -> Result<Bytes, CallRefusal> {
    let mut chunks = body.into_data_stream();
    let mut read = BytesMut::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| CallRefusal::invalid_body("ended too early"))?;
        if read.len() + chunk.len() > limit {
            return Err(CallRefusal::too_large(limit));
        }
        read.extend_from_slice(&chunk);
    }
    Ok(read.freeze())
}
