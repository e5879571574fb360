//! A NetBox in memory: its records, its change log, and how it carries writes out. Each change is atomic, with two exceptions. NetBox
//! checks the allocation id of a prefix some time before it commits; and an entry of the change log may get its id long before it
//! is committed with its record, so that entries appear out of order.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use ipnet::IpNet;
use jiff::{Timestamp, ToSpan as _};
use leasehold::allocation::ports::{Completion, CreationPart, Placing, Write, WriteOrigin, WrittenRecords};
use leasehold::cache::Batch;
use leasehold::model::{
    Address, AddressId, AllocationId, IpRange, Lease, Prefix, PrefixId, RangeId, RequestId, Revision, Term,
    Vrf, VrfId, VrfScope,
};
use leasehold::netbox::{Error, FieldChange, FieldProblem, ObjectKind, PrefixDraft, ValueChange};

use super::mutants::Mutant;

pub const EPOCH: i64 = 1_800_000_000;

/// An entry of the change log.
#[derive(Clone)]
pub struct Entry {
    pub kind: ObjectKind,
    pub object: u64,
    /// Milliseconds since the beginning.
    pub at: i64,
    pub request: Option<RequestId>,
    pub prefix: (Option<Prefix>, Option<Prefix>),
    pub address: (Option<Address>, Option<Address>),
}

impl Entry {
    /// An entry of a record of which it keeps no state.
    fn of(kind: ObjectKind, object: u64, at: i64, request: Option<RequestId>) -> Self {
        Self { kind, object, at, request, prefix: (None, None), address: (None, None) }
    }

    /// Whether its record was created by it.
    pub fn is_creation(&self) -> bool {
        let prefix = self.prefix.0.is_none() && self.prefix.1.is_some();
        prefix || self.address.0.is_none() && self.address.1.is_some()
    }

    /// One line of a trace.
    pub fn text(&self) -> String {
        let network = |prefix: &Prefix| format!("{} {}", prefix.network, prefix.status);
        let host = |address: &Address| address.host().to_string();
        let records = match self.kind {
            ObjectKind::Prefix => (self.prefix.0.as_ref().map(network), self.prefix.1.as_ref().map(network)),
            ObjectKind::IpRange => (None, None),
            _ => (self.address.0.as_ref().map(host), self.address.1.as_ref().map(host)),
        };
        format!("{} {:?} {} by {:?}: {records:?}", self.at, self.kind, self.object, self.request)
    }
}

#[derive(Default)]
pub struct Records {
    pub prefixes: BTreeMap<u64, Prefix>,
    pub addresses: BTreeMap<u64, Address>,
    pub ranges: BTreeMap<u64, IpRange>,
    /// When each address and prefix was created, in milliseconds.
    pub created: BTreeMap<u64, i64>,
    pub log: BTreeMap<u64, Entry>,
    /// Records that other people deleted.
    pub deleted_by_others: Vec<u64>,
    /// The requests that had allocated them.
    pub requests_cut_by_others: Vec<RequestId>,
    /// When somebody ended the lease of the block by hand.
    pub ended_by_others: Option<i64>,
    last_id: u64,
    last_entry: u64,
    /// Ids of entries that were given to the change that is being committed.
    given: VecDeque<u64>,
    changes: i64,
}

#[derive(Clone)]
pub struct World {
    records: Arc<Mutex<Records>>,
    pub mutant: Mutant,
    began: tokio::time::Instant,
    /// Whether requests meet faults.
    pub faulty: Arc<Mutex<bool>>,
}

fn duplicate(field: &str) -> Vec<FieldProblem> {
    vec![FieldProblem { field: field.to_owned(), message: "Duplicate".to_owned() }]
}

impl World {
    pub fn new(mutant: Mutant) -> Self {
        Self {
            records: Arc::default(),
            mutant,
            began: tokio::time::Instant::now(),
            faulty: Arc::new(Mutex::new(true)),
        }
    }

    pub fn lock(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap()
    }

    /// Milliseconds since the beginning.
    pub fn millis(&self) -> i64 {
        i64::try_from(self.began.elapsed().as_millis()).unwrap()
    }

    pub fn is_faulty(&self) -> bool {
        *self.faulty.lock().unwrap()
    }

    /// Two VRFs, of which the first enforces unique records.
    fn vrfs() -> Vec<Vrf> {
        let vrf = |id, name: &str, enforce_unique| Vrf {
            id: VrfId(id),
            name: name.to_owned(),
            rd: None,
            enforce_unique,
            revision: Revision::default(),
        };
        vec![vrf(1, "customers", true), vrf(2, "laboratory", false)]
    }

