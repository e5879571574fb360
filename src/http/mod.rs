//! The HTTP side: what orchestrators, monitoring and calendar programs ask for without gRPC. Nothing here changes anything.
//!
//! | route | answer |
//! | --- | --- |
//! | `GET /healthz` | 200 while the process lives |
//! | `GET /readyz` | 200 as soon as reads are served, and 503 before |
//! | `GET /metrics` | metrics in Prometheus' text format |
//! | `GET /calendar.ics` | the dates of all leases, if a token for it is configured ([`Calendar`]) |

mod calendar;
mod ical;
mod routes;

pub use calendar::Calendar;
pub use routes::router;
