//! Lists of records: filters, order and pages. Unknown filters are ignored, as NetBox ignores them.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::{Value, json};

use super::query::{PageParameters, QueryPairs, every, first, lowest_id, number, page};
use super::records::{EmulatedRecord, RecordKind};
use super::render;
use super::state::EmulatorState;

/// A page of the records of a kind that match the query; an error is the body of a 400.
pub(super) fn list(state: &EmulatorState, kind: RecordKind, query: &QueryPairs) -> Result<Value, Value> {
    let pages = PageParameters::read(query, state.older)?;
    let filter = RecordFilter::new(state, kind, query)?;
    let fields = first(query, "fields");
    let show = |record: &EmulatedRecord| render::select_fields(render::record(state, kind, record), fields);
    if let Some(start) = pages.start {
        let from = start.max(filter.lowest);
        let mut found = state
            .starting_at(kind, from)
            .take_while(|record| filter.below.is_none_or(|below| record.id < below))
            .filter(|record| filter.matches(record));
        let rows: Vec<Value> = found.by_ref().take(pages.limit).map(show).collect();
        // With a cursor, NetBox claims a next page whenever this one is full.
        let full = rows.len() == pages.limit;
        return Ok(page(None, full, &rows));
    }
    let mut found: Vec<&EmulatedRecord> = match filter.candidates(state) {
        Some(candidates) => candidates.into_iter().filter(|record| filter.matches(record)).collect(),
        None if filter.is_open() => {
            return Ok(everything(state, kind, query, &pages, show));
        }
        None => state.all(kind).filter(|record| filter.matches(record)).collect(),
    };
    order(kind, &mut found, first(query, "ordering"));
    let count = found.len();
    let rows: Vec<Value> = found.into_iter().skip(pages.offset).take(pages.limit).map(show).collect();
    Ok(page(Some(count), pages.offset + rows.len() < count, &rows))
}

/// A page of all records, without collecting all of them where the order is that of the ids.
fn everything(
    state: &EmulatorState,
    kind: RecordKind,
    query: &QueryPairs,
    pages: &PageParameters,
    show: impl Fn(&EmulatedRecord) -> Value,
) -> Value {
    let count = state.count(kind);
    let rows: Vec<Value> = match first(query, "ordering") {
        Some("-id") => state.all(kind).rev().skip(pages.offset).take(pages.limit).map(show).collect(),
        Some("id") => state.all(kind).skip(pages.offset).take(pages.limit).map(show).collect(),
        ordering => {
            let mut found: Vec<&EmulatedRecord> = state.all(kind).collect();
            order(kind, &mut found, ordering);
            found.into_iter().skip(pages.offset).take(pages.limit).map(show).collect()
        }
    };
    page(Some(count), pages.offset + rows.len() < count, &rows)
}

fn order(kind: RecordKind, found: &mut [&EmulatedRecord], ordering: Option<&str>) {
    match ordering {
        Some("-id") => found.sort_by_key(|record| std::cmp::Reverse(record.id)),
        Some("id") => found.sort_by_key(|record| record.id),
        _ if matches!(kind, RecordKind::Prefix | RecordKind::Address | RecordKind::Range) => {
            found.sort_by_key(|record| {
                (record.vrf.is_some(), record.vrf, record.net.map(|net| net.addr()), record.id)
            });
        }
        _ => found.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id))),
    }
}

/// The filters of a list request. A record matches if it matches all of them; the values of one are alternatives.
struct RecordFilter<'a> {
    kind: RecordKind,
    ids: Vec<u64>,
    lowest: u64,
    below: Option<u64>,
    nets: Vec<IpNet>,
    hosts: Vec<&'a str>,
    within: Option<(IpNet, bool)>,
    contains: Option<IpAddr>,
    /// VRFs by id; `None` is the global table.
    vrfs: Vec<Option<u64>>,
    names: Vec<&'a str>,
    fields: Vec<(&'a str, Vec<&'a str>)>,
}

