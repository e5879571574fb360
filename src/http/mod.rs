//! The HTTP side: the API as JSON, and what orchestrators, monitoring and calendar programs ask for.
//!
//! | route | answer |
//! | --- | --- |
//! | `POST /leasehold.v1.Service/Method` | every method of the API by the Connect protocol, those that write included ([`connect`]) |
//! | `GET /openapi.json` | the description of these methods ([`openapi`]) |
//! | `GET /healthz` | 200 while the process lives |
//! | `GET /readyz` | 200 as soon as reads are served, and 503 before |
//! | `GET /metrics` | metrics in Prometheus' text format |
//! | `GET /calendar.ics` | the dates of all leases, if a token for it is configured ([`Calendar`]) |
//!
//! The port can change as much as the gRPC port, so the same rule holds for both: outside loopback the server does not listen
//! unless a setting allows it. The room does not know the methods. `server/` gives it the descriptors and the services.

mod calendar;
mod connect;
mod ical;
mod openapi;
mod routes;

pub use calendar::Calendar;
pub use connect::connect_router;
pub use openapi::openapi_router;
pub use routes::router;
