//! Messages as the JSON that `grpcurl -emit-defaults` prints (the canonical mapping of proto3).

use std::sync::OnceLock;

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};

use super::exit::CliFailure;
use super::terminal;
use crate::rpc::proto;

/// A message as JSON. `name` is its name in the package `leasehold.v1`.
pub(crate) fn to_json<M: Message>(name: &str, message: &M) -> Result<serde_json::Value, CliFailure> {
    static POOL: OnceLock<Result<DescriptorPool, String>> = OnceLock::new();
    let pool = POOL
        .get_or_init(|| DescriptorPool::decode(proto::DESCRIPTORS).map_err(|error| error.to_string()))
        .as_ref()
        .map_err(CliFailure::new)?;
    let descriptor = pool
        .get_message_by_name(&format!("leasehold.v1.{name}"))
        .ok_or_else(|| CliFailure::new(format!("the API has no message {name}")))?;
    let mut dynamic = DynamicMessage::new(descriptor);
    dynamic.transcode_from(message)?;
    // Fields with their default value are printed too, so that an answer has one shape: an empty list is `[]`, not absent.
    let options = SerializeOptions::new().skip_default_fields(false);
    Ok(dynamic.serialize_with_options(serde_json::value::Serializer, &options)?)
}

/// Messages of one type as `{"results": […]}`, where the API answers one of them at a time.
pub(crate) fn list<M: Message>(name: &str, messages: &[M]) -> Result<serde_json::Value, CliFailure> {
    let results: Result<Vec<_>, _> = messages.iter().map(|message| to_json(name, message)).collect();
    Ok(serde_json::json!({ "results": results? }))
}

/// Prints a value as indented JSON.
pub(crate) fn print(value: &serde_json::Value) -> Result<(), CliFailure> {
    terminal::print_json(&serde_json::to_string_pretty(value)?);
    Ok(())
}
