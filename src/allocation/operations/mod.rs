//! The commands, one file each: what a command plans, how its traces in NetBox are recognised, and what its caller gets.
//!
//! All of it is pure. The executor asks each command the same questions (the trait in `operation`) and does the rest, so that no
//! command can send, verify or store anything in a way of its own.

mod allocate_addresses;
mod allocate_prefix;
mod assign_address;
pub(super) mod change_lease;
mod end_lease;
mod fill_pool;
pub(super) mod register_lease;
mod release_addresses;
mod renew_lease;
mod reserved;
mod update_lease;

pub use allocate_addresses::Allocated;
pub use allocate_prefix::AllocatedPrefix;
pub use assign_address::Assigned;
pub use end_lease::Ended;
pub use register_lease::Registered;
pub use release_addresses::Released;
pub use renew_lease::Renewed;
pub use update_lease::Updated;

pub(super) use fill_pool::FillPool;
pub(super) use reserved::single_addresses;
