//! The OpenAPI description of the API, made from the descriptors of the proto files. Their comments become its descriptions.
//!
//! [`document`] puts the description together, [`schemas`] describes the messages, and [`comments`] finds the comment of a
//! message, field or method. `GET /openapi.json` serves the description, and docs/openapi.json is the same text: a test
//! fails while the two differ.

mod comments;
mod document;
mod schemas;

pub use document::openapi_router;
