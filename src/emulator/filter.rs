//! Lists: filters, order, pages. A filter that is not known here is ignored, as NetBox ignores it.

use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::records::{Kind, Record};
use super::render;
use super::state::{Entry, State};

/// The query of a request, in order, names repeated as they came.
pub(super) type Query = [(String, String)];

pub(super) fn first<'a>(query: &'a Query, name: &str) -> Option<&'a str> {
    query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

fn every<'a>(query: &'a Query, name: &str) -> Vec<&'a str> {
    query.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
}

fn number(query: &Query, name: &str) -> Result<Option<u64>, Value> {
    first(query, name)
        .map(|text| text.parse().map_err(|_| json!({ name: ["Enter a whole number."] })))
        .transpose()
}

/// NetBox's MAX_PAGE_SIZE and PAGINATE_COUNT.
const MAX_PAGE: usize = 1000;
const DEFAULT_PAGE: usize = 50;

struct Pages {
    start: Option<u64>,
    offset: usize,
    limit: usize,
}

fn pages(state: &State, query: &Query) -> Result<Pages, Value> {
    // Before 4.6 `start` is one more name that nobody knows.
    let start = if state.older { None } else { number(query, "start")? };
    if start.is_some() && first(query, "offset").is_some() {
        return Err(json!(["'start' and 'offset' are mutually exclusive."]));
    }
    if start.is_some() && first(query, "ordering").is_some() {
        return Err(json!(["Ordering cannot be specified in conjunction with cursor-based pagination."]));
    }
    let limit =
        number(query, "limit")?.map_or(DEFAULT_PAGE, |limit| usize::try_from(limit).unwrap_or(MAX_PAGE));
    let limit = if limit == 0 { MAX_PAGE } else { limit.min(MAX_PAGE) };
    let offset = number(query, "offset")?.map_or(0, |offset| usize::try_from(offset).unwrap_or(usize::MAX));
    Ok(Pages { start, offset, limit })
}

fn page(count: Option<usize>, more: bool, rows: &[Value]) -> Value {
    // Only whether there is a next page matters to Leasehold; the URL itself is not followed.
    let next = more.then_some("http://emulator.invalid/next");
    json!({ "count": count, "next": next, "previous": null, "results": rows })
}

/// A list of records.
pub(super) fn list(state: &State, kind: Kind, query: &Query) -> Result<Value, Value> {
    let pages = pages(state, query)?;
    let matcher = Matcher::new(state, kind, query)?;
    let fields = first(query, "fields");
    let show = |record: &Record| render::cut(render::record(state, kind, record), fields);
    if let Some(start) = pages.start {
        let from = start.max(matcher.lowest);
        let mut found = state
            .starting_at(kind, from)
            .take_while(|record| matcher.below.is_none_or(|below| record.id < below))
            .filter(|record| matcher.matches(record));
        let rows: Vec<Value> = found.by_ref().take(pages.limit).map(show).collect();
        // NetBox says "next" whenever the page is full.
        let full = rows.len() == pages.limit;
        return Ok(page(None, full, &rows));
    }
    let mut found: Vec<&Record> = match matcher.candidates(state) {
        Some(candidates) => candidates.into_iter().filter(|record| matcher.matches(record)).collect(),
        None if matcher.is_open() => {
            return Ok(everything(state, kind, query, &pages, show));
        }
        None => state.all(kind).filter(|record| matcher.matches(record)).collect(),
    };
    order(kind, &mut found, first(query, "ordering"));
    let count = found.len();
    let rows: Vec<Value> = found.into_iter().skip(pages.offset).take(pages.limit).map(show).collect();
    Ok(page(Some(count), pages.offset + rows.len() < count, &rows))
}

/// A page of everything, without making a list of everything.
fn everything(
    state: &State,
    kind: Kind,
    query: &Query,
    pages: &Pages,
    show: impl Fn(&Record) -> Value,
) -> Value {
    let count = state.count(kind);
    let rows: Vec<Value> = match first(query, "ordering") {
        Some("-id") => state.all(kind).rev().skip(pages.offset).take(pages.limit).map(show).collect(),
        Some("id") => state.all(kind).skip(pages.offset).take(pages.limit).map(show).collect(),
        ordering => {
            let mut found: Vec<&Record> = state.all(kind).collect();
            order(kind, &mut found, ordering);
            found.into_iter().skip(pages.offset).take(pages.limit).map(show).collect()
        }
    };
    page(Some(count), pages.offset + rows.len() < count, &rows)
}

fn order(kind: Kind, found: &mut [&Record], ordering: Option<&str>) {
    match ordering {
        Some("-id") => found.sort_by_key(|record| std::cmp::Reverse(record.id)),
        Some("id") => found.sort_by_key(|record| record.id),
        _ if matches!(kind, Kind::Prefix | Kind::Address | Kind::Range) => {
            found.sort_by_key(|record| {
                (record.vrf.is_some(), record.vrf, record.net.map(|net| net.addr()), record.id)
            });
        }
        _ => found.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id))),
    }
}

/// The filters of a request.
struct Matcher<'a> {
    kind: Kind,
    ids: Vec<u64>,
    lowest: u64,
    below: Option<u64>,
    nets: Vec<IpNet>,
    hosts: Vec<&'a str>,
    within: Option<(IpNet, bool)>,
    contains: Option<IpAddr>,
    /// Tables asked for: `None` in it is the global one.
    tables: Vec<Option<u64>>,
    names: Vec<&'a str>,
    fields: Vec<(&'a str, Vec<&'a str>)>,
}

