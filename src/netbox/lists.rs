//! GETs of list endpoints: rows that match filters, page by page, with URLs that gunicorn accepts.
//!
//! **NetBox ignores a filter that it does not know** and then answers with every row, so the caller checks each row again.

use serde_json::Value;
use url::form_urlencoded::byte_serialize;

use super::client::Client;
use super::error::{Error, NetBoxResult};
use super::records::NetBoxRecord;
use super::request::{ApiRequest, QueryParameter};

/// The longest request line (`GET /api/… HTTP/1.1`) that gunicorn accepts: its `limit_request_line`, in bytes.
const LONGEST_REQUEST_LINE: usize = 4094;
/// Room for what is added to the filters: method, protocol, `limit`, `start` or `id__gte` with `ordering`.
const REQUEST_LINE_RESERVE: usize = 100;
/// More rows than this mean that NetBox ignored a filter; the read is given up.
const MOST_ROWS: usize = 200_000;

impl Client {
    /// All rows of an endpoint that match `common` and any one of `values` of the filter `name`. The values are spread
    /// over as many requests as the length of the URLs demands; without values nothing is asked.
    pub(super) async fn rows_with_any(
        &self,
        path: &str,
        fields: &str,
        common: &[QueryParameter<'_>],
        name: &str,
        values: &[String],
    ) -> NetBoxResult<Vec<Value>> {
        let fixed = self.transport().base().path().len()
            + "api/".len()
            + path.len()
            + parameter_length("fields", fields)
            + common.iter().map(|(name, value)| parameter_length(name, value)).sum::<usize>();
        let room = LONGEST_REQUEST_LINE.saturating_sub(fixed + REQUEST_LINE_RESERVE);
        let mut found = Vec::new();
        for chunk in chunks_that_fit(name, values, room) {
            let mut filters = common.to_vec();
            filters.extend(chunk.iter().map(|value| (name, value.clone())));
            found.extend(self.rows_with(path, fields, &filters).await?);
        }
        Ok(found)
    }

    /// All rows of an endpoint that match the filters, in no particular order.
    ///
    /// The first request leaves the order to NetBox, so that PostgreSQL can use the filter's own index. Only where there
    /// is more than a page are the rows read in the order of their ids.
    pub(super) async fn rows_with(
        &self,
        path: &str,
        fields: &str,
        filters: &[QueryParameter<'_>],
    ) -> NetBoxResult<Vec<Value>> {
        let query = self.page_query(fields, filters);
        let mut page = self.transport().read(ApiRequest::get(path, &query)).await?;
        if !has_next(&page) {
            return rows_of(path, &mut page);
        }
        let mut found = Vec::new();
        let mut from = 0;
        while found.len() < MOST_ROWS {
            let (rows, next) = self.page_from(path, fields, filters, from).await?;
            found.extend(rows);
            match next {
                Some(next) => from = next,
                None => return Ok(found),
            }
        }
        Err(malformed(path, "it has more rows than the filters can match"))
    }

    /// One page of the rows that match the filters, from an id on, in the order of ids; and the id at which the next page begins,
    /// if there is one.
    pub(super) async fn page_from(
        &self,
        path: &str,
        fields: &str,
        filters: &[QueryParameter<'_>],
        from: u64,
    ) -> NetBoxResult<(Vec<Value>, Option<u64>)> {
        let mut query = self.page_query(fields, filters);
        self.start_at(&mut query, from);
        let mut page = self.transport().read(ApiRequest::get(path, &query)).await?;
        let more = has_next(&page);
        let rows = rows_of(path, &mut page)?;
        let last = rows.last().and_then(|row| row.get("id")).and_then(Value::as_u64);
        let next = last.filter(|_| more).map(|last| last.saturating_add(1));
        Ok((rows, next))
    }

    fn page_query<'a>(&self, fields: &str, filters: &[QueryParameter<'a>]) -> Vec<QueryParameter<'a>> {
        let mut query = filters.to_vec();
        query.push(("limit", self.page_size().to_string()));
        query.push(("fields", fields.to_owned()));
        query
    }

    /// Makes a list request begin at an id, in the order of ids: `start` since NetBox 4.6, `id__gte` before.
    pub(super) fn start_at(&self, query: &mut Vec<QueryParameter<'_>>, id: u64) {
        if self.capabilities().cursor_pages {
            query.push(("start", id.to_string()));
        } else {
            query.push(("id__gte", id.to_string()));
            query.push(("ordering", "id".to_owned()));
        }
    }

    /// Parses the rows of a list. One row that cannot be understood fails the whole list: a cache with a hole would hand
    /// out addresses that are taken.
    pub(super) fn parse_rows<R: NetBoxRecord>(&self, rows: &[Value]) -> NetBoxResult<Vec<R>> {
        rows.iter()
            .map(|row| R::parse(row, self.fields()).map_err(|cause| malformed(R::PATH, cause)))
            .collect()
    }
}

/// Takes the rows out of a page.
pub(super) fn rows_of(path: &str, page: &mut Value) -> NetBoxResult<Vec<Value>> {
    match page.get_mut("results").map(Value::take) {
        Some(Value::Array(rows)) => Ok(rows),
        _ => Err(malformed(path, "it has no results")),
    }
}

/// Whether more rows follow a page. NetBox may cap a page below the `limit` that was asked for, so its length says nothing.
pub(super) fn has_next(page: &Value) -> bool {
    page.get("next").is_some_and(Value::is_string)
}

pub(super) fn malformed(path: &str, cause: impl Into<String>) -> Error {
    Error::Malformed { attempt: format!("GET {path}"), cause: cause.into() }
}

/// Bytes of `&name=value` in a URL.
fn parameter_length(name: &str, value: &str) -> usize {
    let encoded = |text: &str| byte_serialize(text.as_bytes()).map(str::len).sum::<usize>();
    encoded(name) + encoded(value) + 2
}

/// Cuts values into runs whose parameters fit into `room` bytes. A value that is longer than that has a run of its own.
fn chunks_that_fit<'a>(name: &str, values: &'a [String], room: usize) -> Vec<&'a [String]> {
    let mut chunks = Vec::new();
    let (mut start, mut length) = (0, 0);
    for (index, value) in values.iter().enumerate() {
        let more = parameter_length(name, value);
        if index > start && length + more > room {
            chunks.extend(values.get(start..index));
            (start, length) = (index, 0);
        }
        length += more;
    }
    chunks.extend(values.get(start..).filter(|rest| !rest.is_empty()));
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_parameter_is_as_long_as_its_encoded_form() {
        for (name, value) in
            [("id", "7"), ("prefix", "203.0.113.0/24"), ("address", "2001:db8::1"), ("name", "a b&c")]
        {
            let encoded =
                url::form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish();
            assert_eq!(parameter_length(name, value), encoded.len() + 1, "{encoded}");
        }
    }

    proptest! {
        #[test]
        fn chunks_keep_every_value_in_order_and_fit(
            values in prop::collection::vec("[a-z:/]{0,40}", 0..200),
            room in 1usize..500,
        ) {
            let chunks = chunks_that_fit("id", &values, room);
            prop_assert_eq!(chunks.concat(), values.clone());
            for chunk in chunks {
                let length: usize = chunk.iter().map(|value| parameter_length("id", value)).sum();
                prop_assert!(!chunk.is_empty() && (chunk.len() == 1 || length <= room));
            }
        }
    }
}
