//! The ports of the executor on the NetBox client and on the cache.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::ports::{
    ChangedRecords, ChangesWanted, Completion, CreationPart, ListRefusal, LoggedWrite, NetBoxPort, Placing,
    PoolEvents, RecordCache, UniqueIds, Write, WriteOrigin, WrittenRecords,
};
use crate::cache::{self, Batch, Cache, HandedOut, Index, NotReady, Reading};
use crate::events::EventLog;
use crate::model::{Address, AddressId, IpRange, Network, Prefix, PrefixId, RequestId, VrfScope};
use crate::netbox::{
    AddressChange, AllocationIdField, ChangeNote, Client, NetBoxResult, NewAddress, NotedRecord, ObjectKind,
};

#[async_trait]
impl NetBoxPort for Client {
    async fn send(&self, write: &Write, origin: &WriteOrigin) -> NetBoxResult<WrittenRecords> {
        let note = ChangeNote::new(origin.method, &origin.request, &origin.caller);
        match write {
            Write::CreateAddresses { scope, list } => {
                self.create_addresses(*scope, list, &note).await.map(WrittenRecords::Addresses)
            }
            Write::CreatePrefix { scope, network, draft } => {
                let made = self.create_prefix(*network, *scope, draft, &note).await?;
                Ok(WrittenRecords::Prefix(Box::new(made)))
            }
            Write::PatchPrefix { id, read, draft } => {
                let changed = self.patch_prefix(*id, read, draft, Some(&note)).await?;
                Ok(WrittenRecords::Prefix(Box::new(changed)))
            }
            Write::DeletePrefix { id, read } => {
                self.delete_prefix(*id, read, &note).await.map(|()| WrittenRecords::Deleted)
            }
            Write::DeleteAddresses { ids } => {
                self.delete_addresses(ids, &note).await.map(|()| WrittenRecords::Deleted)
            }
        }
    }

    async fn create(
        &self,
        placing: Placing,
        parts: &[&CreationPart],
    ) -> Result<Vec<Vec<Address>>, ListRefusal> {
        let lengths: Vec<usize> = parts.iter().map(|part| part.list.len()).collect();
        let entries = parts.iter().flat_map(|part| {
            let origin = &part.origin;
            let note = ChangeNote::new(origin.method, &origin.request, &origin.caller);
            part.list.iter().map(move |(interface, draft)| NewAddress {
                scope: part.scope,
                interface: *interface,
                draft,
                note: note.clone(),
            })
        });
        let entries: Vec<NewAddress<'_>> = entries.collect();
        let created = match placing {
            Placing::AsListed => self.create_listed(&entries).await,
            Placing::LowestOf(parent) => self.create_lowest(parent, &entries).await,
        };
        match created {
            Ok(created) => {
                let mut created = created.into_iter();
                Ok(lengths.iter().map(|length| created.by_ref().take(*length).collect()).collect())
            }
            Err(error) => {
                let blamed = self.blamed(&error, &lengths);
                Err(ListRefusal { error, blamed })
            }
        }
    }

    async fn complete(&self, list: &[Completion]) -> NetBoxResult<Vec<Address>> {
        let changes: Vec<AddressChange<'_>> = list
            .iter()
            .map(|Completion { origin, wanted }| AddressChange {
                wanted,
                note: ChangeNote::new(origin.method, &origin.request, &origin.caller),
            })
            .collect();
        self.change_addresses(&changes).await
    }

    async fn addresses_of(&self, request: &RequestId, count: u32) -> NetBoxResult<Vec<Address>> {
        self.addresses_by_allocation(request, count).await
    }

    async fn prefix_of(&self, request: &RequestId) -> NetBoxResult<Option<Prefix>> {
        self.prefix_by_allocation(request).await
    }

    async fn addresses_by_id(&self, ids: &[u64]) -> NetBoxResult<Vec<Address>> {
        self.by_ids(ids).await
    }

    async fn prefixes_by_id(&self, ids: &[u64]) -> NetBoxResult<Vec<Prefix>> {
        self.by_ids(ids).await
    }

