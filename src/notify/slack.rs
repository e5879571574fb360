//! Slack: an incoming webhook, Block Kit with a fallback text, and one digest instead of many messages.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use reqwest::Client;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use url::Url;

use super::error::NotifySettingsError;
use super::http;
use super::notification::Notification;
use super::severity::AlertSeverity;
use super::sink::{DeliveryFailure, Sink, SinkKind};

/// Lines of a digest; the notifications beyond are counted and not shown. Slack accepts 50 blocks a message.
const MAX_LINES: usize = 60;
/// Characters of a section. Slack accepts 3000.
const MAX_SECTION: usize = 2900;
/// Characters of a header: Slack's limit.
const MAX_HEADER: usize = 150;

/// A channel that an incoming webhook writes to.
pub(super) struct Slack {
    http: Client,
    /// A secret: anybody who knows it can write to the channel.
    url: SecretString,
}

impl Slack {
    /// The channel behind an incoming webhook.
    pub(super) fn new(url: &SecretString, allow_private: bool) -> Result<Self, NotifySettingsError> {
        let parsed: Url = url.expose_secret().parse().map_err(|_| NotifySettingsError::Url)?;
        Ok(Self { http: http::client(&parsed, allow_private)?, url: url.clone() })
    }
}

#[async_trait]
impl Sink for Slack {
    fn kind(&self) -> SinkKind {
        SinkKind::Slack
    }

    fn batch_size(&self) -> u32 {
        500
    }

    fn min_interval(&self) -> Duration {
        Duration::from_secs(1)
    }

    async fn send(&self, notifications: &[Notification], now: Timestamp) -> Result<(), DeliveryFailure> {
        let request = self.http.post(self.url.expose_secret()).json(&message(notifications));
        http::send(request, now).await.map(drop)
    }
}

/// Escapes Slack's three control characters, so that no text can hold markup or mention anybody.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn emoji(severity: AlertSeverity) -> &'static str {
    match severity {
        AlertSeverity::Info => ":information_source:",
        AlertSeverity::Warning => ":warning:",
        AlertSeverity::Critical => ":rotating_light:",
    }
}

/// One message for all notifications, the most urgent first.
fn message(notifications: &[Notification]) -> Value {
    let mut sorted: Vec<&Notification> = notifications.iter().collect();
    sorted.sort_by_key(|notification| {
        (std::cmp::Reverse(notification.severity()), notification.event.sequence)
    });
    let title = match sorted.as_slice() {
        [only] => only.summary(),
        several => format!("{} events of leased address space", several.len()),
    };
    let header: String = title.chars().take(MAX_HEADER).collect();
    let mut blocks = vec![json!({ "type": "header", "text": { "type": "plain_text", "text": header } })];
    let mut section = String::new();
    let flush = |section: &mut String, blocks: &mut Vec<Value>| {
        if !section.is_empty() {
            let text = std::mem::take(section);
            blocks.push(json!({ "type": "section", "text": { "type": "mrkdwn", "text": text } }));
        }
    };
    for notification in sorted.iter().take(MAX_LINES) {
        let mut line = format!("{} {}", emoji(notification.severity()), escape(&notification.summary()));
        let advice = notification.advice();
        if sorted.len() == 1 && !advice.is_empty() {
            line.push_str(&format!("\n{}", escape(&advice)));
        }
        let line: String = line.chars().take(MAX_SECTION).collect();
        if section.chars().count() + line.chars().count() + 1 > MAX_SECTION {
            flush(&mut section, &mut blocks);
        }
        if !section.is_empty() {
            section.push('\n');
        }
        section.push_str(&line);
    }
    flush(&mut section, &mut blocks);
    if sorted.len() > MAX_LINES {
        let text = format!("and {} more: leasehold events list", sorted.len() - MAX_LINES);
        blocks.push(json!({ "type": "context", "elements": [{ "type": "mrkdwn", "text": text }] }));
    }
    // Desktop notifications and screen readers show `text` instead of the blocks.
    json!({ "text": escape(&title), "blocks": blocks })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::sample_event;
    use proptest::prelude::*;

    fn notifications(count: usize, owner: &str) -> Vec<Notification> {
        let mut event = sample_event(Timestamp::UNIX_EPOCH);
        if let crate::model::Subject::Term(reached) = &mut event.domain_event.subject {
            let mut prefix = crate::model::Prefix::clone(&reached.prefix);
            prefix.lease.as_mut().unwrap().owner = Some(owner.to_owned());
            reached.prefix = prefix.into();
        }
        (0..count).map(|nth| Notification { id: nth.to_string(), event: event.clone() }).collect()
    }

    proptest! {
        #[test]
        fn no_message_exceeds_slacks_limits(count in 1usize..600, owner in ".{0,400}") {
            let message = message(&notifications(count, &owner));
            let blocks = message["blocks"].as_array().unwrap();
            prop_assert!(blocks.len() <= 50);
            for block in blocks {
                let text = block["text"]["text"].as_str().unwrap_or_default();
                let limit = if block["type"] == "header" { 150 } else { 3000 };
                prop_assert!(text.chars().count() <= limit);
                prop_assert!(block["type"] == "context" || !text.is_empty());
            }
            prop_assert!(!message["text"].as_str().unwrap().is_empty());
        }
    }

    #[test]
    fn an_owner_cannot_write_markup() {
        let text = message(&notifications(1, "<!channel> & co"))["text"].as_str().unwrap().to_owned();
        assert!(text.contains("&lt;!channel&gt; &amp; co"), "{text}");
    }
}
