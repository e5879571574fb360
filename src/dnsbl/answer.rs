//! What an answer of the DNS means. Pure.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use super::zone::{Zone, is_error};
use crate::model::Class;

/// An answer that says nothing about the address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Failure {
    /// 127.255.255.252: the operator says that the name is misspelt.
    #[error("the list says that the query is misspelt (127.255.255.252)")]
    Misspelt,
    /// 127.255.255.254: through a public resolver.
    #[error("the list refuses queries through a public resolver (127.255.255.254): use one of your own")]
    PublicResolver,
    /// 127.255.255.255: too many.
    #[error("the list counts too many queries (127.255.255.255): lower the rate, or subscribe")]
    TooMany,
    /// Another of 127.255.255.0/24.
    #[error("the list answers an error code: {0}")]
    ErrorCode(Ipv4Addr),
    /// Outside 127/8: a resolver that lies, or a domain that was sold.
    #[error("the list answers {0}, outside 127.0.0.0/8: the resolver or the zone is not what it should be")]
    Outside(Ipv4Addr),
    /// A code that is configured as nothing.
    #[error("the list answers {0}, which is not among its configured codes")]
    UnknownCode(Ipv4Addr),
    /// NOERROR without an address.
    #[error("the list answers with no address")]
    Empty,
    /// SERVFAIL, REFUSED and the like.
    #[error("the resolver answers {0}")]
    Resolver(String),
    /// No answer.
    #[error("no answer in time")]
    TimedOut,
    /// The zone failed its self-test, so nothing that it says counts.
    #[error("the zone failed its self-test: {0}")]
    Untested(String),
}

/// What the DNS gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A records.
    Addresses(Vec<Ipv4Addr>),
    /// NXDOMAIN.
    NoSuchName,
    /// NOERROR and nothing.
    NoData,
    /// An error of the resolver's, in words.
    Error(String),
    /// Nothing.
    TimedOut,
}

/// What a reply means for the address: its class and codes, or that it is not listed.
pub fn judge(zone: &Zone, reply: &Reply) -> Result<Option<(Class, Vec<Ipv4Addr>)>, Failure> {
    let codes = match reply {
        Reply::NoSuchName => return Ok(None),
        Reply::NoData => return Err(Failure::Empty),
        Reply::Error(words) => return Err(Failure::Resolver(words.clone())),
        Reply::TimedOut => return Err(Failure::TimedOut),
        Reply::Addresses(codes) if codes.is_empty() => return Err(Failure::Empty),
        Reply::Addresses(codes) => codes,
    };
    // One code that is wrong spoils the others: whoever answers it is not to be believed.
    for code in codes.iter().copied() {
        if !code.is_loopback() {
            return Err(Failure::Outside(code));
        }
        if is_error(code) {
            return Err(match code.octets()[3] {
                252 => Failure::Misspelt,
                254 => Failure::PublicResolver,
                255 => Failure::TooMany,
                _ => Failure::ErrorCode(code),
            });
        }
    }
    let mut gravest = None;
    for code in codes.iter().copied() {
        let class = zone.class(code).ok_or(Failure::UnknownCode(code))?;
        gravest = gravest.max(Some(class));
    }
    let mut codes = codes.clone();
    codes.sort();
    codes.dedup();
    Ok(gravest.map(|class| (class, codes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(codes: &[&str]) -> Result<Option<Class>, Failure> {
        let zone = Zone { name: "bl".into(), codes: Zone::usual_codes(), rate: 1, four: true, six: false };
        let reply = Reply::Addresses(codes.iter().map(|code| code.parse().unwrap()).collect());
        judge(&zone, &reply).map(|listed| listed.map(|(class, _)| class))
    }

    #[test]
    fn only_configured_codes_list() {
        assert_eq!(judged(&["127.0.0.2"]), Ok(Some(Class::Abuse)));
        assert_eq!(judged(&["127.0.0.10"]), Ok(Some(Class::Policy)));
        assert_eq!(judged(&["127.0.0.10", "127.0.0.4"]), Ok(Some(Class::Abuse)), "the gravest counts");
        assert_eq!(judged(&["127.255.255.254"]), Err(Failure::PublicResolver));
        assert_eq!(
            judged(&["127.255.255.255", "127.0.0.2"]),
            Err(Failure::TooMany),
            "one error spoils the rest"
        );
        assert_eq!(judged(&["127.255.255.252"]), Err(Failure::Misspelt));
        assert!(matches!(judged(&["127.255.255.9"]), Err(Failure::ErrorCode(_))));
        assert!(matches!(judged(&["192.0.2.1"]), Err(Failure::Outside(_))));
        assert!(matches!(judged(&["127.0.0.1"]), Err(Failure::UnknownCode(_))));
        assert!(matches!(judged(&["127.0.1.2"]), Err(Failure::UnknownCode(_))));
        assert_eq!(judged(&[]), Err(Failure::Empty));
    }

    #[test]
    fn only_nxdomain_is_clean() {
        let zone = Zone { name: "bl".into(), codes: Zone::usual_codes(), rate: 1, four: true, six: false };
        assert_eq!(judge(&zone, &Reply::NoSuchName), Ok(None));
        for reply in
            [Reply::NoData, Reply::TimedOut, Reply::Error("SERVFAIL".into()), Reply::Addresses(Vec::new())]
        {
            assert!(judge(&zone, &reply).is_err(), "{reply:?}");
        }
    }
}
