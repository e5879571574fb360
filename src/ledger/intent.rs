//! Intents: the writes to NetBox that were begun, and what became of them.

use std::net::IpAddr;
use std::str::FromStr;

use async_trait::async_trait;
use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::error::Error;
use super::fingerprint::Fingerprint;
use crate::model::{Address, Network, Prefix, PrefixId, RequestId, VrfScope};

/// The method that began the write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntentKind {
    Addresses,
    Prefix,
    Assignment,
    Release,
    RegisterLease,
    UpdateLease,
    RenewLease,
    EndLease,
    /// Addresses that a pool reserves ahead.
    PoolFill,
}

impl IntentKind {
    /// Whether the addresses were picked, and not named by the caller.
    pub fn picks_addresses(self) -> bool {
        matches!(self, Self::Addresses | Self::PoolFill)
    }
}

/// What is known of the outcome of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntentState {
    /// The write is under way, or its outcome is not known.
    Pending,
    /// NetBox has the result of the write.
    Done,
    /// As far as is known, nothing of the write is in NetBox.
    Failed,
}

/// Where a write stands in the write protocol. [`IntentState`] is its summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntentStep {
    /// Nothing was sent.
    NotSent,
    /// A request was sent, or is about to be.
    MaybeWritten,
    /// NetBox has the records, unverified.
    Written,
    /// NetBox has the records, and nothing speaks against them.
    Verified,
    /// The records are being deleted, since somebody else's stand against them.
    Withdrawing,
    Done,
    /// The records are proven deleted.
    Withdrawn,
    /// NetBox or a rule refused, and NetBox has nothing of the write.
    Refused,
    /// It was not possible to say what NetBox has.
    Unsettled,
}

impl IntentStep {
    /// What lists say of it.
    pub fn state(self) -> IntentState {
        match self {
            Self::Done => IntentState::Done,
            Self::Withdrawn | Self::Refused => IntentState::Failed,
            Self::NotSent
            | Self::MaybeWritten
            | Self::Written
            | Self::Verified
            | Self::Withdrawing
            | Self::Unsettled => IntentState::Pending,
        }
    }

    /// Whether the outcome is known.
    pub fn is_final(self) -> bool {
        self.state() != IntentState::Pending
    }
}

/// The process that carries an intent out. Empty for intents of earlier versions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owner(String);

impl Owner {
    /// A name that no other process has.
    pub fn random() -> Self {
        Self(uuid::Uuid::new_v4().simple().to_string())
    }

    /// A name that was given before.
    pub fn named(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Who carries an intent out, and a number that each takeover and each step raise. A step is only ever stored over the one that was
/// read: whoever held the intent before can store nothing any more, and nobody takes
/// over what has gone on since he read it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    pub owner: Owner,
    pub attempt: u32,
}

impl Claim {
    /// The claim of an owner after this one, whoever holds this one.
    #[must_use]
    pub fn next(&self, owner: &Owner) -> Self {
        Self { owner: owner.clone(), attempt: self.attempt.saturating_add(1) }
    }
}

/// Gives an enum the words under which the ledger stores it, in both directions. The words must never change.
macro_rules! stored_words {
    ($name:ident { $($variant:ident = $word:literal),+ }) => {
        impl $name {
            pub(super) fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(word: &str) -> Result<Self, Error> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    other => Err(Error::Unreadable(format!("{} {other:?}", stringify!($name)))),
                }
            }
        }
    };
}

stored_words!(IntentKind {
    Addresses = "addresses",
    Prefix = "prefix",
    Assignment = "assignment",
    Release = "release",
    RegisterLease = "register_lease",
    UpdateLease = "update_lease",
    RenewLease = "renew_lease",
    EndLease = "end_lease",
    PoolFill = "pool_fill"
});
stored_words!(IntentStep {
    NotSent = "not_sent",
    MaybeWritten = "maybe_written",
    Written = "written",
    Verified = "verified",
    Withdrawing = "withdrawing",
    Done = "done",
    Withdrawn = "withdrawn",
    Refused = "refused",
    Unsettled = "unsettled"
});
stored_words!(IntentState { Pending = "pending", Done = "done", Failed = "failed" });