    async fn addresses_at(&self, scope: VrfScope, hosts: &[IpAddr]) -> NetBoxResult<Vec<Address>> {
        Self::addresses_at(self, scope, hosts).await
    }

    async fn prefixes_at(&self, scope: VrfScope, network: Network) -> NetBoxResult<Vec<Prefix>> {
        Self::prefixes_at(self, scope, network).await
    }

    async fn logged(&self, request: &RequestId) -> NetBoxResult<Option<LoggedWrite>> {
        if !self.capabilities().changelog_message {
            return Ok(None);
        }
        let mut logged = LoggedWrite::default();
        for change in self.noted_changes(request).await? {
            match change.record {
                NotedRecord::Prefix { before, after } => logged.prefixes.push((before, after)),
                NotedRecord::Address { before, after } => logged.addresses.push((before, after)),
            }
        }
        Ok(Some(logged))
    }

    async fn changed(&self, wanted: ChangesWanted<'_>) -> NetBoxResult<ChangedRecords> {
        let mut changed = ChangedRecords::default();
        let (mut prefixes, mut addresses, mut ranges) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for entry in self.object_changes_from(wanted.from).await? {
            changed.entries.insert(entry.id);
            if wanted.covered.contains(&entry.id) {
                continue;
            }
            let Some(kind) = entry.kind else { continue };
            let known = entry.created_after().is_some_and(|at| match kind {
                ObjectKind::Prefix => wanted.index.knows_prefix(PrefixId(entry.object), at),
                ObjectKind::Address => wanted.index.knows_address(AddressId(entry.object), at),
                _ => false,
            });
            if known || wanted.own.contains(&(kind, entry.object)) {
                continue;
            }
            match kind {
                ObjectKind::Prefix => prefixes.insert(entry.object),
                ObjectKind::Address => addresses.insert(entry.object),
                ObjectKind::IpRange => ranges.insert(entry.object),
                ObjectKind::Vrf | ObjectKind::Tenant | ObjectKind::Role | ObjectKind::Tag => false,
            };
        }
        let batch = &mut changed.batch;
        (batch.prefixes, batch.deleted_prefixes) = self.read_again::<Prefix>(&prefixes).await?;
        (batch.addresses, batch.deleted_addresses) = self.read_again::<Address>(&addresses).await?;
        (batch.ranges, batch.deleted_ranges) = self.read_again::<IpRange>(&ranges).await?;
        Ok(changed)
    }

    async fn unique_ids(&self) -> NetBoxResult<UniqueIds> {
        // What a write says in the change log, and whether it names the version that was read, depend on the version of NetBox. No
        // write is sent before this has been asked.
        if self.version().is_none() {
            self.connect().await?;
        }
        Ok(match self.read_custom_fields().await?.allocation_id {
            AllocationIdField::Unique => UniqueIds::Enforced,
            AllocationIdField::NotUnique => UniqueIds::NotEnforced,
            AllocationIdField::Missing => UniqueIds::Missing,
        })
    }

    fn refuses_stale_changes(&self) -> bool {
        self.capabilities().if_match
    }

    fn only_populated_ranges(&self) -> bool {
        self.capabilities().only_populated_ranges_count
    }

    fn request_limit(&self) -> Duration {
        Self::request_limit(self)
    }
}

#[async_trait]
impl RecordCache for Cache {
    fn snapshot(&self) -> Result<Arc<Index>, NotReady> {
        self.ready_snapshot()
    }

    async fn position(&self) -> u64 {
        Self::position(self).await.1.map_or(0, |position| position.id)
    }

    fn handed_out(&self) -> &HandedOut {
        Self::handed_out(self)
    }

    fn begin_reading(&self) -> Reading {
        Self::begin_reading(self)
    }

    async fn apply(&self, batch: Batch) -> Result<(), cache::Error> {
        Self::apply(self, batch).await
    }
}

#[async_trait]
impl PoolEvents for EventLog {
    async fn completion_refused(&self, record: &Address, reason: &str) -> Result<(), String> {
        self.publish_refused(record, reason).await.map_err(|error| error.to_string())
    }
}
