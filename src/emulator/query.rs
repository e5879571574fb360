//! The query string of a list request: its parameters, and the page that it asks for.

use serde_json::{Value, json};

/// The parameters in the order of the query string, repeated names included.
pub(super) type QueryPairs = [(String, String)];

/// The first value of a parameter.
pub(super) fn first<'a>(query: &'a QueryPairs, name: &str) -> Option<&'a str> {
    query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// All values of a parameter.
pub(super) fn every<'a>(query: &'a QueryPairs, name: &str) -> Vec<&'a str> {
    query.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
}

/// The first value of a parameter as a number; an error is the body of a 400.
pub(super) fn number(query: &QueryPairs, name: &str) -> Result<Option<u64>, Value> {
    first(query, name)
        .map(|text| text.parse().map_err(|_| json!({ name: ["Enter a whole number."] })))
        .transpose()
}

/// The lowest id that `id__gte` or `id__gt` asks for.
pub(super) fn lowest_id(query: &QueryPairs) -> Result<Option<u64>, Value> {
    Ok(number(query, "id__gte")?.or(number(query, "id__gt")?.map(|id| id + 1)))
}

/// The default of NetBox's MAX_PAGE_SIZE.
const MAX_PAGE: usize = 1000;
/// The default of NetBox's PAGINATE_COUNT.
const DEFAULT_PAGE: usize = 50;

/// Which page of a list is asked for.
pub(super) struct PageParameters {
    /// The cursor of NetBox 4.6 and later: the page begins at this id.
    pub(super) start: Option<u64>,
    pub(super) offset: usize,
    pub(super) limit: usize,
}

impl PageParameters {
    /// Reads the parameters; an error is the body of a 400. Versions before 4.6 (`older`) ignore `start`.
    pub(super) fn read(query: &QueryPairs, older: bool) -> Result<Self, Value> {
        let start = if older { None } else { number(query, "start")? };
        if start.is_some() && first(query, "offset").is_some() {
            return Err(json!(["'start' and 'offset' are mutually exclusive."]));
        }
        if start.is_some() && first(query, "ordering").is_some() {
            return Err(json!(["Ordering cannot be specified in conjunction with cursor-based pagination."]));
        }
        let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let limit = match number(query, "limit")?.map_or(DEFAULT_PAGE, size) {
            0 => MAX_PAGE,
            limit => limit.min(MAX_PAGE),
        };
        let offset = number(query, "offset")?.map_or(0, size);
        Ok(Self { start, offset, limit })
    }
}

/// The body of a page. Cursor pages have no count.
pub(super) fn page(count: Option<usize>, more: bool, rows: &[Value]) -> Value {
    // Clients of the emulator look only at whether there is a next page; the URL leads nowhere.
    let next = more.then_some("http://emulator.invalid/next");
    json!({ "count": count, "next": next, "previous": null, "results": rows })
}
