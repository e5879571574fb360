//! Tickets: one for each matter, opened when it becomes one and closed when it is settled.
//!
//! A tracker is a set of templated requests; Jira, GitHub and GitLab have them ready made ([`jira`], [`github`], [`gitlab`]).
//! That no matter has two tickets rests on three things: the ledger knows which is open, the tracker is asked for one with the
//! matter's key before another is opened, and the key stands on the ticket as a label.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use reqwest::{Client, Method, RequestBuilder};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use url::Url;

use super::http;
use super::message::Note;
use super::settings::{Call, SettingsError, TicketAuth, TicketSettings};
use super::sink::{Failure, Sink};
use crate::ledger::Outbox;
use crate::model::Subject;
use crate::web::guard;

/// A tracker.
pub struct Ticket {
    http: Client,
    name: String,
    settings: TicketSettings,
    allow_private: bool,
    outbox: Arc<dyn Outbox>,
}

impl Ticket {
    /// A tracker; `name` is the sink's.
    pub fn new(
        name: &str,
        settings: &TicketSettings,
        allow_private: bool,
        outbox: Arc<dyn Outbox>,
    ) -> Result<Self, SettingsError> {
        let url: Url = fill_url(&settings.open.url, &[])
            .parse()
            .map_err(|_| SettingsError::Template(settings.open.url.clone()))?;
        Ok(Self {
            http: http::client(&url, allow_private)?,
            name: name.to_owned(),
            settings: settings.clone(),
            allow_private,
            outbox,
        })
    }

    fn request(&self, call: &Call, words: &[(&str, String)]) -> Result<RequestBuilder, Failure> {
        let url: Url = fill_url(&call.url, words)
            .parse()
            .map_err(|_| Failure::never("the URL's template gives none"))?;
        guard::check(&url, self.allow_private).map_err(|error| Failure::never(error.to_string()))?;
        let mut request = self.http.request(call.method.clone(), url).header("accept", "application/json");
        request = match &self.settings.auth {
            TicketAuth::None => request,
            TicketAuth::Bearer(token) => request.bearer_auth(token.expose_secret()),
            TicketAuth::Basic(user, password) => request.basic_auth(user, Some(password.expose_secret())),
            TicketAuth::Header(name, value) => request.header(name.as_str(), value.expose_secret()),
        };
        if let Some(body) = &call.body {
            request = request.json(&fill(body, words));
        }
        Ok(request)
    }

    async fn call(&self, call: &Call, words: &[(&str, String)]) -> Result<Value, Failure> {
        http::send(self.request(call, words)?).await
    }

    async fn open(&self, note: &Note, now: Timestamp) -> Result<(), Failure> {
        let key = note.dedupe_key();
        if self.outbox.ticket(&self.name, &key).await.map_err(|error| unwritten(&error))?.is_some() {
            return Ok(());
        }
        let words = words(note, &key, "");
        let standing = match &self.settings.find {
            None => None,
            Some((find, pointer)) => reference(&self.call(find, &words).await?, pointer),
        };
        let reference = match standing {
            Some(standing) => standing,
            None => {
                let answer = self.call(&self.settings.open, &words).await?;
                reference(&answer, &self.settings.reference)
                    .ok_or_else(|| Failure::never(format!("no {} in the answer", self.settings.reference)))?
            }
        };
        self.outbox.open_ticket(&self.name, &key, &reference, now).await.map_err(|error| unwritten(&error))
    }

    async fn close(&self, note: &Note) -> Result<(), Failure> {
        for key in note.settled_keys() {
            let Some(reference) =
                self.outbox.ticket(&self.name, &key).await.map_err(|error| unwritten(&error))?
            else {
                continue;
            };
            if let Some(close) = &self.settings.close {
                // A person may have deleted it: then nothing is left to close.
                http::send_unless_gone(self.request(close, &words(note, &key, &reference))?).await?;
            }
            self.outbox.close_ticket(&self.name, &key).await.map_err(|error| unwritten(&error))?;
        }
        Ok(())
    }
}

