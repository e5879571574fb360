//! The HTTP side: what orchestrators and monitoring ask without gRPC.
//!
//! `GET /healthz` says that the process lives, `GET /readyz` that reads are served, `GET /metrics` gives Prometheus' text
//! format. `GET /calendar.ics` gives the leases' dates to calendar programs, if a token is set for it ([`Calendar`]). Nothing
//! here can change anything.

mod calendar;
mod routes;

pub use calendar::Calendar;
pub use routes::router;
