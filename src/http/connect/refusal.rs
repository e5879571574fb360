//! Calls that are refused before they reach a method.

use std::collections::HashMap;

use axum::http::StatusCode;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::code;

/// The `domain` of every ErrorInfo, as in the errors of gRPC.
const DOMAIN: &str = "leasehold";

/// An error on its way to a client: a gRPC status, and the HTTP status where the code alone does not decide it.
#[derive(Clone, Debug)]
pub(super) struct CallRefusal {
    pub(super) http: StatusCode,
    pub(super) status: Status,
}

impl From<Status> for CallRefusal {
    fn from(status: Status) -> Self {
        Self { http: code::http_status(status.code()), status }
    }
}

impl CallRefusal {
    fn new(code: Code, reason: &str, message: impl Into<String>) -> Self {
        let details = ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new());
        Self::from(Status::with_error_details(code, message, details))
    }

    fn with_http(self, http: StatusCode) -> Self {
        Self { http, ..self }
    }

    /// A malformed request. Takes the field and the description of every violation.
    pub(super) fn invalid(violations: Vec<(String, String)>) -> Self {
        let all: Vec<String> = violations.iter().map(|(field, why)| format!("{field}: {why}")).collect();
        let mut details = ErrorDetails::with_error_info("INVALID_FIELDS", DOMAIN, HashMap::new());
        for (field, why) in violations {
            details.add_bad_request_violation(field, why);
        }
        Self::from(Status::with_error_details(Code::InvalidArgument, all.join("; "), details))
    }

    /// A body that is wrong as a whole.
    pub(super) fn invalid_body(why: impl Into<String>) -> Self {
        Self::invalid(vec![("body".to_owned(), why.into())])
    }

    /// A body of more than `limit` bytes.
    pub(super) fn too_large(limit: usize) -> Self {
        let message = format!("the body of a request has at most {limit} bytes");
        Self::new(Code::ResourceExhausted, "REQUEST_TOO_LARGE", message)
    }

    /// A path that is none of a method.
    pub(super) fn no_such_method(path: &str) -> Self {
        let message =
            format!("there is no method {path}: a method is called by POST /leasehold.v1.Service/Method");
        Self::new(Code::Unimplemented, "METHOD_NOT_FOUND", message).with_http(StatusCode::NOT_FOUND)
    }

    /// A call by another HTTP method than POST.
    pub(super) fn not_post() -> Self {
        Self::new(Code::Unimplemented, "POST_ONLY", "a method is called by POST")
            .with_http(StatusCode::METHOD_NOT_ALLOWED)
    }

    /// A body of another type than the two that the method takes.
    pub(super) fn content_type(takes: [&str; 2]) -> Self {
        let [json, proto] = takes;
        let message = format!("this method takes a body with the content type {json} or {proto}");
        Self::new(Code::InvalidArgument, "CONTENT_TYPE_UNSUPPORTED", message)
            .with_http(StatusCode::UNSUPPORTED_MEDIA_TYPE)
    }

    /// A compressed body.
    pub(super) fn compressed() -> Self {
        Self::new(
            Code::Unimplemented,
            "COMPRESSION_UNSUPPORTED",
            "this server does not read compressed requests: it takes the encoding identity",
        )
    }

    /// A call that a web page makes.
    pub(super) fn from_a_browser() -> Self {
        Self::new(
            Code::PermissionDenied,
            "BROWSER_REFUSED",
            "web pages may not call this port, and this request has an Origin header",
        )
    }

    /// A deadline that passed while a stream was open.
    pub(super) fn deadline() -> Self {
        Self::from(Status::deadline_exceeded("the deadline of the call has passed"))
    }

    /// A defect of the server. The details go to the log and not to the client.
    pub(super) fn internal(details: &str) -> Self {
        tracing::error!(details, "a request failed because of a defect in the server");
        Self::new(Code::Internal, "INTERNAL", "internal error of the server; its log has the details")
    }
}
