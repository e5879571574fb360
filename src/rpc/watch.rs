//! What WatchEvents and WatchExpiry share: from a request's filters to a stream of items.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt as _, stream};
use tonic::Status;

use super::event_convert;
use super::parse::Violations;
use super::proto::v1;
use super::status::Problem;
use crate::cache::{Cache, Index};
use crate::clock::Clock;
use crate::events::{EventLog, Filter, Token, Told, Watch};
use crate::model::{PrefixId, Table};

/// The filters that every request for events has.
pub(super) struct Wanted<'a> {
    pub(super) types: &'a [i32],
    pub(super) owner: &'a str,
    pub(super) tenant: &'a str,
    pub(super) tag: &'a str,
    pub(super) within: &'a str,
    pub(super) vrf_id: Option<u64>,
    pub(super) horizon_days: Option<i32>,
}

impl Wanted<'_> {
    /// Reads them; what is wrong is noted.
    pub(super) fn filter(&self, violations: &mut Violations) -> Filter {
        let mut filter = Filter::default();
        for (nth, number) in self.types.iter().enumerate() {
            match event_convert::event_kind(*number) {
                Some(kind) => {
                    filter.kinds.insert(kind);
                }
                None => violations.add(format!("types[{nth}]"), "is no type of event"),
            }
        }
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        filter.owner = some(self.owner);
        filter.tenant = some(self.tenant);
        filter.tag = some(self.tag);
        filter.within = if self.within.is_empty() { None } else { violations.network("within", self.within) };
        filter.table = self.vrf_id.map(Table::from_number);
        if self.horizon_days.is_some_and(|days| days < 0) {
            violations.add("horizon_days", "is negative");
        }
        filter.horizon = self.horizon_days;
        filter
    }
}

/// Reads a token that may be absent.
pub(super) fn token(violations: &mut Violations, text: &str) -> Option<Token> {
    if text.is_empty() { None } else { violations.take("resume_token", text.parse::<Token>()) }
}

/// What a stream sends, before it is put into its own message.
pub(super) enum Item {
    Lease(Box<v1::Lease>),
    Synced,
    Event(Box<v1::Event>),
    Bookmark,
}

/// Opens streams over one log and one cache.
#[derive(Clone)]
pub(super) struct Watcher {
    pub(super) cache: Arc<Cache>,
    pub(super) log: Arc<EventLog>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) bookmarks: Duration,
}

/// Items with the token that each leaves its reader at; empty within a snapshot.
pub(super) type Items = Pin<Box<dyn Stream<Item = Result<(Item, String), Status>> + Send>>;

impl Watcher {
    /// A stream from a token, or from now on; with a snapshot first if `snapshot` is set and there is no token.
    pub(super) async fn open(
        &self,
        filter: Filter,
        token: Option<Token>,
        snapshot: bool,
    ) -> Result<Items, Problem> {
        if let Some(token) = token {
            let sequence = self.log.resume(&token).await?;
            return Ok(self.live(sequence, filter));
        }
        if !snapshot {
            let sequence = self.log.last();
            let first = (Item::Synced, self.log.token(sequence).to_string());
            return Ok(stream::once(std::future::ready(Ok(first)))
                .chain(self.live(sequence, filter))
                .boxed());
        }
        if !self.cache.is_ready() {
            return Err(Problem::cache_empty(&self.cache.freshness().trouble()));
        }
        let log = self.log.clone();
        let (index, sequence) = self.cache.with_witness(move || log.last()).await;
        let synced = (Item::Synced, self.log.token(sequence).to_string());
        let leases = self.leases(index, filter.clone());
        let rest = self.live(sequence, filter);
        Ok(leases.chain(stream::once(std::future::ready(Ok(synced)))).chain(rest).boxed())
    }

    /// The leases of a snapshot, by id. Holds the snapshot, which shares what has not changed, and nothing else.
    fn leases(&self, index: Arc<Index>, filter: Filter) -> Items {
        let clock = self.clock.clone();
        stream::unfold(PrefixId(0), move |after| {
            let today = clock.today();
            let next = index.leased_after(after).find(|prefix| filter.wants_prefix(prefix, today));
            let next = next.and_then(|prefix| {
                let lease = super::convert::own_lease(prefix, today)?;
                Some((Ok((Item::Lease(Box::new(lease)), String::new())), prefix.id))
            });
            std::future::ready(next)
        })
        .boxed()
    }

    fn live(&self, sequence: u64, filter: Filter) -> Items {
        let watch = Watch::after(self.log.clone(), sequence, filter, self.bookmarks);
        let (cache, clock) = (self.cache.clone(), self.clock.clone());
        stream::unfold(Some(watch), move |watch| {
            let (cache, clock) = (cache.clone(), clock.clone());
            async move {
                let mut watch = watch?;
                let told = watch.next().await;
                let token = watch.token();
                Some(match told {
                    Ok(Told::Event(event)) => {
                        let event = event_convert::event(&cache.read(), &event, clock.today());
                        (Ok((Item::Event(Box::new(event)), token.to_string())), Some(watch))
                    }
                    Ok(Told::Bookmark) => (Ok((Item::Bookmark, token.to_string())), Some(watch)),
                    Err(closed) => (Err(Problem::watch_closed(closed, &token).into()), None),
                })
            }
        })
        .boxed()
    }
}
