//! NotificationService: shows the sinks and the deliveries to them, tests sinks, and replays dead deliveries.

use std::sync::Arc;

use jiff::civil::Date;
use tonic::{Code, Request, Response, Status};

use super::parse::{View, Violations};
use super::problem::Problem;
use super::proto::v1;
use super::proto::v1::notification_service_server::NotificationService;
use super::{convert, event_convert, page, status};
use crate::cache::{Cache, Index};
use crate::clock::Clock;
use crate::ledger::{Delivery, DeliveryState, FailedAttempt, ListDeliveries};
use crate::model::Failure;
use crate::notify::{DeliveryFailure, Notification, Notifier, SinkKind, SinkState};

/// Handles NotificationService: the sinks of the settings, and the deliveries of the outbox.
#[derive(Clone)]
pub struct NotificationHandler {
    notifier: Arc<Notifier>,
    cache: Arc<Cache>,
    clock: Arc<dyn Clock>,
}

impl NotificationHandler {
    /// A handler over this notifier.
    pub fn new(notifier: Arc<Notifier>, cache: Arc<Cache>, clock: Arc<dyn Clock>) -> Self {
        Self { notifier, cache, clock }
    }

    /// The names of the sinks, as the end of a message.
    fn sink_names(&self) -> String {
        let names: Vec<String> = self.notifier.sinks().into_iter().map(|sink| sink.name).collect();
        if names.is_empty() {
            "no sink is configured".to_owned()
        } else {
            format!("the sinks are {}", names.join(", "))
        }
    }
}

fn failure(failed: FailedAttempt) -> v1::Failure {
    let reason = if failed.refused { DeliveryFailure::REFUSED } else { DeliveryFailure::FAILED };
    convert::failure(Failure { reason, message: failed.message, time: failed.at })
}

fn sink_kind(kind: SinkKind) -> v1::SinkKind {
    match kind {
        SinkKind::Slack => v1::SinkKind::Slack,
        SinkKind::Webhook => v1::SinkKind::Webhook,
        SinkKind::Email => v1::SinkKind::Email,
        SinkKind::Alertmanager => v1::SinkKind::Alertmanager,
        SinkKind::Ticket => v1::SinkKind::Ticket,
    }
}

fn render(index: &Index, delivery: &Delivery, today: Date, view: View) -> v1::Delivery {
    let event = event_convert::event(index, &delivery.event, today, view);
    let waiting = delivery.state == DeliveryState::Waiting;
    let state = match delivery.state {
        DeliveryState::Waiting => v1::DeliveryState::Waiting,
        DeliveryState::Sent => v1::DeliveryState::Sent,
        DeliveryState::Dead => v1::DeliveryState::Dead,
    };
    v1::Delivery {
        id: delivery.id.clone(),
        sink: delivery.sink.clone(),
        state: state.into(),
        attempt_count: delivery.attempts,
        due_time: waiting.then(|| convert::timestamp(delivery.due)),
        create_time: Some(convert::timestamp(delivery.created)),
        update_time: Some(convert::timestamp(delivery.updated)),
        last_failure: delivery.last_failure.clone().map(failure),
        summary: Notification::from(delivery.clone()).summary(),
        event: Some(event),
    }
}

#[tonic::async_trait]
impl NotificationService for NotificationHandler {
    async fn list_sinks(
        &self,
        request: Request<v1::ListSinksRequest>,
    ) -> Result<Response<v1::ListSinksResponse>, Status> {
        let request = request.get_ref();
        let mut violations = Violations::default();
        let size = violations.page_size(request.page_size);
        let after = page::parse_name_token(&mut violations, &request.page_token);
        violations.finish()?;
        let rest = self.notifier.sinks().into_iter().filter(|sink| after.as_ref() < Some(&sink.name));
        let render = |sink: &SinkState| v1::Sink {
            name: sink.name.clone(),
            kind: sink_kind(sink.kind).into(),
            last_failure: sink.last_failure.clone().map(convert::failure),
        };
        let page = page::fill(
            size,
            View::Basic,
            rest,
            |sink, _| Some(render(sink)),
            |sink| page::name_token(&sink.name),
        )?;
        Ok(Response::new(v1::ListSinksResponse { sinks: page.rows, next_page_token: page.next_page_token }))
    }

    async fn test_sink(
        &self,
        request: Request<v1::TestSinkRequest>,
    ) -> Result<Response<v1::TestSinkResponse>, Status> {
        let name = &request.get_ref().sink;
        if name.is_empty() {
            return Err(Problem::invalid_field("sink", "is required").into());
        }
        match self.notifier.test(name).await {
            Some(Ok(())) => Ok(Response::new(v1::TestSinkResponse {})),
            Some(Err(failure)) => Err(status::sink_failed(name, &failure).into()),
            None => {
                let message = format!("no sink is named {name:?}; {}", self.sink_names());
                Err(Problem::new(Code::NotFound, "SINK_NOT_FOUND", message).into())
            }
        }
    }

    async fn list_deliveries(
        &self,
        request: Request<v1::ListDeliveriesRequest>,
    ) -> Result<Response<v1::ListDeliveriesResponse>, Status> {
        let request = request.into_inner();
        let mut violations = Violations::default();
        let size = violations.page_size(request.page_size);
        let state = match v1::DeliveryState::try_from(request.state) {
            Ok(v1::DeliveryState::Unspecified) => None,
            Ok(v1::DeliveryState::Waiting) => Some(DeliveryState::Waiting),
            Ok(v1::DeliveryState::Sent) => Some(DeliveryState::Sent),
            Ok(v1::DeliveryState::Dead) => Some(DeliveryState::Dead),
            Err(_) => {
                violations.add("state", format!("{} is not a value of DeliveryState", request.state));
                None
            }
        };
        let after = page::parse_time_token(&mut violations, &request.page_token, |id| Some(id.to_owned()));
        violations.finish()?;
        // One more than the page shows, so that the page knows whether it is the last.
        let limit = u32::try_from(size).unwrap_or(u32::MAX).saturating_add(1);
        let list = ListDeliveries { state, sink: request.sink, after, limit };
        let outbox = self.notifier.outbox();
        let (found, backlog) = tokio::join!(outbox.deliveries(&list), outbox.backlog());
        let (found, (waiting, dead)) = (found.map_err(Problem::from)?, backlog.map_err(Problem::from)?);
        let (index, today) = (self.cache.snapshot(), self.clock.today());
        let page = page::fill(
            size,
            View::Full,
            found,
            |delivery, view| Some(render(&index, delivery, today, view)),
            |delivery| page::time_token(delivery.created, &delivery.id),
        )?;
        Ok(Response::new(v1::ListDeliveriesResponse {
            deliveries: page.rows,
            next_page_token: page.next_page_token,
            waiting_count: waiting,
            dead_count: dead,
        }))
    }

    async fn replay_deliveries(
        &self,
        request: Request<v1::ReplayDeliveriesRequest>,
    ) -> Result<Response<v1::ReplayDeliveriesResponse>, Status> {
        let request = request.get_ref();
        let mut violations = Violations::default();
        if request.sink.is_empty() && request.ids.is_empty() {
            violations.add("ids", "is required if sink is not set");
        }
        if request.ids.len() > 1000 {
            violations.add("ids", format!("{} given, at most 1000 are allowed", request.ids.len()));
        }
        violations.finish()?;
        let replayed = self.notifier.replay(&request.sink, &request.ids).await.map_err(Problem::from)?;
        Ok(Response::new(v1::ReplayDeliveriesResponse { replayed_count: replayed }))
    }
}
