//! Messages as JSON or as protobuf, and from one to the other.

use prost::Message as _;
use prost::bytes::Bytes;
use prost_reflect::{DynamicMessage, MessageDescriptor, SerializeOptions};

use super::json_check;
use super::refusal::CallRefusal;

/// How the messages of a call are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MessageFormat {
    /// The JSON mapping of proto3, as grpcurl prints it: lowerCamelCase names, enums by name, 64-bit integers as strings, and no
    /// fields that have their default value. Requests may also use the names of the proto files.
    Json,
    Proto,
}

impl MessageFormat {
    pub(super) const BOTH: [Self; 2] = [Self::Json, Self::Proto];

    /// The content type of a call, which depends on whether its method has streams.
    pub(super) fn content_type(self, stream: bool) -> &'static str {
        match (self, stream) {
            (Self::Json, false) => "application/json",
            (Self::Proto, false) => "application/proto",
            (Self::Json, true) => "application/connect+json",
            (Self::Proto, true) => "application/connect+proto",
        }
    }

    /// Reads a message of a request and returns it as protobuf.
    pub(super) fn read(self, descriptor: &MessageDescriptor, message: Bytes) -> Result<Bytes, CallRefusal> {
        match self {
            Self::Json => {
                let violations = json_check::violations(descriptor, &message);
                if !violations.is_empty() {
                    return Err(CallRefusal::invalid(violations));
                }
                let mut json = serde_json::Deserializer::from_slice(&message);
                let message = DynamicMessage::deserialize(descriptor.clone(), &mut json);
                message
                    .map(|message| message.encode_to_vec().into())
                    .map_err(|_| CallRefusal::invalid_body(format!("is not a {}", descriptor.name())))
            }
            Self::Proto => match DynamicMessage::decode(descriptor.clone(), message.clone()) {
                Ok(_) => Ok(message),
                Err(_) => {
                    Err(CallRefusal::invalid_body(format!("is not an encoded {}", descriptor.full_name())))
                }
            },
        }
    }

    /// Writes a message of an answer, which is given as protobuf.
    pub(super) fn write(self, descriptor: &MessageDescriptor, message: Bytes) -> Result<Bytes, CallRefusal> {
        match self {
            Self::Json => {
                let failed = |error: &dyn std::fmt::Display| {
                    CallRefusal::internal(&format!("{} as JSON: {error}", descriptor.full_name()))
                };
                let message =
                    DynamicMessage::decode(descriptor.clone(), message).map_err(|error| failed(&error))?;
                let mut json = serde_json::Serializer::new(Vec::new());
                message
                    .serialize_with_options(&mut json, &SerializeOptions::new().skip_default_fields(true))
                    .map_err(|error| failed(&error))?;
                Ok(json.into_inner().into())
            }
            Self::Proto => Ok(message),
        }
    }
}
