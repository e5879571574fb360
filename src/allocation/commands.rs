//! The commands of this room: what a caller asked for, parsed and in range.

use std::net::IpAddr;

use serde_json::{Map, Value};

use super::plan::Purpose;
use super::plan::requirement::Requirement;
use crate::cache::PrefixKey;
use crate::model::{DnsName, Network, PrefixId, RequestId, Revision, TenantKey, VrfScope};
use crate::netbox::{AddressDraft, FieldChange, PrefixDraft};

/// Which prefix to allocate from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParentSelector {
    /// The prefix with this network in this scope. It is an error if NetBox holds several.
    Prefix(VrfScope, Network),
    /// The prefix with this id in NetBox.
    Id(PrefixId),
    /// The prefix that fits a requirement best.
    Any(Requirement),
}

/// What a new record in NetBox says besides its address or network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordText {
    /// NetBox's status value, such as `active`.
    pub status: String,
    pub description: String,
    /// The DNS name of an address. A prefix has none.
    pub dns_name: Option<DnsName>,
    /// A tenant that exists in NetBox.
    pub tenant: Option<TenantKey>,
    /// The slug of the role of a prefix; NetBox's value of the role of an address, such as `anycast`.
    pub role: Option<String>,
    /// Slugs of tags that exist in NetBox.
    pub tags: Vec<String>,
    /// Custom fields of other people, by name.
    pub custom_fields: Map<String, Value>,
}

impl RecordText {
    /// The DNS name as NetBox stores it; empty for none.
    pub fn stored_dns_name(&self) -> String {
        self.dns_name.as_ref().map(ToString::to_string).unwrap_or_default()
    }

    /// Drafts of `count` addresses. Each carries its own `allocation_id`: the request id and the index of the address.
    pub(super) fn address_drafts(&self, request: &RequestId, count: u32) -> Vec<AddressDraft> {
        (0..count)
            .map(|index| AddressDraft {
                status: self.status.clone(),
                dns_name: self.stored_dns_name(),
                description: self.description.clone(),
                tenant: self.tenant.clone(),
                role: self.role.clone(),
                tags: self.tags.clone(),
                custom_fields: self.custom_fields.clone(),
                fields: vec![FieldChange::AllocationId(Some(request.allocation(index)))],
            })
            .collect()
    }

    /// A draft of a prefix that carries index 0 of the request as its `allocation_id`.
    pub(super) fn prefix_draft(&self, request: &RequestId) -> PrefixDraft {
        PrefixDraft {
            status: Some(self.status.clone()),
            description: Some(self.description.clone()),
            tenant: self.tenant.clone().into(),
            role: self.role.clone(),
            tags: (!self.tags.is_empty()).then(|| self.tags.clone()),
            custom_fields: self.custom_fields.clone(),
            fields: vec![FieldChange::AllocationId(Some(request.allocation(0)))],
        }
    }
}

/// Allocate free addresses of one prefix, all of them or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllocateAddresses {
    pub parent: ParentSelector,
    /// The number of addresses, 1 to 1000.
    pub count: u32,
    pub text: RecordText,
    /// Addresses of these networks are not allocated.
    pub exclude: Vec<Network>,
    /// Whether addresses inside child prefixes may be allocated.
    pub include_children: bool,
    pub purpose: Purpose,
    /// Whether quarantined addresses may be allocated.
    pub include_quarantined: bool,
    /// Not part of the fingerprint.
    pub request: RequestId,
}

/// Allocate a free child prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllocatePrefix {
    pub parent: ParentSelector,
    /// Length of the child prefix.
    pub length: u8,
    pub text: RecordText,
    /// The child prefix overlaps none of these networks.
    pub exclude: Vec<Network>,
    pub purpose: Purpose,
    /// Not part of the fingerprint.
    pub request: RequestId,
}

/// Record one address that the caller names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssignAddress {
    pub address: IpAddr,
    pub scope: VrfScope,
    pub text: RecordText,
    /// Not part of the fingerprint.
    pub request: RequestId,
}

/// Release addresses, all of them or none: their records are deleted from NetBox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReleaseAddresses {
    /// All addresses that this request allocated.
    Allocation(RequestId),
    /// The addresses that the caller lists.
    Addresses {
        scope: VrfScope,
        addresses: Vec<IpAddr>,
        /// Whether addresses that Leasehold did not allocate may be released too.
        allow_foreign: bool,
    },
}

/// A release, with the id of its request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseCommand {
    /// Which addresses to release.
    pub selection: ReleaseAddresses,
    /// Not part of the fingerprint.
    pub request: RequestId,
}

/// A change of a lease: of which prefix, and what is to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseCommand<T> {
    /// The prefix that carries the lease.
    pub key: PrefixKey,
    /// The change.
    pub change: T,
    /// The version of the record that the caller decided on, if it names one. Another version is an error.
    pub read: Option<Revision>,
    /// Not part of the fingerprint.
    pub request: RequestId,
}