/// What was done at the tracker and could not be written down is found there by its key at the next try.
fn unwritten(error: &crate::ledger::Error) -> Failure {
    Failure::later(error.to_string())
}

#[async_trait]
impl Sink for Ticket {
    fn kind(&self) -> &'static str {
        "ticket"
    }

    fn takes_back(&self) -> bool {
        true
    }

    async fn send(&self, notes: &[Note], now: Timestamp) -> Result<(), Failure> {
        for note in notes {
            match &note.event.happening.subject {
                _ if note.takes_back() => self.close(note).await?,
                Subject::Term(_) | Subject::Verdict(_) | Subject::Sync(_) => self.open(note, now).await?,
                // A record that changed is news and no task.
                _ => {}
            }
        }
        Ok(())
    }
}

fn words<'a>(note: &Note, key: &str, reference: &str) -> Vec<(&'a str, String)> {
    let mut body = format!("{}\n\n{}\n", note.line(), note.advice());
    if let Some(loa) = note.lease().and_then(|lease| lease.loa_reference.as_deref()) {
        body.push_str(&format!("\nLOA: {loa}\n"));
    }
    vec![
        ("title", note.line()),
        ("body", body),
        ("key", key.to_owned()),
        ("severity", note.severity().as_str().to_owned()),
        ("prefix", note.network()),
        ("owner", note.event.happening.owner().unwrap_or_default().to_owned()),
        ("reference", reference.to_owned()),
    ]
}

/// Replaces in every text of a JSON value: what is filled in can never become structure.
fn fill(template: &Value, words: &[(&str, String)]) -> Value {
    match template {
        Value::String(text) => Value::String(replaced(text, words, str::to_owned)),
        Value::Array(items) => items.iter().map(|item| fill(item, words)).collect(),
        Value::Object(entries) => {
            entries.iter().map(|(key, value)| (key.clone(), fill(value, words))).collect()
        }
        other => other.clone(),
    }
}

/// Replaces in a URL: what is filled in stays one segment, or one value.
fn fill_url(template: &str, words: &[(&str, String)]) -> String {
    replaced(template, words, |word| {
        url::form_urlencoded::byte_serialize(word.as_bytes()).collect::<String>().replace('+', "%20")
    })
}

/// One pass from left to right: what is filled in is not looked at again.
fn replaced(template: &str, words: &[(&str, String)], spell: impl Fn(&str) -> String) -> String {
    let (mut text, mut rest) = (String::with_capacity(template.len()), template);
    while let Some((before, after)) = rest.split_once("{{") {
        text.push_str(before);
        let word = after.split_once("}}").and_then(|(name, after)| {
            words.iter().find(|(known, _)| *known == name).map(|(_, word)| (word, after))
        });
        match word {
            Some((word, after)) => {
                text.push_str(&spell(word));
                rest = after;
            }
            None => {
                text.push_str("{{");
                rest = after;
            }
        }
    }
    text.push_str(rest);
    text
}

