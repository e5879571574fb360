//! Pages (AIP-158): what ends one, so that no answer exceeds the 4 MiB that a gRPC client takes, and their tokens, which are
//! opaque to clients and right although records come and go between two pages.
//!
//! A token of a list of prefixes or leases holds the values by which the last row examined was ordered, and not how many rows
//! came before it. The next page is what sorts after these values, whether or not that row still exists. Tokens outlive the
//! server: their bytes are the same in every version (tests/golden/tokens.json).

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use jiff::Timestamp;
use jiff::civil::Date;
use prost::Message;
use serde::{Deserialize, Serialize};
use tonic::Code;

use super::parse::{View, Violations};
use super::problem::Problem;
use crate::cache::PrefixPosition;
use crate::model::{Lease, Network, Prefix, PrefixId, Term, VrfScope};

/// The bytes that the rows of one page may take.
const PAGE_BYTES: usize = 3 << 20;

/// The largest answer that a gRPC client takes unless it is told otherwise.
const ANSWER_BYTES: usize = 4 << 20;

/// The bytes of an answer beside its rows and its token: the state of the cache and the like.
const FRAME_BYTES: usize = 1 << 10;

/// The most rows that one call examines, whether or not they match its filters.
const MAX_EXAMINED: usize = 20_000;

const NOT_A_TOKEN: &str = "is not a page token of this server";

/// The rows of a page as messages, and the token of the next page, which is empty on the last page.
#[derive(Debug)]
pub(super) struct Page<M> {
    pub(super) rows: Vec<M>,
    pub(super) next_page_token: String,
}

/// Fills a page with rows in their order. A page ends after `size` rows, before the row that would exceed the bytes of a page,
/// and after [`MAX_EXAMINED`] rows of the source; then it has the token of the last row that was examined before its end.
///
/// `render` returns `None` for a row that does not match the filters of the list. It is asked for another view than `view` only
/// for a record that exceeds the bytes of a page by itself: its BASIC view is shown. An error is returned if even that does not
/// fit into an answer.
pub(super) fn fill<R, M: Message>(
    size: usize,
    view: View,
    rows: impl IntoIterator<Item = R>,
    mut render: impl FnMut(&R, View) -> Option<M>,
    token: impl Fn(&R) -> String,
) -> Result<Page<M>, Problem> {
    let (mut shown, mut bytes) = (Vec::new(), 0);
    let mut last: Option<R> = None;
    for (examined, row) in rows.into_iter().enumerate() {
        let more = |last: &Option<R>| last.as_ref().map(&token).unwrap_or_default();
        if examined == MAX_EXAMINED {
            return ended(shown, bytes, more(&last));
        }
        if let Some(mut message) = render(&row, view) {
            let mut length = field_bytes(&message);
            if length > PAGE_BYTES && view == View::Full {
                let Some(basic) = render(&row, View::Basic) else { continue };
                message = basic;
                length = field_bytes(&message);
            }
            let full = shown.len() >= size || bytes + length > PAGE_BYTES;
            if full && !shown.is_empty() {
                return ended(shown, bytes, more(&last));
            }
            bytes += length;
            shown.push(message);
        }
        last = Some(row);
    }
    ended(shown, bytes, String::new())
}

fn ended<M>(rows: Vec<M>, bytes: usize, next_page_token: String) -> Result<Page<M>, Problem> {
    if bytes + next_page_token.len() + FRAME_BYTES > ANSWER_BYTES {
        return Err(too_large("one record of the list", bytes, "it can only be read in NetBox"));
    }
    Ok(Page { rows, next_page_token })
}

/// The bytes that a message takes in a repeated field: its number and its length come before it.
fn field_bytes(message: &impl Message) -> usize {
    let length = message.encoded_len();
    2 + prost::length_delimiter_len(length) + length
}

/// The answer in the FULL view if a client takes it, or else in the BASIC view. For an answer that must not fail because it is
/// large: that of a write, or one event of a stream.
pub(super) fn fit<M: Message>(render: impl Fn(View) -> M) -> M {
    let full = render(View::Full);
    if full.encoded_len() <= ANSWER_BYTES { full } else { render(View::Basic) }
}

/// Refuses an answer that cannot be cut into pages and that a client would not take. `advice` says how to get a smaller one.
pub(super) fn check_size(answer: &impl Message, advice: &str) -> Result<(), Problem> {
    let bytes = answer.encoded_len();
    if bytes > ANSWER_BYTES { Err(too_large("the answer", bytes, advice)) } else { Ok(()) }
}

