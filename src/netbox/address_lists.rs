//! Creations and changes of addresses: lists that NetBox writes as a whole or not at all.

use std::collections::BTreeMap;

use ipnet::IpNet;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::answer::refused;
use super::client::Client;
use super::error::{Error, NetBoxResult};
use super::fields::FieldChange;
use super::records::NetBoxRecord;
use super::request::ApiRequest;
use super::writes::{ChangeNote, slugs, tenant_reference};
use crate::model::{Address, PrefixId, TenantKey, VrfScope};

/// The content of an address to create; the address itself is chosen separately.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressDraft {
    /// NetBox's value of the status. Example: `active`.
    pub status: String,
    pub dns_name: String,
    pub description: String,
    pub tenant: Option<TenantKey>,
    /// NetBox's value of the role. Example: `anycast`.
    pub role: Option<String>,
    /// Slugs of the tags.
    pub tags: Vec<String>,
    /// Custom fields of other people, by name.
    pub custom_fields: Map<String, Value>,
    pub fields: Vec<FieldChange>,
}

/// An entry of a list of addresses to create.
#[derive(Clone, Debug)]
pub struct NewAddress<'a> {
    pub scope: VrfScope,
    /// The address with its mask.
    pub interface: IpNet,
    pub draft: &'a AddressDraft,
    pub note: ChangeNote,
}

/// What the record of an address is to say from now on.
#[derive(Clone, Debug)]
pub struct AddressChange<'a> {
    /// The record as it is to be. Its status, description, DNS name and allocation id are written.
    pub wanted: &'a Address,
    pub note: ChangeNote,
}

impl Client {
    /// Changes the records of addresses, all or none, and gives them in the order of the list (PATCH of a list at
    /// /api/ipam/ip-addresses/, which knows no If-Match). [`Error::Invalid`] if one of them does not exist.
    pub async fn change_addresses(&self, changes: &[AddressChange<'_>]) -> NetBoxResult<Vec<Address>> {
        let entry = |change: &AddressChange<'_>| {
            let wanted = change.wanted;
            let fields = [FieldChange::AllocationId(wanted.allocation.clone())];
            let mut body = Map::new();
            body.insert("id".into(), json!(wanted.id.0));
            body.insert("status".into(), json!(wanted.status));
            body.insert("dns_name".into(), json!(wanted.dns_name));
            body.insert("description".into(), json!(wanted.description));
            body.insert("custom_fields".into(), self.fields().object(&fields).into());
            self.noted(&mut body, &change.note);
            Value::from(body)
        };
        let body: Value = changes.iter().map(entry).collect();
        let answer = self.transport().write(ApiRequest::write(Method::PATCH, Address::PATH, &body)).await?;
        let changed: Vec<Address> = self.many("PATCH", Address::PATH, &answer)?;
        let mut by_id: BTreeMap<u64, Address> =
            changed.into_iter().map(|address| (address.id.0, address)).collect();
        let ordered: Vec<Address> =
            changes.iter().filter_map(|change| by_id.remove(&change.wanted.id.0)).collect();
        if ordered.len() != changes.len() {
            let cause = format!("it has {} of the {} records that were sent", ordered.len(), changes.len());
            return Err(Error::Malformed { attempt: format!("PATCH {}", Address::PATH), cause });
        }
        Ok(ordered)
    }

    /// Creates these addresses in one scope, all or none, as [`Client::create_listed`] does.
    pub async fn create_addresses(
        &self,
        scope: VrfScope,
        drafts: &[(IpNet, AddressDraft)],
        note: &ChangeNote,
    ) -> NetBoxResult<Vec<Address>> {
        let entries: Vec<NewAddress<'_>> = drafts
            .iter()
            .map(|(interface, draft)| NewAddress { scope, interface: *interface, draft, note: note.clone() })
            .collect();
        self.create_listed(&entries).await
    }

