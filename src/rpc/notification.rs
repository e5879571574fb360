//! NotificationService: where events are sent to, and what became of it.

use std::sync::Arc;

use tonic::{Code, Request, Response, Status};

use super::parse::Violations;
use super::proto::v1;
use super::proto::v1::notification_service_server::NotificationService;
use super::status::Problem;
use super::{convert, event_convert, page};
use crate::cache::Cache;
use crate::clock::Clock;
use crate::ledger::{Delivery, DeliveryState, ListDeliveries};
use crate::notify::Notifier;
use crate::notify::message::Note;

/// Answers from the outbox.
#[derive(Clone)]
pub struct Notifications {
    notifier: Arc<Notifier>,
    cache: Arc<Cache>,
    clock: Arc<dyn Clock>,
}

impl Notifications {
    /// Answers for this notifier.
    pub fn new(notifier: Arc<Notifier>, cache: Arc<Cache>, clock: Arc<dyn Clock>) -> Self {
        Self { notifier, cache, clock }
    }

    fn render(&self, delivery: Delivery) -> v1::Delivery {
        let event = event_convert::event(&self.cache.snapshot(), &delivery.event, self.clock.today());
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
            attempts: delivery.attempts,
            due_time: waiting.then(|| convert::timestamp(delivery.due)),
            create_time: Some(convert::timestamp(delivery.created)),
            update_time: Some(convert::timestamp(delivery.updated)),
            error: delivery.error.clone(),
            summary: Note::from(delivery).line(),
            event: Some(event),
        }
    }

    fn names(&self) -> String {
        let names: Vec<String> = self.notifier.sinks().into_iter().map(|sink| sink.name).collect();
        if names.is_empty() {
            "no sink is configured".to_owned()
        } else {
            format!("there are {}", names.join(", "))
        }
    }
}

#[tonic::async_trait]
impl NotificationService for Notifications {
    async fn list_sinks(
        &self,
        _: Request<v1::ListSinksRequest>,
    ) -> Result<Response<v1::ListSinksResponse>, Status> {
        let sinks = self.notifier.sinks().into_iter().map(|sink| v1::Sink {
            name: sink.name,
            kind: sink.kind.to_owned(),
            trouble: sink.trouble.unwrap_or_default(),
        });
        Ok(Response::new(v1::ListSinksResponse { sinks: sinks.collect() }))
    }

    async fn test_sink(
        &self,
        request: Request<v1::TestSinkRequest>,
    ) -> Result<Response<v1::TestSinkResponse>, Status> {
        let name = &request.get_ref().sink;
        if name.is_empty() {
            return Err(Problem::invalid(vec![("sink".to_owned(), "is required".to_owned())]).into());
        }
        match self.notifier.test(name).await {
            Some(Ok(())) => Ok(Response::new(v1::TestSinkResponse {})),
            Some(Err(failure)) => Err(Problem::sink(name, &failure).into()),
            None => {
                let words = format!("no sink {name:?}; {}", self.names());
                Err(Problem::new(Code::NotFound, "SINK_NOT_FOUND", words).into())
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
                violations.add("state", format!("{} is no value of DeliveryState", request.state));
                None
            }
        };
        let after = page::read_newest(&mut violations, &request.page_token, |id| Some(id.to_owned()));
        violations.finish()?;
        let limit = u32::try_from(size).unwrap_or(100) + 1;
        let wanted = ListDeliveries { state, sink: request.sink, after, limit };
        let outbox = self.notifier.outbox();
        let mut found = outbox.deliveries(&wanted).await.map_err(Problem::from)?;
        let (waiting, dead) = outbox.backlog().await.map_err(Problem::from)?;
        let more = found.len() > size;
        found.truncate(size);
        let next_page_token = match found.last() {
            Some(last) if more => page::newest_token(last.created, &last.id),
            _ => String::new(),
        };
        let deliveries = found.into_iter().map(|delivery| self.render(delivery)).collect();
        Ok(Response::new(v1::ListDeliveriesResponse { deliveries, next_page_token, waiting, dead }))
    }

    async fn replay_deliveries(
        &self,
        request: Request<v1::ReplayDeliveriesRequest>,
    ) -> Result<Response<v1::ReplayDeliveriesResponse>, Status> {
        let request = request.get_ref();
        let mut violations = Violations::default();
        if request.sink.is_empty() && request.ids.is_empty() {
            violations.add("ids", "is required where sink is not set");
        }
        if request.ids.len() > 1000 {
            violations.add("ids", format!("{} are more than 1000", request.ids.len()));
        }
        violations.finish()?;
        let replayed = self.notifier.replay(&request.sink, &request.ids).await.map_err(Problem::from)?;
        Ok(Response::new(v1::ReplayDeliveriesResponse { replayed }))
    }
}
