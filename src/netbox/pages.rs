//! Big reads, sliced by id: what a full pass is made of.

use serde_json::Value;

use super::client::Client;
use super::error::{Error, Result};
use super::records::Record;
use super::transport::Request;

/// How much there is of a kind and between which ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Records.
    pub count: u64,
    /// Lowest id.
    pub first: u64,
    /// Highest id.
    pub last: u64,
}

/// A part of the ids of a kind: from `start` (inclusive) to `end` (exclusive).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// First id that belongs to it.
    pub start: u64,
    /// First id that does not; `None` for all that follow, so that what is created meanwhile is not missed.
    pub end: Option<u64>,
}

impl Extent {
    /// Cuts the ids into slices of about `page_size` records if ids are dense; sparse ids make a slice cheaper, never
    /// wrong, since a slice is read page by page to its end.
    pub fn slices(self, page_size: u32) -> Vec<Slice> {
        let span = self.last.saturating_sub(self.first).saturating_add(1);
        let pages = self.count.div_ceil(u64::from(page_size.max(1))).max(1);
        let width = span.div_ceil(pages).max(1);
        let mut slices: Vec<Slice> = (0..pages)
            .map(|page| self.first.saturating_add(page.saturating_mul(width)))
            .take_while(|start| *start <= self.last)
            .map(|start| Slice { start, end: Some(start.saturating_add(width)) })
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
    /// Slices of an extent, each about a page.
    pub fn slices(&self, extent: Extent) -> Vec<Slice> {
        extent.slices(self.page_size())
    }

    /// How much there is of a kind; `None` if there is nothing. Two small requests.
    pub async fn extent<R: Record>(&self) -> Result<Option<Extent>> {
        let edge = async |ordering: &str| -> Result<(u64, Option<u64>)> {
            let query =
                [("limit", "1".to_owned()), ("ordering", ordering.to_owned()), ("fields", "id".to_owned())];
            let page = self.transport().read(Request::get(R::PATH, &query)).await?;
            let count = page.get("count").and_then(Value::as_u64).ok_or_else(|| Error::Malformed {
                attempt: format!("GET {}", R::PATH),
                cause: "no count".into(),
            })?;
            let id = page.pointer("/results/0/id").and_then(Value::as_u64);
            Ok((count, id))
        };
        let ((count, first), (_, last)) = tokio::try_join!(edge("id"), edge("-id"))?;
        Ok(first.zip(last).map(|(first, last)| Extent { count, first, last }))
    }

    /// One page of a slice and where the next one starts; `None` there when the slice has ended.
    pub async fn page<R: Record>(&self, slice: Slice) -> Result<(Vec<R>, Option<Slice>)> {
        let mut query = Vec::with_capacity(5);
        if self.capabilities().cursor_pages {
            query.push(("start", slice.start.to_string()));
        } else {
            query.push(("id__gte", slice.start.to_string()));
            query.push(("ordering", "id".to_owned()));
        }
        if let Some(end) = slice.end {
            query.push(("id__lt", end.to_string()));
        }
        query.push(("limit", self.page_size().to_string()));
        query.push(("fields", R::FIELDS.to_owned()));
        let page = self.transport().read(Request::page(R::PATH, &query)).await?;
        let rows = self.rows::<R>(&page)?;
        // NetBox may cap the page below what was asked for, so only its own word says that there is no more.
        let more = page.get("next").is_some_and(Value::is_string);
        let last = rows.last().map(Record::id);
        // A filter that this version ignored would hand back rows outside the slice: they belong to another.
        let within = |row: &R| slice.end.is_none_or(|end| row.id() < end) && row.id() >= slice.start;
        // A full page says "next" even where it was the last: without this every dense slice would cost a second request.
        let at_end = last.is_some_and(|last| slice.end.is_some_and(|end| last + 1 >= end));
        let rows: Vec<R> = rows.into_iter().filter(within).collect();
        let next = match last {
            Some(last) if more && !at_end => Some(Slice { start: last + 1, end: slice.end }),
            _ => None,
        };
        Ok((rows, next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn slices_cover_every_id_once(count in 1u64..100_000, first in 1u64..1_000_000, gap in 0u64..1_000_000, size in 1u32..2000) {
            let extent = Extent { count, first, last: first + count - 1 + gap };
            let slices = extent.slices(size);
            prop_assert_eq!(slices[0].start, 0);
            prop_assert_eq!(slices[slices.len() - 1].end, None);
            for pair in slices.windows(2) {
                prop_assert_eq!(pair[0].end, Some(pair[1].start));
                prop_assert!(pair[0].start < pair[1].start);
            }
        }

        #[test]
        fn dense_ids_need_no_more_slices_than_pages(count in 1u64..1_000_000, size in 1u32..2000) {
            let extent = Extent { count, first: 1, last: count };
            let slices = extent.slices(size);
            prop_assert!(slices.len() as u64 <= count.div_ceil(u64::from(size)));
            for slice in &slices {
                let end = slice.end.unwrap_or(count + 1);
                prop_assert!(end - slice.start.max(1) <= u64::from(size));
            }
        }
    }
}
