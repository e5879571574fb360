//! One HTTP exchange with NetBox: the request, the deadline, and what each answer means.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Method, StatusCode};
use secrecy::ExposeSecret as _;
use serde_json::Value;
use url::Url;

use super::error::{Error, FieldProblem, Result};
use super::settings::{NetBoxSettings, SettingsError};

/// How often a read is tried in all.
const READ_ATTEMPTS: usize = 4;
/// The longest Retry-After that a read waits for; NetBox asking for more is an error to the caller.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// The HTTP side of the client: knows URLs, headers and statuses, nothing of prefixes.
#[derive(Clone, Debug)]
pub(super) struct Transport {
    http: reqwest::Client,
    /// For big reads: every request on a connection of its own. A kept connection stays with the server process that
    /// accepted it (gunicorn's way), and four of them may well share one process while the others idle.
    bulk: reqwest::Client,
    base: Url,
    read_timeout: Duration,
    write_timeout: Duration,
}

/// What is asked of NetBox.
#[derive(Clone, Debug)]
pub(super) struct Request<'a> {
    pub method: Method,
    /// Below `/api/`, with a trailing slash. Example: `ipam/prefixes/`.
    pub path: &'a str,
    pub query: &'a [(&'a str, String)],
    pub body: Option<&'a Value>,
    pub if_match: Option<&'a str>,
    /// A page of a full pass.
    pub bulk: bool,
}

