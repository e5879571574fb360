//! `[[notify.sinks]]` and `[[notify.routes]]`: where events go.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use http::Method;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;

use super::written::Hidden;
use super::{Error, http_url, secret};
use crate::notify::settings::{Call, MailSettings, MailTls, TicketAuth, TicketSettings};
use crate::notify::{NotifySettings, Route, SinkSettings, Target, ticket};

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrittenNotify {
    sinks: Vec<WrittenSink>,
    routes: Vec<WrittenRoute>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct WrittenSink {
    name: String,
    #[serde(default)]
    allow_private: bool,
    #[serde(flatten)]
    target: WrittenTarget,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
enum WrittenTarget {
    Slack {
        #[serde(default)]
        url: Hidden,
        url_file: Option<PathBuf>,
    },
    Webhook {
        url: String,
        #[serde(default)]
        secrets: Vec<Hidden>,
        secrets_file: Option<PathBuf>,
    },
    Email {
        host: String,
        port: Option<u16>,
        #[serde(default)]
        tls: WrittenTls,
        user: Option<String>,
        #[serde(default)]
        password: Hidden,
        password_file: Option<PathBuf>,
        from: String,
        to: Vec<String>,
    },
    Alertmanager {
        url: String,
        #[serde(default)]
        token: Hidden,
        token_file: Option<PathBuf>,
    },
    Jira {
        url: String,
        project: String,
        #[serde(default = "task")]
        issue_type: String,
        /// The id of the transition that closes an issue.
        done_transition: String,
        user: Option<String>,
        #[serde(default)]
        token: Hidden,
        token_file: Option<PathBuf>,
    },
    Github {
        #[serde(default = "github")]
        url: String,
        repository: String,
        #[serde(default)]
        token: Hidden,
        token_file: Option<PathBuf>,
    },
    Gitlab {
        #[serde(default = "gitlab")]
        url: String,
        project: String,
        #[serde(default)]
        token: Hidden,
        token_file: Option<PathBuf>,
    },
    Ticket {
        open: WrittenCall,
        reference: String,
        find: Option<WrittenCall>,
        find_reference: Option<String>,
        close: Option<WrittenCall>,
        /// With a token: its header; `Authorization: Bearer` if absent.
        token_header: Option<String>,
        user: Option<String>,
        #[serde(default)]
        token: Hidden,
        token_file: Option<PathBuf>,
    },
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum WrittenTls {
    None,
    #[default]
    StartTls,
    Tls,
}

/// A request to a tracker; the body is JSON as text, so that its keys stay as they are spelt.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct WrittenCall {
    method: String,
    url: String,
    body: Option<String>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct WrittenRoute {
    sink: String,
    #[serde(default)]
    types: Vec<String>,
    #[serde(default)]
    owners: BTreeSet<String>,
    min_severity: Option<String>,
    max_days_left: Option<i32>,
}

fn task() -> String {
    "Task".to_owned()
}

fn github() -> String {
    "https://api.github.com".to_owned()
}

fn gitlab() -> String {
    "https://gitlab.com".to_owned()
}

/// Checks it all; what a sink makes of its own settings is seen when it is built.
pub(super) fn check(written: &WrittenNotify) -> Result<NotifySettings, Error> {
    let mut sinks: Vec<SinkSettings> = Vec::new();
    for sink in &written.sinks {
        let name = &sink.name;
        let spelt = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        if name.is_empty() || name.len() > 40 || !name.chars().all(spelt) {
            return Err(wrong(SINKS, format!("{name:?} is no name: up to 40 of a-z, 0-9, - and _")));
        }
        if sinks.iter().any(|known| known.name == *name) {
            return Err(wrong(SINKS, format!("{name:?} is there twice")));
        }
        let target = target(&sink.target).map_err(|error| named(name, error))?;
        sinks.push(SinkSettings { name: name.clone(), target, allow_private: sink.allow_private });
    }
    let mut routes = Vec::new();
    for route in &written.routes {
        if !sinks.iter().any(|sink| sink.name == route.sink) {
            return Err(wrong(ROUTES, format!("{:?} is no sink", route.sink)));
        }
        let mut kinds = BTreeSet::new();
        for word in &route.types {
            kinds.insert(word.parse().map_err(|error| wrong(ROUTES, format!("types: {error}")))?);
        }
        let least = route.min_severity.as_deref().map(str::parse).transpose();
        routes.push(Route {
            sink: route.sink.clone(),
            kinds,
            owners: route.owners.clone(),
            min_severity: least.map_err(|error| wrong(ROUTES, format!("min_severity: {error}")))?,
            max_days_left: route.max_days_left,
        });
    }
    Ok(NotifySettings { sinks, routes })
}

const SINKS: &str = "notify.sinks";
const ROUTES: &str = "notify.routes";

fn wrong(key: &'static str, why: String) -> Error {
    Error::Value { key, why }
}

/// Says which sink: they have no key of their own.
fn named(name: &str, error: Error) -> Error {
    match error {
        Error::Value { key, why } => Error::Value { key, why: format!("{name}: {why}") },
        other => other,
    }
}

fn target(written: &WrittenTarget) -> Result<Target, Error> {
    Ok(match written {
        WrittenTarget::Slack { url, url_file } => {
            Target::Slack { url: needed("url", url, url_file.as_deref())? }
        }
        WrittenTarget::Webhook { url, secrets, secrets_file } => {
            Target::Webhook { url: address(url)?, secrets: all_secrets(secrets, secrets_file.as_deref())? }
        }
        WrittenTarget::Email { host, port, tls, user, password, password_file, from, to } => {
            Target::Email(MailSettings {
                host: host.clone(),
                port: *port,
                tls: match tls {
                    WrittenTls::None => MailTls::None,
                    WrittenTls::StartTls => MailTls::StartTls,
                    WrittenTls::Tls => MailTls::Tls,
                },
                login: match user {
                    Some(user) => {
                        Some((user.clone(), needed("password", password, password_file.as_deref())?))
                    }
                    None => None,
                },
                from: from.clone(),
                to: to.clone(),
            })
        }
        WrittenTarget::Alertmanager { url, token, token_file } => {
            Target::Alertmanager { url: address(url)?, token: secret(SINKS, token, token_file.as_deref())? }
        }
        WrittenTarget::Jira { url, project, issue_type, done_transition, user, token, token_file } => {
            address(url)?;
            let token = needed("token", token, token_file.as_deref())?;
            let auth = match user {
                Some(user) => TicketAuth::Basic(user.clone(), token),
                None => TicketAuth::Bearer(token),
            };
            ticket_of(ticket::jira(url, project, issue_type, done_transition, auth))
        }
        WrittenTarget::Github { url, repository, token, token_file } => {
            address(url)?;
            let token = needed("token", token, token_file.as_deref())?;
            ticket_of(ticket::github(url, repository, token))
        }
        WrittenTarget::Gitlab { url, project, token, token_file } => {
            address(url)?;
            let token = needed("token", token, token_file.as_deref())?;
            ticket_of(ticket::gitlab(url, project, token))
        }
        WrittenTarget::Ticket {
            open,
            reference,
            find,
            find_reference,
            close,
            token_header,
            user,
            token,
            token_file,
        } => {
            let find = match (find, find_reference) {
                (Some(find), Some(at)) => Some((call(find)?, at.clone())),
                (None, None) => None,
                _ => return Err(wrong(SINKS, "find and find_reference go together".to_owned())),
            };
            let token = secret(SINKS, token, token_file.as_deref())?;
            let auth = match (token, user, token_header) {
                (None, None, None) => TicketAuth::None,
                (None, ..) => return Err(wrong(SINKS, "token is required".to_owned())),
                (Some(_), Some(_), Some(_)) => {
                    return Err(wrong(SINKS, "user and token_header exclude each other".to_owned()));
                }
                (Some(token), Some(user), None) => TicketAuth::Basic(user.clone(), token),
                (Some(token), None, Some(header)) => TicketAuth::Header(header.clone(), token),
                (Some(token), None, None) => TicketAuth::Bearer(token),
            };
            ticket_of(TicketSettings {
                open: call(open)?,
                reference: reference.clone(),
                find,
                close: close.as_ref().map(call).transpose()?,
                auth,
            })
        }
    })
}

fn ticket_of(settings: TicketSettings) -> Target {
    Target::Ticket(Box::new(settings))
}

fn needed(what: &str, value: &Hidden, file: Option<&Path>) -> Result<SecretString, Error> {
    secret(SINKS, value, file)?
        .ok_or_else(|| wrong(SINKS, format!("{what} is required: set {what} or {what}_file")))
}

/// One a line in a file.
fn all_secrets(values: &[Hidden], file: Option<&Path>) -> Result<Vec<SecretString>, Error> {
    let mut secrets: Vec<SecretString> =
        values.iter().map(|value| SecretString::from(value.0.clone())).collect();
    if let Some(text) = secret(SINKS, &Hidden::default(), file)? {
        let lines = text.expose_secret().lines().map(str::trim).filter(|line| !line.is_empty());
        secrets.extend(lines.map(|line| SecretString::from(line.to_owned())));
    }
    Ok(secrets)
}

fn address(text: &str) -> Result<Url, Error> {
    http_url(SINKS, text)
}

fn call(written: &WrittenCall) -> Result<Call, Error> {
    let method = match written.method.as_str() {
        "GET" => Method::GET,
        "POST" => Method::POST,
        "PUT" => Method::PUT,
        "PATCH" => Method::PATCH,
        other => return Err(wrong(SINKS, format!("method {other:?} is none of GET, POST, PUT, PATCH"))),
    };
    let body = written.body.as_deref().map(serde_json::from_str).transpose();
    let body = body.map_err(|error| wrong(SINKS, format!("body is not JSON: {error}")))?;
    Ok(Call { method, url: written.url.clone(), body })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<NotifySettings, String> {
        let written: WrittenNotify = toml::from_str(text).map_err(|error| error.to_string())?;
        check(&written).map_err(|error| error.to_string())
    }

    #[test]
    fn every_kind_of_sink_is_read() {
        let settings = read(
            r#"
            [[sinks]]
            name = "ops"
            kind = "slack"
            url = "https://hooks.slack.example/services/T/B/x"
            [[sinks]]
            name = "own"
            kind = "webhook"
            url = "http://127.0.0.1:9/x"
            allow_private = true
            secrets = ["whsec_AAAA"]
            [[sinks]]
            name = "mail"
            kind = "email"
            host = "mail.example.net"
            tls = "starttls"
            from = "leasehold@example.net"
            to = ["noc@example.net"]
            [[sinks]]
            name = "pager"
            kind = "alertmanager"
            url = "https://alerts.example.net"
            [[sinks]]
            name = "jira"
            kind = "jira"
            url = "https://jira.example.net"
            project = "NET"
            done_transition = "31"
            user = "bot@example.net"
            token = "t"
            [[sinks]]
            name = "hub"
            kind = "github"
            repository = "example/network"
            token = "t"
            [[sinks]]
            name = "lab"
            kind = "gitlab"
            project = "example/network"
            token = "t"
            [[sinks]]
            name = "other"
            kind = "ticket"
            reference = "/id"
            [sinks.open]
            method = "POST"
            url = "https://tickets.example.net/new"
            body = '{"Title": "{{title}}"}'
            [[routes]]
            sink = "pager"
            types = ["lease_expired"]
            min_severity = "critical"
            max_days_left = 7
            owners = ["ACME-LIR"]
            "#,
        )
        .unwrap();
        let names: Vec<&str> = settings.sinks.iter().map(|sink| sink.name.as_str()).collect();
        assert_eq!(names, ["ops", "own", "mail", "pager", "jira", "hub", "lab", "other"]);
        let private: Vec<bool> = settings.sinks.iter().map(|sink| sink.allow_private).collect();
        assert_eq!(private.iter().filter(|private| **private).count(), 1);
        assert_eq!(settings.routes.len(), 1);
        let Target::Ticket(ticket) = &settings.sinks.last().unwrap().target else { panic!() };
        assert_eq!(ticket.open.body, Some(serde_json::json!({ "Title": "{{title}}" })));
    }

    #[test]
    fn what_makes_no_sense_is_said_with_the_sink_that_it_is_in() {
        for (text, words) in [
            ("[[sinks]]\nname = \"ops\"\nkind = \"slack\"", "ops: url is required"),
            ("[[sinks]]\nname = \"ops\"\nkind = \"slack\"\nurl = \"https://h/\"\nurll = \"x\"", "urll"),
            ("[[sinks]]\nname = \"ops\"\nkind = \"pigeon\"", "pigeon"),
            ("[[sinks]]\nname = \"O PS\"\nkind = \"slack\"\nurl = \"https://h/\"", "is no name"),
            ("[[sinks]]\nname = \"own\"\nkind = \"webhook\"\nurl = \"ftp://h/\"", "own: \"ftp://h/\""),
            ("[[routes]]\nsink = \"nobody\"", "\"nobody\" is no sink"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
        let sink = "[[sinks]]\nname = \"ops\"\nkind = \"slack\"\nurl = \"https://h/\"\n";
        for (route, words) in
            [("types = [\"lease_lost\"]", "lease_lost"), ("min_severity = \"panic\"", "\"panic\" is none of")]
        {
            let error = read(&format!("{sink}[[routes]]\nsink = \"ops\"\n{route}")).unwrap_err();
            assert!(error.contains(words), "{route}: {error}");
        }
    }

    #[test]
    fn secrets_of_sinks_are_not_shown() {
        let text = "[[sinks]]\nname = \"ops\"\nkind = \"slack\"\nurl = \"https://h/hush\"";
        let written: WrittenNotify = toml::from_str(text).unwrap();
        let shown = toml::to_string(&written).unwrap();
        assert!(shown.contains("(set)") && !shown.contains("hush"), "{shown}");
        assert!(!format!("{written:?}").contains("hush"));
    }
}
