//! An in-process NetBox that speaks the part of the REST API that Leasehold uses and answers as NetBox 4.7 does.
//!
//! The demo, the tests, the benchmarks and an orchestrator's own CI (`leasehold emulate-netbox`) use it. Apart from
//! the clock and the address arithmetic of the model it depends on no other room. Its behaviour was observed on a real
//! NetBox, and the contract suite (tests/contract.rs) runs the same cases against both, so that the two cannot diverge
//! unnoticed.
//!
//! It has prefixes, addresses, IP ranges, VRFs, tenants, roles, tags, custom fields with types and uniqueness, the change
//! log, cursor pages, `fields=`, ETag and If-Match, bulk writes that succeed or fail as a whole, available-ips under one
//! lock, and filters that are silently ignored when unknown. It has no users and no permissions beyond a read-write and a
//! read-only token, no sites and devices, no user interface and no webhooks.
//!
//! It can also behave as version 4.5 did ([`Emulator::older`]). That behaviour follows the documentation only: no real
//! NetBox of that age can be installed from PyPI to compare with.
//!
//! Its errors are written in the language that the request accepts; [`Emulator::german`] makes German the default. A request
//! line over gunicorn's 4,094 bytes is refused.
//!
//! [`Faults`] are switched on at will: delay, 429, 500, maintenance mode, an answer that is lost after the commit, half an answer.

mod answer;
mod available;
mod bulk;
mod change_list;
mod change_log;
mod commit;
mod faults;
mod free_space;
mod http;
mod instance;
mod language;
mod lists;
mod query;
mod records;
mod render;
mod routes;
mod seed;
mod shared;
mod state;
mod writes;

pub use faults::Faults;
pub use instance::{Emulator, Listening};
pub use seed::SeedError;
