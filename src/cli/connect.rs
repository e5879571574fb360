//! Connections to the server, and its refusals as failures of a command.

use std::time::Duration;

use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use tonic_types::StatusExt as _;

use super::exit::CliFailure;
use super::options::{ClientArgs, ServerArgs};
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

/// Connects for calls that must be answered within `--timeout`.
pub(crate) async fn connect(args: &ServerArgs) -> Result<Connection, CliFailure> {
    connect_with(args, Some(Duration::from_secs(args.timeout))).await
}

async fn connect_with(args: &ServerArgs, timeout: Option<Duration>) -> Result<Connection, CliFailure> {
    let endpoint = Endpoint::from_shared(args.server.clone())
        .map_err(|_| {
            CliFailure::new(format!(
                "--server {:?} is not an address such as http://127.0.0.1:50051",
                args.server
            ))
        })?
        .connect_timeout(Duration::from_secs(5))
        // Without keep-alive, a quiet stream would not notice that the server's machine is gone.
        .http2_keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10));
    let channel = endpoint.connect().await.map_err(|error| {
        let mut cause: &dyn std::error::Error = &error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        CliFailure::new(format!("no server at {}: {cause}", args.server)).line(
            "Is `leasehold serve` running there? Name another server with --server or LEASEHOLD_SERVER.",
        )
    })?;
    let authorization = match &args.token {
        None => None,
        Some(token) => {
            let mut value: MetadataValue<Ascii> = format!("Bearer {token}").parse().map_err(|_| {
                CliFailure::new("--token holds characters that are not allowed in an HTTP header")
            })?;
            value.set_sensitive(true);
            Some(value)
        }
    };
    Ok(InterceptedService::new(channel, CallMetadata { authorization, timeout }))
}

/// Connects for a stream, which has no deadline.
pub(crate) async fn connect_for_stream(args: &ServerArgs) -> Result<Connection, CliFailure> {
    connect_with(args, None).await
}

pub(crate) async fn prefixes(args: &ClientArgs) -> Result<PrefixServiceClient<Connection>, CliFailure> {
    Ok(PrefixServiceClient::new(connect(&args.server).await?).max_decoding_message_size(64 << 20))
}

pub(crate) async fn leases(args: &ClientArgs) -> Result<LeaseServiceClient<Connection>, CliFailure> {
    Ok(LeaseServiceClient::new(connect(&args.server).await?).max_decoding_message_size(64 << 20))
}

pub(crate) async fn allocations(
    args: &ClientArgs,
) -> Result<AllocationServiceClient<Connection>, CliFailure> {
    Ok(AllocationServiceClient::new(connect(&args.server).await?).max_decoding_message_size(64 << 20))
}

pub(crate) async fn admin(args: &ClientArgs) -> Result<AdminServiceClient<Connection>, CliFailure> {
    Ok(AdminServiceClient::new(connect(&args.server).await?))
}

pub(crate) async fn events(args: &ClientArgs) -> Result<EventServiceClient<Connection>, CliFailure> {
    Ok(EventServiceClient::new(connect(&args.server).await?).max_decoding_message_size(64 << 20))
}

pub(crate) async fn validations(
    args: &ClientArgs,
) -> Result<ValidationServiceClient<Connection>, CliFailure> {
    Ok(ValidationServiceClient::new(connect(&args.server).await?).max_decoding_message_size(64 << 20))
}

pub(crate) async fn notifications(
    args: &ClientArgs,
) -> Result<NotificationServiceClient<Connection>, CliFailure> {
    Ok(NotificationServiceClient::new(connect(&args.server).await?).max_decoding_message_size(64 << 20))
}

/// A refused call as people read it: what was wrong, field by field, and whether to try again.
pub(crate) fn refusal(status: &Status) -> CliFailure {
    let details = status.get_error_details();
    let reason = details.error_info().map(|info| info.reason.clone()).unwrap_or_default();
    let mut failure = match details.bad_request() {
        Some(bad) if !bad.field_violations.is_empty() => {
            let headline = CliFailure::new("the request is not right:");
            bad.field_violations.iter().fold(headline, |failure, violation| {
                failure.line(format!("  {}: {}", violation.field, violation.description))
            })
        }
        _ => CliFailure::new(status.message()),
    };
    let code = format!("{:?}", status.code());
    failure =
        failure.line(if reason.is_empty() { format!("({code})") } else { format!("({code}, {reason})") });
    match details.retry_info().and_then(|retry| retry.retry_delay) {
        None => failure,
        Some(wait) => failure.line(format!(
            "Try again in {} s, with the same --request-id if it was a write.",
            wait.as_secs_f32()
        )),
    }
}
