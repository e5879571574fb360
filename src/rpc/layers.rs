//! What happens to a request before its handler sees it, the outermost layer first:
//!
//! 1. **Metrics**: every call is counted and timed by method and outcome, refused calls included.
//! 2. **Deadline**: a call that outlasts its `grpc-timeout` answers DEADLINE_EXCEEDED. (tonic's own deadline would answer
//!    CANCELLED.) A write that has begun goes on after the deadline, and repeating the request id shows its result; a write
//!    that still waits in its queue is dropped.
//!
//! There is no authentication yet. Until there is, the server refuses to listen outside loopback unless a setting allows it.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use metrics::{Counter, Histogram, counter, histogram};
use tonic::{Code, Status};
use tower::{Layer, Service};

/// The size of the largest request that is read. A list of 1000 IPv6 addresses takes about 45 kB.
pub const MAX_REQUEST_BYTES: usize = 1 << 20;

/// The layers around every gRPC service.
#[derive(Clone, Debug)]
pub struct Layers {
    /// The metrics of each method, by path.
    methods: Arc<HashMap<String, Arc<MethodMetrics>>>,
    longest: Duration,
}

/// The metrics of one method. The handles are made once, because finding them by their labels would cost more than the call.
#[derive(Debug)]
struct MethodMetrics {
    ok: Counter,
    failed: Counter,
    seconds: Histogram,
}

impl Layers {
    /// Layers for the methods with these paths (`/package.Service/Method`). A client cannot set a deadline beyond `longest`.
    pub fn new(paths: impl IntoIterator<Item = String>, longest: Duration) -> Self {
        let methods = paths.into_iter().map(|path| {
            let metrics = MethodMetrics::new(&path);
            (path, Arc::new(metrics))
        });
        Self { methods: Arc::new(methods.collect()), longest }
    }
}

impl MethodMetrics {
    fn new(path: &str) -> Self {
        let calls = |outcome: &'static str| counter!("leasehold_grpc_calls_total", "method" => path.to_owned(), "outcome" => outcome);
        Self {
            ok: calls("ok"),
            failed: calls("error"),
            seconds: histogram!("leasehold_grpc_call_seconds", "method" => path.to_owned()),
        }
    }
}

impl<S> Layer<S> for Layers {
    type Service = Layered<S>;

    fn layer(&self, inner: S) -> Layered<S> {
        Layered { inner, layers: self.clone() }
    }
}

/// A service with the layers around it.
#[derive(Clone, Debug)]
pub struct Layered<S> {
    inner: S,
    layers: Layers,
}

impl<S, B, R> Service<http::Request<B>> for Layered<S>
where
    S: Service<http::Request<B>, Response = http::Response<R>>,
    S::Future: Send + 'static,
    R: Default + Send + 'static,
    S::Error: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let started = Instant::now();
        let method = self.layers.methods.get(request.uri().path()).cloned();
        let requested = request.headers().get("grpc-timeout").and_then(|value| timeout(value.to_str().ok()?));
        let limit = requested.map(|requested| requested.min(self.layers.longest));
        let answer = self.inner.call(request);
        Box::pin(async move {
            let response = match limit {
                None => answer.await?,
                Some(limit) => match tokio::time::timeout(limit, answer).await {
                    Ok(answer) => answer?,
                    Err(_) => {
                        Status::new(Code::DeadlineExceeded, "the deadline of the call has passed: repeat a write with the same request_id to learn its result").into_http()
                    }
                },
            };
            if let Some(method) = method {
                // A successful call sends its status in the trailers; a refusal is in the headers.
                let failed = response.headers().get("grpc-status").is_some_and(|status| status != "0");
                if failed {
                    method.failed.increment(1);
                } else {
                    method.ok.increment(1);
                }
                method.seconds.record(started.elapsed());
            }
            Ok(response)
        })
    }
}

/// Parses a `grpc-timeout` header: up to eight digits and a unit. `None` if it is malformed.
fn timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 {
        return None;
    }
    let value: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(value * 3600)),
        "M" => Some(Duration::from_secs(value * 60)),
        "S" => Some(Duration::from_secs(value)),
        "m" => Some(Duration::from_millis(value)),
        "u" => Some(Duration::from_micros(value)),
        "n" => Some(Duration::from_nanos(value)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_unit_of_grpc_timeout_is_parsed() {
        assert_eq!(timeout("2S"), Some(Duration::from_secs(2)));
        assert_eq!(timeout("1500m"), Some(Duration::from_millis(1500)));
        assert_eq!(timeout("99999999H"), Some(Duration::from_hours(99_999_999)));
        assert_eq!(timeout("100000000S"), None);
        assert_eq!(timeout("S"), None);
        assert_eq!(timeout(""), None);
    }

    proptest! {
        #[test]
        fn no_header_causes_a_panic(text in ".*") {
            let _ = timeout(&text);
        }
    }
}
