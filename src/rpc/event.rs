//! EventService: the log, watched, listed, and walked back.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use tonic::{Request, Response, Status};

use super::parse::Violations;
use super::proto::v1;
use super::proto::v1::event_service_server::EventService;
use super::status::Problem;
use super::watch::{Item, Wanted, Watcher, token};
use super::{convert, event_convert};
use crate::cache::Cache;
use crate::clock::Clock;
use crate::events::{EventLog, Historian};
use crate::model::Table;

/// How many events of the log one call looks at, at most, while it fills a page.
const LOOKED_AT: usize = 20_000;
/// How many it reads at once.
const AT_ONCE: u32 = 500;

/// Answers from the event log.
#[derive(Clone)]
pub struct Events {
    watcher: Watcher,
    historian: Arc<Historian>,
}

impl Events {
    /// Answers from this log; a quiet stream gets a bookmark as often as this.
    pub fn new(
        cache: Arc<Cache>,
        log: Arc<EventLog>,
        historian: Arc<Historian>,
        clock: Arc<dyn Clock>,
        bookmarks: Duration,
    ) -> Self {
        Self { watcher: Watcher { cache, log, clock, bookmarks }, historian }
    }

    async fn list(&self, request: &v1::ListEventsRequest) -> Result<v1::ListEventsResponse, Problem> {
        let mut violations = Violations::default();
        let filter = Wanted {
            types: &request.types,
            owner: &request.owner,
            tenant: &request.tenant,
            tag: &request.tag,
            within: &request.within,
            vrf_id: request.vrf_id,
            horizon_days: None,
        }
        .filter(&mut violations);
        let size = violations.page_size(request.page_size);
        // The token of a page is the log's own: the event before which it starts.
        let before = match request.page_token.as_str() {
            "" => None,
            text => violations.take("page_token", text.parse::<crate::events::Token>()),
        };
        violations.finish()?;
        let log = &self.watcher.log;
        let today = self.watcher.clock.today();
        let index = self.watcher.cache.snapshot();
        let mut before = match before {
            Some(token) => log.resume(&token).await?,
            None => u64::MAX,
        };
        let newest = log.last();
        let (mut events, mut looked_at) = (Vec::new(), 0);
        let more = loop {
            let page = log.journal().read_back(before, AT_ONCE).await.map_err(Problem::from)?;
            let Some(last) = page.last().map(|event| event.sequence) else { break false };
            looked_at += page.len();
            let mut full = false;
            for event in &page {
                if events.len() == size {
                    full = true;
                    break;
                }
                before = event.sequence;
                if filter.wants(&event.happening, today) {
                    events.push(event_convert::event(&index, event, today));
                }
            }
            if full || looked_at >= LOOKED_AT {
                break true;
            }
            before = last;
        };
        Ok(v1::ListEventsResponse {
            events,
            next_page_token: if more { log.token(before).to_string() } else { String::new() },
            resume_token: log.token(newest).to_string(),
        })
    }
}

#[tonic::async_trait]
impl EventService for Events {
    type WatchEventsStream = Pin<Box<dyn Stream<Item = Result<v1::WatchEventsResponse, Status>> + Send>>;

    async fn watch_events(
        &self,
        request: Request<v1::WatchEventsRequest>,
    ) -> Result<Response<Self::WatchEventsStream>, Status> {
        use v1::watch_events_response::Item as Message;
        let request = request.into_inner();
        let mut violations = Violations::default();
        let filter = Wanted {
            types: &request.types,
            owner: &request.owner,
            tenant: &request.tenant,
            tag: &request.tag,
            within: &request.within,
            vrf_id: request.vrf_id,
            horizon_days: request.horizon_days,
        }
        .filter(&mut violations);
        let token = token(&mut violations, &request.resume_token);
        violations.finish()?;
        let items = self.watcher.open(filter, token, !request.skip_snapshot).await?;
        let messages = items.map(|item| {
            let (item, resume_token) = item?;
            let item = match item {
                Item::Lease(lease) => Message::Lease(*lease),
                Item::Synced => Message::Synced(v1::Synced {}),
                Item::Event(event) => Message::Event(*event),
                Item::Bookmark => Message::Bookmark(v1::Bookmark {}),
            };
            Ok(v1::WatchEventsResponse { item: Some(item), resume_token })
        });
        Ok(Response::new(messages.boxed()))
    }

    async fn list_events(
        &self,
        request: Request<v1::ListEventsRequest>,
    ) -> Result<Response<v1::ListEventsResponse>, Status> {
        Ok(Response::new(self.list(request.get_ref()).await?))
    }

    async fn get_address_history(
        &self,
        request: Request<v1::GetAddressHistoryRequest>,
    ) -> Result<Response<v1::GetAddressHistoryResponse>, Status> {
        let request = request.get_ref();
        let mut violations = Violations::default();
        let host = violations.host("address", &request.address);
        let host = violations.finish_with(host)?;
        if !self.watcher.cache.is_ready() {
            return Err(Problem::cache_empty(&self.watcher.cache.freshness().trouble()).into());
        }
        let table = Table::from_number(request.vrf_id);
        let history = self.historian.history(table, host).await.map_err(Problem::from)?;
        let today = self.watcher.clock.today();
        let index = self.watcher.cache.snapshot();
        let recorded = history.recorded.iter().map(|event| event_convert::event(&index, event, today));
        let earlier = history.earlier.iter().map(|entry| event_convert::happening(&index, entry, today));
        Ok(Response::new(v1::GetAddressHistoryResponse {
            events: recorded.chain(earlier).collect(),
            known_since: Some(convert::timestamp(history.known_since)),
            chain: index
                .lookup(table, host)
                .chain
                .iter()
                .map(|p| convert::prefix(&index, p, today))
                .collect(),
        }))
    }
}
