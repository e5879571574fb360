//! The settings of sinks and routes, after they were read and checked.

use secrecy::SecretString;
use url::Url;

use super::route::NotificationRoute;

/// Which sinks there are, and which events go to them.
#[derive(Clone, Debug, Default)]
pub struct NotifySettings {
    pub sinks: Vec<SinkSettings>,
    /// A sink that no route names receives the default events ([`NotificationRoute::by_default`]).
    pub routes: Vec<NotificationRoute>,
}

/// The settings of one sink.
#[derive(Clone, Debug)]
pub struct SinkSettings {
    /// The name by which routes, deliveries and metrics call it.
    pub name: String,
    pub target: SinkTarget,
    /// Whether it may have a private or loopback address.
    pub allow_private: bool,
}

/// What kind of sink it is, and where it is.
#[derive(Clone, Debug)]
pub enum SinkTarget {
    Slack {
        /// The incoming webhook of a channel. Anybody who knows it can write to the channel.
        url: SecretString,
    },
    Webhook {
        url: Url,
        /// Signing secrets (`whsec_…`), the newest first. A message carries a signature of each, so that a secret can be
        /// replaced while receivers still check the old one.
        secrets: Vec<SecretString>,
    },
    Email(MailSettings),
    Alertmanager {
        /// The base URL, without `api/v2`.
        url: Url,
        /// A bearer token, if one is required.
        token: Option<SecretString>,
    },
    Ticket(Box<TicketSettings>),
}

/// How mail is sent, and to whom.
#[derive(Clone, Debug)]
pub struct MailSettings {
    /// The SMTP server: a name or an address.
    pub host: String,
    /// `None` stands for the usual port of the kind of TLS: 25, 587 or 465.
    pub port: Option<u16>,
    pub tls: MailTls,
    /// User and password, if the server requires a login.
    pub login: Option<(String, SecretString)>,
    /// The sender's mailbox. Example: `Leasehold <leasehold@example.net>`.
    pub from: String,
    pub to: Vec<String>,
}

/// How an SMTP connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailTls {
    None,
    /// Encrypted after STARTTLS; mail is not sent if the server does not offer it.
    StartTls,
    /// Encrypted from the first byte.
    Tls,
}

/// How tickets are opened and closed at a tracker. In URLs and bodies `{{title}}`, `{{body}}`, `{{key}}`, `{{severity}}`,
/// `{{prefix}}`, `{{owner}}` and, once there is a ticket, `{{reference}}` are replaced.
#[derive(Clone, Debug)]
pub struct TicketSettings {
    /// The request that opens a ticket.
    pub open: RequestTemplate,
    /// A JSON pointer (RFC 6901) to the tracker's name for the ticket, in the answer to `open`. Example: `/number`.
    pub reference: String,
    /// The request that looks for an open ticket with the key, and a JSON pointer to its name in the answer. It is sent before
    /// `open`, so that a repeated delivery opens no second ticket.
    pub find: Option<(RequestTemplate, String)>,
    /// The request that closes a ticket; without it, people close them.
    pub close: Option<RequestTemplate>,
    pub auth: TicketAuth,
}

/// One request to a tracker, with placeholders.
#[derive(Clone, Debug)]
pub struct RequestTemplate {
    /// GET, POST, PUT or PATCH.
    pub method: http::Method,
    pub url: String,
    /// A JSON value; placeholders are replaced in its strings.
    pub body: Option<serde_json::Value>,
}

/// How requests to a tracker are authenticated.
#[derive(Clone, Debug)]
pub enum TicketAuth {
    None,
    /// A token in the header `Authorization: Bearer`.
    Bearer(SecretString),
    /// User and password; for Jira Cloud, the user's e-mail address and an API token.
    Basic(String, SecretString),
    /// A header and its value (GitLab: `PRIVATE-TOKEN`).
    Header(String, SecretString),
}
