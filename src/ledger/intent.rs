//! Intents: the writes to NetBox that were begun, and what became of them.

use std::str::FromStr;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::error::Error;
use super::fingerprint::Fingerprint;
use crate::model::{Address, PrefixId, RequestId};

/// The method that began the write: AllocateAddresses, AllocatePrefix, AssignAddress or ReleaseAddresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntentKind {
    Addresses,
    Prefix,
    Assignment,
    Release,
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
    Release = "release"
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
}

/// A write to NetBox that was begun.
#[derive(Clone, Debug, PartialEq)]
pub struct Intent {
    /// The request_id that the caller chose.
    pub request: RequestId,
    pub kind: IntentKind,
    pub fingerprint: Fingerprint,
    pub state: IntentState,
    /// The prefix that the addresses or the child prefix are taken from.
    pub parent: Option<PrefixId>,
    pub detail: Detail,
    pub created: Timestamp,
    /// When the state or the detail was last written.
    pub updated: Timestamp,
}

/// Whether an intent was new.
#[derive(Clone, Debug, PartialEq)]
pub enum Begun {
    /// It was stored, and the caller has to carry it out.
    New,
    /// An intent with the same request id exists: this is it.
    Before(Box<Intent>),
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

    /// Stores a new intent, unless one with the same request id exists. Exactly one of several callers at once gets
    /// [`Begun::New`] for an id.
    async fn begin(&self, intent: &Intent) -> Result<Begun, Error>;

    /// The intent of a request, if there is one.
    async fn get(&self, request: &RequestId) -> Result<Option<Intent>, Error>;

    /// Overwrites the state and the detail of an intent. A failed intent may become pending again: the caller repeats it.
    async fn set(
        &self,
        request: &RequestId,
        state: IntentState,
        detail: &Detail,
        now: Timestamp,
    ) -> Result<(), Error>;

    /// The intents whose outcome is not known, the oldest first.
    async fn pending(&self) -> Result<Vec<Intent>, Error>;

    /// A page of allocations and assignments, the newest first; releases are left out.
    async fn list(&self, wanted: &ListIntents) -> Result<Vec<Intent>, Error>;
}
