//! Page tokens (AIP-158): opaque to callers, right though records come and go between pages.
//!
//! A token holds what the last row shown was ordered by, not how many rows came before: the next page is what sorts after
//! it, whether or not that row still stands.

use std::cmp::Ordering;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::parse::Violations;
use crate::model::{Lease, Network, Prefix, PrefixId, Table, Term};

/// What a row of prefixes or leases can be ordered by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Anchor {
    table: Table,
    network: Network,
    id: PrefixId,
    owner: Option<String>,
    expiry: Option<Date>,
    /// Digest of the filters, so that a token is not used with others than it was made for.
    filters: u64,
}

fn digest(filters: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    filters.hash(&mut hasher);
    hasher.finish()
}

impl Anchor {
    fn of(row: &Prefix, filters: &str) -> Self {
        let lease = row.lease.as_deref();
        Self {
            table: row.table,
            network: row.network,
            id: row.id,
            owner: lease.and_then(|lease| lease.owner.clone()),
            expiry: lease.and_then(|lease| lease.term.expiry),
            filters: digest(filters),
        }
    }

    /// A row that sorts where the last one shown did.
    fn row(&self) -> Prefix {
        let term = Term { expiry: self.expiry, ..Term::default() };
        let lease = Lease { owner: self.owner.clone(), term, ..Lease::default() };
        Prefix {
            id: self.id,
            network: self.network,
            table: self.table,
            status: String::new(),
            is_pool: false,
            mark_utilized: false,
            tenant: None,
            role: None,
            tags: Vec::new(),
            description: String::new(),
            lease: Some(Box::new(lease)),
            allocation: None,
            custom_fields: serde_json::Map::new(),
            revision: crate::model::Revision::default(),
        }
    }

    fn token(&self) -> String {
        // An anchor is numbers and texts, which always serialise.
        hex::encode(serde_json::to_vec(self).unwrap_or_default())
    }

    fn parse(token: &str) -> Option<Self> {
        serde_json::from_slice(&hex::decode(token).ok()?).ok()
    }
}

/// Reads a token; `None` for the first page.
pub(super) fn read(violations: &mut Violations, token: &str, filters: &str) -> Option<Anchor> {
    if token.is_empty() {
        return None;
    }
    match Anchor::parse(token) {
        Some(anchor) if anchor.filters == digest(filters) => Some(anchor),
        Some(_) => {
            violations.add("page_token", "belongs to a call with other filters or another order");
            None
        }
        None => {
            violations.add("page_token", "is not a token of this server");
            None
        }
    }
}

/// Cuts a page out of rows that stand in the order of `compare`; with it the token of the next one, empty if there is none.
pub(super) fn cut<'a>(
    rows: &'a [Arc<Prefix>],
    after: Option<&Anchor>,
    size: usize,
    filters: &str,
    compare: impl Fn(&Prefix, &Prefix) -> Ordering,
) -> (&'a [Arc<Prefix>], String) {
    let from = after
        .map(Anchor::row)
        .map_or(0, |anchor| rows.partition_point(|row| compare(row, &anchor) != Ordering::Greater));
    let to = from.saturating_add(size).min(rows.len());
    let page = rows.get(from..to).unwrap_or_default();
    let token = match page.last() {
        Some(last) if to < rows.len() => Anchor::of(last, filters).token(),
        _ => String::new(),
    };
    (page, token)
}

/// The order of prefixes: by table, then IPv4 before IPv6, by first address, the shorter before the longer, by id.
pub(super) fn by_prefix(a: &Prefix, b: &Prefix) -> Ordering {
    (a.table, a.network, a.id).cmp(&(b.table, b.network, b.id))
}

/// Token of a list that gives the newest first.
pub(super) fn newest_token(at: Timestamp, id: impl std::fmt::Display) -> String {
    format!("{:x}.{id}", at.as_microsecond())
}

/// Reads such a token; `None` for the first page.
pub(super) fn read_newest<T>(
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
        violations.add("page_token", "is not a token of this server");
    }
    parsed
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rows(ids: impl IntoIterator<Item = u64>) -> Vec<Arc<Prefix>> {
        let network: Network = "203.0.113.0/24".parse().unwrap();
        let anchor = |id| Anchor {
            table: Table::Global,
            network,
            id: PrefixId(id),
            owner: Some("ACME-LIR".to_owned()),
            expiry: None,
            filters: 0,
        };
        ids.into_iter().map(|id| Arc::new(anchor(id).row())).collect()
    }

    fn walk(all: Vec<Arc<Prefix>>, size: usize, victim: Option<u64>) -> Vec<u64> {
        let (mut seen, mut token, mut rows) = (Vec::new(), String::new(), all);
        loop {
            let mut violations = Violations::default();
            let after = read(&mut violations, &token, "f");
            violations.finish().unwrap();
            let (page, next) = cut(&rows, after.as_ref(), size, "f", by_prefix);
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
        fn pages_give_every_row_once(count in 0u64..200, size in 1usize..50) {
            prop_assert_eq!(walk(rows(1..=count), size, None), (1..=count).collect::<Vec<_>>());
        }

        #[test]
        fn rows_that_stay_are_given_once_though_others_go(size in 1usize..20, victim in 1u64..100) {
            let seen = walk(rows(1..=100), size, Some(victim));
            let stayed: Vec<u64> = seen.into_iter().filter(|row| *row != victim).collect();
            prop_assert_eq!(stayed, (1..=100).filter(|row| *row != victim).collect::<Vec<_>>());
        }

        #[test]
        fn no_token_makes_it_panic(token in ".*") {
            let mut violations = Violations::default();
            let after = read(&mut violations, &token, "f");
            let _ = cut(&rows(1..4), after.as_ref(), 2, "f", by_prefix);
        }
    }

    #[test]
    fn a_token_is_refused_with_other_filters() {
        let (_, token) = cut(&rows(1..4), None, 2, "owner=ACME-LIR", by_prefix);
        let mut violations = Violations::default();
        read(&mut violations, &token, "owner=OTHER-LIR");
        assert!(violations.finish().is_err());
    }
}
