//! The codes of gRPC as the Connect protocol writes them, and the HTTP status of each.

use axum::http::StatusCode;
use tonic::Code;

/// Every code, with its name in an error and the HTTP status of an error that has it.
const CODES: [(Code, &str, u16); 16] = [
    (Code::Cancelled, "canceled", 499),
    (Code::Unknown, "unknown", 500),
    (Code::InvalidArgument, "invalid_argument", 400),
    (Code::DeadlineExceeded, "deadline_exceeded", 504),
    (Code::NotFound, "not_found", 404),
    (Code::AlreadyExists, "already_exists", 409),
    (Code::PermissionDenied, "permission_denied", 403),
    (Code::ResourceExhausted, "resource_exhausted", 429),
    (Code::FailedPrecondition, "failed_precondition", 400),
    (Code::Aborted, "aborted", 409),
    (Code::OutOfRange, "out_of_range", 400),
    (Code::Unimplemented, "unimplemented", 501),
    (Code::Internal, "internal", 500),
    (Code::Unavailable, "unavailable", 503),
    (Code::DataLoss, "data_loss", 500),
    (Code::Unauthenticated, "unauthenticated", 401),
];

/// The names of all codes, in the order of their numbers.
pub(in crate::http) fn names() -> impl Iterator<Item = &'static str> {
    CODES.iter().map(|(_, name, _)| *name)
}

/// The name of a code in an error.
pub(super) fn name(code: Code) -> &'static str {
    CODES.iter().find(|(other, ..)| *other == code).map_or("unknown", |(_, name, _)| *name)
}

/// The HTTP status of an error with this code.
pub(super) fn http_status(code: Code) -> StatusCode {
    let number = CODES.iter().find(|(other, ..)| *other == code).map_or(500, |(.., number)| *number);
    StatusCode::from_u16(number).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_but_ok_has_a_name_and_a_status_of_an_error() {
        for number in 1..=16 {
            let code = Code::from_i32(number);
            let listed = CODES.iter().filter(|(other, ..)| *other == code).count();
            assert_eq!(listed, 1, "{code:?}");
            assert!(http_status(code).as_u16() >= 400, "{code:?}");
        }
        assert_eq!(name(Code::Cancelled), "canceled", "with one l, as Connect writes it");
        assert_eq!(http_status(Code::FailedPrecondition), StatusCode::BAD_REQUEST);
        assert_eq!(http_status(Code::Unavailable), StatusCode::SERVICE_UNAVAILABLE);
    }
}