impl<'a> RecordFilter<'a> {
    fn new(state: &EmulatorState, kind: RecordKind, query: &'a QueryPairs) -> Result<Self, Value> {
        let mut ids = Vec::new();
        for text in every(query, "id") {
            ids.push(text.parse().map_err(|_| json!({ "id": ["Enter a whole number."] }))?);
        }
        let lowest = lowest_id(query)?.unwrap_or(0);
        let mut vrfs = Vec::new();
        if matches!(kind, RecordKind::Prefix | RecordKind::Address | RecordKind::Range) {
            for text in every(query, "vrf_id") {
                let id = text.parse::<u64>().ok();
                if text != "null" && id.is_none_or(|id| state.get(RecordKind::Vrf, id).is_none()) {
                    let message =
                        format!("Select a valid choice. {text} is not one of the available choices.");
                    return Err(json!({ "vrf_id": [message] }));
                }
                vrfs.push(id);
            }
        }
        let net = |name: &str| first(query, name).and_then(|text| text.parse::<IpNet>().ok());
        let within = match kind {
            RecordKind::Prefix => {
                net("within_include").map(|net| (net, true)).or_else(|| net("within").map(|net| (net, false)))
            }
            RecordKind::Address => net("parent").map(|net| (net, true)),
            _ => None,
        };
        let known: Vec<&str> = state.fields_of(kind).map(|field| field.name.as_str()).collect();
        let mut fields: Vec<(&str, Vec<&str>)> = Vec::new();
        for (key, _) in query {
            if let Some(name) = key.strip_prefix("cf_")
                && known.contains(&name)
                && !fields.iter().any(|(seen, _)| *seen == name)
            {
                fields.push((name, every(query, key)));
            }
        }
        Ok(Self {
            kind,
            ids,
            lowest,
            below: number(query, "id__lt")?,
            nets: if kind == RecordKind::Prefix {
                every(query, "prefix").iter().filter_map(|text| text.parse().ok()).collect()
            } else {
                Vec::new()
            },
            hosts: if kind == RecordKind::Address { every(query, "address") } else { Vec::new() },
            within,
            contains: if kind == RecordKind::Prefix {
                first(query, "contains").and_then(|text| text.parse().ok())
            } else {
                None
            },
            vrfs,
            names: every(query, "name"),
            fields,
        })
    }

    /// Whether the query has no filter that the emulator knows.
    fn is_open(&self) -> bool {
        self.ids.is_empty()
            && self.lowest == 0
            && self.below.is_none()
            && self.nets.is_empty()
            && self.hosts.is_empty()
            && self.within.is_none()
            && self.contains.is_none()
            && self.vrfs.is_empty()
            && self.names.is_empty()
            && self.fields.is_empty()
    }

    /// Records that an index yields, which may include some that do not match; `None` if no index fits the filters.
    fn candidates<'s>(&self, state: &'s EmulatorState) -> Option<Vec<&'s EmulatedRecord>> {
        if !self.ids.is_empty() {
            return Some(self.ids.iter().filter_map(|id| state.get(self.kind, *id)).collect());
        }
        let unique = state.unique_fields(self.kind);
        if let Some((name, values)) =
            self.fields.iter().find(|(name, _)| unique.iter().any(|field| field == name))
        {
            let ids = values.iter().filter_map(|value| state.with_unique_value(self.kind, name, value));
            return Some(ids.filter_map(|id| state.get(self.kind, id)).collect());
        }
        if !self.hosts.is_empty() {
            let addresses = self.hosts.iter().filter_map(|text| host(text));
            return Some(
                addresses.flat_map(|(host, _)| state.in_span(self.kind, None, host..=host)).collect(),
            );
        }
        if !self.nets.is_empty() {
            let span = |net: &IpNet| net.addr()..=net.addr();
            return Some(
                self.nets.iter().flat_map(|net| state.in_span(self.kind, None, span(net))).collect(),
            );
        }
        self.within.map(|(net, _)| state.in_span(self.kind, None, net.network()..=net.broadcast()))
    }

    fn matches(&self, record: &EmulatedRecord) -> bool {
        let within = |(outer, included): (IpNet, bool)| {
            record.net.is_some_and(|net| match self.kind {
                RecordKind::Address => outer.contains(&net.addr()),
                _ => outer.contains(&net) && (included || net != outer),
            })
        };
        (self.ids.is_empty() || self.ids.contains(&record.id))
            && record.id >= self.lowest
            && self.below.is_none_or(|below| record.id < below)
            && (self.nets.is_empty() || record.net.is_some_and(|net| self.nets.contains(&net)))
            && (self.hosts.is_empty()
                || record.net.is_some_and(|net| {
                    self.hosts.iter().filter_map(|text| host(text)).any(|(host, mask)| {
                        host == net.addr() && mask.is_none_or(|mask| mask == net.prefix_len())
                    })
                }))
            && self.within.is_none_or(within)
            && self.contains.is_none_or(|host| record.net.is_some_and(|net| net.contains(&host)))
            && (self.vrfs.is_empty() || self.vrfs.contains(&record.vrf))
            && (self.names.is_empty() || self.names.contains(&record.name.as_str()))
            && self.fields.iter().all(|(name, values)| {
                let held = record.custom_fields.get(*name).and_then(Value::as_str);
                held.is_some_and(|held| values.contains(&held))
            })
    }
}

/// Reads an address with or without a mask length.
fn host(text: &str) -> Option<(IpAddr, Option<u8>)> {
    match text.parse::<IpNet>() {
        Ok(net) => Some((net.addr(), Some(net.prefix_len()))),
        Err(_) => text.parse().ok().map(|host| (host, None)),
    }
}
