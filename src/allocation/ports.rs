//! What the executor needs of NetBox and of the cache, as traits. The server implements them with the NetBox client and the
//! cache (`adapters`); a simulation implements them with a world that it controls.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ipnet::IpNet;

use crate::cache::{self, Batch, HandedOut, Index, NotReady, Reading};
use crate::model::{Address, AddressId, Network, Prefix, PrefixId, RequestId, Revision, VrfScope};
use crate::netbox::{self, AddressDraft, NetBoxResult, ObjectKind, PrefixDraft};

/// One write to NetBox, all of it or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    CreateAddresses {
        scope: VrfScope,
        list: Vec<(IpNet, AddressDraft)>,
    },
    CreatePrefix {
        scope: VrfScope,
        network: Network,
        draft: PrefixDraft,
    },
    /// Refused if the record is not the one that was read.
    PatchPrefix {
        id: PrefixId,
        read: Revision,
        draft: PrefixDraft,
    },
    /// Refused if the record is not the one that was read.
    DeletePrefix {
        id: PrefixId,
        read: Revision,
    },
    DeleteAddresses {
        ids: Vec<AddressId>,
    },
}

/// The addresses that one request creates, as a part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreationPart {
    pub origin: WriteOrigin,
    pub scope: VrfScope,
    pub list: Vec<(IpNet, AddressDraft)>,
}

/// What the record of an address that was handed out of a pool is to say.
#[derive(Clone, Debug, PartialEq)]
pub struct Completion {
    pub origin: WriteOrigin,
    /// The record; its status, description, DNS name and allocation id are written.
    pub wanted: Address,
}

/// Who chooses the addresses of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placing {
    /// They are those of the list.
    AsListed,
    /// NetBox takes the lowest free addresses of this prefix, in the order of the list, whatever addresses it names.
    LowestOf(PrefixId),
}

/// NetBox has refused a list, or its answer is not known. What is said of the whole list holds for every part.
#[derive(Clone, Debug)]
pub struct ListRefusal {
    pub error: netbox::Error,
    /// The parts that NetBox finds fault with, by their place, each with its own refusal. Empty if NetBox names none, or if it is not
    /// known that nothing was written.
    pub blamed: BTreeMap<usize, netbox::Error>,
}

/// Who is behind a write: kept in NetBox's change log where it takes a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteOrigin {
    /// The method of the API, such as `AllocateAddresses`.
    pub method: &'static str,
    pub request: RequestId,
    /// Whoever called, as far as it is known.
    pub caller: String,
}

/// The records after a write.
#[derive(Clone, Debug, PartialEq)]
pub enum WrittenRecords {
    Addresses(Vec<Address>),
    Prefix(Box<Prefix>),
    Deleted,
}

/// What NetBox's change log says that a request did: of each record its state before and after.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoggedWrite {
    pub prefixes: Vec<(Option<Prefix>, Option<Prefix>)>,
    pub addresses: Vec<(Option<Address>, Option<Address>)>,
}

impl LoggedWrite {
    /// Whether the log has no entry of the request.
    pub fn is_empty(&self) -> bool {
        self.prefixes.is_empty() && self.addresses.is_empty()
    }
}

/// What changed in NetBox since an entry of its change log.
#[derive(Clone, Debug, Default)]
pub struct ChangedRecords {
    /// The records as they are now, and those that are gone.
    pub batch: Batch,
    /// The ids of the entries that the batch covers, be they of records that take no space.
    pub entries: BTreeSet<u64>,
}

/// Which entries of the change log are asked for.
#[derive(Clone, Debug)]
pub struct ChangesWanted<'a> {
    /// Entries from this id on.
    pub from: u64,
    /// Entries that were covered before and are left out.
    pub covered: &'a BTreeSet<u64>,
    /// What is known. A record that was created, and is in it, is not read again.
    pub index: &'a Index,
    /// Records that the caller has just written itself; they are not read again.
    pub own: &'a [(ObjectKind, u64)],
}

