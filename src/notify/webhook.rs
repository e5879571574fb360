//! A webhook of one's own: a CloudEvents 1.0 body (structured mode), signed by Standard Webhooks 1.0.

use async_trait::async_trait;
use jiff::Timestamp;
use reqwest::Client;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use standardwebhooks::Webhook as Signer;
use url::Url;

use super::http;
use super::message::Note;
use super::settings::SettingsError;
use super::sink::{Failure, Sink};

/// A receiver.
pub struct Webhook {
    http: Client,
    url: Url,
    /// The first is the newest; while keys are changed both sign.
    signers: Vec<Signer>,
    /// Which server speaks: the epoch of its event log.
    source: String,
}

impl Webhook {
    /// A receiver, and the secrets to sign with (`whsec_…`).
    pub fn new(
        url: &Url,
        secrets: &[SecretString],
        allow_private: bool,
        source: &str,
    ) -> Result<Self, SettingsError> {
        let signers = secrets.iter().map(|secret| Signer::new(secret.expose_secret()));
        let signers = signers.collect::<Result<Vec<_>, _>>().map_err(|_| SettingsError::Secret)?;
        Ok(Self {
            http: http::client(url, allow_private)?,
            url: url.clone(),
            signers,
            source: format!("urn:leasehold:{source}"),
        })
    }
}

#[async_trait]
impl Sink for Webhook {
    fn kind(&self) -> &'static str {
        "webhook"
    }

    async fn send(&self, notes: &[Note], now: Timestamp) -> Result<(), Failure> {
        for note in notes {
            let body = body(note, &self.source).to_string();
            // The time of this try, not of the event: a receiver refuses what is old.
            let timestamp = now.as_second();
            let signatures =
                self.signers.iter().map(|signer| signer.sign(&note.id, timestamp, body.as_bytes()));
            let signatures = signatures.collect::<Result<Vec<_>, _>>();
            let signatures = signatures.map_err(|error| Failure::never(error.to_string()))?.join(" ");
            let mut request = self
                .http
                .post(self.url.clone())
                .header("content-type", "application/cloudevents+json; charset=utf-8")
                .header("webhook-id", &note.id)
                .header("webhook-timestamp", timestamp.to_string());
            if !signatures.is_empty() {
                request = request.header("webhook-signature", signatures);
            }
            http::send(request.body(body)).await?;
        }
        Ok(())
    }
}

/// The event's type, as CloudEvents names it. Example: `leasehold.lease_expiring.v1`.
pub fn body(note: &Note, source: &str) -> Value {
    let mut body = json!({
        "specversion": "1.0",
        "id": note.id,
        "source": source,
        "type": format!("leasehold.{}.v1", note.kind()),
        "time": note.event.happening.time.to_string(),
        "datacontenttype": "application/json",
        "data": note.data(),
    });
    // An attribute without a value is left out, not empty.
    let network = note.network();
    if let (false, Value::Object(attributes)) = (network.is_empty(), &mut body) {
        attributes.insert("subject".to_owned(), json!(network));
    }
    body
}
