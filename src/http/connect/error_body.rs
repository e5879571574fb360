//! An error as JSON: `{"code", "message", "details"}`.

use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use prost_types::Any;
use serde_json::{Map, Value, json};
use tonic::Status;
use tonic::metadata::BinaryMetadataValue;

use super::code;

/// The JSON of an error. Each detail has its encoded bytes for programs, and under `debug` its fields for people.
pub(super) fn error_body(status: &Status, pool: &DescriptorPool) -> Value {
    let mut body = Map::new();
    body.insert("code".to_owned(), json!(code::name(status.code())));
    if !status.message().is_empty() {
        body.insert("message".to_owned(), json!(status.message()));
    }
    let details = tonic_types::pb::Status::decode(status.details()).unwrap_or_default().details;
    if !details.is_empty() {
        let details: Vec<Value> = details.iter().map(|detail| detail_body(detail, pool)).collect();
        body.insert("details".to_owned(), Value::Array(details));
    }
    Value::Object(body)
}

fn detail_body(detail: &Any, pool: &DescriptorPool) -> Value {
    let name = detail.type_url.rsplit('/').next().unwrap_or_default();
    // tonic writes the value of a binary header as base64 without padding, which is what Connect asks for here.
    let encoded = BinaryMetadataValue::from_bytes(&detail.value);
    let encoded = String::from_utf8_lossy(encoded.as_encoded_bytes());
    let mut body = json!({ "type": name, "value": encoded });
    if let (Some(debug), Some(fields)) = (debug(name, &detail.value, pool), body.as_object_mut()) {
        fields.insert("debug".to_owned(), debug);
    }
    body
}

/// The fields of a detail; `None` if its type is not in the pool.
fn debug(name: &str, value: &[u8], pool: &DescriptorPool) -> Option<Value> {
    let message = DynamicMessage::decode(pool.get_message_by_name(name)?, value).ok()?;
    message.serialize_with_options(serde_json::value::Serializer, &SerializeOptions::new()).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tonic::Code;
    use tonic_types::{ErrorDetails, StatusExt as _};

    use super::*;

    fn pool() -> DescriptorPool {
        DescriptorPool::decode(tonic_types::pb::FILE_DESCRIPTOR_SET).unwrap()
    }

    #[test]
    fn an_error_has_the_code_the_message_and_each_detail_twice() {
        let metadata = HashMap::from([("free".to_owned(), "3".to_owned())]);
        let mut details = ErrorDetails::with_error_info("PREFIX_FULL", "leasehold", metadata);
        details.set_retry_info(Some(std::time::Duration::from_millis(1500)));
        let status = Status::with_error_details(Code::ResourceExhausted, "no \"space\" left", details);
        let body = error_body(&status, &pool());
        assert_eq!(body["code"], "resource_exhausted");
        assert_eq!(body["message"], "no \"space\" left");
        let detail = |name: &str| {
            body["details"].as_array().unwrap().iter().find(|detail| detail["type"] == name).unwrap()
        };
        let info = detail("google.rpc.ErrorInfo");
        assert_eq!(info["debug"]["reason"], "PREFIX_FULL");
        assert_eq!(info["debug"]["metadata"]["free"], "3");
        // The field 1, a string of 11 bytes: "PREFIX_FULL".
        let value = info["value"].as_str().unwrap();
        assert!(value.starts_with("CgtQUkVGSVhfRlVMT"), "{value}");
        assert!(!value.contains('='), "{value}");
        assert_eq!(detail("google.rpc.RetryInfo")["debug"]["retryDelay"], "1.500s");
    }

    #[test]
    fn an_error_without_details_has_a_code_alone() {
        assert_eq!(error_body(&Status::unimplemented(""), &pool()), json!({ "code": "unimplemented" }));
    }

    #[test]
    fn a_detail_of_an_unknown_type_keeps_its_bytes() {
        let detail = Any { type_url: "type.googleapis.com/example.Unknown".to_owned(), value: vec![1, 2] };
        assert_eq!(detail_body(&detail, &pool()), json!({ "type": "example.Unknown", "value": "AQI" }));
    }
}