fn too_large(what: &str, bytes: usize, advice: &str) -> Problem {
    let message = format!("{what} takes {bytes} bytes, and a client takes {ANSWER_BYTES}: {advice}");
    Problem::new(Code::ResourceExhausted, "ANSWER_TOO_LARGE", message)
        .with("bytes", bytes)
        .with("max_bytes", ANSWER_BYTES)
}

/// Every value by which a list of prefixes or leases can be ordered, of the last row that a page examined.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct SortKey {
    #[serde(rename = "table")]
    scope: VrfScope,
    network: Network,
    id: PrefixId,
    owner: Option<String>,
    expiry: Option<Date>,
    /// The digest of the filters and the order of the list: a token is refused with other ones.
    filters: u64,
}

fn filter_digest(filters: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    filters.hash(&mut hasher);
    hasher.finish()
}

impl SortKey {
    fn of(row: &Prefix, filters: &str) -> Self {
        let lease = row.lease.as_deref();
        Self {
            scope: row.scope,
            network: row.network,
            id: row.id,
            owner: lease.and_then(|lease| lease.owner.clone()),
            expiry: lease.and_then(|lease| lease.term.expiry),
            filters: filter_digest(filters),
        }
    }

    /// The position of the row in a list of prefixes, which is not ordered by the fields of its lease.
    pub(super) fn position(&self) -> PrefixPosition {
        PrefixPosition { scope: self.scope, network: self.network, id: self.id }
    }

    /// A prefix that sorts exactly where the last row did.
    pub(super) fn row(&self) -> Prefix {
        let term = Term { expiry: self.expiry, ..Term::default() };
        let lease = Lease { owner: self.owner.clone(), term, ..Lease::default() };
        Prefix { lease: Some(Box::new(lease)), ..Prefix::bare(self.id, self.network, self.scope) }
    }

    fn token(&self) -> String {
        // Numbers and texts always serialise.
        hex::encode(serde_json::to_vec(self).unwrap_or_default())
    }

    fn parse(token: &str) -> Option<Self> {
        serde_json::from_slice(&hex::decode(token).ok()?).ok()
    }
}

/// The token of a list of leases: every value by which the list can be ordered, of the last row examined.
pub(super) fn lease_token(row: &Prefix, filters: &str) -> String {
    SortKey::of(row, filters).token()
}

/// The token of a list of prefixes: the position of the last row examined.
pub(super) fn prefix_token(position: PrefixPosition, filters: &str) -> String {
    let PrefixPosition { scope, network, id } = position;
    SortKey { scope, network, id, owner: None, expiry: None, filters: filter_digest(filters) }.token()
}

/// The token of a list that is ordered by id: the id of the last row.
pub(super) fn id_token(id: u64) -> String {
    format!("{id:x}")
}

/// Parses a token of [`id_token`]; `None` for the first page.
pub(super) fn parse_id_token(violations: &mut Violations, token: &str) -> Option<u64> {
    if token.is_empty() {
        return None;
    }
    violations.take("page_token", u64::from_str_radix(token, 16).map_err(|_| NOT_A_TOKEN))
}

/// The token of a list that is ordered by name: the name of the last row.
pub(super) fn name_token(name: &str) -> String {
    hex::encode(name)
}

/// Parses a token of [`name_token`]; `None` for the first page.
pub(super) fn parse_name_token(violations: &mut Violations, token: &str) -> Option<String> {
    if token.is_empty() {
        return None;
    }
    let name = hex::decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    violations.take("page_token", name.ok_or(NOT_A_TOKEN))
}

/// Parses a token of a list with these filters; `None` for the first page.
pub(super) fn parse_token(violations: &mut Violations, token: &str, filters: &str) -> Option<SortKey> {
    if token.is_empty() {
        return None;
    }
    match SortKey::parse(token) {
        Some(key) if key.filters == filter_digest(filters) => Some(key),
        Some(_) => {
            violations.add("page_token", "belongs to a list with other filters or another order");
            None
        }
        None => {
            violations.add("page_token", NOT_A_TOKEN);
            None
        }
    }
}

/// The token of a list that is ordered by time, the newest first: the time and the id of the last row.
pub(super) fn time_token(at: Timestamp, id: impl std::fmt::Display) -> String {
    format!("{:x}.{id}", at.as_microsecond())
}

