//! Pools: addresses that are recorded in NetBox ahead of demand, so that a request is answered after one transaction of the ledger.
//!
//! A pool reserves addresses by the write protocol, as any allocation does; they are its *stock*. A request is *handed out* addresses of
//! the stock in one durable transaction of the ledger, which is fenced: an address is only handed out by the process that owns it, over
//! the claim that it read. Until the record in NetBox says whose the address is, it is *pending*; records are completed in lists, in the
//! background. Meanwhile the ledger is the only one that knows the request's name, which is what a pool weakens: if the ledger is lost
//! in that time, the address stays reserved in NetBox and nobody knows for whom.
//!
//! `plan` decides (which prefixes have a pool, how much stock each is to have, which requests it serves); it is pure. `stock` is the
//! stock in memory, `hand_out`, `completion` and `upkeep` do the work, and [`Pools`] holds them together.

mod completion;
mod hand_out;
mod plan;
mod pools;
mod stock;
mod upkeep;

pub use plan::{PoolRule, PoolSelector, PoolSettings};
pub use pools::{PoolState, Pools};
