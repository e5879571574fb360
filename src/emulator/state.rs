//! The records of an emulated NetBox, with the indexes that keep it fast at a million addresses.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;

use jiff::{Timestamp, ToSpan as _};
use serde_json::Value;

use super::change_log::ChangeLog;
use super::records::{EmulatedRecord, RecordKind};
use crate::clock::Clock;

/// The id of a VRF; `None` for the global table.
type VrfId = Option<u64>;

pub(super) struct EmulatorState {
    records: HashMap<RecordKind, BTreeMap<u64, EmulatedRecord>>,
    next_id: HashMap<RecordKind, u64>,
    /// Prefixes, addresses and ranges by VRF, first address, mask length and id.
    by_net: HashMap<RecordKind, BTreeSet<(VrfId, IpAddr, u8, u64)>>,
    /// The record that has a value of a unique custom field, by kind, field and value.
    unique: HashMap<(RecordKind, String, String), u64>,
    pub(super) change_log: ChangeLog,
    /// The `changelog_message` of the request that is being carried out.
    pub(super) message: String,
    clock: Arc<dyn Clock>,
    last_time: Option<Timestamp>,
    /// The only status of prefixes and addresses that the token may change and delete; `None` for all.
    pub(super) writable_status: Option<String>,
    /// Behave as version 4.5 where that differs.
    pub(super) older: bool,
    /// Write error texts in German unless the request asks for another language.
    pub(super) german: bool,
}

impl EmulatorState {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            records: HashMap::new(),
            next_id: HashMap::new(),
            by_net: HashMap::new(),
            unique: HashMap::new(),
            change_log: ChangeLog::default(),
            message: String::new(),
            clock,
            last_time: None,
            writable_status: None,
            older: false,
            german: false,
        }
    }

    /// Takes the message for the change log from a body, or from an entry of a list.
    pub(super) fn note(&mut self, body: &Value) {
        let noted = body.get("changelog_message").and_then(Value::as_str);
        noted.unwrap_or_default().clone_into(&mut self.message);
    }

    pub(super) fn get(&self, kind: RecordKind, id: u64) -> Option<&EmulatedRecord> {
        self.records.get(&kind)?.get(&id)
    }

    /// The record, if the permissions of the token cover a change or deletion of it.
    pub(super) fn get_writable(&self, kind: RecordKind, id: u64) -> Option<&EmulatedRecord> {
        let constrained = matches!(kind, RecordKind::Prefix | RecordKind::Address);
        let only = self.writable_status.as_ref().filter(|_| constrained);
        self.get(kind, id).filter(|record| only.is_none_or(|status| record.status == *status))
    }

    /// Every record of a kind, by id.
    pub(super) fn all(&self, kind: RecordKind) -> impl DoubleEndedIterator<Item = &EmulatedRecord> {
        self.records.get(&kind).into_iter().flat_map(BTreeMap::values)
    }

    /// The records of a kind with this id or a higher one, by id.
    pub(super) fn starting_at(&self, kind: RecordKind, id: u64) -> impl Iterator<Item = &EmulatedRecord> {
        self.records.get(&kind).into_iter().flat_map(move |rows| rows.range(id..).map(|(_, row)| row))
    }

    pub(super) fn count(&self, kind: RecordKind) -> usize {
        self.records.get(&kind).map_or(0, BTreeMap::len)
    }

    /// The time of a write, in microseconds as PostgreSQL keeps it. It is later than that of every earlier write.
    pub(super) fn now(&mut self) -> Timestamp {
        let now = self.clock.now().round(jiff::Unit::Microsecond).unwrap_or(Timestamp::UNIX_EPOCH);
        let after = self.last_time.and_then(|last| last.checked_add(1.microsecond()).ok());
        let now = after.map_or(now, |after| now.max(after));
        self.last_time = Some(now);
        now
    }

    /// Records whose first address lies within the span, in one VRF or, for `None`, in every VRF and the global table.
    pub(super) fn in_span(
        &self,
        kind: RecordKind,
        vrf: Option<VrfId>,
        span: RangeInclusive<IpAddr>,
    ) -> Vec<&EmulatedRecord> {
        let Some(index) = self.by_net.get(&kind) else { return Vec::new() };
        let vrfs: Vec<VrfId> = match vrf {
            Some(vrf) => vec![vrf],
            None => {
                let mut vrfs: Vec<VrfId> = self.all(RecordKind::Vrf).map(|vrf| Some(vrf.id)).collect();
                vrfs.push(None);
                vrfs
            }
        };
        vrfs.into_iter()
            .flat_map(|vrf| index.range((vrf, *span.start(), 0, 0)..=(vrf, *span.end(), u8::MAX, u64::MAX)))
            .filter_map(|(_, _, _, id)| self.get(kind, *id))
            .collect()
    }

    /// The id of the record that has this value of a unique custom field.
    pub(super) fn with_unique_value(&self, kind: RecordKind, field: &str, value: &str) -> Option<u64> {
        self.unique.get(&(kind, field.to_owned(), value.to_owned())).copied()
    }

    /// Names of the custom fields of a kind whose values must be unique.
    pub(super) fn unique_fields(&self, kind: RecordKind) -> Vec<String> {
        let unique = |field: &&EmulatedRecord| field.definition.get("unique") == Some(&Value::Bool(true));
        self.fields_of(kind).filter(unique).map(|field| field.name.clone()).collect()
    }

    /// Definitions of the custom fields of a kind.
    pub(super) fn fields_of(&self, kind: RecordKind) -> impl Iterator<Item = &EmulatedRecord> {
        self.all(RecordKind::CustomField).filter(move |field| {
            let types = field.definition.get("object_types").and_then(Value::as_array);
            types.is_some_and(|types| types.iter().any(|name| name == kind.object_type()))
        })
    }

    /// Stores a record and returns its id. A record with id 0 is new and gets the next id; any other replaces the stored one.
    pub(super) fn put(&mut self, kind: RecordKind, mut record: EmulatedRecord) -> u64 {
        if record.id == 0 {
            let next = self.next_id.entry(kind).or_insert(1);
            record.id = *next;
            *next += 1;
        } else {
            self.unlink(kind, record.id);
        }
        let id = record.id;
        if let (RecordKind::Prefix | RecordKind::Address | RecordKind::Range, Some(net)) = (kind, record.net)
        {
            let key = (record.vrf, net.addr(), net.prefix_len(), id);
            self.by_net.entry(kind).or_default().insert(key);
        }
        for field in self.unique_fields(kind) {
            if let Some(value) = record.custom_fields.get(&field).and_then(Value::as_str) {
                self.unique.insert((kind, field, value.to_owned()), id);
            }
        }
        self.records.entry(kind).or_default().insert(id, record);
        id
    }

    pub(super) fn remove(&mut self, kind: RecordKind, id: u64) -> Option<EmulatedRecord> {
        self.unlink(kind, id);
        self.records.get_mut(&kind)?.remove(&id)
    }

    /// Removes a record from the indexes.
    fn unlink(&mut self, kind: RecordKind, id: u64) {
        let Some(record) = self.get(kind, id).cloned() else { return };
        if let (Some(index), Some(net)) = (self.by_net.get_mut(&kind), record.net) {
            index.remove(&(record.vrf, net.addr(), net.prefix_len(), id));
        }
        for field in self.unique_fields(kind) {
            if let Some(value) = record.custom_fields.get(&field).and_then(Value::as_str) {
                self.unique.remove(&(kind, field, value.to_owned()));
            }
        }
    }
}