    /// Whether NetBox refuses a second record of an address or a network there.
    fn is_unique(scope: VrfScope) -> bool {
        scope == VrfScope::Vrf(VrfId(1))
    }

    /// Ids of entries for a change that is committed later. A change that is refused leaves a hole in the log.
    pub fn give_entries(&self, count: usize) -> Vec<u64> {
        let mut records = self.lock();
        (0..count).map(|_| records.next_entry()).collect()
    }

    /// Makes a change whose entries have these ids already, as far as there are any.
    pub fn with_entries<T>(&self, given: Vec<u64>, change: impl FnOnce(&Self) -> T) -> T {
        self.lock().given = given.into();
        let made = change(self);
        self.lock().given.clear();
        made
    }

    /// All records, as a full pass would read them, with the newest entry of the log.
    pub fn everything(&self) -> (Batch, u64) {
        let records = self.lock();
        let batch = Batch {
            prefixes: records.prefixes.values().cloned().collect(),
            addresses: records.addresses.values().cloned().collect(),
            ranges: records.ranges.values().cloned().collect(),
            vrfs: Self::vrfs(),
            ..Batch::default()
        };
        (batch, records.log.keys().next_back().copied().unwrap_or_default())
    }

    /// A list as NetBox is going to write it: with its own addresses, or with the lowest that a prefix has free, as NetBox counts:
    /// child prefixes do not matter. `None` if it has fewer.
    pub fn place(&self, placing: Placing, mut parts: Vec<CreationPart>) -> Option<Vec<CreationPart>> {
        let Placing::LowestOf(parent) = placing else { return Some(parts) };
        let records = self.lock();
        let parent = records.prefixes.get(&parent.0)?;
        let (scope, network) = (parent.scope, parent.network);
        let taken = |host: IpAddr| {
            let same = |address: &Address| address.scope == scope && address.host() == host;
            records.addresses.values().any(same) || records.in_range(scope, host, host)
        };
        let hosts = IpNet::from(network).hosts().filter(|host| !taken(*host));
        let mut free = hosts.map(|host| IpNet::new(host, network.length()).unwrap());
        for part in &mut parts {
            part.scope = scope;
            for (interface, _) in &mut part.list {
                *interface = free.next()?;
            }
        }
        Some(parts)
    }

    /// Whether records may be completed as they are to be.
    pub fn check_completion(&self, list: &[Completion]) -> Result<(), Error> {
        let records = self.lock();
        for Completion { wanted, .. } in list {
            if !records.addresses.contains_key(&wanted.id.0) {
                let message = "Object with ID n does not exist".to_owned();
                return Err(Error::Invalid {
                    problems: vec![FieldProblem { field: "id".to_owned(), message }],
                });
            }
            let taken =
                |address: &Address| address.allocation == wanted.allocation && address.id != wanted.id;
            if records.addresses.values().any(taken) && self.mutant != Mutant::NoUniqueIds {
                return Err(Error::AllocationIdTaken { problems: duplicate("__all__") });
            }
        }
        Ok(())
    }

    /// Completes records that were checked.
    pub fn complete(&self, list: &[Completion]) -> Vec<Address> {
        let now = self.millis();
        let mut records = self.lock();
        list.iter()
            .filter_map(|Completion { origin, wanted }| {
                let edit = |address: &mut Address| {
                    address.status.clone_from(&wanted.status);
                    address.allocation.clone_from(&wanted.allocation);
                };
                records.change_address(wanted.id.0, edit, Some(origin.request.clone()), now);
                records.addresses.get(&wanted.id.0).cloned()
            })
            .collect()
    }