fn reference(answer: &Value, pointer: &str) -> Option<String> {
    match answer.pointer(pointer)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn call(method: Method, url: String, body: Option<Value>) -> Call {
    Call { method, url, body }
}

/// Jira: REST API 2 (create, search, transition). `done` is the id of the transition that closes an issue.
pub fn jira(base: &str, project: &str, issue_type: &str, done: &str, auth: TicketAuth) -> TicketSettings {
    let base = base.trim_end_matches('/');
    let body = json!({ "fields": {
        "project": { "key": project }, "issuetype": { "name": issue_type }, "summary": "{{title}}",
        "description": "{{body}}", "labels": ["leasehold", "{{key}}"],
    } });
    // Jira Cloud has taken the search that Data Center has away, and has another one beside it.
    let host = base.split("://").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or_default();
    let search = if host.ends_with(".atlassian.net") { "search/jql" } else { "search" };
    let search = format!(
        "{base}/rest/api/2/{search}?jql=labels%20%3D%20%22{{{{key}}}}%22%20AND%20statusCategory%20!%3D%20Done&fields=key&maxResults=1"
    );
    let transition = json!({ "transition": { "id": done } });
    TicketSettings {
        open: call(Method::POST, format!("{base}/rest/api/2/issue"), Some(body)),
        reference: "/key".to_owned(),
        find: Some((call(Method::GET, search, None), "/issues/0/key".to_owned())),
        close: Some(call(
            Method::POST,
            format!("{base}/rest/api/2/issue/{{{{reference}}}}/transitions"),
            Some(transition),
        )),
        auth,
    }
}

/// GitHub: issues of a repository (`owner/name`).
pub fn github(base: &str, repository: &str, token: SecretString) -> TicketSettings {
    let issues = format!("{}/repos/{repository}/issues", base.trim_end_matches('/'));
    let body = json!({ "title": "{{title}}", "body": "{{body}}", "labels": ["leasehold", "{{key}}"] });
    TicketSettings {
        find: Some((
            call(Method::GET, format!("{issues}?labels={{{{key}}}}&state=open&per_page=1"), None),
            "/0/number".to_owned(),
        )),
        close: Some(call(
            Method::PATCH,
            format!("{issues}/{{{{reference}}}}"),
            Some(json!({ "state": "closed", "state_reason": "completed" })),
        )),
        open: call(Method::POST, issues, Some(body)),
        reference: "/number".to_owned(),
        auth: TicketAuth::Bearer(token),
    }
}

/// GitLab: issues of a project (`group/name` or its number).
pub fn gitlab(base: &str, project: &str, token: SecretString) -> TicketSettings {
    let project: String = url::form_urlencoded::byte_serialize(project.as_bytes()).collect();
    let issues = format!("{}/api/v4/projects/{project}/issues", base.trim_end_matches('/'));
    let body = json!({ "title": "{{title}}", "description": "{{body}}", "labels": "leasehold,{{key}}" });
    TicketSettings {
        find: Some((
            call(Method::GET, format!("{issues}?labels={{{{key}}}}&state=opened&per_page=1"), None),
            "/0/iid".to_owned(),
        )),
        close: Some(call(
            Method::PUT,
            format!("{issues}/{{{{reference}}}}"),
            Some(json!({ "state_event": "close" })),
        )),
        open: call(Method::POST, issues, Some(body)),
        reference: "/iid".to_owned(),
        auth: TicketAuth::Header("PRIVATE-TOKEN".to_owned(), token),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_filled_in_is_text_and_stays_text() {
        let words = [("title", "a \"quote\", {{body}}".to_owned()), ("body", "x".to_owned())];
        let filled = fill(&json!({ "t": "{{title}}!", "n": 1, "l": ["{{body}}", "{{nope}}", "{{"] }), &words);
        assert_eq!(filled, json!({ "t": "a \"quote\", {{body}}!", "n": 1, "l": ["x", "{{nope}}", "{{"] }));
        let words = [("reference", "../../x?y=1&z".to_owned())];
        assert_eq!(fill_url("https://h/i/{{reference}}", &words), "https://h/i/..%2F..%2Fx%3Fy%3D1%26z");
    }

    #[test]
    fn jira_cloud_is_searched_where_it_still_can_be() {
        let find = |base| jira(base, "NET", "Task", "31", TicketAuth::None).find.unwrap().0.url;
        let cloud = find("https://example.atlassian.net");
        assert!(cloud.starts_with("https://example.atlassian.net/rest/api/2/search/jql?jql="), "{cloud}");
        let own = find("https://jira.example.net/jira/");
        assert!(own.starts_with("https://jira.example.net/jira/rest/api/2/search?jql="), "{own}");
    }

    #[test]
    fn a_reference_is_a_text_or_a_number() {
        assert_eq!(reference(&json!({ "key": "OPS-7" }), "/key").as_deref(), Some("OPS-7"));
        assert_eq!(reference(&json!([{ "number": 7 }]), "/0/number").as_deref(), Some("7"));
        assert_eq!(reference(&json!([]), "/0/number"), None);
    }
}
