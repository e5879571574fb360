//! `[[notify.sinks]]`: where notifications are delivered.

use std::path::PathBuf;

use http::Method;
use serde::{Deserialize, Serialize};
use toml::Table;

use super::decode::decode;
use super::entries::take_kind;
use super::error::Problems;
use super::secret::{self, SecretList, SecretText};
use super::values::{http_url, in_range, not_empty};
use crate::notify::{
    MailSettings, MailTls, RequestTemplate, SinkSettings, SinkTarget, TicketAuth, TicketSettings, trackers,
};

/// An entry of `[[notify.sinks]]`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct SinkEntry {
    /// The full key of the entry, such as `notify.sinks[0]`.
    #[serde(skip)]
    pub(super) at: String,
    pub(super) name: String,
    allow_private: bool,
    /// `None` if the kind is unknown.
    #[serde(flatten)]
    target: Option<TargetEntry>,
}

/// The keys that every kind of sink has.
#[derive(Default, Deserialize)]
#[serde(default)]
struct CommonKeys {
    name: String,
    allow_private: bool,
}

#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum TargetEntry {
    Slack(SlackEntry),
    Webhook(WebhookEntry),
    Email(EmailEntry),
    Alertmanager(AlertmanagerEntry),
    Jira(JiraEntry),
    Github(GithubEntry),
    Gitlab(GitlabEntry),
    Ticket(TicketEntry),
}

