//! What sinks are made of.

use secrecy::SecretString;
use url::Url;

use super::route::Route;
use crate::web::guard::Refused;

/// Where events go.
#[derive(Clone, Debug, Default)]
pub struct NotifySettings {
    /// The sinks.
    pub sinks: Vec<SinkSettings>,
    /// Which events go to which; a sink that no route names gets what runs out.
    pub routes: Vec<Route>,
}

/// One sink.
#[derive(Clone, Debug)]
pub struct SinkSettings {
    /// Its name.
    pub name: String,
    /// What it is.
    pub target: Target,
    /// It may stand on a private or loopback address.
    pub allow_private: bool,
}

/// What a sink is.
#[derive(Clone, Debug)]
pub enum Target {
    /// A Slack channel.
    Slack {
        /// Its incoming webhook: whoever has it can write there.
        url: SecretString,
    },
    /// A webhook of one's own.
    Webhook {
        /// Where.
        url: Url,
        /// To sign with (`whsec_…`), the newest first; both sign while keys are changed.
        secrets: Vec<SecretString>,
    },
    /// Mailboxes.
    Email(MailSettings),
    /// An Alertmanager.
    Alertmanager {
        /// Its base URL.
        url: Url,
        /// Bearer token, if it asks for one.
        token: Option<SecretString>,
    },
    /// A tracker.
    Ticket(Box<TicketSettings>),
}

/// How mail is sent.
#[derive(Clone, Debug)]
pub struct MailSettings {
    /// SMTP server.
    pub host: String,
    /// Its port; the usual one of the kind of TLS if `None`.
    pub port: Option<u16>,
    /// How the connection is secured.
    pub tls: MailTls,
    /// User and password.
    pub login: Option<(String, SecretString)>,
    /// Sender.
    pub from: String,
    /// Recipients.
    pub to: Vec<String>,
}

/// How an SMTP connection is secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailTls {
    /// Not at all.
    None,
    /// Upgraded, or not used.
    StartTls,
    /// From the first byte.
    Tls,
}

/// How a tracker is spoken to. In texts and URLs `{{title}}`, `{{body}}`, `{{key}}`, `{{severity}}`, `{{prefix}}`, `{{owner}}`
/// and, once there is a ticket, `{{reference}}` are replaced.
#[derive(Clone, Debug)]
pub struct TicketSettings {
    /// Opens a ticket.
    pub open: Call,
    /// Where in its answer the ticket's name stands (RFC 6901). Example: `/number`.
    pub reference: String,
    /// Looks for an open ticket with the key, and where its name stands in the answer: so that a retry opens no second one.
    pub find: Option<(Call, String)>,
    /// Closes a ticket.
    pub close: Option<Call>,
    /// How to authenticate.
    pub auth: TicketAuth,
}

/// One request to a tracker.
#[derive(Clone, Debug)]
pub struct Call {
    /// POST, PUT, PATCH or GET.
    pub method: http::Method,
    /// A template.
    pub url: String,
    /// A template: JSON whose texts are replaced.
    pub body: Option<serde_json::Value>,
}

/// How a tracker knows us.
#[derive(Clone, Debug)]
pub enum TicketAuth {
    /// It does not.
    None,
    /// `Authorization: Bearer`.
    Bearer(SecretString),
    /// User and password (Jira: address and API token).
    Basic(String, SecretString),
    /// A header of its own (GitLab: PRIVATE-TOKEN).
    Header(String, SecretString),
}

/// Settings that no sink can be made of.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Not a URL.
    #[error("the URL is none")]
    Url,
    /// An address that it may not go to.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Not a secret to sign with.
    #[error("the signing secret is not base64, with or without whsec_ before it")]
    Secret,
    /// Not a mailbox.
    #[error("{0:?} is no mailbox such as Leasehold <leasehold@example.net>")]
    Mailbox(String),
    /// Mail to nobody.
    #[error("there is no recipient")]
    NoRecipient,
    /// A template that gives no request.
    #[error("the template {0:?} gives no URL")]
    Template(String),
    /// The client could not be set up.
    #[error("the client cannot be set up: {0}")]
    Client(String),
}