/// Parses a token of [`time_token`]; `None` for the first page.
pub(super) fn parse_time_token<T>(
    violations: &mut Violations,
    token: &str,
    id: impl FnOnce(&str) -> Option<T>,
) -> Option<(Timestamp, T)> {
    if token.is_empty() {
        return None;
    }
    let parsed = token.split_once('.').and_then(|(at, text)| {
        let micros = i64::from_str_radix(at, 16).ok()?;
        Some((Timestamp::from_microsecond(micros).ok()?, id(text)?))
    });
    if parsed.is_none() {
        violations.add("page_token", NOT_A_TOKEN);
    }
    parsed
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use crate::rpc::proto::v1;
    use proptest::prelude::*;
    use tonic_types::StatusExt as _;

    fn rows(ids: impl IntoIterator<Item = u64>) -> Vec<Arc<Prefix>> {
        let network: Network = "203.0.113.0/24".parse().unwrap();
        let key = |id| SortKey {
            scope: VrfScope::Global,
            network,
            id: PrefixId(id),
            owner: Some("ACME-LIR".to_owned()),
            expiry: None,
            filters: 0,
        };
        ids.into_iter().map(|id| Arc::new(key(id).row())).collect()
    }

    /// A page of rows that are ordered by id.
    fn page(rows: &[Arc<Prefix>], after: Option<&SortKey>, size: usize) -> Page<v1::Prefix> {
        let after = after.map_or(PrefixId(0), |key| key.row().id);
        let rest = rows.iter().filter(|row| row.id > after);
        let render = |row: &&Arc<Prefix>, _| Some(v1::Prefix { id: row.id.0, ..v1::Prefix::default() });
        fill(size, View::Basic, rest, render, |row| lease_token(row, "f")).unwrap()
    }

    fn walk(all: Vec<Arc<Prefix>>, size: usize, victim: Option<u64>) -> Vec<u64> {
        let (mut seen, mut token, mut rows) = (Vec::new(), String::new(), all);
        loop {
            let mut violations = Violations::default();
            let after = parse_token(&mut violations, &token, "f");
            violations.finish().unwrap();
            let page = page(&rows, after.as_ref(), size);
            seen.extend(page.rows.iter().map(|row| row.id));
            if page.next_page_token.is_empty() {
                return seen;
            }
            token = page.next_page_token;
            rows.retain(|row| Some(row.id.0) != victim);
        }
    }

    proptest! {
        #[test]
        fn pages_show_every_row_once(count in 0u64..200, size in 1usize..50) {
            prop_assert_eq!(walk(rows(1..=count), size, None), (1..=count).collect::<Vec<_>>());
        }

        #[test]
        fn rows_that_stay_are_shown_once_although_others_go(size in 1usize..20, victim in 1u64..100) {
            let seen = walk(rows(1..=100), size, Some(victim));
            let stayed: Vec<u64> = seen.into_iter().filter(|row| *row != victim).collect();
            prop_assert_eq!(stayed, (1..=100).filter(|row| *row != victim).collect::<Vec<_>>());
        }

        #[test]
        fn no_token_causes_a_panic(token in ".*") {
            let mut violations = Violations::default();
            let after = parse_token(&mut violations, &token, "f");
            let _ = page(&rows(1..4), after.as_ref(), 2);
        }
    }

    /// A record whose message takes about so many bytes in each view.
    #[derive(Clone, Copy)]
    struct Row {
        id: u64,
        matches: bool,
        full: usize,
        basic: usize,
    }

    /// Every page of a list in the full view: the ids and views of its rows.
    fn pages(rows: &[Row], size: usize) -> Result<Vec<Vec<(u64, v1::RecordView)>>, Problem> {
        let (mut pages, mut after) = (Vec::new(), 0);
        loop {
            let rest = rows.iter().filter(|row| row.id > after);
            let render = |row: &&Row, view| {
                let (view, bytes) = match view {
                    View::Full => (v1::RecordView::Full, row.full),
                    View::Basic => (v1::RecordView::Basic, row.basic),
                };
                let description = "x".repeat(bytes);
                let message =
                    v1::Prefix { id: row.id, description, view: view.into(), ..v1::Prefix::default() };
                row.matches.then_some(message)
            };
            let page = fill(size, View::Full, rest, render, |row| id_token(row.id))?;
            let bytes: usize = page.rows.iter().map(field_bytes).sum();
            assert!(bytes <= PAGE_BYTES || page.rows.len() == 1, "{bytes} bytes");
            pages.push(page.rows.iter().map(|row| (row.id, row.view())).collect());
            match parse_id_token(&mut Violations::default(), &page.next_page_token) {
                None => return Ok(pages),
                Some(last) => after = last,
            }
        }
    }

    fn small(id: u64) -> Row {
        Row { id, matches: true, full: 100, basic: 50 }
    }

    fn ids(pages: &[Vec<(u64, v1::RecordView)>]) -> Vec<Vec<u64>> {
        pages.iter().map(|page| page.iter().map(|(id, _)| *id).collect()).collect()
    }

    #[test]
    fn a_page_ends_after_its_size_and_before_the_row_that_exceeds_its_bytes() {
        let rows: Vec<Row> = (1..=5).map(small).collect();
        assert_eq!(ids(&pages(&rows, 2).unwrap()), [vec![1, 2], vec![3, 4], vec![5]]);
        let rows: Vec<Row> = (1..=5).map(|id| Row { full: 1 << 20, ..small(id) }).collect();
        assert_eq!(ids(&pages(&rows, 100).unwrap()), [vec![1, 2], vec![3, 4], vec![5]]);
    }

    #[test]
    fn the_last_page_is_known_although_rows_that_do_not_match_follow_it() {
        let mut rows: Vec<Row> = (1..=2).map(small).collect();
        rows.extend((3..1000).map(|id| Row { matches: false, ..small(id) }));
        assert_eq!(ids(&pages(&rows, 2).unwrap()), [vec![1, 2]]);
    }

    #[test]
    fn a_page_ends_after_so_many_rows_examined_and_may_be_empty() {
        let count = 2 * MAX_EXAMINED as u64 + 1;
        let rows: Vec<Row> = (1..=count).map(|id| Row { matches: id == count, ..small(id) }).collect();
        assert_eq!(ids(&pages(&rows, 2).unwrap()), [vec![], vec![], vec![count]]);
    }

    #[test]
    fn a_record_that_exceeds_a_page_by_itself_is_shown_in_its_basic_view() {
        let rows = [small(1), Row { full: PAGE_BYTES, ..small(2) }, small(3)];
        let (full, basic) = (v1::RecordView::Full, v1::RecordView::Basic);
        assert_eq!(pages(&rows, 100).unwrap(), [vec![(1, full), (2, basic), (3, full)]]);
        // It has a page of its own if it exceeds a page even so.
        let rows = [small(1), Row { full: PAGE_BYTES, basic: PAGE_BYTES, ..small(2) }, small(3)];
        assert_eq!(pages(&rows, 100).unwrap(), [vec![(1, full)], vec![(2, basic)], vec![(3, full)]]);
    }

    #[test]
    fn a_record_that_exceeds_an_answer_is_an_error() {
        let rows = [small(1), Row { full: ANSWER_BYTES, basic: ANSWER_BYTES, ..small(2) }];
        let status = tonic::Status::from(pages(&rows, 100).unwrap_err());
        assert_eq!(status.code(), Code::ResourceExhausted);
        let answer = v1::Prefix { description: "x".repeat(ANSWER_BYTES), ..v1::Prefix::default() };
        let status = tonic::Status::from(check_size(&answer, "ask for the BASIC view").unwrap_err());
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert_eq!(status.get_error_details().error_info().unwrap().reason, "ANSWER_TOO_LARGE");
    }

    #[test]
    fn the_tokens_of_prefixes_and_ids_are_those_of_version_0_1_and_of_this_one() {
        let network: Network = "203.0.113.0/24".parse().unwrap();
        let position = PrefixPosition { scope: VrfScope::Global, network, id: PrefixId(1) };
        let token = prefix_token(position, "f");
        let text = String::from_utf8(hex::decode(&token).unwrap()).unwrap();
        assert_eq!(
            text,
            r#"{"table":"Global","network":"203.0.113.0/24","id":1,"owner":null,"expiry":null,"filters":DIGEST}"#
                .replace("DIGEST", &filter_digest("f").to_string())
        );
        let parsed = parse_token(&mut Violations::default(), &token, "f").unwrap();
        assert_eq!(parsed.position(), position);
        assert_eq!(id_token(4711), "1267");
    }

    #[test]
    fn a_token_is_refused_with_other_filters() {
        let token = lease_token(&rows([1])[0], "owner=ACME-LIR");
        let mut violations = Violations::default();
        parse_token(&mut violations, &token, "owner=OTHER-LIR");
        assert!(violations.finish().is_err());
    }
}
