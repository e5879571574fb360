//! The API as JSON by HTTP: every method as `POST /leasehold.v1.Service/Method`, by the Connect protocol.
//!
//! The room translates and decides nothing. A request is read into protobuf ([`format`]), goes as a gRPC call into the services
//! and layers that the gRPC listener has ([`service`], [`open_stream`]), and the answer is translated back. The descriptors of the API say what
//! a message looks like, so there is no code for any one method, and a new method needs none.
//!
//! The parts that only compute are apart from the one that acts: what the headers say ([`head`]), frames of streams
//! ([`envelope`]), JSON against the descriptors ([`json_check`]), codes and the form of errors ([`code`], [`error_body`]), and the
//! refusals that only this form of a call can have ([`refusal`]). The crate connectrpc has all of these too, but its messages are
//! types of another protobuf library, and its services would be a second set beside tonic's.
//!
//! # Error handling
//!
//! An error of a method is the gRPC status of that method, with the same code, reason and details. What is refused here says so in
//! the same form. Texts of the libraries that read JSON and protobuf stay here: a client is told which field is wrong, and what
//! the field takes.
//!
//! # Browsers
//!
//! Callers are not authenticated, so a web page must not be able to make its reader's browser call this port. A request with an
//! `Origin` header is refused, no preflight is answered, and a body must declare a type that a form cannot send.

pub(super) mod code;
mod envelope;
mod error_body;
mod format;
mod head;
mod json_check;
mod open_stream;
mod raw_codec;
mod refusal;
mod service;

pub use service::connect_router;
