//! Hands out addresses and prefixes so that **writing the record is the allocation**.
//!
//! The [`Allocator`] carries every write through one path: the intent is made durable in the ledger, NetBox is asked to
//! write records that carry the intent's own identity (`allocation_id`, unique in NetBox), the records are put into the
//! cache, the intent is settled, and only then is there an answer. What a crash, a time-out or a cut connection leaves
//! open is answered by the record ([`settle`]): either NetBox has records with that identity or it has none, and a write
//! that arrives late is refused by NetBox itself.
//!
//! Policy is apart and pure: [`pick`] says which addresses and blocks of a prefix are free, [`policy`] out of which blocks
//! anything is handed out at all, [`requirement`] which prefix fits a wish. What is given back rests before it is handed out again. NetBox's own `available-ips` would hand out addresses inside a customer's child prefix, so it is used
//! only where the prefix has none and nothing is excluded; otherwise the addresses are picked here and a rival who was
//! quicker is found after the write, and yielded to.
//!
//! # Error handling
//!
//! [`Error::Unsettled`] is the one error after which something may stand in NetBox: the same request id again settles it. After
//! every other error nothing does.

mod allocator;
mod assign;
mod error;
mod intents;
pub mod pick;
pub mod policy;
mod prefixes;
mod release;
pub mod requirement;
mod settle;
mod wish;

pub use allocator::{Allocated, AllocatedPrefix, Allocator};
pub use assign::Assigned;
pub use error::Error;
pub use policy::{Policy, Purpose};
pub use release::{Release, Released};
pub use wish::{AddressWish, AssignWish, Origin, PrefixWish, RecordText};
