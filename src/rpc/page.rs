//! Page tokens (AIP-158): opaque to callers, robust against records that come and go between pages.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::parse::Violations;

/// Where a page begins: after the record with this id, or, if that record has gone, at this position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Start {
    position: usize,
    after: u64,
}

/// A digest of the filters, so that a token is not used with others than it was made for.
fn digest(filters: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    filters.hash(&mut hasher);
    hasher.finish()
}

/// Reads a token.
pub(super) fn read(violations: &mut Violations, token: &str, filters: &str) -> Start {
    if token.is_empty() {
        return Start::default();
    }
    let mut parts = token.split('.').map(|part| u64::from_str_radix(part, 16));
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(Ok(position)), Some(Ok(after)), Some(Ok(digested)), None) => {
            if digested != digest(filters) {
                violations.add("page_token", "belongs to a call with other filters or another order");
            }
            Start { position: usize::try_from(position).unwrap_or(usize::MAX), after }
        }
        _ => {
            violations.add("page_token", "is not a token of this server");
            Start::default()
        }
    }
}

/// Cuts a page out of rows that are in order; with it the token of the next one, empty if there is none.
pub(super) fn cut<'a, T>(
    rows: &'a [T],
    start: Start,
    size: usize,
    filters: &str,
    id: impl Fn(&T) -> u64,
) -> (&'a [T], String) {
    let near = if start.after == 0 { None } else { rows.iter().position(|row| id(row) == start.after) };
    let from = near.map_or(start.position, |at| at + 1).min(rows.len());
    let to = from.saturating_add(size).min(rows.len());
    let page = rows.get(from..to).unwrap_or_default();
    let token = match page.last() {
        Some(last) if to < rows.len() => format!("{to:x}.{:x}.{:x}", id(last), digest(filters)),
        _ => String::new(),
    };
    (page, token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn walk(rows: &[u64], size: usize, mut between: impl FnMut(&[u64]) -> Vec<u64>) -> Vec<u64> {
        let (mut seen, mut token, mut rows) = (Vec::new(), String::new(), rows.to_vec());
        loop {
            let mut violations = Violations::default();
            let start = read(&mut violations, &token, "f");
            violations.finish().unwrap();
            let (page, next) = cut(&rows, start, size, "f", |row| *row);
            seen.extend_from_slice(page);
            if next.is_empty() {
                return seen;
            }
            token = next;
            rows = between(&rows);
        }
    }

    proptest! {
        #[test]
        fn pages_give_every_row_once(count in 0u64..200, size in 1usize..50) {
            let rows: Vec<u64> = (1..=count).collect();
            prop_assert_eq!(walk(&rows, size, <[u64]>::to_vec), rows);
        }

        #[test]
        fn rows_that_stay_are_given_though_others_go(size in 1usize..20, victim in 1u64..100) {
            let rows: Vec<u64> = (1..=100).collect();
            let seen = walk(&rows, size, |rows| rows.iter().copied().filter(|row| *row != victim).collect());
            for row in (1..=100).filter(|row| *row != victim) {
                prop_assert_eq!(seen.iter().filter(|seen| **seen == row).count(), 1);
            }
        }

        #[test]
        fn no_token_makes_it_panic(token in ".*") {
            let mut violations = Violations::default();
            let start = read(&mut violations, &token, "f");
            let _ = cut(&[1u64, 2, 3], start, 2, "f", |row| *row);
        }
    }

    #[test]
    fn a_token_is_refused_with_other_filters() {
        let (_, token) = cut(&[1u64, 2, 3], Start::default(), 2, "owner=ACME-LIR", |row| *row);
        let mut violations = Violations::default();
        read(&mut violations, &token, "owner=OTHER-LIR");
        assert!(violations.finish().is_err());
    }
}
