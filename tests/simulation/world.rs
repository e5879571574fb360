//! A NetBox in memory: records, a change log, and what other people do to it. Each change is atomic, except that NetBox checks the
//! allocation id of a prefix some time before it commits.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use ipnet::IpNet;
use jiff::{Timestamp, ToSpan as _};
use leasehold::allocation::ports::{Write, WriteOrigin, WrittenRecords};
use leasehold::cache::Batch;
use leasehold::model::{
    Address, AddressId, AllocationId, Lease, Network, Prefix, PrefixId, RequestId, Revision, Term, Vrf,
    VrfId, VrfScope,
};
use leasehold::netbox::{Error, FieldChange, FieldProblem, ObjectKind, PrefixDraft, ValueChange};

use super::mutants::Mutant;

pub const EPOCH: i64 = 1_800_000_000;

/// An entry of the change log.
#[derive(Clone)]
pub struct Entry {
    pub kind: ObjectKind,
    pub object: u64,
    pub request: Option<RequestId>,
    pub prefix: (Option<Prefix>, Option<Prefix>),
    pub address: (Option<Address>, Option<Address>),
}

impl Entry {
    /// One line of a trace.
    pub fn text(&self) -> String {
        let network = |prefix: &Prefix| format!("{} {}", prefix.network, prefix.status);
        let host = |address: &Address| address.host().to_string();
        let records = match self.kind {
            ObjectKind::Prefix => (self.prefix.0.as_ref().map(network), self.prefix.1.as_ref().map(network)),
            _ => (self.address.0.as_ref().map(host), self.address.1.as_ref().map(host)),
        };
        format!("{:?} {} by {:?}: {records:?}", self.kind, self.object, self.request)
    }
}

#[derive(Default)]
pub struct Records {
    pub prefixes: BTreeMap<u64, Prefix>,
    pub addresses: BTreeMap<u64, Address>,
    /// When each address and prefix was created, in milliseconds.
    pub created: BTreeMap<u64, i64>,
    pub log: BTreeMap<u64, Entry>,
    /// Records that other people deleted.
    pub deleted_by_others: Vec<u64>,
    /// The requests that had allocated them.
    pub requests_cut_by_others: Vec<RequestId>,
    last_id: u64,
    last_entry: u64,
    changes: i64,
}

#[derive(Clone)]
pub struct World {
    pub records: Arc<Mutex<Records>>,
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

    pub fn vrf() -> Vrf {
        Vrf {
            id: VrfId(1),
            name: "customers".to_owned(),
            rd: None,
            enforce_unique: true,
            revision: Revision::default(),
        }
    }

    /// All records, as a full pass would read them, with the newest entry of the log.
    pub fn everything(&self) -> (Batch, u64) {
        let records = self.lock();
        let batch = Batch {
            prefixes: records.prefixes.values().cloned().collect(),
            addresses: records.addresses.values().cloned().collect(),
            vrfs: vec![Self::vrf()],
            ..Batch::default()
        };
        (batch, records.last_entry)
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
                    if scope.vrf().is_some() && records.addresses.values().any(same) {
                        return Err(Error::DuplicateAddress { problems: duplicate("address") });
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
                if scope.vrf().is_some() && records.prefixes.values().any(same) {
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
                records.drop_prefix(id.0, request);
                WrittenRecords::Deleted
            }
            Write::DeleteAddresses { ids } => {
                for id in ids {
                    records.drop_address(id.0, request.clone());
                }
                WrittenRecords::Deleted
            }
        }
    }

    /// Somebody records an address or makes a child prefix, if the space is free at that moment.
    pub fn rival_address(&self, scope: VrfScope, interface: IpNet) {
        let now = self.millis();
        let mut records = self.lock();
        let free = !records.addresses.values().any(|a| a.scope == scope && a.host() == interface.addr());
        let blocked = records.prefixes.values().any(|p| {
            p.scope == scope && p.allocation.is_some() && p.network.contains_address(interface.addr())
        });
        if free && !blocked {
            records.put_address(interface, scope, None, None, now);
        }
    }

    pub fn rival_prefix(&self, scope: VrfScope, network: Network) {
        let now = self.millis();
        let mut records = self.lock();
        let used = records
            .addresses
            .values()
            .any(|address| address.scope == scope && network.contains_address(address.host()));
        let overlaps = records.prefixes.values().any(|prefix| {
            prefix.scope == scope && prefix.network.length() > 26 && prefix.network.overlaps(network)
        });
        if !used && !overlaps {
            let id = records.next_id();
            records.put_prefix(None, Prefix::bare(PrefixId(id), network, scope), None, now);
        }
    }

    /// Somebody deletes an address of ours by hand.
    pub fn rival_deletes(&self, nth: u64) {
        let mut records = self.lock();
        let ids: Vec<u64> = records.addresses.keys().copied().collect();
        let Some(id) = ids.get(usize::try_from(nth).unwrap() % ids.len().max(1)).copied() else { return };
        let allocation = records.addresses.get(&id).and_then(|address| address.allocation.clone());
        records.requests_cut_by_others.extend(allocation.map(|allocation| allocation.request));
        records.drop_address(id, None);
        records.deleted_by_others.push(id);
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

    fn log(&mut self, entry: Entry) {
        self.last_entry += 1;
        self.log.insert(self.last_entry, entry);
    }

    fn put_address(
        &mut self,
        interface: IpNet,
        scope: VrfScope,
        allocation: Option<AllocationId>,
        request: Option<RequestId>,
        now: i64,
    ) -> Address {
        let id = self.next_id();
        let address = Address {
            id: AddressId(id),
            interface,
            scope,
            status: "active".to_owned(),
            role: None,
            tenant: None,
            tags: Vec::new(),
            dns_name: String::new(),
            description: String::new(),
            allocation,
            custom_fields: serde_json::Map::new(),
            revision: self.revision(),
        };
        self.addresses.insert(id, address.clone());
        self.created.insert(id, now);
        self.log(Entry {
            kind: ObjectKind::Address,
            object: id,
            request,
            prefix: (None, None),
            address: (None, Some(address.clone())),
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
            kind: ObjectKind::Prefix,
            object: after.id.0,
            request,
            prefix: (before, Some(after.clone())),
            address: (None, None),
        });
        after
    }

    fn drop_prefix(&mut self, id: u64, request: Option<RequestId>) {
        if let Some(before) = self.prefixes.remove(&id) {
            self.log(Entry {
                kind: ObjectKind::Prefix,
                object: id,
                request,
                prefix: (Some(before), None),
                address: (None, None),
            });
        }
    }

    fn drop_address(&mut self, id: u64, request: Option<RequestId>) {
        if let Some(before) = self.addresses.remove(&id) {
            self.log(Entry {
                kind: ObjectKind::Address,
                object: id,
                request,
                prefix: (None, None),
                address: (Some(before), None),
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