    /// Creates these addresses, all or none (POST of a list to /api/ipam/ip-addresses/). [`Error::DuplicateAddress`] if a scope
    /// enforces uniqueness and one of them exists.
    pub async fn create_listed(&self, entries: &[NewAddress<'_>]) -> NetBoxResult<Vec<Address>> {
        let placed = |entry: &NewAddress<'_>, body: &mut Map<String, Value>| {
            body.insert("address".into(), json!(entry.interface.to_string()));
            if let Some(vrf) = entry.scope.vrf() {
                body.insert("vrf".into(), json!(vrf.0));
            }
        };
        self.create_list(Address::PATH, entries, placed).await
    }

    /// Creates as many addresses as there are entries, all or none: the lowest free ones of a prefix, in the order of the entries,
    /// whatever addresses these name (POST of a list to /api/ipam/prefixes/ID/available-ips/). If the prefix has fewer it is
    /// [`Error::InsufficientSpace`].
    pub async fn create_lowest(
        &self,
        parent: PrefixId,
        entries: &[NewAddress<'_>],
    ) -> NetBoxResult<Vec<Address>> {
        let path = format!("{}{parent}/available-ips/", crate::model::Prefix::PATH);
        self.create_list(&path, entries, |_, _| {}).await
    }

    async fn create_list(
        &self,
        path: &str,
        entries: &[NewAddress<'_>],
        place: impl Fn(&NewAddress<'_>, &mut Map<String, Value>) + Send + Sync,
    ) -> NetBoxResult<Vec<Address>> {
        let body = || {
            let bodies = entries.iter().map(|entry| {
                let mut body = self.address_body(entry.draft);
                place(entry, &mut body);
                self.noted(&mut body, &entry.note);
                Value::from(body)
            });
            bodies.collect()
        };
        let answer = self.create(path, body).await?;
        let created = self.many::<Address>("POST", path, &answer)?;
        let malformed = |cause: String| Error::Malformed { attempt: format!("POST {path}"), cause };
        if created.len() != entries.len() {
            let cause = format!("it has {} records, {} were asked for", created.len(), entries.len());
            return Err(malformed(cause));
        }
        for (record, entry) in created.iter().zip(entries) {
            let allocation = entry.draft.fields.iter().find_map(|field| match field {
                FieldChange::AllocationId(id) => Some(id),
                _ => None,
            });
            if allocation.is_some_and(|id| record.allocation != *id) {
                return Err(malformed(
                    "its records are in another order than they were asked for".to_owned(),
                ));
            }
        }
        Ok(created)
    }

    fn address_body(&self, draft: &AddressDraft) -> Map<String, Value> {
        let mut body = Map::new();
        body.insert("status".into(), json!(draft.status));
        body.insert("dns_name".into(), json!(draft.dns_name));
        body.insert("description".into(), json!(draft.description));
        let custom_fields = self.new_custom_fields::<Address>(&draft.custom_fields, &draft.fields);
        body.insert("custom_fields".into(), custom_fields.into());
        if let Some(role) = &draft.role {
            body.insert("role".into(), json!(role));
        }
        if let Some(tenant) = &draft.tenant {
            body.insert("tenant".into(), tenant_reference(tenant));
        }
        if !draft.tags.is_empty() {
            body.insert("tags".into(), slugs(&draft.tags));
        }
        body
    }

    /// The parts of a list that NetBox blames for its refusal, by their place, each with the refusal of its own entries, which are
    /// numbered anew. `lengths` are the numbers of entries of the parts. Empty if NetBox names no entry.
    pub fn blamed(&self, error: &Error, lengths: &[usize]) -> BTreeMap<usize, Error> {
        let mut blamed = BTreeMap::new();
        let mut first = 0;
        for (part, length) in lengths.iter().enumerate() {
            let entries = first..first + length;
            let own = error.problems().iter().filter_map(|problem| {
                let place = problem.place().filter(|place| entries.contains(place))?;
                Some(problem.moved_to(place - first))
            });
            let own: Vec<_> = own.collect();
            if !own.is_empty() {
                blamed.insert(part, refused(own, self.fields()));
            }
            first += length;
        }
        blamed
    }
}