    /// Whether a write is refused. Asked when it commits; for a prefix some time before.
    pub fn check(&self, write: &Write) -> Result<(), Error> {
        let records = self.lock();
        let unique = self.mutant != Mutant::NoUniqueIds;
        match write {
            Write::CreateAddresses { scope, list } => {
                for (interface, draft) in list {
                    let id = allocation_of(&draft.fields);
                    let taken = |address: &Address| address.allocation == id && id.is_some();
                    if unique && records.addresses.values().any(taken) {
                        return Err(Error::AllocationIdTaken { problems: duplicate("__all__") });
                    }
                    let same =
                        |address: &Address| address.scope == *scope && address.host() == interface.addr();
                    if Self::is_unique(*scope) && records.addresses.values().any(same) {
                        return Err(Error::DuplicateAddress { problems: duplicate("address") });
                    }
                    if records.in_range(*scope, interface.addr(), interface.addr()) {
                        return Err(Error::AddressInRange { problems: duplicate("address") });
                    }
                }
                Ok(())
            }
            Write::CreatePrefix { scope, network, draft } => {
                let id = allocation_of(&draft.fields);
                let taken = |prefix: &Prefix| prefix.allocation == id && id.is_some();
                if unique && records.prefixes.values().any(taken) {
                    return Err(Error::AllocationIdTaken { problems: duplicate("__all__") });
                }
                let same = |prefix: &Prefix| prefix.scope == *scope && prefix.network == *network;
                if Self::is_unique(*scope) && records.prefixes.values().any(same) {
                    return Err(Error::DuplicatePrefix { problems: duplicate("prefix") });
                }
                Ok(())
            }
            Write::PatchPrefix { id, read, .. } | Write::DeletePrefix { id, read } => {
                match records.prefixes.get(&id.0) {
                    None => Err(Error::NotFound { path: format!("ipam/prefixes/{id}/") }),
                    Some(prefix) if prefix.revision != *read && self.mutant != Mutant::NoVersionCheck => {
                        Err(Error::Changed)
                    }
                    Some(_) => Ok(()),
                }
            }
            Write::DeleteAddresses { ids } => {
                if ids.iter().all(|id| records.addresses.contains_key(&id.0)) {
                    return Ok(());
                }
                let message = "Object with ID n does not exist".to_owned();
                Err(Error::Invalid { problems: vec![FieldProblem { field: "id".to_owned(), message }] })
            }
        }
    }

    /// Carries a write out that was checked.
    pub fn commit(&self, write: &Write, origin: Option<&WriteOrigin>) -> WrittenRecords {
        let now = self.millis();
        let request = origin.map(|origin| origin.request.clone());
        let mut records = self.lock();
        match write {
            Write::CreateAddresses { scope, list } => {
                let mut made = Vec::new();
                for (interface, draft) in list {
                    let allocation = allocation_of(&draft.fields);
                    made.push(records.put_address(*interface, *scope, allocation, request.clone(), now));
                }
                WrittenRecords::Addresses(made)
            }
            Write::CreatePrefix { scope, network, draft } => {
                let id = records.next_id();
                let prefix = Prefix {
                    allocation: allocation_of(&draft.fields),
                    ..Prefix::bare(PrefixId(id), *network, *scope)
                };
                let made = records.put_prefix(None, patched(prefix, draft), request, now);
                WrittenRecords::Prefix(Box::new(made))
            }
            Write::PatchPrefix { id, draft, .. } => {
                let Some(before) = records.prefixes.get(&id.0).cloned() else {
                    return WrittenRecords::Deleted;
                };
                let after = patched(before.clone(), draft);
                WrittenRecords::Prefix(Box::new(records.put_prefix(Some(before), after, request, now)))
            }
            Write::DeletePrefix { id, .. } => {
                records.drop_prefix(id.0, request, now);
                WrittenRecords::Deleted
            }
            Write::DeleteAddresses { ids } => {
                for id in ids {
                    records.drop_address(id.0, request.clone(), now);
                }
                WrittenRecords::Deleted
            }
        }
    }
}

impl Records {
    pub fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    fn revision(&mut self) -> Revision {
        self.changes += 1;
        Revision(Some(Timestamp::from_second(EPOCH).unwrap() + self.changes.milliseconds()))
    }

    fn next_entry(&mut self) -> u64 {
        self.last_entry += 1;
        self.last_entry
    }

    fn log(&mut self, entry: Entry) {
        let id = self.given.pop_front().unwrap_or_else(|| self.next_entry());
        self.log.insert(id, entry);
    }

    /// Whether a populated range has an address in common with these.
    pub fn in_range(&self, scope: VrfScope, first: IpAddr, last: IpAddr) -> bool {
        self.ranges.values().any(|range| range.scope == scope && range.start <= last && range.end >= first)
    }

    pub fn put_range(&mut self, scope: VrfScope, start: IpAddr, end: IpAddr, now: i64) {
        let id = self.next_id();
        let range = IpRange {
            id: RangeId(id),
            start,
            end,
            scope,
            status: "active".to_owned(),
            populated: true,
            description: String::new(),
            revision: self.revision(),
        };
        self.ranges.insert(id, range);
        self.log(Entry::of(ObjectKind::IpRange, id, now, None));
    }

