//! What callers wish for, parsed.

use std::net::IpAddr;

use serde::Serialize;

use super::policy::Purpose;
use super::requirement::Requirement;
use crate::model::{Network, PrefixId, RequestId, Table};
use crate::netbox::{AddressDraft, FieldChange, PrefixDraft};

/// Where to take it from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Origin {
    /// This prefix of this table.
    Prefix(Table, Network),
    /// The prefix with this id.
    Id(PrefixId),
    /// Any that fits.
    Any(Requirement),
}

/// What a record shall say besides its address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RecordText {
    /// NetBox's status value.
    pub status: String,
    /// Free text.
    pub description: String,
    /// The DNS name.
    pub dns_name: String,
    /// Slug of the tenant.
    pub tenant: Option<String>,
    /// Slug of the role (prefixes only).
    pub role: Option<String>,
    /// Slugs of tags.
    pub tags: Vec<String>,
}

impl RecordText {
    /// One draft for each index of the request.
    pub(super) fn address_drafts(&self, request: &RequestId, count: u32) -> Vec<AddressDraft> {
        (0..count)
            .map(|index| AddressDraft {
                status: self.status.clone(),
                dns_name: self.dns_name.clone(),
                description: self.description.clone(),
                tenant: self.tenant.clone(),
                tags: self.tags.clone(),
                fields: vec![FieldChange::AllocationId(Some(request.allocation(index)))],
            })
            .collect()
    }

    pub(super) fn prefix_draft(&self, request: &RequestId) -> PrefixDraft {
        PrefixDraft {
            status: Some(self.status.clone()),
            description: Some(self.description.clone()),
            tenant: self.tenant.clone(),
            role: self.role.clone(),
            tags: (!self.tags.is_empty()).then(|| self.tags.clone()),
            fields: vec![FieldChange::AllocationId(Some(request.allocation(0)))],
        }
    }
}

/// Addresses wished for. Serialised without the request id, it is what a fingerprint is taken of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AddressWish {
    /// Where from.
    pub origin: Origin,
    /// How many, 1 to 1000.
    pub count: u32,
    /// What the records shall say.
    pub text: RecordText,
    /// Not to be handed out.
    pub exclude: Vec<Network>,
    /// Addresses inside child prefixes too.
    pub include_children: bool,
    /// What they are for.
    #[serde(skip_serializing_if = "Purpose::is_general")]
    pub purpose: Purpose,
    /// Addresses that rest after they were given back, too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub include_resting: bool,
    /// The caller's id of it.
    #[serde(skip)]
    pub request: RequestId,
}

/// A child prefix wished for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PrefixWish {
    /// Where from.
    pub origin: Origin,
    /// Length of the prefix.
    pub length: u8,
    /// What the record shall say.
    pub text: RecordText,
    /// Not to be overlapped.
    pub exclude: Vec<Network>,
    /// What it is for.
    #[serde(skip_serializing_if = "Purpose::is_general")]
    pub purpose: Purpose,
    /// The caller's id of it.
    #[serde(skip)]
    pub request: RequestId,
}

/// One named address to record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AssignWish {
    /// The address.
    pub address: IpAddr,
    /// Where.
    pub table: Table,
    /// What the record shall say.
    pub text: RecordText,
    /// The caller's id of it.
    #[serde(skip)]
    pub request: RequestId,
}
