//! Tickets at a tracker: opened for a problem, and closed when it is resolved.
//!
//! Three things keep one problem from having two tickets: the ledger knows which tickets are open, the tracker is asked for an
//! open ticket with the problem's key before another is opened, and each ticket carries its key as a label.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use reqwest::{Client, RequestBuilder};
use secrecy::ExposeSecret as _;
use serde_json::Value;
use url::Url;

use super::error::NotifySettingsError;
use super::http;
use super::notification::Notification;
use super::settings::{RequestTemplate, TicketAuth, TicketSettings};
use super::sink::{DeliveryFailure, Sink, SinkKind};
use super::template::{Placeholders, fill_json, fill_url};
use crate::ledger::{self, Outbox};
use crate::model::Subject;
use crate::web::guard;

/// A tracker as a sink.
pub(super) struct Ticket {
    http: Client,
    /// The sink's name, under which the ledger keeps its open tickets.
    name: String,
    settings: TicketSettings,
    allow_private: bool,
    outbox: Arc<dyn Outbox>,
}

impl Ticket {
    /// A tracker. `name` is the name of the sink. Fails if the template of `open` does not give a URL, or gives one with a
    /// private address that is not allowed.
    pub(super) fn new(
        name: &str,
        settings: &TicketSettings,
        allow_private: bool,
        outbox: Arc<dyn Outbox>,
    ) -> Result<Self, NotifySettingsError> {
        let url: Url = fill_url(&settings.open.url, &[])
            .parse()
            .map_err(|_| NotifySettingsError::Template(settings.open.url.clone()))?;
        Ok(Self {
            http: http::client(&url, allow_private)?,
            name: name.to_owned(),
            settings: settings.clone(),
            allow_private,
            outbox,
        })
    }

    fn request(
        &self,
        template: &RequestTemplate,
        placeholders: &Placeholders<'_>,
    ) -> Result<RequestBuilder, DeliveryFailure> {
        let url: Url = fill_url(&template.url, placeholders)
            .parse()
            .map_err(|_| DeliveryFailure::permanent("the template of the URL does not give a URL"))?;
        guard::check(&url, self.allow_private)
            .map_err(|error| DeliveryFailure::permanent(error.to_string()))?;
        let mut request =
            self.http.request(template.method.clone(), url).header("accept", "application/json");
        request = match &self.settings.auth {
            TicketAuth::None => request,
            TicketAuth::Bearer(token) => request.bearer_auth(token.expose_secret()),
            TicketAuth::Basic(user, password) => request.basic_auth(user, Some(password.expose_secret())),
            TicketAuth::Header(name, value) => request.header(name.as_str(), value.expose_secret()),
        };
        if let Some(body) = &template.body {
            request = request.json(&fill_json(body, placeholders));
        }
        Ok(request)
    }

    /// Opens a ticket for the problem of a notification, unless one is open.
    async fn open(&self, notification: &Notification, now: Timestamp) -> Result<(), DeliveryFailure> {
        let key = notification.dedupe_key();
        if self.outbox.ticket(&self.name, &key).await.map_err(|error| ledger_failed(&error))?.is_some() {
            return Ok(());
        }
        let placeholders = placeholders(notification, &key, "");
        let open_already = match &self.settings.find {
            None => None,
            Some((find, pointer)) => {
                reference(&http::send(self.request(find, &placeholders)?, now).await?, pointer)
            }
        };
        let reference = match open_already {
            Some(reference) => reference,
            None => {
                let answer = http::send(self.request(&self.settings.open, &placeholders)?, now).await?;
                reference(&answer, &self.settings.reference).ok_or_else(|| {
                    DeliveryFailure::permanent(format!(
                        "the answer has no {}, which should name the ticket",
                        self.settings.reference
                    ))
                })?
            }
        };
        let opened = self.outbox.open_ticket(&self.name, &key, &reference, now).await;
        opened.map_err(|error| ledger_failed(&error))
    }

    /// Closes the open tickets of the problems that a notification resolves.
    async fn close(&self, notification: &Notification, now: Timestamp) -> Result<(), DeliveryFailure> {
        for key in notification.resolved_keys() {
            let ticket = self.outbox.ticket(&self.name, &key).await;
            let Some(reference) = ticket.map_err(|error| ledger_failed(&error))? else { continue };
            if let Some(close) = &self.settings.close {
                let placeholders = placeholders(notification, &key, &reference);
                // A ticket that a person has deleted needs no closing.
                http::send_unless_gone(self.request(close, &placeholders)?, now).await?;
            }
            let closed = self.outbox.close_ticket(&self.name, &key).await;
            closed.map_err(|error| ledger_failed(&error))?;
        }
        Ok(())
    }
}

/// The next attempt finds by its key what was done at the tracker and could not be recorded.
fn ledger_failed(error: &ledger::Error) -> DeliveryFailure {
    tracing::error!(%error, "the ledger cannot be used");
    DeliveryFailure::transient("the server cannot use its ledger")
}

#[async_trait]
impl Sink for Ticket {
    fn kind(&self) -> SinkKind {
        SinkKind::Ticket
    }

    fn keeps_open(&self) -> bool {
        true
    }

    async fn send(&self, notifications: &[Notification], now: Timestamp) -> Result<(), DeliveryFailure> {
        for notification in notifications {
            match &notification.event.domain_event.subject {
                _ if notification.resolves() => self.close(notification, now).await?,
                Subject::Term(_) | Subject::Verdict(_) | Subject::Sync(_) | Subject::Completion(_) => {
                    self.open(notification, now).await?;
                }
                // A change of a record is no problem that somebody has to solve.
                Subject::Prefix(_) | Subject::Address(_) => {}
            }
        }
        Ok(())
    }
}

fn placeholders<'a>(notification: &Notification, key: &str, reference: &str) -> Vec<(&'a str, String)> {
    let mut body = format!("{}\n\n{}\n", notification.summary(), notification.advice());
    if let Some(loa) = notification.lease().and_then(|lease| lease.loa_reference.as_deref()) {
        body.push_str(&format!("\nLOA: {loa}\n"));
    }
    vec![
        ("title", notification.summary()),
        ("body", body),
        ("key", key.to_owned()),
        ("severity", notification.severity().as_str().to_owned()),
        ("prefix", notification.network()),
        ("owner", notification.event.domain_event.owner().unwrap_or_default().to_owned()),
        ("reference", reference.to_owned()),
    ]
}

/// The tracker's name for a ticket, at a JSON pointer in its answer: a string or a number.
fn reference(answer: &Value, pointer: &str) -> Option<String> {
    match answer.pointer(pointer)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_reference_is_a_string_or_a_number() {
        assert_eq!(reference(&json!({ "key": "OPS-7" }), "/key").as_deref(), Some("OPS-7"));
        assert_eq!(reference(&json!([{ "number": 7 }]), "/0/number").as_deref(), Some("7"));
        assert_eq!(reference(&json!([]), "/0/number"), None);
    }
}
