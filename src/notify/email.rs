//! E-mail over SMTP: plain text, one message for all that is due.

use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use secrecy::{ExposeSecret as _, SecretString};

use super::message::Note;
use super::settings::{MailSettings, MailTls, SettingsError};
use super::sink::{Failure, Sink};
use crate::model::fingerprint;
use crate::web::guard;

/// Mailboxes behind an SMTP server.
pub struct Email {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    to: Vec<Mailbox>,
    host: String,
    port: u16,
    allow_private: bool,
}

impl Email {
    /// Mailboxes behind an SMTP server.
    pub fn new(settings: &MailSettings, allow_private: bool) -> Result<Self, SettingsError> {
        let mailbox =
            |text: &str| text.parse::<Mailbox>().map_err(|_| SettingsError::Mailbox(text.to_owned()));
        if let Ok(address) = settings.host.parse::<IpAddr>()
            && !allow_private
            && !guard::is_public(address)
        {
            return Err(guard::Refused(address.to_string()).into());
        }
        let host = settings.host.as_str();
        let failed = |error: lettre::transport::smtp::Error| SettingsError::Client(error.to_string());
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
            return Err(SettingsError::NoRecipient);
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

    fn message(&self, notes: &[Note]) -> Result<Message, Failure> {
        let subject = match notes {
            [only] => only.line(),
            several => format!("{} events of leased address space", several.len()),
        };
        let mut text = String::new();
        for note in notes {
            text.push_str(&format!("[{}] {}\n", note.severity().as_str(), note.line()));
            let advice = note.advice();
            if !advice.is_empty() {
                text.push_str(&format!("    {advice}\n"));
            }
        }
        // The same deliveries again are the same message: mail programs show it once.
        let ids: Vec<&str> = notes.iter().map(|note| note.id.as_str()).collect();
        let digest = fingerprint(ids.join(" "), 12);
        let mut builder = Message::builder()
            .from(self.from.clone())
            .subject(subject)
            .message_id(Some(format!("<{digest}@leasehold.invalid>")))
            .header(ContentType::TEXT_PLAIN);
        for mailbox in &self.to {
            builder = builder.to(mailbox.clone());
        }
        builder.body(text).map_err(|error| Failure::never(error.to_string()))
    }
}

fn credentials(user: &str, password: &SecretString) -> Credentials {
    Credentials::new(user.to_owned(), password.expose_secret().to_owned())
}

#[async_trait]
impl Sink for Email {
    fn kind(&self) -> &'static str {
        "email"
    }

    fn batch(&self) -> u32 {
        200
    }

    async fn send(&self, notes: &[Note], _: Timestamp) -> Result<(), Failure> {
        let message = self.message(notes)?;
        if !self.allow_private {
            // lettre looks the name up itself; a name that leads home is refused before.
            let found = guard::public(&self.host, self.port).await;
            found.map_err(|error| Failure::later(error.to_string()))?;
        }
        match self.transport.send(message).await {
            Ok(_) => Ok(()),
            // A 5xx of SMTP is a refusal: no such mailbox, too large. 4xx and what broke on the way pass, and so does a login
            // that is refused, which a person mends.
            Err(error) if error.is_permanent() && !is_about_login(&error) => {
                Err(Failure::never(error.to_string()))
            }
            Err(error) => Err(Failure::later(error.to_string())),
        }
    }
}

/// RFC 4954: 530 authentication required, 534 too weak, 535 wrong, 538 encryption required.
fn is_about_login(error: &lettre::transport::smtp::Error) -> bool {
    error.status().is_some_and(|code| ["530", "534", "535", "538"].contains(&code.to_string().as_str()))
}
