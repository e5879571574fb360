//! EventService: streams of events, lists of events, and the history of an address.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use tonic::{Request, Response, Status};

use super::parse::{View, Violations};
use super::problem::Problem;
use super::proto::v1;
use super::proto::v1::event_service_server::EventService;
use super::watch::{EventFilterFields, StreamItem, StreamOpener, parse_resume_token};
use super::{convert, event_convert, page};
use crate::cache::Cache;
use crate::clock::Clock;
use crate::events::{EventLog, Historian, HistoryEvent, HistoryPosition, ResumeToken};

/// Handles EventService from the event log; the historian answers for single addresses.
#[derive(Clone)]
pub struct EventHandler {
    streams: StreamOpener,
    historian: Arc<Historian>,
}

impl EventHandler {
    /// A handler over this event log. A quiet stream sends a bookmark after each `bookmarks`.
    pub fn new(
        cache: Arc<Cache>,
        log: Arc<EventLog>,
        historian: Arc<Historian>,
        clock: Arc<dyn Clock>,
        bookmarks: Duration,
    ) -> Self {
        Self { streams: StreamOpener { cache, log, clock, bookmarks }, historian }
    }
}

#[tonic::async_trait]
impl EventService for EventHandler {
    type WatchEventsStream = Pin<Box<dyn Stream<Item = Result<v1::WatchEventsResponse, Status>> + Send>>;

    async fn watch_events(
        &self,
        request: Request<v1::WatchEventsRequest>,
    ) -> Result<Response<Self::WatchEventsStream>, Status> {
        use v1::watch_events_response::Item;
        let request = request.into_inner();
        let mut violations = Violations::default();
        let fields = EventFilterFields {
            types: &request.types,
            owner: &request.owner,
            tenant: request.tenant.as_ref(),
            tag: &request.tag,
            within: &request.within,
            vrf: request.vrf.as_ref(),
            horizon_days: request.horizon_days,
        };
        let filter = fields.parse(&mut violations, &self.streams.cache);
        let token = parse_resume_token(&mut violations, &request.resume_token);
        violations.finish()?;
        let items = self.streams.open(filter, token, !request.skip_snapshot).await?;
        let messages = items.map(|item| {
            let (item, resume_token) = item?;
            let item = match item {
                StreamItem::Lease(lease) => Item::Lease(*lease),
                StreamItem::Synced => Item::Synced(v1::Synced {}),
                StreamItem::Event(event) => Item::Event(*event),
                StreamItem::Bookmark => Item::Bookmark(v1::Bookmark {}),
            };
            Ok(v1::WatchEventsResponse { item: Some(item), resume_token })
        });
        Ok(Response::new(messages.boxed()))
    }

    async fn list_events(
        &self,
        request: Request<v1::ListEventsRequest>,
    ) -> Result<Response<v1::ListEventsResponse>, Status> {
        let request = request.get_ref();
        let mut violations = Violations::default();
        let fields = EventFilterFields {
            types: &request.types,
            owner: &request.owner,
            tenant: request.tenant.as_ref(),
            tag: &request.tag,
            within: &request.within,
            vrf: request.vrf.as_ref(),
            horizon_days: None,
        };
        let filter = fields.parse(&mut violations, &self.streams.cache);
        let size = violations.page_size(request.page_size);
        // The page token is a resume token of the log: the page begins before its event.
        let before = match request.page_token.as_str() {
            "" => None,
            text => violations.take("page_token", text.parse::<ResumeToken>()),
        };
        violations.finish()?;
        let log = &self.streams.log;
        // One more than the page shows, so that the page knows whether it is the last.
        let found = log.search(&filter, before.as_ref(), size + 1).await.map_err(Problem::from)?;
        let (index, today) = (self.streams.cache.snapshot(), self.streams.clock.today());
        let shown = page::fill(
            size,
            View::Full,
            found.events,
            |event, view| Some(event_convert::event(&index, event, today, view)),
            |event| log.token(event.sequence).to_string(),
        )?;
        let examined = || found.next.map(|token| token.to_string()).unwrap_or_default();
        let next_page_token =
            if shown.next_page_token.is_empty() { examined() } else { shown.next_page_token };
        let resume_token = found.newest.to_string();
        Ok(Response::new(v1::ListEventsResponse { events: shown.rows, next_page_token, resume_token }))
    }

    async fn get_address_history(
        &self,
        request: Request<v1::GetAddressHistoryRequest>,
    ) -> Result<Response<v1::GetAddressHistoryResponse>, Status> {
        let request = request.get_ref();
        let mut violations = Violations::default();
        let host = violations.host("address", &request.address);
        let scope = violations.scope(&self.streams.cache, request.vrf.as_ref());
        let size = violations.page_size(request.page_size);
        let after = match request.page_token.as_str() {
            "" => None,
            text => violations.take("page_token", text.parse::<HistoryPosition>()),
        };
        let (scope, host) = violations.finish_with(scope.zip(host))?;
        self.streams.cache.ready_read().map(drop).map_err(Problem::from)?;
        // One more than the page shows, so that the page knows whether it is the last.
        let history =
            self.historian.history(scope, host, after.as_ref(), size + 1).await.map_err(Problem::from)?;
        let (index, today) = (self.streams.cache.snapshot(), self.streams.clock.today());
        let shown = page::fill(
            size,
            View::Full,
            history.events,
            |(event, _), view| {
                Some(match event {
                    HistoryEvent::Recorded(event) => event_convert::event(&index, event, today, view),
                    HistoryEvent::OfNetBox(event) => event_convert::domain_event(&index, event, today, view),
                })
            },
            |(_, position)| position.to_string(),
        )?;
        let chain = index.lookup(scope, host).chain;
        Ok(Response::new(v1::GetAddressHistoryResponse {
            events: shown.rows,
            known_since_time: Some(convert::timestamp(history.known_since)),
            chain: chain.iter().map(|prefix| convert::prefix(&index, prefix, today, View::Basic)).collect(),
            next_page_token: shown.next_page_token,
        }))
    }
}
