//! The bytes that the fingerprints of lease commands are made of, version 1: the same form as in `fingerprint`, with the method
//! as first field.

use serde::Serialize;

use super::commands::LeaseCommand;
use super::fingerprint::{Fingerprinted, TableV1, json};
use crate::cache::PrefixKey;
use crate::lease::{EndLease, RegisterLease, RenewLease, UpdateLease};
use crate::model::Revision;
use crate::netbox::ValueChange;

impl Fingerprinted for RegisterLease {
    fn body(&self) -> String {
        json(&RegisterLeaseV1 {
            method: "RegisterLease",
            table: self.scope.into(),
            prefix: self.network.to_string(),
            owner: &self.owner,
            start: text(self.term.start),
            expiry: text(self.term.expiry),
            notice: text(self.term.notice),
            loa: self.loa_reference.as_deref(),
            origin: text(self.origin),
            description: &self.description,
            tenant: text(self.tenant.as_ref()),
            role: self.role.as_deref(),
            tags: &self.tags,
        })
    }
}

impl Fingerprinted for LeaseCommand<UpdateLease> {
    fn body(&self) -> String {
        let change = &self.change;
        json(&UpdateLeaseV1 {
            method: "UpdateLease",
            key: self.key.into(),
            read: revision(self.read.as_ref()),
            owner: change.owner.as_deref(),
            start: (&change.start).into(),
            notice: (&change.notice).into(),
            loa: (&change.loa_reference).into(),
            origin: (&change.origin).into(),
            description: change.description.as_deref(),
            tenant: (&change.tenant).into(),
        })
    }
}

impl Fingerprinted for LeaseCommand<RenewLease> {
    fn body(&self) -> String {
        let change = &self.change;
        json(&RenewLeaseV1 {
            method: "RenewLease",
            key: self.key.into(),
            read: revision(self.read.as_ref()),
            expiry: change.expiry.to_string(),
            notice: text(change.notice),
            loa: change.loa_reference.as_deref(),
            allow_earlier: change.allow_earlier,
        })
    }
}

impl Fingerprinted for LeaseCommand<EndLease> {
    fn body(&self) -> String {
        json(&EndLeaseV1 {
            method: "EndLease",
            key: self.key.into(),
            read: revision(self.read.as_ref()),
            allow_in_use: self.change.allow_in_use,
            delete_prefix: self.change.delete_prefix,
        })
    }
}

#[derive(Serialize)]
struct RegisterLeaseV1<'a> {
    method: &'static str,
    table: TableV1,
    prefix: String,
    owner: &'a str,
    start: Option<String>,
    expiry: Option<String>,
    notice: Option<String>,
    loa: Option<&'a str>,
    origin: Option<String>,
    description: &'a str,
    tenant: Option<String>,
    role: Option<&'a str>,
    tags: &'a [String],
}

#[derive(Serialize)]
struct UpdateLeaseV1<'a> {
    method: &'static str,
    key: KeyV1,
    read: Option<String>,
    owner: Option<&'a str>,
    start: ChangeV1,
    notice: ChangeV1,
    loa: ChangeV1,
    origin: ChangeV1,
    description: Option<&'a str>,
    tenant: ChangeV1,
}

#[derive(Serialize)]
struct RenewLeaseV1<'a> {
    method: &'static str,
    key: KeyV1,
    read: Option<String>,
    expiry: String,
    notice: Option<String>,
    loa: Option<&'a str>,
    allow_earlier: bool,
}

#[derive(Serialize)]
struct EndLeaseV1 {
    method: &'static str,
    key: KeyV1,
    read: Option<String>,
    allow_in_use: bool,
    delete_prefix: bool,
}

#[derive(Serialize)]
enum KeyV1 {
    Id(u64),
    Prefix(TableV1, String),
}

#[derive(Serialize)]
enum ChangeV1 {
    Leave,
    Set(String),
    Clear,
}

impl From<PrefixKey> for KeyV1 {
    fn from(key: PrefixKey) -> Self {
        match key {
            PrefixKey::Id(id) => Self::Id(id.0),
            PrefixKey::Network(scope, network) => Self::Prefix(scope.into(), network.to_string()),
        }
    }
}

impl<T: ToString> From<&ValueChange<T>> for ChangeV1 {
    fn from(change: &ValueChange<T>) -> Self {
        match change {
            ValueChange::Leave => Self::Leave,
            ValueChange::Set(value) => Self::Set(value.to_string()),
            ValueChange::Clear => Self::Clear,
        }
    }
}

fn text(value: Option<impl ToString>) -> Option<String> {
    value.map(|value| value.to_string())
}

fn revision(read: Option<&Revision>) -> Option<String> {
    read.map(|read| read.instant().map_or_else(String::new, |at| at.to_string()))
}
