//! Page tokens (AIP-158): opaque to clients, and right although records come and go between two pages.
//!
//! A token of a list of prefixes or leases holds the values by which the last row shown was ordered, and not how many rows came
//! before it. The next page is what sorts after these values, whether or not that row still exists. Tokens outlive the
//! server: their bytes are the same in every version (tests/golden/tokens.json).

use std::cmp::Ordering;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::parse::Violations;
use crate::model::{Lease, Network, Prefix, PrefixId, Term, VrfScope};

/// Every value by which a list of prefixes or leases can be ordered, of the last row of a page.
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

    /// A prefix that sorts exactly where the last row did.
    fn row(&self) -> Prefix {
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
            violations.add("page_token", "is not a page token of this server");
            None
        }
    }
}

/// Cuts a page out of rows that are ordered by `compare`. Returns it with the token of the next page, which is empty on the
/// last page.
pub(super) fn cut<'a>(
    rows: &'a [Arc<Prefix>],
    after: Option<&SortKey>,
    size: usize,
    filters: &str,
    compare: impl Fn(&Prefix, &Prefix) -> Ordering,
) -> (&'a [Arc<Prefix>], String) {
    let from = after
        .map(SortKey::row)
        .map_or(0, |last| rows.partition_point(|row| compare(row, &last) != Ordering::Greater));
    let to = from.saturating_add(size).min(rows.len());
    let page = rows.get(from..to).unwrap_or_default();
    let token = match page.last() {
        Some(last) if to < rows.len() => SortKey::of(last, filters).token(),
        _ => String::new(),
    };
    (page, token)
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
        violations.add("page_token", "is not a page token of this server");
    }
    parsed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::prefix_order;
    use proptest::prelude::*;

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

    fn walk(all: Vec<Arc<Prefix>>, size: usize, victim: Option<u64>) -> Vec<u64> {
        let (mut seen, mut token, mut rows) = (Vec::new(), String::new(), all);
        loop {
            let mut violations = Violations::default();
            let after = parse_token(&mut violations, &token, "f");
            violations.finish().unwrap();
            let (page, next) = cut(&rows, after.as_ref(), size, "f", prefix_order);
            seen.extend(page.iter().map(|row| row.id.0));
            if next.is_empty() {
                return seen;
            }
            token = next;
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
            let _ = cut(&rows(1..4), after.as_ref(), 2, "f", prefix_order);
        }
    }

    #[test]
    fn a_token_is_refused_with_other_filters() {
        let (_, token) = cut(&rows(1..4), None, 2, "owner=ACME-LIR", prefix_order);
        let mut violations = Violations::default();
        parse_token(&mut violations, &token, "owner=OTHER-LIR");
        assert!(violations.finish().is_err());
    }
}
