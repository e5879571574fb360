//! How a connection to a peer failed, in words of our own: the texts of libraries change and say little to people.

use std::error::Error as StdError;
use std::fmt;
use std::io::{self, ErrorKind};

use rustls::CertificateError;

/// How a connection failed. The texts follow the name of the peer, as in "irr whois.radb.net:43: the connection was refused".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionFault {
    NameUnknown,
    Refused,
    TimedOut,
    NoRoute,
    Broken,
    CertificateUntrusted,
    CertificateExpired,
    CertificateNotYetValid,
    CertificateOfAnother,
    /// The peer does not speak TLS, or not in a way that both sides know.
    Tls,
    /// Anything else; the log says what.
    Other,
}

impl ConnectionFault {
    /// What an error of the standard library, or one that a library built on it, says about the connection. The text of the error
    /// itself goes to the log.
    pub fn of(error: &(dyn StdError + 'static)) -> Self {
        let fault = find(error).unwrap_or(Self::Other);
        let cause = chain(error);
        if fault == Self::Other {
            tracing::warn!(cause, "a connection failed in an unexpected way");
        } else {
            tracing::debug!(cause, %fault, "a connection failed");
        }
        fault
    }
}

impl fmt::Display for ConnectionFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NameUnknown => "its name cannot be resolved",
            Self::Refused => "the connection was refused",
            Self::TimedOut => "no answer in time",
            Self::NoRoute => "there is no route to it",
            Self::Broken => "the connection broke",
            Self::CertificateUntrusted => "its certificate is not signed by a trusted authority",
            Self::CertificateExpired => "its certificate has expired",
            Self::CertificateNotYetValid => "its certificate is not valid yet",
            Self::CertificateOfAnother => "its certificate is for another name",
            Self::Tls => "no TLS session could be agreed on",
            Self::Other => "the connection failed",
        })
    }
}

/// The first error of the chain that says what happened.
fn find(error: &(dyn StdError + 'static)) -> Option<ConnectionFault> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(fault) = of_one(error) {
            return Some(fault);
        }
        next = error.source();
    }
    None
}

fn of_one(error: &(dyn StdError + 'static)) -> Option<ConnectionFault> {
    if let Some(error) = error.downcast_ref::<rustls::Error>() {
        return Some(of_tls(error));
    }
    // Neither the standard library nor hyper has a public type or a kind for these.
    let text = error.to_string();
    if text.starts_with("failed to lookup address information") {
        return Some(ConnectionFault::NameUnknown);
    }
    if text.starts_with("connection closed before message completed") {
        return Some(ConnectionFault::Broken);
    }
    let error = error.downcast_ref::<io::Error>()?;
    // An io::Error passes over the error inside it when it is asked for its source.
    let inside = error.get_ref().and_then(|inner| find(inner));
    inside.or(match error.kind() {
        ErrorKind::ConnectionRefused => Some(ConnectionFault::Refused),
        ErrorKind::TimedOut => Some(ConnectionFault::TimedOut),
        ErrorKind::HostUnreachable
        | ErrorKind::NetworkUnreachable
        | ErrorKind::NetworkDown
        | ErrorKind::AddrNotAvailable => Some(ConnectionFault::NoRoute),
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::NotConnected
        | ErrorKind::BrokenPipe
        | ErrorKind::UnexpectedEof => Some(ConnectionFault::Broken),
        _ => None,
    })
}

fn of_tls(error: &rustls::Error) -> ConnectionFault {
    use CertificateError as C;
    let rustls::Error::InvalidCertificate(error) = error else { return ConnectionFault::Tls };
    match error {
        C::Expired | C::ExpiredContext { .. } => ConnectionFault::CertificateExpired,
        C::NotValidYet | C::NotValidYetContext { .. } => ConnectionFault::CertificateNotYetValid,
        C::NotValidForName | C::NotValidForNameContext { .. } => ConnectionFault::CertificateOfAnother,
        _ => ConnectionFault::CertificateUntrusted,
    }
}

/// The texts of an error and of everything that caused it.
fn chain(error: &(dyn StdError + 'static)) -> String {
    let (mut text, mut next) = (error.to_string(), error.source());
    while let Some(error) = next {
        text.push_str(&format!(": {error}"));
        next = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_of_an_error_is_found_wherever_it_lies_in_the_chain() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer")]
        struct Outer(#[source] io::Error);
        let refused = || io::Error::from(ErrorKind::ConnectionRefused);
        assert_eq!(ConnectionFault::of(&refused()), ConnectionFault::Refused);
        assert_eq!(ConnectionFault::of(&Outer(refused())), ConnectionFault::Refused);
        assert_eq!(ConnectionFault::of(&Outer(io::Error::other(Outer(refused())))), ConnectionFault::Refused);
        let expired = rustls::Error::InvalidCertificate(CertificateError::Expired);
        let wrapped = io::Error::new(ErrorKind::InvalidData, expired);
        assert_eq!(ConnectionFault::of(&Outer(wrapped)), ConnectionFault::CertificateExpired);
        assert_eq!(ConnectionFault::of(&io::Error::other("x")), ConnectionFault::Other);
    }

    #[tokio::test]
    async fn a_name_that_cannot_be_resolved_is_recognised() {
        let error = tokio::net::lookup_host("no-such-host.invalid:1").await.map(|_| ()).unwrap_err();
        assert_eq!(ConnectionFault::of(&error), ConnectionFault::NameUnknown);
    }
}
