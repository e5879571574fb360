//! What WatchEvents and WatchExpiry share: the filters of a request, and the stream of items.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt as _, stream};
use tonic::Status;

use super::parse::{Violations, given};
use super::problem::Problem;
use super::proto::v1;
use super::{convert, event_convert, page, status};
use crate::cache::{Cache, Index};
use crate::clock::Clock;
use crate::events::{EventFilter, EventLog, ResumeToken, Watch, WatchItem};
use crate::model::PrefixId;

/// The filter fields that every request for events has.
pub(super) struct EventFilterFields<'a> {
    pub(super) types: &'a [i32],
    pub(super) owner: &'a str,
    pub(super) tenant: Option<&'a v1::TenantRef>,
    pub(super) tag: &'a str,
    pub(super) within: &'a str,
    pub(super) vrf: Option<&'a v1::VrfRef>,
    pub(super) horizon_days: Option<i32>,
}

impl EventFilterFields<'_> {
    /// Parses the fields; the cache knows the VRFs. Violations are noted.
    pub(super) fn parse(&self, violations: &mut Violations, cache: &Cache) -> EventFilter {
        let mut kinds = BTreeSet::new();
        for (index, number) in self.types.iter().enumerate() {
            match event_convert::event_kind(*number) {
                Some(kind) => {
                    kinds.insert(kind);
                }
                None => {
                    violations.add(format!("types[{index}]"), format!("{number} is not a type of event"));
                }
            }
        }
        let within = violations.optional_network("within", self.within);
        if self.horizon_days.is_some_and(|days| days < 0) {
            violations.add("horizon_days", "must not be negative");
        }
        EventFilter {
            kinds,
            owner: given(self.owner),
            tenant: violations.tenant(self.tenant),
            tag: given(self.tag),
            within,
            scope: violations.scope_filter("vrf", cache, self.vrf),
            horizon: self.horizon_days,
            terms_only: false,
        }
    }
}

/// Parses a resume token that may be left out.
pub(super) fn parse_resume_token(violations: &mut Violations, text: &str) -> Option<ResumeToken> {
    if text.is_empty() { None } else { violations.take("resume_token", text.parse::<ResumeToken>()) }
}

/// The content of one message of a stream, before it is put into the message of its method.
pub(super) enum StreamItem {
    Lease(Box<v1::Lease>),
    Synced,
    Event(Box<v1::Event>),
    Bookmark,
}

/// Items, each with the token to resume from after it. The token is empty within a snapshot.
pub(super) type ItemStream = Pin<Box<dyn Stream<Item = Result<(StreamItem, String), Status>> + Send>>;

/// Opens streams over one event log and one cache.
#[derive(Clone)]
pub(super) struct StreamOpener {
    pub(super) cache: Arc<Cache>,
    pub(super) log: Arc<EventLog>,
    pub(super) clock: Arc<dyn Clock>,
    /// How long a stream may be quiet before it sends a bookmark.
    pub(super) bookmarks: Duration,
}

impl StreamOpener {
    /// Opens a stream of the events after a token, or from now on if there is none; then it begins with a snapshot if `snapshot`
    /// is set, and sends `Synced` before the first event.
    pub(super) async fn open(
        &self,
        filter: EventFilter,
        token: Option<ResumeToken>,
        snapshot: bool,
    ) -> Result<ItemStream, Problem> {
        if let Some(token) = token {
            let sequence = self.log.resume(&token).await?;
            return Ok(self.live(sequence, filter));
        }
        if !snapshot {
            let sequence = self.log.last();
            let synced = (StreamItem::Synced, self.log.token(sequence).to_string());
            let synced = stream::once(std::future::ready(Ok(synced)));
            return Ok(synced.chain(self.live(sequence, filter)).boxed());
        }
        self.cache.ready_read().map(drop)?;
        // The snapshot contains exactly the changes up to this sequence, so the events after it miss and repeat nothing.
        let log = self.log.clone();
        let (index, sequence) = self.cache.snapshot_with(move || log.last()).await;
        let synced = (StreamItem::Synced, self.log.token(sequence).to_string());
        let leases = self.leases(index, filter.clone());
        let live = self.live(sequence, filter);
        Ok(leases.chain(stream::once(std::future::ready(Ok(synced)))).chain(live).boxed())
    }

    /// The leases of a snapshot, ordered by prefix id. Each is rendered when it is sent, so that a slow reader costs no memory
    /// beyond the snapshot itself.
    fn leases(&self, index: Arc<Index>, filter: EventFilter) -> ItemStream {
        let clock = self.clock.clone();
        stream::unfold(PrefixId(0), move |after| {
            let today = clock.today();
            let next = index.leased_after(after).find(|prefix| filter.wants_prefix(prefix, today));
            let next = next.and_then(|prefix| {
                let lease = convert::own_lease(&index, prefix, today)?;
                Some((Ok((StreamItem::Lease(Box::new(lease)), String::new())), prefix.id))
            });
            std::future::ready(next)
        })
        .boxed()
    }

    /// The events after a sequence that pass the filter, and bookmarks. The stream ends with the first error.
    fn live(&self, sequence: u64, filter: EventFilter) -> ItemStream {
        let watch = Watch::after(self.log.clone(), sequence, filter, self.bookmarks);
        let (cache, clock) = (self.cache.clone(), self.clock.clone());
        stream::unfold(Some(watch), move |watch| {
            let (cache, clock) = (cache.clone(), clock.clone());
            async move {
                let mut watch = watch?;
                let item = watch.next().await;
                let token = watch.token();
                Some(match item {
                    Ok(WatchItem::Event(event)) => {
                        let (index, today) = (cache.snapshot(), clock.today());
                        let event = page::fit(|view| event_convert::event(&index, &event, today, view));
                        (Ok((StreamItem::Event(Box::new(event)), token.to_string())), Some(watch))
                    }
                    Ok(WatchItem::Bookmark) => (Ok((StreamItem::Bookmark, token.to_string())), Some(watch)),
                    Err(closed) => (Err(status::watch_closed(closed, &token).into()), None),
                })
            }
        })
        .boxed()
    }
}
