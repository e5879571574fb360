//! Connections to the server, and its refusals as failures of a command.

use std::time::Duration;

use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use super::exit::CliFailure;
use super::options::{ClientArgs, DEFAULT_TIMEOUT, ServerArgs};
use crate::rpc::proto::v1::admin_service_client::AdminServiceClient;
use crate::rpc::proto::v1::allocation_service_client::AllocationServiceClient;
use crate::rpc::proto::v1::event_service_client::EventServiceClient;
use crate::rpc::proto::v1::lease_service_client::LeaseServiceClient;
use crate::rpc::proto::v1::notification_service_client::NotificationServiceClient;
use crate::rpc::proto::v1::prefix_service_client::PrefixServiceClient;
use crate::rpc::proto::v1::validation_service_client::ValidationServiceClient;

/// A connection that adds the token and the deadline to every call.
pub(crate) type Connection = InterceptedService<Channel, CallMetadata>;

/// What is added to every call. Streams have no deadline.
#[derive(Clone)]
pub(crate) struct CallMetadata {
    authorization: Option<MetadataValue<Ascii>>,
    timeout: Option<Duration>,
}

impl Interceptor for CallMetadata {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.authorization {
            request.metadata_mut().insert("authorization", value.clone());
        }
        if let Some(timeout) = self.timeout {
            request.set_timeout(timeout);
        }
        Ok(request)
    }
}

/// The longest wait for a connection.
const LONGEST_CONNECT: Duration = Duration::from_secs(5);

/// How much longer than the command itself a call may take. So the command's own limit, which has begun earlier, always ends
/// the wait, and there is one text for it.
const GRACE: Duration = Duration::from_secs(1);

/// Connects for calls that must be answered within `--timeout`.
pub(crate) async fn connect(args: &ServerArgs) -> Result<Connection, CliFailure> {
    connect_with(args, Some(args.timeout.unwrap_or(DEFAULT_TIMEOUT) + GRACE)).await
}

/// Connects for calls that take as long as they take, unless `--timeout` is given.
pub(crate) async fn connect_to_wait(args: &ServerArgs) -> Result<Connection, CliFailure> {
    connect_with(args, args.timeout.map(|timeout| timeout + GRACE)).await
}

/// Connects for a stream that has no end, and so no deadline.
pub(crate) async fn connect_for_stream(args: &ServerArgs) -> Result<Connection, CliFailure> {
    connect_with(args, None).await
}

/// `timeout` tells the server when to give up. What bounds the command itself stands in run.rs, because tonic ends its wait
/// with the head of the answer: a body that does not end would hold the command forever.
async fn connect_with(args: &ServerArgs, timeout: Option<Duration>) -> Result<Connection, CliFailure> {
    let connect_timeout = LONGEST_CONNECT.min(args.timeout.unwrap_or(DEFAULT_TIMEOUT) / 2);
    let endpoint = Endpoint::from_shared(args.server.clone())
        .map_err(|_| {
            CliFailure::usage(format!(
                "--server {:?} is not an address such as http://127.0.0.1:50051",
                args.server
            ))
        })?
        // Without keep-alive, a quiet stream would not notice that the server's machine is gone.
        .http2_keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10));
    // This wait includes the look-up of the name, which the connect timeout of tonic does not.
    let why = match tokio::time::timeout(connect_timeout, endpoint.connect()).await {
        Ok(Ok(channel)) => {
            let authorization = args.token.as_deref().map(bearer).transpose()?;
            return Ok(InterceptedService::new(channel, CallMetadata { authorization, timeout }));
        }
        Ok(Err(error)) => innermost(&error),
        Err(_) => format!("no connection within {} s", connect_timeout.as_secs_f32()),
    };
    Err(CliFailure::new(format!("no server at {}: {why}", args.server))
        .because("UNAVAILABLE")
        .line("Is `leasehold serve` running there? Name another server with --server or LEASEHOLD_SERVER.")
        .open())
}