impl<'a> Request<'a> {
    pub(super) fn get(path: &'a str, query: &'a [(&'a str, String)]) -> Self {
        Self { method: Method::GET, path, query, body: None, if_match: None, bulk: false }
    }

    /// A read of a whole page, one of many.
    pub(super) fn page(path: &'a str, query: &'a [(&'a str, String)]) -> Self {
        Self { bulk: true, ..Self::get(path, query) }
    }

    pub(super) fn write(method: Method, path: &'a str, body: &'a Value) -> Self {
        Self { method, path, query: &[], body: Some(body), if_match: None, bulk: false }
    }

    fn attempt(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

impl Transport {
    pub(super) fn new(settings: &NetBoxSettings) -> Result<Self, SettingsError> {
        let failed = |error: reqwest::Error| SettingsError::Client(error.to_string());
        let http = builder(settings)?.build().map_err(failed)?;
        let bulk = builder(settings)?.pool_max_idle_per_host(0).build().map_err(failed)?;
        let mut base = settings.url.clone();
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        Ok(Self {
            http,
            bulk,
            base,
            read_timeout: settings.read_timeout,
            write_timeout: settings.write_timeout,
        })
    }

    pub(super) fn base(&self) -> &Url {
        &self.base
    }

    /// A read: tried again while the failure is one that passes.
    pub(super) async fn read(&self, request: Request<'_>) -> Result<Value> {
        let backoff = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(150))
            .with_max_delay(Duration::from_secs(2))
            .with_jitter()
            .with_max_times(READ_ATTEMPTS - 1);
        (|| self.exchange(request.clone(), self.read_timeout))
            .retry(backoff)
            .when(|error| error.is_transient() && error.retry_after().is_none_or(|wait| wait <= LONGEST_WAIT))
            .adjust(|error, delay| delay.map(|delay| error.retry_after().unwrap_or(delay)))
            .await
    }

    /// A write: never tried again here.
    pub(super) async fn write(&self, request: Request<'_>) -> Result<Value> {
        self.exchange(request, self.write_timeout).await
    }

    async fn exchange(&self, request: Request<'_>, timeout: Duration) -> Result<Value> {
        let url = self
            .base
            .join("api/")
            .and_then(|api| api.join(request.path))
            .map_err(|error| Error::Malformed { attempt: request.attempt(), cause: error.to_string() })?;
        let http = if request.bulk { &self.bulk } else { &self.http };
        let mut outgoing = http.request(request.method.clone(), url.clone()).timeout(timeout);
        if !request.query.is_empty() {
            outgoing = outgoing.query(request.query);
        }
        if let Some(body) = request.body {
            outgoing = outgoing.json(body);
        }
        if let Some(etag) = request.if_match {
            outgoing = outgoing.header(reqwest::header::IF_MATCH, etag);
        }
        let started = std::time::Instant::now();
        let broken = |error: reqwest::Error| self.broken(&error, timeout);
        let response = outgoing.send().await.map_err(broken)?;
        let status = response.status();
        let headers = response.headers().clone();
        let body = response.bytes().await.map_err(broken)?;
        tracing::debug!(
            method = %request.method,
            path = request.path,
            status = status.as_u16(),
            netbox_request_id = headers.get("x-request-id").and_then(|id| id.to_str().ok()),
            elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            "netbox answered"
        );
        interpret(&request, &url, status, &headers, &body)
    }

    fn broken(&self, error: &reqwest::Error, timeout: Duration) -> Error {
        let cause = root_cause(error);
        if error.is_connect() {
            Error::Unreachable { url: self.base.to_string(), cause }
        } else if error.is_timeout() {
            Error::TimedOut { after: timeout }
        } else {
            Error::Interrupted { cause }
        }
    }
}

/// What every connection to NetBox is made with.
fn builder(settings: &NetBoxSettings) -> Result<reqwest::ClientBuilder, SettingsError> {
    let builder = reqwest::Client::builder()
        .default_headers(headers(settings)?)
        .user_agent(concat!("leasehold/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(5))
        .redirect(reqwest::redirect::Policy::none());
    let Some(path) = &settings.ca_file else { return Ok(builder) };
    let pem = std::fs::read(path).map_err(|source| SettingsError::CaFile { path: path.clone(), source })?;
    let certificates = reqwest::Certificate::from_pem_bundle(&pem)
        .ok()
        .filter(|found| !found.is_empty())
        .ok_or_else(|| SettingsError::CaFormat { path: path.clone() })?;
    Ok(builder.tls_certs_merge(certificates))
}

/// Headers of every request. Token v1 goes as `Token`, v2 as `Bearer`.
fn headers(settings: &NetBoxSettings) -> Result<HeaderMap, SettingsError> {
    let token = settings.token.expose_secret().trim();
    if token.is_empty() {
        return Err(SettingsError::Token);
    }
    let scheme = if token.starts_with("nbt_") { "Bearer" } else { "Token" };
    let mut authorization =
        HeaderValue::from_str(&format!("{scheme} {token}")).map_err(|_| SettingsError::Token)?;
    authorization.set_sensitive(true);
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, authorization);
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    Ok(headers)
}

/// The innermost words of an error: the outer ones repeat the URL.
fn root_cause(error: &reqwest::Error) -> String {
    let mut inner: &dyn std::error::Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

fn interpret(
    request: &Request<'_>,
    url: &Url,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Value> {
    let retry_after = || {
        let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
        Some(Duration::from_secs(seconds))
    };
    if status.is_server_error() {
        return Err(Error::Failing { status: status.as_u16(), retry_after: retry_after() });
    }
    if status == StatusCode::TOO_MANY_REQUESTS {
        return Err(Error::Throttled { retry_after: retry_after() });
    }
    let not_netbox = |found: String| Error::NotNetBox { url: url.to_string(), found };
    if status.is_redirection() {
        let to = headers.get("location").and_then(|to| to.to_str().ok()).unwrap_or("elsewhere");
        return Err(not_netbox(format!("a redirect to {to}")));
    }
    let is_json = headers
        .get("content-type")
        .and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.starts_with("application/json"));
    if !is_json && !body.is_empty() {
        let kind = headers.get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or("no type");
        return Err(not_netbox(format!("{status}, {kind}")));
    }
    let json: Value = if body.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(body)
            .map_err(|error| Error::Malformed { attempt: request.attempt(), cause: error.to_string() })?
    };
    if status.is_success() {
        return Ok(json);
    }
    let detail = || json.get("detail").and_then(Value::as_str).unwrap_or_default().to_owned();
    Err(match status {
        StatusCode::UNAUTHORIZED => Error::Unauthenticated { detail: detail() },
        StatusCode::FORBIDDEN => forbidden(request, detail()),
        StatusCode::NOT_FOUND if json.get("detail").is_some() => {
            Error::NotFound { path: request.path.to_owned() }
        }
        StatusCode::NOT_FOUND => not_netbox(status.to_string()),
        StatusCode::CONFLICT if request.method == Method::DELETE => Error::Dependents { detail: detail() },
        StatusCode::CONFLICT => Error::Full { detail: detail() },
        StatusCode::PRECONDITION_FAILED => Error::Changed,
        _ => Error::Rejected { problems: problems(&json) },
    })
}

/// NetBox answers 403 both to a bad token and to a good one that may not: only the words tell them apart.
fn forbidden(request: &Request<'_>, detail: String) -> Error {
    let words = detail.to_lowercase();
    let about_token = ["invalid", "credentials", "token disabled", "token expired", "user inactive"];
    if about_token.iter().any(|sign| words.contains(sign)) {
        Error::Unauthenticated { detail }
    } else {
        Error::Forbidden { attempt: request.attempt(), detail }
    }
}

/// Flattens NetBox's field errors: `{field: [messages]}`, a list of such, or `{detail, errors: [{index, errors}]}` (4.7).
fn problems(json: &Value) -> Vec<FieldProblem> {
    let mut found = Vec::new();
    collect(json, "", &mut found);
    if found.is_empty() {
        found.push(FieldProblem { field: "__all__".to_owned(), message: json.to_string() });
    }
    found
}

fn collect(json: &Value, path: &str, found: &mut Vec<FieldProblem>) {
    let field = || if path.is_empty() { "__all__".to_owned() } else { path.to_owned() };
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match json {
        Value::String(message) => found.push(FieldProblem { field: field(), message: message.clone() }),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                match item {
                    Value::Object(entry) if entry.contains_key("index") => {
                        let index = entry.get("index").map(ToString::to_string).unwrap_or_default();
                        let errors = entry.get("errors").unwrap_or(&Value::Null);
                        collect(errors, &format!("[{index}]"), found);
                    }
                    Value::Object(entry) if entry.is_empty() => {}
                    Value::Object(_) => collect(item, &below(&format!("[{index}]")), found),
                    _ => collect(item, path, found),
                }
            }
        }
        Value::Object(entries) => {
            let bulk = entries.get("errors").is_some_and(Value::is_array);
            for (key, value) in entries {
                match key.as_str() {
                    "detail" if bulk => {}
                    "errors" if bulk => collect(value, path, found),
                    "detail" | "non_field_errors" | "__all__" => collect(value, path, found),
                    other => collect(value, &below(other), found),
                }
            }
        }
        Value::Null => {}
        other => found.push(FieldProblem { field: field(), message: other.to_string() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn flat(json: &Value) -> Vec<String> {
        problems(json).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_shape_of_field_errors_names_its_fields() {
        assert_eq!(flat(&json!({"prefix": ["bad"]})), ["prefix: bad"]);
        assert_eq!(flat(&json!({"__all__": ["must have a unique value."]})), ["must have a unique value."]);
        assert_eq!(
            flat(&json!([{}, {"status": ["x is not a valid choice."]}])),
            ["[1].status: x is not a valid choice."]
        );
        assert_eq!(
            flat(&json!({"detail": "1 of 2", "errors": [{"index": 1, "errors": {"address": ["dup"]}}]})),
            ["[1].address: dup"]
        );
    }

    #[test]
    fn an_error_body_of_another_shape_is_still_told() {
        assert_eq!(flat(&json!(null)), ["null"]);
        assert_eq!(flat(&json!({"count": 3})), ["count: 3"]);
    }
}
