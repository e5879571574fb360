//! Every write to NetBox that a caller asks for: addresses and child prefixes are allocated, assigned and released, leases are
//! registered, changed, renewed and ended. **Writing the record in NetBox is the allocation.**
//!
//! A command is a value (`commands`) with a fingerprint, by which a retry of its request id is told from another request.
//! What it plans, and how its traces in NetBox are recognised, is in a file of its own under `operations`; what space is free
//! and which prefix may be used is decided in [`plan`]. All of that is pure. [`protocol`] is the state machine that every write steps
//! through, also pure. The [`Executor`] alone does I/O: it queues commands (`queue`), plans and sends (`sending`), stores
//! each step (`storing`), asks and verifies (`settling`), and goes on with what a server that is gone left open (`recovery`). What
//! waits at the same time is done at once (`joined`): steps in one transaction, addresses in one list (`creating`), one read of the
//! change log (`catch_up`). The executor knows NetBox and the cache by the traits in [`ports`], so that a simulation can stand in for both.
//! [`Allocator`] is what other rooms call.
//!
//! Addresses and blocks are chosen here, since NetBox's `available-ips` allocates inside child prefixes too; it is used only where it
//! would choose the same. What NetBox
//! does not check itself (a child prefix that appeared meanwhile, a second record of the same address) is verified after each
//! write; anybody else's record wins, and ours are deleted again. Among the servers of one ledger a range is reserved there before
//! it is written. Released addresses are in quarantine for a configured time.
//!
//! # Error handling
//!
//! After [`Error::Unsettled`], [`Error::UnderWay`] and [`Error::TaskLost`] NetBox may hold records of the command; repeating it
//! with the same request id settles that. After every other error NetBox holds none. docs/allocation.md explains the protocol.

mod adapters;
mod allocator;
mod catch_up;
mod commands;
mod creating;
mod error;
mod executor;
mod fingerprint;
mod in_flight;
mod joined;
mod lease_fingerprint;
mod operation;
mod operations;
pub mod plan;
mod pool;
pub mod ports;
pub mod protocol;
mod queue;
mod recovery;
mod repeating;
mod run;
mod search;
mod sending;
mod settling;
mod storing;
mod traces;

pub use allocator::Allocator;
pub use commands::{
    AllocateAddresses, AllocatePrefix, AssignAddress, LeaseCommand, ParentSelector, RecordText,
    ReleaseAddresses, ReleaseCommand,
};
pub use error::Error;
pub use executor::{Executor, ExecutorParts, Jitter};
pub use operations::{Allocated, AllocatedPrefix, Assigned, Ended, Registered, Released, Renewed, Updated};
pub use plan::{Policy, Purpose, Utilization, utilization};
pub use pool::{PoolRule, PoolSelector, PoolSettings, PoolState, Pools};
pub use recovery::Recovered;
pub use search::{
    Allocation, AllocationFilter, AllocationKind, AllocationPage, AllocationPosition, AllocationState,
};
