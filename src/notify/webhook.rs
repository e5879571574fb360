//! A webhook of the user's own: a CloudEvents 1.0 body in structured mode, signed by Standard Webhooks 1.0.

use async_trait::async_trait;
use jiff::Timestamp;
use reqwest::Client;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use standardwebhooks::Webhook as Signer;
use url::Url;

use super::error::NotifySettingsError;
use super::http;
use super::notification::Notification;
use super::sink::{DeliveryFailure, Sink, SinkKind};

/// The receiver of a webhook.
pub(super) struct Webhook {
    http: Client,
    url: Url,
    /// One for each secret, the newest first. Every message carries all of their signatures.
    signers: Vec<Signer>,
    /// The CloudEvents source: it names the event log that the sequences in the bodies belong to.
    source: String,
}

impl Webhook {
    /// A receiver at a URL. `secrets` sign the messages (`whsec_…`); `epoch` is the epoch of the event log.
    pub(super) fn new(
        url: &Url,
        secrets: &[SecretString],
        allow_private: bool,
        epoch: &str,
    ) -> Result<Self, NotifySettingsError> {
        let signers = secrets.iter().map(|secret| Signer::new(secret.expose_secret()));
        let signers = signers.collect::<Result<Vec<_>, _>>().map_err(|_| NotifySettingsError::Secret)?;
        Ok(Self {
            http: http::client(url, allow_private)?,
            url: url.clone(),
            signers,
            source: format!("urn:leasehold:{epoch}"),
        })
    }
}

#[async_trait]
impl Sink for Webhook {
    fn kind(&self) -> SinkKind {
        SinkKind::Webhook
    }

    async fn send(&self, notifications: &[Notification], now: Timestamp) -> Result<(), DeliveryFailure> {
        for notification in notifications {
            let body = body(notification, &self.source).to_string();
            // The time of this attempt and not of the event: receivers refuse old messages.
            let timestamp = now.as_second();
            let signatures =
                self.signers.iter().map(|signer| signer.sign(&notification.id, timestamp, body.as_bytes()));
            let signatures = signatures.collect::<Result<Vec<_>, _>>();
            let signatures = signatures
                .map_err(|_| DeliveryFailure::permanent("the delivery cannot be signed"))?
                .join(" ");
            let mut request = self
                .http
                .post(self.url.clone())
                .header("content-type", "application/cloudevents+json; charset=utf-8")
                .header("webhook-id", &notification.id)
                .header("webhook-timestamp", timestamp.to_string());
            if !signatures.is_empty() {
                request = request.header("webhook-signature", signatures);
            }
            http::send(request.body(body), now).await?;
        }
        Ok(())
    }
}

/// The CloudEvents body. Example of a type: `leasehold.lease_expiring.v1`.
fn body(notification: &Notification, source: &str) -> Value {
    let mut body = json!({
        "specversion": "1.0",
        "id": notification.id,
        "source": source,
        "type": format!("leasehold.{}.v1", notification.kind()),
        "time": notification.event.domain_event.time.to_string(),
        "datacontenttype": "application/json",
        "data": notification.data(),
    });
    // CloudEvents: an attribute without a value is left out, not empty.
    let network = notification.network();
    if let (false, Value::Object(attributes)) = (network.is_empty(), &mut body) {
        attributes.insert("subject".to_owned(), json!(network));
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_that_of_version_0_1() {
        let event = serde_json::from_str(include_str!("../../tests/golden/delivery.json")).unwrap();
        let notification = Notification { id: "6f1c2a90-42-hook".to_owned(), event };
        let body = body(&notification, "urn:leasehold:6f1c2a9000000000").to_string();
        assert_eq!(body, include_str!("../../tests/golden/webhook-body.json").trim_end());
    }
}