/// What a write is to do, and what it has done. Stored as JSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Detail {
    /// How many records the write makes.
    #[serde(default)]
    pub wanted: u32,
    /// NetBox's ids of the records made, in order of their index.
    #[serde(default)]
    pub made: Vec<u64>,
    /// The records that a release deletes, as they were before it.
    #[serde(default)]
    pub released: Vec<Address>,
    /// The scope that the write is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<VrfScope>,
    /// The parent of addresses, or the prefix that is created or changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    /// The addresses that were chosen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chosen: Vec<IpNet>,
    /// The other prefixes that unanswered requests of this write chose from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempted: Vec<PrefixId>,
    /// Whether the addresses may be inside child prefixes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub include_children: bool,
    /// The prefix before its lease was changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Box<Prefix>>,
    /// The prefix with its lease as it is to be, and once it is done as it was then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Box<Prefix>>,
    /// Who called, as far as it is known; empty if it is not.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub caller: String,
    /// How many addresses were recorded in the block when its lease ended.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub addresses_in_use: u64,
    /// Whether a registration found the prefix in NetBox.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adopted: bool,
    /// Whether the end of a lease deletes the prefix.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted_prefix: bool,
}

// serde passes a reference.
#[expect(clippy::trivially_copy_pass_by_ref)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A write to NetBox that was begun.
#[derive(Clone, Debug, PartialEq)]
pub struct Intent {
    /// The request_id that the caller chose.
    pub request: RequestId,
    pub kind: IntentKind,
    pub fingerprint: Fingerprint,
    pub step: IntentStep,
    pub claim: Claim,
    /// The prefix that the addresses or the child prefix are taken from.
    pub parent: Option<PrefixId>,
    pub detail: Detail,
    /// When the latest request to NetBox was sent that was never answered; `None` if all were.
    pub unanswered: Option<Timestamp>,
    /// When NetBox is to be asked once more for records that arrived late; `None` if it need not be.
    pub sweep: Option<Timestamp>,
    pub created: Timestamp,
    /// When the step or the detail was last written.
    pub updated: Timestamp,
}

/// A range of addresses of one scope, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reservation {
    pub scope: VrfScope,
    pub first: IpAddr,
    pub last: IpAddr,
}

/// A range that a write has reserved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReservedRange {
    pub range: Reservation,
    pub request: RequestId,
    pub hold: ReservationHold,
}

/// What a reservation still does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReservationHold {
    /// Its write is open: no other write can reserve an address of it.
    Exclusive,
    /// Its write is settled: it only counts as taken, until every cache has the record.
    Taken,
}

/// What a step does to the reservations of an intent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReservationChange {
    Keep,
    /// These instead of those that were held.
    Replace(Vec<Reservation>),
    /// They exclude no other write any more, and count as taken until then.
    Settle {
        until: Timestamp,
    },
    Release,
}

/// The next step of an intent.
#[derive(Clone, Debug, PartialEq)]
pub struct IntentChange {
    /// Who holds the intent afterwards.
    pub claim: Claim,
    pub step: IntentStep,
    pub parent: Option<PrefixId>,
    pub detail: Detail,
    pub unanswered: Option<Timestamp>,
    pub sweep: Option<Timestamp>,
    pub reservations: ReservationChange,
}

impl IntentChange {
    /// The step at which an intent is, for its next owner. A change sets what it changes over it.
    #[must_use]
    pub fn of(intent: &Intent, owner: &Owner) -> Self {
        Self {
            claim: intent.claim.next(owner),
            step: intent.step,
            parent: intent.parent,
            detail: intent.detail.clone(),
            unanswered: intent.unanswered,
            sweep: intent.sweep,
            reservations: ReservationChange::Keep,
        }
    }