const KINDS: [&str; 8] = ["slack", "webhook", "email", "alertmanager", "jira", "github", "gitlab", "ticket"];

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct SlackEntry {
    url: SecretText,
    url_file: Option<PathBuf>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct WebhookEntry {
    url: String,
    secrets: SecretList,
    secrets_file: Option<PathBuf>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct EmailEntry {
    host: String,
    port: Option<u16>,
    tls: TlsName,
    user: Option<String>,
    password: SecretText,
    password_file: Option<PathBuf>,
    from: String,
    to: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum TlsName {
    None,
    #[default]
    StartTls,
    Tls,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct AlertmanagerEntry {
    url: String,
    token: SecretText,
    token_file: Option<PathBuf>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct JiraEntry {
    url: String,
    project: String,
    issue_type: String,
    /// The id of the transition that closes an issue.
    done_transition: String,
    user: Option<String>,
    token: SecretText,
    token_file: Option<PathBuf>,
}

impl Default for JiraEntry {
    fn default() -> Self {
        Self {
            url: String::new(),
            project: String::new(),
            issue_type: "Task".to_owned(),
            done_transition: String::new(),
            user: None,
            token: SecretText::default(),
            token_file: None,
        }
    }
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct GithubEntry {
    url: String,
    repository: String,
    token: SecretText,
    token_file: Option<PathBuf>,
}

impl Default for GithubEntry {
    fn default() -> Self {
        Self {
            url: "https://api.github.com".to_owned(),
            repository: String::new(),
            token: SecretText::default(),
            token_file: None,
        }
    }
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct GitlabEntry {
    url: String,
    project: String,
    token: SecretText,
    token_file: Option<PathBuf>,
}

impl Default for GitlabEntry {
    fn default() -> Self {
        Self {
            url: "https://gitlab.com".to_owned(),
            project: String::new(),
            token: SecretText::default(),
            token_file: None,
        }
    }
}

/// A tracker that is described by the requests that it understands.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct TicketEntry {
    open: RequestEntry,
    reference: String,
    find: Option<RequestEntry>,
    find_reference: Option<String>,
    close: Option<RequestEntry>,
    /// The header that carries the token; `Authorization: Bearer` if absent.
    token_header: Option<String>,
    user: Option<String>,
    token: SecretText,
    token_file: Option<PathBuf>,
}

/// A request to a tracker. The body is a string with JSON in it, because a TOML table could not hold every JSON value.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct RequestEntry {
    method: String,
    url: String,
    body: Option<String>,
}

impl SinkEntry {
    pub(super) fn decode(mut entry: Table, at: String, problems: &mut Problems) -> Self {
        let mut common = Table::new();
        for key in ["name", "allow_private"] {
            if let Some(value) = entry.remove(key) {
                common.insert(key.to_owned(), value);
            }
        }
        let CommonKeys { name, allow_private } = decode(common, &at, problems);
        let kind = take_kind(&mut entry, &at, &KINDS, problems);
        let target = kind.and_then(|kind| TargetEntry::decode(kind, entry, &at, problems));
        Self { at, name, allow_private, target }
    }

    /// Checks the entry, and returns the settings of the sink if every value that it needs is right.
    pub(super) fn check(&self, problems: &mut Problems) -> Option<SinkSettings> {
        let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        if self.name.is_empty() || self.name.len() > 40 || !self.name.chars().all(valid) {
            let message = format!("{:?} is not a name: use 1 to 40 of a-z, 0-9, - and _", self.name);
            problems.add(format!("{}.name", self.at), message);
        }
        let target = self.target.as_ref()?.check(&self.at, problems)?;
        Some(SinkSettings { name: self.name.clone(), target, allow_private: self.allow_private })
    }
}

impl TargetEntry {
    fn decode(kind: &str, entry: Table, at: &str, problems: &mut Problems) -> Option<Self> {
        Some(match kind {
            "slack" => Self::Slack(decode(entry, at, problems)),
            "webhook" => Self::Webhook(decode(entry, at, problems)),
            "email" => Self::Email(decode(entry, at, problems)),
            "alertmanager" => Self::Alertmanager(decode(entry, at, problems)),
            "jira" => Self::Jira(decode(entry, at, problems)),
            "github" => Self::Github(decode(entry, at, problems)),
            "gitlab" => Self::Gitlab(decode(entry, at, problems)),
            "ticket" => Self::Ticket(decode(entry, at, problems)),
            _ => return None,
        })
    }

    fn check(&self, at: &str, problems: &mut Problems) -> Option<SinkTarget> {
        let key = |name: &str| format!("{at}.{name}");
        Some(match self {
            Self::Slack(entry) => {
                let file = entry.url_file.as_deref();
                SinkTarget::Slack { url: secret::required(&key("url"), &entry.url, file, problems).ok()? }
            }
            Self::Webhook(entry) => {
                let file = entry.secrets_file.as_deref();
                let secrets = secret::list(&key("secrets"), &entry.secrets, file, problems);
                let url = http_url(key("url"), &entry.url, problems);
                SinkTarget::Webhook { url: url?, secrets: secrets.ok()? }
            }
            Self::Email(entry) => SinkTarget::Email(entry.check(at, problems)?),
            Self::Alertmanager(entry) => {
                let file = entry.token_file.as_deref();
                let token = secret::optional(&key("token"), &entry.token, file, problems);
                let url = http_url(key("url"), &entry.url, problems);
                SinkTarget::Alertmanager { url: url?, token: token.ok()? }
            }
            Self::Jira(JiraEntry { url, project, issue_type, done_transition, user, token, token_file }) => {
                not_empty(key("project"), project, problems);
                not_empty(key("done_transition"), done_transition, problems);
                let token = secret::required(&key("token"), token, token_file.as_deref(), problems);
                http_url(key("url"), url, problems)?;
                let auth = match (user, token.ok()?) {
                    (Some(user), token) => TicketAuth::Basic(user.clone(), token),
                    (None, token) => TicketAuth::Bearer(token),
                };
                tracker(trackers::jira(url, project, issue_type, done_transition, auth))
            }
            Self::Github(GithubEntry { url, repository, token, token_file }) => {
                not_empty(key("repository"), repository, problems);
                let token = secret::required(&key("token"), token, token_file.as_deref(), problems);
                http_url(key("url"), url, problems)?;
                tracker(trackers::github(url, repository, token.ok()?))
            }
            Self::Gitlab(GitlabEntry { url, project, token, token_file }) => {
                not_empty(key("project"), project, problems);
                let token = secret::required(&key("token"), token, token_file.as_deref(), problems);
                http_url(key("url"), url, problems)?;
                tracker(trackers::gitlab(url, project, token.ok()?))
            }
            Self::Ticket(entry) => tracker(entry.check(at, problems)?),
        })
    }
}

fn tracker(settings: TicketSettings) -> SinkTarget {
    SinkTarget::Ticket(Box::new(settings))
}

impl EmailEntry {
    fn check(&self, at: &str, problems: &mut Problems) -> Option<MailSettings> {
        not_empty(format!("{at}.host"), &self.host, problems);
        not_empty(format!("{at}.from"), &self.from, problems);
        if self.to.is_empty() {
            problems.add(format!("{at}.to"), "is required: a list of at least one recipient");
        }
        if let Some(port) = self.port {
            in_range(format!("{at}.port"), port, 1..=u16::MAX, problems);
        }
        let login = match &self.user {
            Some(user) => {
                let key = format!("{at}.password");
                let password =
                    secret::required(&key, &self.password, self.password_file.as_deref(), problems);
                Some((user.clone(), password.ok()?))
            }
            None => None,
        };
        Some(MailSettings {
            host: self.host.clone(),
            port: self.port,
            tls: match self.tls {
                TlsName::None => MailTls::None,
                TlsName::StartTls => MailTls::StartTls,
                TlsName::Tls => MailTls::Tls,
            },
            login,
            from: self.from.clone(),
            to: self.to.clone(),
        })
    }
}

impl TicketEntry {
    fn check(&self, at: &str, problems: &mut Problems) -> Option<TicketSettings> {
        not_empty(format!("{at}.reference"), &self.reference, problems);
        let open = self.open.check(&format!("{at}.open"), problems);
        let find = match (&self.find, &self.find_reference) {
            (Some(find), Some(reference)) => {
                find.check(&format!("{at}.find"), problems).map(|find| Some((find, reference.clone())))
            }
            (None, None) => Some(None),
            _ => {
                problems.add(at, "find and find_reference must be set together");
                None
            }
        };
        let close = match &self.close {
            Some(close) => close.check(&format!("{at}.close"), problems).map(Some),
            None => Some(None),
        };
        let auth = self.auth(at, problems);
        Some(TicketSettings {
            open: open?,
            reference: self.reference.clone(),
            find: find?,
            close: close?,
            auth: auth?,
        })
    }

    fn auth(&self, at: &str, problems: &mut Problems) -> Option<TicketAuth> {
        let key = format!("{at}.token");
        let token = secret::optional(&key, &self.token, self.token_file.as_deref(), problems).ok()?;
        match (token, &self.user, &self.token_header) {
            (None, None, None) => Some(TicketAuth::None),
            (None, ..) => {
                problems.add(key, "is required, because user or token_header is set");
                None
            }
            (Some(_), Some(_), Some(_)) => {
                problems.add(at, "user and token_header exclude each other");
                None
            }
            (Some(token), Some(user), None) => Some(TicketAuth::Basic(user.clone(), token)),
            (Some(token), None, Some(header)) => Some(TicketAuth::Header(header.clone(), token)),
            (Some(token), None, None) => Some(TicketAuth::Bearer(token)),
        }
    }
}

impl RequestEntry {
    fn check(&self, at: &str, problems: &mut Problems) -> Option<RequestTemplate> {
        not_empty(format!("{at}.url"), &self.url, problems);
        let method = match self.method.as_str() {
            "GET" => Some(Method::GET),
            "POST" => Some(Method::POST),
            "PUT" => Some(Method::PUT),
            "PATCH" => Some(Method::PATCH),
            other => {
                problems
                    .add(format!("{at}.method"), format!("{other:?} is not one of GET, POST, PUT, PATCH"));
                None
            }
        };
        let body = self.body.as_deref().map(serde_json::from_str).transpose();
        let body =
            body.map_err(|error| problems.add(format!("{at}.body"), format!("is not JSON: {error}"))).ok();
        Some(RequestTemplate { method: method?, url: self.url.clone(), body: body? })
    }
}
