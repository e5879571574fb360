//! Decides what a DNS reply says about an address. Pure.

use std::net::Ipv4Addr;

use super::zone::{Zone, is_error};
use crate::model::{Failure, ListingClass, SourceFault};
use crate::web::ConnectionFault;

/// Why a lookup says nothing about the address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookupFailure {
    #[error(
        "the list answers that the queried name is misspelt (127.255.255.252): check the name of the zone"
    )]
    Misspelt,
    #[error("the list refuses queries through a public resolver (127.255.255.254): use your own resolver")]
    PublicResolver,
    #[error("the list counted too many queries (127.255.255.255): lower the rate, or subscribe")]
    TooMany,
    /// Another address in 127.255.255.0/24, which operators reserve for errors.
    #[error("the list answers the error code {0}")]
    ErrorCode(Ipv4Addr),
    /// The resolver rewrites answers, or the domain of the list was sold.
    #[error("the list answers {0}, outside 127.0.0.0/8: check the resolver and the zone")]
    Outside(Ipv4Addr),
    #[error("the list answers {0}, which is not among its configured codes")]
    UnknownCode(Ipv4Addr),
    #[error("the list answers without an address")]
    Empty,
    /// Holds the response code, such as SERVFAIL.
    #[error("the resolver answers {0}")]
    Resolver(String),
    #[error("the resolver cannot be asked: {0}")]
    Unreachable(ConnectionFault),
    #[error("no answer in time")]
    TimedOut,
    #[error("the zone failed its self-test: {0}")]
    Untested(String),
}

impl From<LookupFailure> for Failure {
    fn from(failure: LookupFailure) -> Self {
        use LookupFailure as L;
        let fault = match &failure {
            L::Untested(_) => SourceFault::BlocklistUnusable,
            L::TimedOut => SourceFault::TimedOut,
            L::TooMany => SourceFault::Throttled,
            L::PublicResolver | L::Resolver(_) => SourceFault::Refused,
            L::Unreachable(_) => SourceFault::Unreachable,
            L::Misspelt | L::ErrorCode(_) | L::Outside(_) | L::UnknownCode(_) | L::Empty => {
                SourceFault::AnswerInvalid
            }
        };
        fault.failure(failure.to_string())
    }
}

/// The reply to a query for A records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    Addresses(Vec<Ipv4Addr>),
    NxDomain,
    /// NOERROR without a record.
    NoData,
    /// Another response code.
    Error(String),
    /// The resolver cannot be asked.
    Unreachable(ConnectionFault),
    TimedOut,
}

/// Returns the class and the codes of a listing, or `None` if the address is not listed.
///
/// A reply with several codes is classed by the worst one, and one invalid code makes the whole reply a failure.
pub fn judge(zone: &Zone, reply: &Reply) -> Result<Option<(ListingClass, Vec<Ipv4Addr>)>, LookupFailure> {
    let codes = match reply {
        Reply::NxDomain => return Ok(None),
        Reply::NoData => return Err(LookupFailure::Empty),
        Reply::Error(error) => return Err(LookupFailure::Resolver(error.clone())),
        Reply::Unreachable(fault) => return Err(LookupFailure::Unreachable(*fault)),
        Reply::TimedOut => return Err(LookupFailure::TimedOut),
        Reply::Addresses(codes) if codes.is_empty() => return Err(LookupFailure::Empty),
        Reply::Addresses(codes) => codes,
    };
    for code in codes.iter().copied() {
        if !code.is_loopback() {
            return Err(LookupFailure::Outside(code));
        }
        if is_error(code) {
            return Err(match code.octets()[3] {
                252 => LookupFailure::Misspelt,
                254 => LookupFailure::PublicResolver,
                255 => LookupFailure::TooMany,
                _ => LookupFailure::ErrorCode(code),
            });
        }
    }
    let mut worst = None;
    for code in codes.iter().copied() {
        let class = zone.class(code).ok_or(LookupFailure::UnknownCode(code))?;
        worst = worst.max(Some(class));
    }
    let mut codes = codes.clone();
    codes.sort();
    codes.dedup();
    Ok(worst.map(|class| (class, codes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(codes: &[&str]) -> Result<Option<ListingClass>, LookupFailure> {
        let zone = Zone {
            name: "bl".into(),
            codes: Zone::default_codes(),
            queries_per_second: std::num::NonZeroU32::MIN,
            ipv4: true,
            ipv6: false,
        };
        let reply = Reply::Addresses(codes.iter().map(|code| code.parse().unwrap()).collect());
        judge(&zone, &reply).map(|listed| listed.map(|(class, _)| class))
    }

    #[test]
    fn only_configured_codes_are_listings() {
        assert_eq!(judged(&["127.0.0.2"]), Ok(Some(ListingClass::Abuse)));
        assert_eq!(judged(&["127.0.0.10"]), Ok(Some(ListingClass::Policy)));
        assert_eq!(
            judged(&["127.0.0.10", "127.0.0.4"]),
            Ok(Some(ListingClass::Abuse)),
            "the worst code counts"
        );
        assert_eq!(judged(&["127.255.255.254"]), Err(LookupFailure::PublicResolver));
        assert_eq!(
            judged(&["127.255.255.255", "127.0.0.2"]),
            Err(LookupFailure::TooMany),
            "one error code invalidates the reply"
        );
        assert_eq!(judged(&["127.255.255.252"]), Err(LookupFailure::Misspelt));
        assert!(matches!(judged(&["127.255.255.9"]), Err(LookupFailure::ErrorCode(_))));
        assert!(matches!(judged(&["192.0.2.1"]), Err(LookupFailure::Outside(_))));
        assert!(matches!(judged(&["127.0.0.1"]), Err(LookupFailure::UnknownCode(_))));
        assert!(matches!(judged(&["127.0.1.2"]), Err(LookupFailure::UnknownCode(_))));
        assert_eq!(judged(&[]), Err(LookupFailure::Empty));
    }

    #[test]
    fn only_nxdomain_is_clean() {
        let zone = Zone {
            name: "bl".into(),
            codes: Zone::default_codes(),
            queries_per_second: std::num::NonZeroU32::MIN,
            ipv4: true,
            ipv6: false,
        };
        assert_eq!(judge(&zone, &Reply::NxDomain), Ok(None));
        for reply in
            [Reply::NoData, Reply::TimedOut, Reply::Error("SERVFAIL".into()), Reply::Addresses(Vec::new())]
        {
            assert!(judge(&zone, &reply).is_err(), "{reply:?}");
        }
    }
}
