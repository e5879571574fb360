//! Lists inside an answer that has no pages: what does not fit is left out, and the answer says how many there are.

use std::cmp::Reverse;

use prost::Message;

/// The bytes that the lists of one answer may take together. A client takes 4 MiB unless it is told otherwise.
pub(super) const LIST_BYTES: usize = 3 << 20;

/// The rows that fit into this many bytes, and how many rows there are. Rows at the end are left out.
pub(super) fn first<M: Message>(rows: impl IntoIterator<Item = M>, bytes: usize) -> (Vec<M>, u64) {
    heaviest(rows.into_iter().map(|row| ((), row)), bytes)
}

/// The rows that fit into this many bytes, and how many rows there are. The order stays; the rows with the least weight are left
/// out, and of rows with the same weight the last ones.
pub(super) fn heaviest<W: Ord, M: Message>(
    rows: impl IntoIterator<Item = (W, M)>,
    bytes: usize,
) -> (Vec<M>, u64) {
    let mut rows: Vec<(usize, W, M)> =
        rows.into_iter().enumerate().map(|(nth, (weight, row))| (nth, weight, row)).collect();
    let count = rows.len() as u64;
    let total: usize = rows.iter().map(|(.., row)| field_bytes(row)).sum();
    if total > bytes {
        rows.sort_by(|(_, one, _), (_, other, _)| Reverse(one).cmp(&Reverse(other)));
        let mut left = bytes;
        let fitting = rows.iter().take_while(|(.., row)| {
            let fits = left.checked_sub(field_bytes(row));
            left = fits.unwrap_or(left);
            fits.is_some()
        });
        let fitting = fitting.count();
        rows.truncate(fitting);
        rows.sort_by_key(|(nth, ..)| *nth);
    }
    (rows.into_iter().map(|(.., row)| row).collect(), count)
}

/// The bytes that a row takes in a repeated field: its number and its length come before it.
fn field_bytes(row: &impl Message) -> usize {
    let length = row.encoded_len();
    2 + prost::length_delimiter_len(length) + length
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::proto::v1::Vrp;
    use proptest::prelude::*;

    fn row(asn: u32) -> Vrp {
        Vrp { prefix: "203.0.113.0/24".to_owned(), asn, ..Vrp::default() }
    }

    #[test]
    fn what_weighs_least_is_left_out_and_the_order_stays() {
        let rows = || [(1, row(1)), (3, row(2)), (2, row(3)), (3, row(4))];
        let (one, asns) =
            (field_bytes(&row(1)), |rows: Vec<Vrp>| rows.iter().map(|row| row.asn).collect::<Vec<_>>());
        let cut = |bytes| {
            let (kept, count) = heaviest(rows(), bytes);
            (asns(kept), count)
        };
        assert_eq!(cut(4 * one), (vec![1, 2, 3, 4], 4));
        assert_eq!(cut(4 * one - 1), (vec![2, 3, 4], 4));
        assert_eq!(cut(2 * one), (vec![2, 4], 4));
        assert_eq!(cut(one), (vec![2], 4));
        assert_eq!(cut(0), (vec![], 4));
    }

    proptest! {
        #[test]
        fn the_rows_that_are_kept_fit(asns in prop::collection::vec(any::<u32>(), 0..50), bytes in 0usize..1500) {
            let (kept, count) = first(asns.iter().copied().map(row), bytes);
            prop_assert!(kept.iter().map(field_bytes).sum::<usize>() <= bytes);
            prop_assert_eq!(count, asns.len() as u64);
            prop_assert!(kept.iter().zip(&asns).all(|(row, asn)| row.asn == *asn));
        }
    }
}
