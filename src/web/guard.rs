//! Where sinks may go: not to private, loopback or link-local addresses, unless told.
//!
//! The check is made on the addresses that a connection is opened to, after the name was looked up: a name that answers
//! otherwise the second time changes nothing. Redirects are not followed.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// An address that a sink may not go to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is a private, loopback or link-local address; set allow_private if it is meant")]
pub struct Refused(pub String);

/// Whether an address is on the Internet at large.
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_broadcast()
                || v4.is_multicast()
                || v4.is_unspecified()
                || a == 0
                // RFC 6598 shared, RFC 6890 protocol assignments, RFC 2544 benchmarking, RFC 1112 reserved
                || (a == 100 && (64..128).contains(&b))
                || (a == 192 && b == 0 && c == 0)
                || (a == 198 && (b == 18 || b == 19))
                || a >= 240)
        }
        IpAddr::V6(v6) => {
            let [first, second, ..] = v6.segments();
            // What is mapped or translated to IPv4 (6to4, NAT64, Teredo) is judged by what it is mapped to, or not at all.
            let embedded = match (first, second) {
                (0x2002, _) => Some(Ipv4Addr::from(u32::from(second) << 16 | u32::from(v6.segments()[2]))),
                (0x0064, 0xff9b) => {
                    let [.., high, low] = v6.segments();
                    Some(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)))
                }
                _ => None,
            };
            if let Some(embedded) = embedded {
                return is_public(IpAddr::V4(embedded));
            }
            !(v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_multicast()
                || first & 0xfe00 == 0xfc00
                || first & 0xffc0 == 0xfe80
                || (first == 0x2001 && second == 0))
        }
    }
}

/// Refuses a URL whose host is such an address, spelt out. Names are judged when they are looked up.
pub fn check(url: &Url, allow_private: bool) -> Result<(), Refused> {
    let address = match url.host() {
        Some(Host::Ipv4(v4)) => IpAddr::V4(v4),
        Some(Host::Ipv6(v6)) => IpAddr::V6(v6),
        Some(Host::Domain(_)) | None => return Ok(()),
    };
    if allow_private || is_public(address) { Ok(()) } else { Err(Refused(address.to_string())) }
}

/// Looks names up and gives back public addresses only.
#[derive(Clone, Copy, Debug)]
pub struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let name = name.as_str().to_owned();
        Box::pin(async move {
            let found = public(&name, 0).await?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// The public addresses of a name; an error if it has none.
pub async fn public(
    name: &str,
    port: u16,
) -> Result<Vec<SocketAddr>, Box<dyn std::error::Error + Send + Sync>> {
    let all: Vec<SocketAddr> = tokio::net::lookup_host((name, port)).await?.collect();
    let public: Vec<SocketAddr> = all.iter().copied().filter(|found| is_public(found.ip())).collect();
    match all.first() {
        Some(first) if public.is_empty() => Err(Box::new(Refused(format!("{name} ({})", first.ip())))),
        _ => Ok(public),
    }
}

/// A resolver for reqwest, or none where private addresses are allowed.
pub fn resolver(allow_private: bool) -> Option<Arc<PublicOnly>> {
    (!allow_private).then(|| Arc::new(PublicOnly))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_refused_in_every_spelling() {
        for inside in [
            "127.0.0.1",
            "127.9.9.9",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "198.18.0.1",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "2002:7f00:1::",
            "64:ff9b::a00:1",
            "ff02::1",
        ] {
            assert!(!is_public(inside.parse().unwrap()), "{inside}");
        }
        for outside in ["192.0.2.1", "8.8.8.8", "2001:db8::1", "2606:4700::1", "172.32.0.1", "100.128.0.1"] {
            assert!(is_public(outside.parse().unwrap()), "{outside}");
        }
    }

    #[test]
    fn a_url_that_spells_one_is_refused_unless_told() {
        // The URL standard reads all of these as 127.0.0.1.
        for url in ["http://127.0.0.1/", "http://2130706433/", "http://0x7f.1/", "http://[::ffff:127.0.0.1]/"]
        {
            let url: Url = url.parse().unwrap();
            assert!(check(&url, false).is_err(), "{url}");
            assert!(check(&url, true).is_ok());
        }
        assert!(check(&"https://hooks.example/x".parse().unwrap(), false).is_ok());
    }

    #[tokio::test]
    async fn a_name_that_leads_home_is_refused() {
        let error = public("localhost", 80).await.unwrap_err();
        assert!(error.to_string().contains("allow_private"), "{error}");
    }
}
