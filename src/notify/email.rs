//! E-mail over SMTP: plain text, one message for all deliveries that are due.

use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use secrecy::{ExposeSecret as _, SecretString};

use super::error::NotifySettingsError;
use super::http;
use super::notification::Notification;
use super::settings::{MailSettings, MailTls};
use super::sink::{DeliveryFailure, Sink, SinkKind};
use crate::model::digest;
use crate::web::guard;

/// Characters of a mail server's reply that are shown.
const MAX_REPLY: usize = 200;

/// Mailboxes that are reached through an SMTP server.
pub(super) struct Email {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    to: Vec<Mailbox>,
    host: String,
    port: u16,
    allow_private: bool,
}

impl Email {
    /// Mailboxes behind an SMTP server. Fails if a mailbox cannot be parsed or there is no recipient, or if the server is a private
    /// address that is not allowed.
    pub(super) fn new(settings: &MailSettings, allow_private: bool) -> Result<Self, NotifySettingsError> {
        let mailbox =
            |text: &str| text.parse::<Mailbox>().map_err(|_| NotifySettingsError::Mailbox(text.to_owned()));
        if let Ok(address) = settings.host.parse::<IpAddr>()
            && !allow_private
            && !guard::is_public(address)
        {
            return Err(crate::web::PrivateAddress(address.to_string()).into());
        }
        let host = settings.host.as_str();
        let failed = |error: SmtpError| NotifySettingsError::Client(error.to_string());
        let mut builder = match settings.tls {
            MailTls::None => AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host),
            MailTls::StartTls => {
                AsyncSmtpTransport::<Tokio1Executor>::starttls_relay(host).map_err(failed)?
            }
            MailTls::Tls => AsyncSmtpTransport::<Tokio1Executor>::relay(host).map_err(failed)?,
        }
        .timeout(Some(Duration::from_secs(15)));
        let port = settings.port.unwrap_or(match settings.tls {
            MailTls::None => 25,
            MailTls::StartTls => 587,
            MailTls::Tls => 465,
        });
        builder = builder.port(port);
        if let Some((user, password)) = &settings.login {
            builder = builder.credentials(credentials(user, password));
        }
        if settings.to.is_empty() {
            return Err(NotifySettingsError::NoRecipient);
        }
        Ok(Self {
            transport: builder.build(),
            from: mailbox(&settings.from)?,
            to: settings.to.iter().map(|text| mailbox(text)).collect::<Result<_, _>>()?,
            host: settings.host.clone(),
            port,
            allow_private,
        })
    }

    fn message(&self, notifications: &[Notification]) -> Result<Message, DeliveryFailure> {
        let subject = match notifications {
            [only] => only.summary(),
            several => format!("{} events of leased address space", several.len()),
        };
        let mut text = String::new();
        for notification in notifications {
            text.push_str(&format!("[{}] {}\n", notification.severity().as_str(), notification.summary()));
            let advice = notification.advice();
            if !advice.is_empty() {
                text.push_str(&format!("    {advice}\n"));
            }
        }
        // The same deliveries give the same Message-ID, by which many mail programs show a repeated message once.
        let ids: Vec<&str> = notifications.iter().map(|notification| notification.id.as_str()).collect();
        let digest = digest(ids.join(" "), 12);
        let mut builder = Message::builder()
            .from(self.from.clone())
            .subject(subject)
            .message_id(Some(format!("<{digest}@leasehold.invalid>")))
            .header(ContentType::TEXT_PLAIN);
        for mailbox in &self.to {
            builder = builder.to(mailbox.clone());
        }
        builder.body(text).map_err(|error| {
            tracing::warn!(%error, "a mail cannot be composed");
            DeliveryFailure::permanent("the mail cannot be composed")
        })
    }
}

fn credentials(user: &str, password: &SecretString) -> Credentials {
    Credentials::new(user.to_owned(), password.expose_secret().to_owned())
}

#[async_trait]
impl Sink for Email {
    fn kind(&self) -> SinkKind {
        SinkKind::Email
    }

    fn batch_size(&self) -> u32 {
        200
    }

    async fn send(&self, notifications: &[Notification], _: Timestamp) -> Result<(), DeliveryFailure> {
        let message = self.message(notifications)?;
        if !self.allow_private {
            // lettre resolves the name itself, so the check that refuses private addresses comes before it.
            let found = guard::public(&self.host, self.port).await;
            found.map_err(|error| http::unreachable(&*error))?;
        }
        self.transport.send(message).await.map(drop).map_err(|error| failure(&error))
    }
}

/// What a mail server's refusal, or its silence, means. Its reply is quoted, and no text of lettre.
fn failure(error: &SmtpError) -> DeliveryFailure {
    let Some(code) = error.status() else {
        return if error.is_timeout() {
            DeliveryFailure::transient("no answer in time")
        } else {
            http::unreachable(error)
        };
    };
    // The source of an error with a reply code is the text of the reply.
    let said = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    let said: String = said.chars().take(MAX_REPLY).collect();
    let reason = if said.is_empty() { code.to_string() } else { format!("{code} {said}") };
    // A 5xx reply refuses the message: no such mailbox, or too large. Everything else is transient, and so is a login that is refused,
    // because a person can correct it.
    if error.is_permanent() && !is_about_login(error) {
        DeliveryFailure::permanent(reason)
    } else {
        DeliveryFailure::transient(reason)
    }
}

/// The replies of RFC 4954: 530 authentication required, 534 mechanism too weak, 535 wrong credentials, 538 encryption required.
fn is_about_login(error: &SmtpError) -> bool {
    error.status().is_some_and(|code| ["530", "534", "535", "538"].contains(&code.to_string().as_str()))
}
