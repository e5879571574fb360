//! What happens to a request before a handler sees it, outermost first:
//!
//! 1. **count and time** every call by method and status: what is refused counts too;
//! 2. **deadline**: a client's `grpc-timeout` ends in DEADLINE_EXCEEDED (tonic's own would say CANCELLED). A write goes on as a
//!    task of its own, so that a deadline never cuts one short: the same request id finds out what became of it.
//!
//! Who may ask is not known yet: until identity exists, the server refuses to listen outside loopback unless told plainly.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use metrics::{Counter, Histogram, counter, histogram};
use tonic::{Code, Status};
use tower::{Layer, Service};

/// The largest request that is read: a list of 1000 IPv6 addresses takes about 45 kB.
pub const MAX_REQUEST_BYTES: usize = 1 << 20;

/// The whole stack.
#[derive(Clone, Debug)]
pub struct Layers {
    /// By path.
    methods: Arc<HashMap<&'static str, Arc<Method>>>,
    longest: Duration,
}

/// A method's handles, made once: looking one up by its labels would cost more than the call.
#[derive(Debug)]
struct Method {
    ok: Counter,
    failed: Counter,
    seconds: Histogram,
}

impl Layers {
    /// Layers for these methods (`/package.Service/Method`). No call lasts longer than `longest`, whatever it asks for.
    pub fn new(paths: impl IntoIterator<Item = String>, longest: Duration) -> Self {
        // Known once at start and for as long as the process lives.
        let leaked = paths.into_iter().map(|path| &*Box::leak(path.into_boxed_str()));
        let methods = leaked.map(|path| (path, Arc::new(Method::new(path)))).collect();
        Self { methods: Arc::new(methods), longest }
    }
}

impl Method {
    fn new(path: &'static str) -> Self {
        Self {
            ok: counter!("leasehold_grpc_calls_total", "method" => path, "outcome" => "ok"),
            failed: counter!("leasehold_grpc_calls_total", "method" => path, "outcome" => "error"),
            seconds: histogram!("leasehold_grpc_call_seconds", "method" => path),
        }
    }
}

impl<S> Layer<S> for Layers {
    type Service = Layered<S>;

    fn layer(&self, inner: S) -> Layered<S> {
        Layered { inner, layers: self.clone() }
    }
}

/// A service with the stack around it.
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
        let asked = request.headers().get("grpc-timeout").and_then(|value| timeout(value.to_str().ok()?));
        let limit = asked.map(|asked| asked.min(self.layers.longest));
        let answer = self.inner.call(request);
        Box::pin(async move {
            let response = match limit {
                None => answer.await?,
                Some(limit) => match tokio::time::timeout(limit, answer).await {
                    Ok(answer) => answer?,
                    Err(_) => {
                        Status::new(Code::DeadlineExceeded, "the deadline of the call has passed").into_http()
                    }
                },
            };
            if let Some(method) = method {
                // A call that ends well says so in its trailers; a refusal stands in the headers.
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

/// Reads `grpc-timeout`: up to eight digits and a unit.
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
    fn every_unit_of_grpc_timeout_is_read() {
        assert_eq!(timeout("2S"), Some(Duration::from_secs(2)));
        assert_eq!(timeout("1500m"), Some(Duration::from_millis(1500)));
        assert_eq!(timeout("99999999H"), Some(Duration::from_hours(99_999_999)));
        assert_eq!(timeout("100000000S"), None);
        assert_eq!(timeout("S"), None);
        assert_eq!(timeout(""), None);
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic(text in ".*") {
            let _ = timeout(&text);
        }
    }
}
