//! The HTTP side: what orchestrators and monitoring ask without gRPC.
//!
//! `GET /healthz` says that the process lives, `GET /readyz` that reads are served, `GET /metrics` gives Prometheus' text
//! format. Nothing here can change anything.

mod routes;

pub use routes::router;