fn bearer(token: &str) -> Result<MetadataValue<Ascii>, CliFailure> {
    let mut value: MetadataValue<Ascii> = format!("Bearer {token}")
        .parse()
        .map_err(|_| CliFailure::usage("--token holds characters that are not allowed in an HTTP header"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The cause at the bottom of an error, such as `Connection refused`.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

pub(crate) async fn prefixes(args: &ClientArgs) -> Result<PrefixServiceClient<Connection>, CliFailure> {
    Ok(PrefixServiceClient::new(connect(&args.server).await?))
}

pub(crate) async fn leases(args: &ClientArgs) -> Result<LeaseServiceClient<Connection>, CliFailure> {
    Ok(LeaseServiceClient::new(connect(&args.server).await?))
}

pub(crate) async fn allocations(
    args: &ClientArgs,
) -> Result<AllocationServiceClient<Connection>, CliFailure> {
    Ok(AllocationServiceClient::new(connect(&args.server).await?))
}

pub(crate) async fn admin(args: &ClientArgs) -> Result<AdminServiceClient<Connection>, CliFailure> {
    Ok(AdminServiceClient::new(connect(&args.server).await?))
}

/// A client of AdminService for calls that wait for the end of a job.
pub(crate) async fn waiting_admin(args: &ClientArgs) -> Result<AdminServiceClient<Connection>, CliFailure> {
    Ok(AdminServiceClient::new(connect_to_wait(&args.server).await?))
}

pub(crate) async fn events(args: &ClientArgs) -> Result<EventServiceClient<Connection>, CliFailure> {
    Ok(EventServiceClient::new(connect(&args.server).await?))
}

pub(crate) async fn validations(
    args: &ClientArgs,
) -> Result<ValidationServiceClient<Connection>, CliFailure> {
    Ok(ValidationServiceClient::new(connect(&args.server).await?))
}

pub(crate) async fn notifications(
    args: &ClientArgs,
) -> Result<NotificationServiceClient<Connection>, CliFailure> {
    Ok(NotificationServiceClient::new(connect(&args.server).await?))
}

/// A refused call as people read it: what was wrong, field by field, and whether to try again.
pub(crate) fn refusal(status: &Status) -> CliFailure {
    let details = status.get_error_details();
    let Some(info) = details.error_info() else { return broken_call(status) };
    let mut failure = match details.bad_request() {
        Some(bad) if !bad.field_violations.is_empty() => {
            let headline = CliFailure::new("the request is not right");
            bad.field_violations.iter().fold(headline, |failure, violation| {
                failure.line(format!("  {}: {}", violation.field, violation.description))
            })
        }
        _ => CliFailure::new(status.message()),
    };
    let unmet = details.precondition_failure().map(|unmet| unmet.violations.as_slice()).unwrap_or_default();
    for violation in unmet.iter().filter(|violation| violation.description != status.message()) {
        failure = failure.line(format!("  {}: {}", violation.r#type, violation.description));
    }
    failure = failure.because(&info.reason);
    if let Some(wait) = details.retry_info().and_then(|retry| retry.retry_delay) {
        failure = failure.line(format!("Try again in {} s.", wait.as_secs_f32()));
    }
    if is_open(status.code()) { failure.open() } else { failure }
}

/// A call that ended without an answer of Leasehold: the connection broke, or something else answered in its place.
fn broken_call(status: &Status) -> CliFailure {
    let failure = if std::error::Error::source(status).is_some() {
        CliFailure::new("the connection to the server broke before its answer was complete")
    } else {
        CliFailure::new(status.message())
    };
    let failure = failure.because(code_name(status.code()));
    // A connection that breaks has any of these codes; what the server had done by then is not known.
    let open = is_open(status.code()) || matches!(status.code(), Code::Unknown | Code::Internal);
    if open { failure.open() } else { failure }
}

/// Whether a call with this code may have been carried out, or may be if it is repeated.
fn is_open(code: Code) -> bool {
    matches!(code, Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled)
}

/// The name of a code as the specification of gRPC writes it, such as `DEADLINE_EXCEEDED`.
fn code_name(code: Code) -> String {
    let mut name = String::new();
    for character in format!("{code:?}").chars() {
        if character.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(character.to_ascii_uppercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_named_as_grpc_names_it() {
        assert_eq!(code_name(Code::DeadlineExceeded), "DEADLINE_EXCEEDED");
        assert_eq!(code_name(Code::Unavailable), "UNAVAILABLE");
    }
}
