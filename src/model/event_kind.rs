//! The kinds of events.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! event_kinds {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)+) => {
        /// The kind of an event, by which clients filter.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum EventKind {
            $($(#[$doc])* $variant,)+
        }

        impl EventKind {
            /// All kinds, in the order of their definition.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name of the kind in settings and in the ledger.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }

        impl FromStr for EventKind {
            type Err = UnknownEventKind;

            fn from_str(text: &str) -> Result<Self, UnknownEventKind> {
                match text {
                    $($name => Ok(Self::$variant),)+
                    other => Err(UnknownEventKind(other.to_owned())),
                }
            }
        }
    };
}

event_kinds! {
    /// A prefix without a lease was created, and not through Leasehold.
    PrefixCreated = "prefix_created",
    /// A prefix changed, but not the contract of its lease. Example: a verdict was written back.
    PrefixChanged = "prefix_changed",
    /// A prefix without a lease was deleted.
    PrefixDeleted = "prefix_deleted",
    /// A child prefix was allocated through Leasehold.
    PrefixAllocated = "prefix_allocated",
    /// A prefix carries a lease and did not before.
    LeaseRegistered = "lease_registered",
    /// The expiry of a lease moved to a later day.
    LeaseRenewed = "lease_renewed",
    /// The contract of a lease changed in another way. Example: the lease was shortened.
    LeaseChanged = "lease_changed",
    /// A prefix no longer carries its lease, or was deleted while it carried one.
    LeaseEnded = "lease_ended",
    /// The expiry of a lease is within a threshold.
    LeaseExpiring = "lease_expiring",
    /// The expiry of a lease has passed.
    LeaseExpired = "lease_expired",
    /// The notice date of a lease is within a threshold.
    NoticeDue = "notice_due",
    /// The notice date of a lease has passed.
    NoticePassed = "notice_passed",
    /// An address was recorded, but not through Leasehold.
    AddressRecorded = "address_recorded",
    /// The record of an address changed.
    AddressChanged = "address_changed",
    /// An address was deleted that Leasehold had not allocated.
    AddressRemoved = "address_removed",
    /// An address was allocated through Leasehold.
    AddressAllocated = "address_allocated",
    /// An address was deleted that Leasehold had allocated.
    AddressReleased = "address_released",
    /// NetBox cannot be read any more, so the cache grows old.
    SyncLost = "sync_lost",
    /// The cache agrees with NetBox again.
    SyncRegained = "sync_regained",
    /// The route origin validation of a block has another result than before.
    RoaChanged = "roa_changed",
    /// The registration of a block in the IRR has changed.
    IrrChanged = "irr_changed",
    /// The reputation of a block has changed.
    ReputationChanged = "reputation_changed",
    /// NetBox refuses the record of an address that was handed out of a pool.
    CompletionRefused = "completion_refused",
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that should name a kind of event names none of them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a kind of event")]
pub struct UnknownEventKind(String);
