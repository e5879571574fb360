//! Reaching the server, and telling its refusals.

use std::time::Duration;

use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use tonic_types::StatusExt as _;

use super::Failure;
use super::args::{ClientArgs, ServerArgs};
use crate::rpc::proto::v1::admin_service_client::AdminServiceClient;
use crate::rpc::proto::v1::allocation_service_client::AllocationServiceClient;
use crate::rpc::proto::v1::event_service_client::EventServiceClient;
use crate::rpc::proto::v1::lease_service_client::LeaseServiceClient;
use crate::rpc::proto::v1::notification_service_client::NotificationServiceClient;
use crate::rpc::proto::v1::prefix_service_client::PrefixServiceClient;
use crate::rpc::proto::v1::validation_service_client::ValidationServiceClient;

/// A connection with what goes with every call.
pub(crate) type Connection = InterceptedService<Channel, Caller>;

/// Adds token and deadline to every call.
#[derive(Clone)]
pub(crate) struct Caller {
    authorization: Option<MetadataValue<Ascii>>,
    timeout: Option<Duration>,
}

impl Interceptor for Caller {
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

/// Connects, or says how to.
pub(crate) async fn connect(args: &ServerArgs) -> Result<Connection, Failure> {
    connect_with(args, Some(Duration::from_secs(args.timeout))).await
}

async fn connect_with(args: &ServerArgs, timeout: Option<Duration>) -> Result<Connection, Failure> {
    let endpoint = Endpoint::from_shared(args.server.clone())
        .map_err(|_| {
            Failure::new(format!(
                "--server {:?} is not an address such as http://127.0.0.1:50051",
                args.server
            ))
        })?
        .connect_timeout(Duration::from_secs(5))
        // A server that is gone without a word is missed, though a stream be quiet.
        .http2_keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10));
    let channel = endpoint.connect().await.map_err(|error| {
        let mut cause: &dyn std::error::Error = &error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        Failure::new(format!(
            "no server at {}: {cause}\nIs `leasehold serve` running there? Name another with --server or LEASEHOLD_SERVER.",
            args.server
        ))
    })?;
    let authorization = match &args.token {
        None => None,
        Some(token) => {
            let mut value: MetadataValue<Ascii> = format!("Bearer {token}")
                .parse()
                .map_err(|_| Failure::new("--token holds characters that no header may hold"))?;
            value.set_sensitive(true);
            Some(value)
        }
    };
    Ok(InterceptedService::new(channel, Caller { authorization, timeout }))
}

/// A stream has no end that could be waited for.
pub(crate) async fn endless(args: &ServerArgs) -> Result<Connection, Failure> {
    connect_with(args, None).await
}

pub(crate) async fn prefixes(args: &ClientArgs) -> Result<PrefixServiceClient<Connection>, Failure> {
    Ok(PrefixServiceClient::new(connect(&args.server).await?).max_decoding_message_size(64 << 20))
}

pub(crate) async fn leases(args: &ClientArgs) -> Result<LeaseServiceClient<Connection>, Failure> {
    Ok(LeaseServiceClient::new(connect(&args.server).await?).max_decoding_message_size(64 << 20))
}

pub(crate) async fn allocations(args: &ClientArgs) -> Result<AllocationServiceClient<Connection>, Failure> {
    Ok(AllocationServiceClient::new(connect(&args.server).await?).max_decoding_message_size(64 << 20))
}

pub(crate) async fn admin(args: &ClientArgs) -> Result<AdminServiceClient<Connection>, Failure> {
    Ok(AdminServiceClient::new(connect(&args.server).await?))
}

pub(crate) async fn events(args: &ClientArgs) -> Result<EventServiceClient<Connection>, Failure> {
    Ok(EventServiceClient::new(connect(&args.server).await?).max_decoding_message_size(64 << 20))
}

pub(crate) async fn validations(args: &ClientArgs) -> Result<ValidationServiceClient<Connection>, Failure> {
    Ok(ValidationServiceClient::new(connect(&args.server).await?).max_decoding_message_size(64 << 20))
}

pub(crate) async fn notifications(
    args: &ClientArgs,
) -> Result<NotificationServiceClient<Connection>, Failure> {
    Ok(NotificationServiceClient::new(connect(&args.server).await?).max_decoding_message_size(64 << 20))
}

/// A refusal as people read it: what was wrong, field by field, and whether to try again.
pub(crate) fn refusal(status: &Status) -> Failure {
    let details = status.get_error_details();
    let reason = details.error_info().map(|info| info.reason.clone()).unwrap_or_default();
    let mut words = match details.bad_request() {
        Some(bad) if !bad.field_violations.is_empty() => {
            let mut words = "the request is not right:".to_owned();
            for violation in &bad.field_violations {
                words.push_str(&format!("\n  {}: {}", violation.field, violation.description));
            }
            words
        }
        _ => status.message().to_owned(),
    };
    let code = format!("{:?}", status.code());
    words.push_str(&if reason.is_empty() { format!("\n({code})") } else { format!("\n({code}, {reason})") });
    if let Some(wait) = details.retry_info().and_then(|retry| retry.retry_delay) {
        words.push_str(&format!(
            "\nTry again in {} s, with the same --request-id if it was a write.",
            wait.as_secs_f32()
        ));
    }
    Failure::new(words)
}