/// Whether NetBox refuses a second record with the same allocation id. Nothing is written unless it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UniqueIds {
    Enforced,
    NotEnforced,
    /// The custom field does not exist.
    Missing,
}

/// NetBox, as the executor uses it. Reads may be repeated by the implementation; a write is sent once.
#[async_trait]
pub trait NetBoxPort: Send + Sync {
    /// Sends one write by itself and gives the records that it has made or changed.
    async fn send(&self, write: &Write, origin: &WriteOrigin) -> NetBoxResult<WrittenRecords>;
    /// Creates the addresses of several requests as one list, all or none, and gives the records of each.
    async fn create(
        &self,
        placing: Placing,
        parts: &[&CreationPart],
    ) -> Result<Vec<Vec<Address>>, ListRefusal>;
    /// Writes into the records of addresses what they are to say, all or none, and gives the records. Sent again it does the same again.
    async fn complete(&self, list: &[Completion]) -> NetBoxResult<Vec<Address>>;
    /// The addresses that carry allocation ids of a request, in order of their index; `count` is how many it asked for.
    async fn addresses_of(&self, request: &RequestId, count: u32) -> NetBoxResult<Vec<Address>>;
    /// The prefix that carries an allocation id of a request.
    async fn prefix_of(&self, request: &RequestId) -> NetBoxResult<Option<Prefix>>;
    /// The addresses with these ids that exist.
    async fn addresses_by_id(&self, ids: &[u64]) -> NetBoxResult<Vec<Address>>;
    /// The prefixes with these ids that exist.
    async fn prefixes_by_id(&self, ids: &[u64]) -> NetBoxResult<Vec<Prefix>>;
    /// The records of these hosts in one scope.
    async fn addresses_at(&self, scope: VrfScope, hosts: &[IpAddr]) -> NetBoxResult<Vec<Address>>;
    /// The records of exactly this network in one scope.
    async fn prefixes_at(&self, scope: VrfScope, network: Network) -> NetBoxResult<Vec<Prefix>>;
    /// What the change log says that a request did; `None` if this NetBox keeps no messages in its log.
    async fn logged(&self, request: &RequestId) -> NetBoxResult<Option<LoggedWrite>>;
    /// Which records that take space (prefixes, addresses and ranges) changed since an entry of the change log.
    async fn changed(&self, wanted: ChangesWanted<'_>) -> NetBoxResult<ChangedRecords>;
    /// Whether NetBox refuses a second record with the same allocation id.
    async fn unique_ids(&self) -> NetBoxResult<UniqueIds>;
    /// Whether a change or deletion is refused by NetBox itself if the record is not the one that was read, so that a repeated
    /// one can do no harm.
    fn refuses_stale_changes(&self) -> bool;
    /// Whether only ranges that are marked as populated take their addresses.
    fn only_populated_ranges(&self) -> bool;
    /// How long NetBox may still work on a request whose client is gone.
    fn request_limit(&self) -> Duration;
}

/// Who is told of what happens to pools.
#[async_trait]
pub trait PoolEvents: Send + Sync {
    /// NetBox refuses, for this reason, the record of an address that was handed out. The address stays with whom it was handed out to.
    async fn completion_refused(&self, record: &Address, reason: &str) -> Result<(), String>;
}

/// The cache, as the executor uses it.
#[async_trait]
pub trait RecordCache: Send + Sync {
    /// A snapshot, if the cache has been filled.
    fn snapshot(&self) -> Result<Arc<Index>, NotReady>;
    /// The id of the entry of NetBox's change log up to which the cache follows it; 0 before the first.
    async fn position(&self) -> u64;
    /// The addresses that were handed out of pools, as they are to be shown.
    fn handed_out(&self) -> &HandedOut;
    /// Begins a read of NetBox, so that what is deleted meanwhile does not come back with it.
    fn begin_reading(&self) -> Reading;
    /// Puts records into the cache.
    async fn apply(&self, batch: Batch) -> Result<(), cache::Error>;
}