impl<'a> Matcher<'a> {
    fn new(state: &State, kind: Kind, query: &'a Query) -> Result<Self, Value> {
        let mut ids = Vec::new();
        for text in every(query, "id") {
            ids.push(text.parse().map_err(|_| json!({ "id": ["Enter a whole number."] }))?);
        }
        let lowest = number(query, "id__gte")?.or(number(query, "id__gt")?.map(|id| id + 1)).unwrap_or(0);
        let mut tables = Vec::new();
        if matches!(kind, Kind::Prefix | Kind::Address | Kind::Range) {
            for text in every(query, "vrf_id") {
                let id = text.parse::<u64>().ok();
                if text != "null" && id.is_none_or(|id| state.get(Kind::Vrf, id).is_none()) {
                    let words = format!("Select a valid choice. {text} is not one of the available choices.");
                    return Err(json!({ "vrf_id": [words] }));
                }
                tables.push(id);
            }
        }
        let net = |name: &str| first(query, name).and_then(|text| text.parse::<IpNet>().ok());
        let within = match kind {
            Kind::Prefix => {
                net("within_include").map(|net| (net, true)).or_else(|| net("within").map(|net| (net, false)))
            }
            Kind::Address => net("parent").map(|net| (net, true)),
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
            nets: if kind == Kind::Prefix {
                every(query, "prefix").iter().filter_map(|text| text.parse().ok()).collect()
            } else {
                Vec::new()
            },
            hosts: if kind == Kind::Address { every(query, "address") } else { Vec::new() },
            within,
            contains: if kind == Kind::Prefix {
                first(query, "contains").and_then(|text| text.parse().ok())
            } else {
                None
            },
            tables,
            names: every(query, "name"),
            fields,
        })
    }

    /// Whether nothing is filtered.
    fn is_open(&self) -> bool {
        self.ids.is_empty()
            && self.lowest == 0
            && self.below.is_none()
            && self.nets.is_empty()
            && self.hosts.is_empty()
            && self.within.is_none()
            && self.contains.is_none()
            && self.tables.is_empty()
            && self.names.is_empty()
            && self.fields.is_empty()
    }

    /// The rows that an index gives; `None` where only a walk over all will do.
    fn candidates<'s>(&self, state: &'s State) -> Option<Vec<&'s Record>> {
        if !self.ids.is_empty() {
            return Some(self.ids.iter().filter_map(|id| state.get(self.kind, *id)).collect());
        }
        let unique = state.unique_fields(self.kind);
        if let Some((name, values)) =
            self.fields.iter().find(|(name, _)| unique.iter().any(|field| field == name))
        {
            let holders = values.iter().filter_map(|value| state.holder(self.kind, name, value));
            return Some(holders.filter_map(|id| state.get(self.kind, id)).collect());
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

    fn matches(&self, record: &Record) -> bool {
        let within = |(outer, included): (IpNet, bool)| {
            record.net.is_some_and(|net| match self.kind {
                Kind::Address => outer.contains(&net.addr()),
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
            && (self.tables.is_empty() || self.tables.contains(&record.vrf))
            && (self.names.is_empty() || self.names.contains(&record.name.as_str()))
            && self.fields.iter().all(|(name, values)| {
                let held = record.custom_fields.get(*name).and_then(Value::as_str);
                held.is_some_and(|held| values.contains(&held))
            })
    }
}

/// An address with or without its mask.
fn host(text: &str) -> Option<(IpAddr, Option<u8>)> {
    match text.parse::<IpNet>() {
        Ok(net) => Some((net.addr(), Some(net.prefix_len()))),
        Err(_) => text.parse().ok().map(|host| (host, None)),
    }
}

/// The change log.
pub(super) fn changes(state: &State, query: &Query) -> Result<Value, Value> {
    let pages = pages(state, query)?;
    let fields = first(query, "fields");
    let show = |entry| render::cut(render::entry(entry), fields);
    let from =
        pages.start.or(number(query, "id__gte")?).or(number(query, "id__gt")?.map(|id| id + 1)).unwrap_or(0);
    let after = match first(query, "time_after") {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| json!({ "time_after": ["Enter a valid date/time."] }))?),
    };
    let wanted = WantedEntries {
        kinds: every(query, "changed_object_type"),
        objects: every(query, "changed_object_id"),
        reprs: every(query, "object_repr"),
        starts: every(query, "object_repr__isw"),
        after,
    };
    let all = || state.changes().range(from..).map(|(_, entry)| entry).filter(|entry| wanted.matches(entry));
    let count = all().count();
    let in_order = first(query, "ordering") == Some("id") || pages.start.is_some();
    let rows: Vec<Value> = if in_order {
        all().take(pages.limit).map(show).collect()
    } else {
        // NetBox lists its newest first.
        all().rev().take(pages.limit).map(show).collect()
    };
    let shown = pages.start.is_none().then_some(count);
    Ok(page(shown, rows.len() < count, &rows))
}

/// The filters of the change log; several values of one are alternatives.
struct WantedEntries<'a> {
    kinds: Vec<&'a str>,
    objects: Vec<&'a str>,
    reprs: Vec<&'a str>,
    starts: Vec<&'a str>,
    after: Option<Timestamp>,
}

impl WantedEntries<'_> {
    fn matches(&self, entry: &Entry) -> bool {
        let among =
            |list: &[&str], fits: &dyn Fn(&str) -> bool| list.is_empty() || list.iter().any(|w| fits(w));
        among(&self.kinds, &|wanted| entry.kind.object_type() == wanted)
            && among(&self.objects, &|wanted| wanted.parse() == Ok(entry.object))
            && among(&self.reprs, &|wanted| entry.repr == wanted)
            && among(&self.starts, &|wanted| entry.repr.to_lowercase().starts_with(&wanted.to_lowercase()))
            && self.after.is_none_or(|after| entry.time >= after)
    }
}