    /// The intent after this change.
    #[must_use]
    pub fn applied_to(&self, intent: &Intent, now: Timestamp) -> Intent {
        Intent {
            claim: self.claim.clone(),
            step: self.step,
            parent: self.parent,
            detail: self.detail.clone(),
            unanswered: self.unanswered,
            sweep: self.sweep,
            updated: now,
            ..intent.clone()
        }
    }
}

/// An intent that is to be stored, with the ranges that it reserves.
#[derive(Clone, Debug, PartialEq)]
pub struct NewIntent {
    pub intent: Intent,
    pub reserve: Vec<Reservation>,
}

/// The next step of an intent, over the claim that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct NextStep {
    pub request: RequestId,
    pub held: Claim,
    pub change: IntentChange,
    /// The time at which the step is stored.
    pub now: Timestamp,
}

/// Whether an intent was new.
#[derive(Clone, Debug, PartialEq)]
pub enum Begun {
    /// It was stored, and the caller has to carry it out.
    New,
    /// An intent with the same request id exists: this is it.
    Before(Box<Intent>),
    /// Another open write has reserved an address of the range. Nothing was stored.
    Reserved,
}

/// Whether a step was stored.
#[derive(Clone, Debug, PartialEq)]
pub enum Advanced {
    Set,
    /// Somebody else holds the intent now. Nothing was stored.
    Lost(Box<Intent>),
    /// Another open write has reserved an address of the range. Nothing was stored.
    Reserved,
}

/// What a list of intents is limited to. There is an index for each, so that a list reads no row that it does not return.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IntentSelection {
    #[default]
    All,
    /// Only intents in this state.
    State(IntentState),
    /// Only intents with this parent prefix.
    Parent(PrefixId),
}

/// Which intents to list; the newest come first.
#[derive(Clone, Debug, Default)]
pub struct ListIntents {
    pub selection: IntentSelection,
    /// Begin after the intent with this time of creation and this id, which is the last one of the page before.
    pub after: Option<(Timestamp, RequestId)>,
    /// The greatest number of intents to return.
    pub limit: u32,
}

/// Keeps intents, durably: what a method of this trait has stored survives a crash.
#[async_trait]
pub trait IntentStore: Send + Sync {
    /// The kind of database, for people: `sqlite` or `postgres`.
    fn backend(&self) -> &'static str;

    /// Whether other servers may use the same ledger. If not, every intent of another owner was left by a server that is gone.
    fn is_shared(&self) -> bool;

    /// Stores new intents in one transaction, and answers for each. One is not stored if an intent with the same request id exists,
    /// or if a range overlaps another open write's, be it of the same call. Exactly one of several callers at once gets
    /// [`Begun::New`] for an id, and for an address.
    async fn begin_all(&self, intents: &[NewIntent]) -> Result<Vec<Begun>, Error>;

    /// Stores the next steps of intents in one transaction, each only if its claim still holds the intent, and answers for each.
    async fn advance_all(&self, steps: &[NextStep]) -> Result<Vec<Advanced>, Error>;

    /// The intent of a request, if there is one.
    async fn get(&self, request: &RequestId) -> Result<Option<Intent>, Error>;

    /// How many intents have no outcome yet.
    async fn count_open(&self) -> Result<u64, Error>;

    /// Intents without an outcome, the oldest first.
    async fn open_intents(&self, limit: u32) -> Result<Vec<Intent>, Error>;

    /// Settled intents for whose late records NetBox is to be asked by now.
    async fn due_sweeps(&self, now: Timestamp, limit: u32) -> Result<Vec<Intent>, Error>;

    /// The ranges that count as taken, of every scope.
    async fn reservations(&self, now: Timestamp) -> Result<Vec<ReservedRange>, Error>;

    /// Deletes intents whose outcome was stored before `settled_before` and that wait for nothing, and reservations that are over.
    /// Returns how many intents were deleted.
    async fn prune(&self, settled_before: Timestamp, now: Timestamp) -> Result<u64, Error>;

    /// A page of allocations and assignments, the newest first; releases and changes of leases are left out.
    async fn list(&self, wanted: &ListIntents) -> Result<Vec<Intent>, Error>;
}
