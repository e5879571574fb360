//! What it holds: records, the indexes that keep it fast at a million addresses, and the change log.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::ops::RangeInclusive;

use jiff::{Timestamp, ToSpan as _};
use serde_json::Value;

use super::records::{Kind, Record};
use super::render;

/// One entry of the change log.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) id: u64,
    pub(super) time: Timestamp,
    pub(super) request: String,
    pub(super) action: &'static str,
    pub(super) kind: Kind,
    pub(super) object: u64,
    pub(super) repr: String,
    /// The record before and after, as the change log spells it.
    pub(super) before: Value,
    pub(super) after: Value,
}

type Table = Option<u64>;

#[derive(Debug, Default)]
pub(super) struct State {
    records: HashMap<Kind, BTreeMap<u64, Record>>,
    next_id: HashMap<Kind, u64>,
    /// Prefixes and addresses by table, first address, mask and id.
    by_net: HashMap<Kind, BTreeSet<(Table, IpAddr, u8, u64)>>,
    /// Values of unique custom fields.
    unique: HashMap<(Kind, String, String), u64>,
    changes: BTreeMap<u64, Entry>,
    next_change: u64,
    last_time: Option<Timestamp>,
    /// How an older version behaves, where this one is to.
    pub(super) older: bool,
}

impl State {
    pub(super) fn get(&self, kind: Kind, id: u64) -> Option<&Record> {
        self.records.get(&kind)?.get(&id)
    }

    pub(super) fn all(&self, kind: Kind) -> impl DoubleEndedIterator<Item = &Record> {
        self.records.get(&kind).into_iter().flat_map(BTreeMap::values)
    }

    pub(super) fn starting_at(&self, kind: Kind, id: u64) -> impl Iterator<Item = &Record> {
        self.records.get(&kind).into_iter().flat_map(move |rows| rows.range(id..).map(|(_, row)| row))
    }

    pub(super) fn count(&self, kind: Kind) -> usize {
        self.records.get(&kind).map_or(0, BTreeMap::len)
    }

    /// The instant of a write: later than any before, as a database's clock is.
    pub(super) fn now(&mut self) -> Timestamp {
        let now = Timestamp::now().round(jiff::Unit::Microsecond).unwrap_or(Timestamp::UNIX_EPOCH);
        let after = self.last_time.and_then(|last| last.checked_add(1.microsecond()).ok());
        let now = after.map_or(now, |after| now.max(after));
        self.last_time = Some(now);
        now
    }

    /// Records with a first address within bounds, in a table (`None`: of every table).
    pub(super) fn in_span(
        &self,
        kind: Kind,
        table: Option<Table>,
        span: RangeInclusive<IpAddr>,
    ) -> Vec<&Record> {
        let Some(index) = self.by_net.get(&kind) else { return Vec::new() };
        let tables: Vec<Table> = match table {
            Some(table) => vec![table],
            None => {
                let mut tables: Vec<Table> = self.all(Kind::Vrf).map(|vrf| Some(vrf.id)).collect();
                tables.push(None);
                tables
            }
        };
        tables
            .into_iter()
            .flat_map(|table| {
                index.range((table, *span.start(), 0, 0)..=(table, *span.end(), u8::MAX, u64::MAX))
            })
            .filter_map(|(_, _, _, id)| self.get(kind, *id))
            .collect()
    }

    /// Who has this value of a unique field.
    pub(super) fn holder(&self, kind: Kind, field: &str, value: &str) -> Option<u64> {
        self.unique.get(&(kind, field.to_owned(), value.to_owned())).copied()
    }

    /// Names of the custom fields of a kind whose values must be unique.
    pub(super) fn unique_fields(&self, kind: Kind) -> Vec<String> {
        let unique = |field: &&Record| field.definition.get("unique") == Some(&Value::Bool(true));
        self.fields_of(kind).filter(unique).map(|field| field.name.clone()).collect()
    }

    /// Definitions of the custom fields of a kind.
    pub(super) fn fields_of(&self, kind: Kind) -> impl Iterator<Item = &Record> {
        self.all(Kind::CustomField).filter(move |field| {
            let types = field.definition.get("object_types").and_then(Value::as_array);
            types.is_some_and(|types| types.iter().any(|name| name == kind.object_type()))
        })
    }

    /// Puts a record; a new one gets an id.
    pub(super) fn put(&mut self, kind: Kind, mut record: Record) -> u64 {
        if record.id == 0 {
            let next = self.next_id.entry(kind).or_insert(1);
            record.id = *next;
            *next += 1;
        } else {
            self.unlink(kind, record.id);
        }
        let id = record.id;
        if let (Kind::Prefix | Kind::Address | Kind::Range, Some(net)) = (kind, record.net) {
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

    pub(super) fn remove(&mut self, kind: Kind, id: u64) -> Option<Record> {
        self.unlink(kind, id);
        self.records.get_mut(&kind)?.remove(&id)
    }

    fn unlink(&mut self, kind: Kind, id: u64) {
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

    /// Notes a change of a record that stood as `before`; how it stands now is looked up.
    pub(super) fn log(
        &mut self,
        request: &str,
        action: &'static str,
        kind: Kind,
        object: u64,
        before: Option<&Record>,
    ) {
        let after = self.get(kind, object);
        let latest = after.or(before);
        let repr = latest.map(|record| record.net.map_or_else(|| record.name.clone(), |net| net.to_string()));
        let repr = repr.unwrap_or_default();
        let shown =
            |record: Option<&Record>| record.map_or(Value::Null, |row| render::logged(self, kind, row));
        let (before, after) = (shown(before), shown(after));
        let time = self.now();
        self.next_change += 1;
        let id = self.next_change;
        self.changes.insert(
            id,
            Entry { id, time, request: request.to_owned(), action, kind, object, repr, before, after },
        );
    }

    pub(super) fn changes(&self) -> &BTreeMap<u64, Entry> {
        &self.changes
    }

    pub(super) fn prune_changes(&mut self, keep: usize) {
        while self.changes.len() > keep {
            self.changes.pop_first();
        }
    }
}
