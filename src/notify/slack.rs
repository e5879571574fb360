//! Slack: an incoming webhook, Block Kit with a fallback text, one digest instead of a flood.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use reqwest::Client;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use url::Url;

use super::http;
use super::message::Note;
use super::route::Severity;
use super::settings::SettingsError;
use super::sink::{Failure, Sink};

/// Slack takes 50 blocks a message and 3000 characters a section; lines beyond these are counted, not shown.
const LINES: usize = 60;
const SECTION: usize = 2900;
const HEADER: usize = 150;

/// A channel.
pub struct Slack {
    http: Client,
    /// Whoever has it can write to the channel.
    url: SecretString,
}

impl Slack {
    /// A channel behind an incoming webhook.
    pub fn new(url: &SecretString, allow_private: bool) -> Result<Self, SettingsError> {
        let parsed: Url = url.expose_secret().parse().map_err(|_| SettingsError::Url)?;
        Ok(Self { http: http::client(&parsed, allow_private)?, url: url.clone() })
    }
}

#[async_trait]
impl Sink for Slack {
    fn kind(&self) -> &'static str {
        "slack"
    }

    fn batch(&self) -> u32 {
        500
    }

    fn pace(&self) -> Duration {
        Duration::from_secs(1)
    }

    async fn send(&self, notes: &[Note], _: Timestamp) -> Result<(), Failure> {
        http::send(self.http.post(self.url.expose_secret()).json(&message(notes))).await.map(drop)
    }
}

/// Slack's three control characters; everything else is text.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn mark(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => ":information_source:",
        Severity::Warning => ":warning:",
        Severity::Critical => ":rotating_light:",
    }
}

/// The message: what is most urgent first.
pub fn message(notes: &[Note]) -> Value {
    let mut notes: Vec<&Note> = notes.iter().collect();
    notes.sort_by_key(|note| (std::cmp::Reverse(note.severity()), note.event.sequence));
    let title = match notes.as_slice() {
        [only] => only.line(),
        several => format!("{} events of leased address space", several.len()),
    };
    let header: String = title.chars().take(HEADER).collect();
    let mut blocks = vec![json!({ "type": "header", "text": { "type": "plain_text", "text": header } })];
    let mut section = String::new();
    let flush = |section: &mut String, blocks: &mut Vec<Value>| {
        if !section.is_empty() {
            let text = std::mem::take(section);
            blocks.push(json!({ "type": "section", "text": { "type": "mrkdwn", "text": text } }));
        }
    };
    for note in notes.iter().take(LINES) {
        let mut line = format!("{} {}", mark(note.severity()), escape(&note.line()));
        let advice = note.advice();
        if notes.len() == 1 && !advice.is_empty() {
            line.push_str(&format!("\n{}", escape(&advice)));
        }
        let line: String = line.chars().take(SECTION).collect();
        if section.chars().count() + line.chars().count() + 1 > SECTION {
            flush(&mut section, &mut blocks);
        }
        if !section.is_empty() {
            section.push('\n');
        }
        section.push_str(&line);
    }
    flush(&mut section, &mut blocks);
    if notes.len() > LINES {
        let words = format!("and {} more: leasehold events list", notes.len() - LINES);
        blocks.push(json!({ "type": "context", "elements": [{ "type": "mrkdwn", "text": words }] }));
    }
    // What notifications and screen readers show.
    json!({ "text": escape(&title), "blocks": blocks })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::message::sample;
    use proptest::prelude::*;

    fn notes(count: usize, owner: &str) -> Vec<Note> {
        let mut event = sample(Timestamp::UNIX_EPOCH);
        if let crate::model::Subject::Term(reached) = &mut event.happening.subject {
            let mut prefix = crate::model::Prefix::clone(&reached.prefix);
            prefix.lease.as_mut().unwrap().owner = Some(owner.to_owned());
            reached.prefix = prefix.into();
        }
        (0..count).map(|nth| Note { id: nth.to_string(), tried: 0, event: event.clone() }).collect()
    }

    proptest! {
        #[test]
        fn no_message_breaks_slacks_limits(count in 1usize..600, owner in ".{0,400}") {
            let message = message(&notes(count, &owner));
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
        let text = message(&notes(1, "<!channel> & co"))["text"].as_str().unwrap().to_owned();
        assert!(text.contains("&lt;!channel&gt; &amp; co"), "{text}");
    }
}
