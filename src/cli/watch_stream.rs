//! The streams that `leasehold watch` can follow, and why they end.

use tonic::{Code, Status, Streaming};
use tonic_types::StatusExt as _;

use super::connect::{connect_for_stream, refusal};
use super::exit::CliFailure;
use super::json::to_json;
use super::options::ServerArgs;
use crate::rpc::proto::v1;
use crate::rpc::proto::v1::event_service_client::EventServiceClient;
use crate::rpc::proto::v1::lease_service_client::LeaseServiceClient;

/// A request for a stream, without its resume token.
pub(crate) enum WatchRequest {
    Events(v1::WatchEventsRequest),
    Expiry(v1::WatchExpiryRequest),
}

/// An open stream of either kind.
pub(crate) enum WatchStream {
    Events(Streaming<v1::WatchEventsResponse>),
    Expiry(Streaming<v1::WatchExpiryResponse>),
}

/// A message of either stream.
pub(crate) struct WatchMessage {
    pub(crate) json: serde_json::Value,
    /// The position after this message. It is empty within a snapshot, which cannot be resumed in the middle.
    pub(crate) token: String,
    pub(crate) item: WatchedItem,
}

/// What a message of a stream carries.
pub(crate) enum WatchedItem {
    Lease(Box<v1::Lease>),
    Event(Box<v1::Event>),
    Synced,
    /// A new position and nothing else.
    Bookmark,
}

/// Why a stream ended.
pub(crate) enum StreamEnd {
    /// The server could not be reached.
    Unreachable(CliFailure),
    /// The server stopped, or the connection broke: trying again later helps.
    Temporary(Status),
    /// Trying again does not help.
    Fatal(CliFailure),
}

impl WatchRequest {
    /// Opens the stream at a position; an empty token means its beginning.
    pub(crate) async fn open(&self, server: &ServerArgs, token: &str) -> Result<WatchStream, StreamEnd> {
        let connection = connect_for_stream(server).await.map_err(StreamEnd::Unreachable)?;
        let resume_token = token.to_owned();
        Ok(match self {
            Self::Events(request) => {
                let request = v1::WatchEventsRequest { resume_token, ..request.clone() };
                let answer = EventServiceClient::new(connection).watch_events(request).await?;
                WatchStream::Events(answer.into_inner())
            }
            Self::Expiry(request) => {
                let request = v1::WatchExpiryRequest { resume_token, ..request.clone() };
                let answer = LeaseServiceClient::new(connection).watch_expiry(request).await?;
                WatchStream::Expiry(answer.into_inner())
            }
        })
    }
}

impl WatchStream {
    /// The next message; `None` when the server has ended the stream.
    pub(crate) async fn next(&mut self) -> Result<Option<WatchMessage>, StreamEnd> {
        Ok(match self {
            Self::Events(stream) => {
                use v1::watch_events_response::Item;
                let Some(message) = stream.message().await? else { return Ok(None) };
                Some(WatchMessage {
                    json: to_json("WatchEventsResponse", &message).map_err(StreamEnd::Fatal)?,
                    token: message.resume_token,
                    item: match message.item {
                        Some(Item::Lease(lease)) => WatchedItem::Lease(Box::new(lease)),
                        Some(Item::Event(event)) => WatchedItem::Event(Box::new(event)),
                        Some(Item::Synced(_)) => WatchedItem::Synced,
                        Some(Item::Bookmark(_)) | None => WatchedItem::Bookmark,
                    },
                })
            }
            Self::Expiry(stream) => {
                use v1::watch_expiry_response::Item;
                let Some(message) = stream.message().await? else { return Ok(None) };
                Some(WatchMessage {
                    json: to_json("WatchExpiryResponse", &message).map_err(StreamEnd::Fatal)?,
                    token: message.resume_token,
                    item: match message.item {
                        Some(Item::Lease(lease)) => WatchedItem::Lease(Box::new(lease)),
                        Some(Item::Event(event)) => WatchedItem::Event(Box::new(event)),
                        Some(Item::Synced(_)) => WatchedItem::Synced,
                        Some(Item::Bookmark(_)) | None => WatchedItem::Bookmark,
                    },
                })
            }
        })
    }
}

impl From<Status> for StreamEnd {
    fn from(status: Status) -> Self {
        let too_slow =
            status.get_error_details().error_info().is_some_and(|info| info.reason == "WATCH_TOO_SLOW");
        match status.code() {
            // tonic reports a connection that breaks in the middle of a stream as UNKNOWN or INTERNAL.
            Code::Unavailable | Code::Cancelled | Code::Unknown | Code::Internal => Self::Temporary(status),
            _ if too_slow => Self::Temporary(status),
            Code::OutOfRange => Self::Fatal(refusal(&status).line(
                "Events have been missed. Remove the file of --resume-file to begin again with the current leases.",
            )),
            _ => Self::Fatal(refusal(&status)),
        }
    }
}
