//! The answer of a method with streams, while it is open.

use axum::http::HeaderMap;
use futures::{Stream, stream};
use prost::bytes::Bytes;
use prost_reflect::{DescriptorPool, MessageDescriptor};
use serde_json::{Map, Value};
use tokio::time::{Instant, timeout_at};
use tonic::{Status, Streaming};

use super::envelope;
use super::error_body::error_body;
use super::format::MessageFormat;
use super::head;
use super::refusal::CallRefusal;

/// The messages that a method answers, and what is needed to write them. Dropping it cancels the call.
pub(super) struct OpenStream {
    pub(super) messages: Streaming<Bytes>,
    /// When the client's deadline passes. The layer around the methods ends a call whose answer has not begun by then; an answer
    /// that has begun is ended here.
    pub(super) deadline: Option<Instant>,
    pub(super) format: MessageFormat,
    pub(super) output: MessageDescriptor,
    pub(super) pool: DescriptorPool,
}

impl OpenStream {
    /// The frames of the answer: one for each message as it comes, and one that says how the stream ended.
    pub(super) fn frames(self) -> impl Stream<Item = Bytes> {
        stream::unfold(Some(self), async |open| {
            let mut open = open?;
            match open.next().await {
                Ok(Some(message)) => Some((envelope::message(&message), Some(open))),
                Ok(None) => Some((end(None, &open.trailers().await, &open.pool), None)),
                Err(refusal) => Some((refused(&refusal.status, &open.pool), None)),
            }
        })
    }

    async fn next(&mut self) -> Result<Option<Bytes>, CallRefusal> {
        let message = self.messages.message();
        let message = match self.deadline {
            Some(deadline) => timeout_at(deadline, message).await.map_err(|_| CallRefusal::deadline())?,
            None => message.await,
        };
        message?.map(|message| self.format.write(&self.output, message)).transpose()
    }

    async fn trailers(&mut self) -> HeaderMap {
        let trailers = self.messages.trailers().await;
        trailers.ok().flatten().map(tonic::metadata::MetadataMap::into_headers).unwrap_or_default()
    }
}

/// The last frame of a stream that ends with an error. It is the only one if the call was refused.
pub(super) fn refused(status: &Status, pool: &DescriptorPool) -> Bytes {
    end(Some(status), &status.metadata().clone().into_headers(), pool)
}

fn end(error: Option<&Status>, trailers: &HeaderMap, pool: &DescriptorPool) -> Bytes {
    let mut body = Map::new();
    if let Some(status) = error {
        body.insert("error".to_owned(), error_body(status, pool));
    }
    let mut metadata: Map<String, Value> = Map::new();
    for (name, value) in &head::answered(trailers, "") {
        let values = metadata.entry(name.as_str()).or_insert_with(|| Value::Array(Vec::new()));
        if let Some(values) = values.as_array_mut() {
            values.push(String::from_utf8_lossy(value.as_bytes()).into());
        }
    }
    if !metadata.is_empty() {
        body.insert("metadata".to_owned(), metadata.into());
    }
    envelope::end(Value::Object(body).to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(frame: &Bytes) -> Value {
        assert_eq!(frame[0], 2, "the flags of the last frame");
        serde_json::from_slice(&frame[5..]).unwrap()
    }

    #[test]
    fn the_last_frame_has_the_error_and_the_trailers() {
        let mut status = Status::aborted("again");
        status.metadata_mut().append("x-seen", "1".parse().unwrap());
        status.metadata_mut().append("x-seen", "2".parse().unwrap());
        let frame = refused(&status, &DescriptorPool::new());
        let expected = serde_json::json!({
            "error": { "code": "aborted", "message": "again" },
            "metadata": { "x-seen": ["1", "2"] },
        });
        assert_eq!(body(&frame), expected);
        let frame = end(None, &HeaderMap::new(), &DescriptorPool::new());
        assert_eq!(body(&frame), serde_json::json!({}), "a stream that ended well");
    }
}
