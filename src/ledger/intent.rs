//! An intent, and what a ledger does with it.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::str::FromStr;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::database::Error;
use crate::model::{Address, PrefixId, RequestId, Table};

/// What kind of write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntentKind {
    /// AllocateAddresses.
    Addresses,
    /// AllocatePrefix.
    Prefix,
    /// AssignAddress.
    Assignment,
    /// ReleaseAddresses.
    Release,
}

/// What has become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntentState {
    /// Under way, or its outcome not known.
    Pending,
    /// Recorded in NetBox.
    Done,
    /// Known not to have happened.
    Failed,
}

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

/// A digest of a request: the same id with another body is another request, and refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint(pub(super) String);

impl Fingerprint {
    /// Of anything that serialises the same way each time.
    pub fn of(request: &impl Serialize) -> Self {
        // Requests are plain structs of strings and numbers, which always serialise.
        let canonical = serde_json::to_vec(request).unwrap_or_default();
        let mut text = String::with_capacity(64);
        for byte in Sha256::digest(&canonical) {
            let _ = write!(text, "{byte:02x}");
        }
        Self(text)
    }
}

/// What was wanted and what came of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Detail {
    /// How many records the write makes.
    #[serde(default)]
    pub wanted: u32,
    /// NetBox's ids of the records made, in order of their index.
    #[serde(default)]
    pub made: Vec<u64>,
    /// The records that a release deletes, as they stood.
    #[serde(default)]
    pub released: Vec<Address>,
}

/// A write that was begun.
#[derive(Clone, Debug, PartialEq)]
pub struct Intent {
    /// The caller's id of it.
    pub request: RequestId,
    /// What kind of write.
    pub kind: IntentKind,
    /// Digest of the request.
    pub fingerprint: Fingerprint,
    /// What has become of it.
    pub state: IntentState,
    /// The prefix that it is from.
    pub parent: Option<PrefixId>,
    /// What was wanted and what came of it.
    pub detail: Detail,
    /// When it was begun.
    pub created: Timestamp,
    /// When its state last changed.
    pub updated: Timestamp,
}

/// Whether an intent was new.
#[derive(Clone, Debug, PartialEq)]
pub enum Begun {
    /// It is ours to carry out.
    New,
    /// It was begun before: here is what is known of it.
    Before(Box<Intent>),
}

/// Which intents to list; the newest first.
#[derive(Clone, Debug, Default)]
pub struct ListIntents {
    /// Only in this state.
    pub state: Option<IntentState>,
    /// Only from this prefix.
    pub parent: Option<PrefixId>,
    /// Only those that come after this one in the order.
    pub after: Option<(Timestamp, RequestId)>,
    /// At most so many.
    pub limit: u32,
}

/// Keeps intents, durably.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// What it is kept in, for people: `sqlite` or `postgres`.
    fn backend(&self) -> &'static str;

    /// Writes a pending intent unless one of this request id is there.
    async fn begin(&self, intent: &Intent) -> Result<Begun, Error>;

    /// What is known of a request.
    async fn get(&self, request: &RequestId) -> Result<Option<Intent>, Error>;

    /// Records what became of it, or takes a failed one up again as pending.
    async fn set(
        &self,
        request: &RequestId,
        state: IntentState,
        detail: &Detail,
        now: Timestamp,
    ) -> Result<(), Error>;

    /// Those whose outcome is not known, the oldest first.
    async fn pending(&self) -> Result<Vec<Intent>, Error>;

    /// Says that these were released now: they are to rest.
    async fn rest(&self, table: Table, addresses: &[IpAddr], now: Timestamp) -> Result<(), Error>;

    /// Those that were released after this, and where.
    async fn resting(&self, since: Timestamp) -> Result<Vec<(Table, IpAddr)>, Error>;

    /// Forgets those that were released before this.
    async fn wake(&self, before: Timestamp) -> Result<(), Error>;

    /// A page of allocations (releases left out), the newest first.
    async fn list(&self, wanted: &ListIntents) -> Result<Vec<Intent>, Error>;
}