    pub fn drop_range(&mut self, id: u64, now: i64) {
        if self.ranges.remove(&id).is_some() {
            self.log(Entry::of(ObjectKind::IpRange, id, now, None));
        }
    }

    /// Somebody's edit of a record that has this id.
    pub fn edit_address(&mut self, id: u64, edit: impl FnOnce(&mut Address), now: i64) {
        self.change_address(id, edit, None, now);
    }

    fn change_address(
        &mut self,
        id: u64,
        edit: impl FnOnce(&mut Address),
        request: Option<RequestId>,
        now: i64,
    ) {
        let Some(before) = self.addresses.get(&id).cloned() else { return };
        let mut after = before.clone();
        edit(&mut after);
        after.revision = self.revision();
        self.addresses.insert(id, after.clone());
        self.log(Entry {
            address: (Some(before), Some(after)),
            ..Entry::of(ObjectKind::Address, id, now, request)
        });
    }

    pub fn put_address(
        &mut self,
        interface: IpNet,
        scope: VrfScope,
        allocation: Option<AllocationId>,
        request: Option<RequestId>,
        now: i64,
    ) -> Address {
        let id = self.next_id();
        let bare = Address::bare(AddressId(id), interface, scope);
        let address = Address { allocation, revision: self.revision(), ..bare };
        self.addresses.insert(id, address.clone());
        self.created.insert(id, now);
        self.log(Entry {
            address: (None, Some(address.clone())),
            ..Entry::of(ObjectKind::Address, id, now, request)
        });
        address
    }

    pub fn put_prefix(
        &mut self,
        before: Option<Prefix>,
        mut after: Prefix,
        request: Option<RequestId>,
        now: i64,
    ) -> Prefix {
        after.revision = self.revision();
        self.prefixes.insert(after.id.0, after.clone());
        self.created.entry(after.id.0).or_insert(now);
        self.log(Entry {
            prefix: (before, Some(after.clone())),
            ..Entry::of(ObjectKind::Prefix, after.id.0, now, request)
        });
        after
    }

    pub fn drop_prefix(&mut self, id: u64, request: Option<RequestId>, now: i64) {
        if let Some(before) = self.prefixes.remove(&id) {
            self.log(Entry {
                prefix: (Some(before), None),
                ..Entry::of(ObjectKind::Prefix, id, now, request)
            });
        }
    }

    pub fn drop_address(&mut self, id: u64, request: Option<RequestId>, now: i64) {
        if let Some(before) = self.addresses.remove(&id) {
            self.log(Entry {
                address: (Some(before), None),
                ..Entry::of(ObjectKind::Address, id, now, request)
            });
        }
    }
}

fn allocation_of(fields: &[FieldChange]) -> Option<AllocationId> {
    fields.iter().find_map(|field| match field {
        FieldChange::AllocationId(id) => id.clone(),
        _ => None,
    })
}

/// A prefix after a draft, as far as the simulation looks at it.
fn patched(mut prefix: Prefix, draft: &PrefixDraft) -> Prefix {
    if let Some(status) = &draft.status {
        prefix.status.clone_from(status);
    }
    if let ValueChange::Clear = draft.tenant {
        prefix.tenant = None;
    }
    let mut lease = prefix.lease.take().map(|lease| *lease).unwrap_or_default();
    for field in &draft.fields {
        match field {
            FieldChange::LeaseOwner(owner) => lease.owner.clone_from(owner),
            FieldChange::LeaseStart(date) => lease.term.start = *date,
            FieldChange::LeaseExpiry(date) => lease.term.expiry = *date,
            FieldChange::LeaseNoticeDate(date) => lease.term.notice = *date,
            _ => {}
        }
    }
    let leased = lease.owner.is_some() || lease.term.expiry.is_some();
    prefix.lease = leased.then(|| Box::new(lease));
    prefix
}

/// The prefix that everything happens in, with a lease that is in force.
pub fn block(id: u64, network: &str, scope: VrfScope) -> Prefix {
    let term = Term { start: None, expiry: Some(jiff::civil::date(2040, 1, 1)), notice: None };
    let lease = Lease { owner: Some("ACME-LIR".to_owned()), term, ..Lease::default() };
    Prefix { lease: Some(Box::new(lease)), ..Prefix::bare(PrefixId(id), network.parse().unwrap(), scope) }
}
