//! The bytes that the fingerprints of lease commands are made of, version 1: the same form as in `fingerprint`, with the method
//! as first field.

use serde::Serialize;
use serde_json::{Map, Value};

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
            custom_fields: &self.custom_fields,
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
    #[serde(skip_serializing_if = "Map::is_empty")]
    custom_fields: &'a Map<String, Value>,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Asn, PrefixId, Term, VrfId, VrfScope};
    use jiff::civil::date;
    use serde_json::Value;

    const GOLDEN: &str = include_str!("../../tests/golden/fingerprints.json");

    fn assert_golden(name: &str, command: &impl Fingerprinted) {
        let golden: Value = serde_json::from_str(GOLDEN).unwrap();
        assert_eq!(command.body(), golden[name]["body"].as_str().unwrap_or_default(), "{name}");
        let digest = golden[name]["sha256"].as_str().unwrap_or_default();
        assert_eq!(command.fingerprint_of_body().stored(), digest, "{name}");
    }

    fn on<T>(key: PrefixKey, change: T) -> LeaseCommand<T> {
        let read = Some(Revision(Some("2026-06-15T10:00:00.12Z".parse().unwrap())));
        LeaseCommand { key, change, read, request: "request-1".parse().unwrap() }
    }

    #[test]
    fn fingerprints_of_lease_commands_are_those_that_version_0_3_stores() {
        let vrf = VrfScope::Vrf(VrfId(3));
        let term = Term {
            start: Some(date(2026, 6, 1)),
            expiry: Some(date(2027, 6, 1)),
            notice: Some(date(2027, 5, 1)),
        };
        let register = RegisterLease {
            network: "203.0.113.0/24".parse().unwrap(),
            scope: vrf,
            owner: "ACME-LIR".into(),
            term,
            loa_reference: Some("LOA-2026-0481".into()),
            origin: Asn::try_from(64500).ok(),
            description: "web \"tier\"".into(),
            tenant: None,
            role: Some("customer".into()),
            tags: vec!["leased".into()],
            custom_fields: Map::new(),
            request: "request-1".parse().unwrap(),
        };
        assert_golden("register_lease", &register);
        let key = PrefixKey::Network(VrfScope::Global, "203.0.113.0/24".parse().unwrap());
        let update = UpdateLease {
            owner: Some("BETA-LIR".into()),
            notice: ValueChange::Clear,
            origin: ValueChange::Set(Asn::try_from(64501).unwrap()),
            ..UpdateLease::default()
        };
        assert_golden("update_lease", &on(key, update));
        let renew = RenewLease {
            expiry: date(2028, 6, 1),
            notice: None,
            loa_reference: Some("LOA-2".into()),
            allow_earlier: true,
        };
        assert_golden("renew_lease", &on(PrefixKey::Id(PrefixId(17)), renew));
        let end = EndLease { allow_in_use: true, delete_prefix: false };
        assert_golden("end_lease", &on(PrefixKey::Id(PrefixId(17)), end));
    }
}
