//! Reads of everything: the ids of a kind of record are cut into slices, and each slice is read page by page.
//!
//! Slices go by id and never by offset: a record that is deleted meanwhile would shift the offsets of all that follow.

use std::num::NonZeroU32;

use serde_json::Value;

use super::client::Client;
use super::error::NetBoxResult;
use super::lists::{has_next, malformed, rows_of};
use super::records::NetBoxRecord;
use super::request::ApiRequest;

/// How many records of a kind there are, and between which ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdBounds {
    pub count: u64,
    pub lowest: u64,
    pub highest: u64,
}

/// A part of the ids of a kind of record: from `start` (inclusive) to `end` (exclusive).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdSlice {
    pub start: u64,
    /// `None`: without an upper end, so that records created during the pass are not missed.
    pub end: Option<u64>,
}

impl IdBounds {
    /// Cuts the ids into slices of about `page_size` records each, provided that ids are dense. Sparse ids only make some
    /// slices smaller: every slice is read to its end, so no record is missed.
    pub fn slices(self, page_size: NonZeroU32) -> Vec<IdSlice> {
        let span = self.highest.saturating_sub(self.lowest).saturating_add(1);
        let pages = self.count.div_ceil(u64::from(page_size.get())).max(1);
        let width = span.div_ceil(pages).max(1);
        let mut slices: Vec<IdSlice> = (0..pages)
            .map(|page| self.lowest.saturating_add(page.saturating_mul(width)))
            .take_while(|start| *start <= self.highest)
            .map(|start| IdSlice { start, end: Some(start.saturating_add(width)) })
            .collect();
        if let Some(first) = slices.first_mut() {
            first.start = 0;
        }
        if let Some(last) = slices.last_mut() {
            last.end = None;
        }
        slices
    }
}

impl Client {
    /// Cuts the ids of a kind into slices of about one page each.
    pub fn slices(&self, bounds: IdBounds) -> Vec<IdSlice> {
        bounds.slices(self.page_size())
    }

    /// The count, lowest id and highest id of a kind of record; `None` if NetBox has no such record. Two GETs of one row
    /// each, one in either order.
    pub async fn id_bounds<R: NetBoxRecord>(&self) -> NetBoxResult<Option<IdBounds>> {
        let edge = async |ordering: &str| -> NetBoxResult<(u64, Option<u64>)> {
            let query =
                [("limit", "1".to_owned()), ("ordering", ordering.to_owned()), ("fields", "id".to_owned())];
            let page = self.transport().read(ApiRequest::get(R::PATH, &query)).await?;
            let count = page.get("count").and_then(Value::as_u64);
            let count = count.ok_or_else(|| malformed(R::PATH, "it has no count"))?;
            let id = page.pointer("/results/0/id").and_then(Value::as_u64);
            Ok((count, id))
        };
        let ((count, lowest), (_, highest)) = tokio::try_join!(edge("id"), edge("-id"))?;
        Ok(lowest.zip(highest).map(|(lowest, highest)| IdBounds { count, lowest, highest }))
    }

    /// One page of a slice, and the rest of the slice; `None` when the slice is read to its end.
    pub async fn read_page<R: NetBoxRecord>(
        &self,
        slice: IdSlice,
    ) -> NetBoxResult<(Vec<R>, Option<IdSlice>)> {
        let mut query = Vec::with_capacity(5);
        self.start_at(&mut query, slice.start);
        if let Some(end) = slice.end {
            query.push(("id__lt", end.to_string()));
        }
        query.push(("limit", self.page_size().to_string()));
        query.push(("fields", R::FIELDS.to_owned()));
        let mut page = self.transport().read(ApiRequest::page(R::PATH, &query)).await?;
        let more = has_next(&page);
        let mut rows: Vec<R> = self.parse_rows(&rows_of(R::PATH, &mut page)?)?;
        let last = rows.last().map(NetBoxRecord::id);
        // A full page has a `next` even where it reaches the end of the slice; asking for it would double the requests of
        // every dense slice.
        let at_end = last.is_some_and(|last| slice.end.is_some_and(|end| last + 1 >= end));
        // A version that ignored the filter answers with rows of other slices too.
        rows.retain(|row| row.id() >= slice.start && slice.end.is_none_or(|end| row.id() < end));
        let rest = match last {
            Some(last) if more && !at_end => Some(IdSlice { start: last + 1, end: slice.end }),
            _ => None,
        };
        Ok((rows, rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn slices_cover_every_id_once(count in 1u64..100_000, lowest in 1u64..1_000_000, gap in 0u64..1_000_000, size in 1u32..2000) {
            let bounds = IdBounds { count, lowest, highest: lowest + count - 1 + gap };
            let slices = bounds.slices(NonZeroU32::new(size).unwrap());
            prop_assert_eq!(slices[0].start, 0);
            prop_assert_eq!(slices[slices.len() - 1].end, None);
            for pair in slices.windows(2) {
                prop_assert_eq!(pair[0].end, Some(pair[1].start));
                prop_assert!(pair[0].start < pair[1].start);
            }
        }

        #[test]
        fn dense_ids_need_no_more_slices_than_pages(count in 1u64..1_000_000, size in 1u32..2000) {
            let bounds = IdBounds { count, lowest: 1, highest: count };
            let slices = bounds.slices(NonZeroU32::new(size).unwrap());
            prop_assert!(slices.len() as u64 <= count.div_ceil(u64::from(size)));
            for slice in &slices {
                let end = slice.end.unwrap_or(count + 1);
                prop_assert!(end - slice.start.max(1) <= u64::from(size));
            }
        }
    }
}
