//! Keeps requests whose URL others chose away from private, loopback and link-local addresses.
//!
//! The check is made on the addresses to which a connection is opened, after the name was resolved, so a name that resolves
//! to another address the second time gains nothing. Redirects are not followed.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use super::error::PrivateAddress;

/// Whether an address is public: reachable over the Internet, and neither private, shared, local nor reserved.
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
            // An address that embeds an IPv4 address (6to4, NAT64) is as public as that one; Teredo is refused below.
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

/// Refuses a URL whose host is a literal address that is not public. A name is checked when it is resolved.
pub fn check(url: &Url, allow_private: bool) -> Result<(), PrivateAddress> {
    let address = match url.host() {
        Some(Host::Ipv4(v4)) => IpAddr::V4(v4),
        Some(Host::Ipv6(v6)) => IpAddr::V6(v6),
        Some(Host::Domain(_)) | None => return Ok(()),
    };
    if allow_private || is_public(address) { Ok(()) } else { Err(PrivateAddress(address.to_string())) }
}

/// A resolver for reqwest that returns public addresses only.
#[derive(Clone, Copy, Debug)]
pub struct PublicAddressResolver;

impl Resolve for PublicAddressResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let name = name.as_str().to_owned();
        Box::pin(async move {
            let found = public(&name, 0).await?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// Resolves a name and returns its public addresses. [`PrivateAddress`] if it has only others.
pub async fn public(
    name: &str,
    port: u16,
) -> Result<Vec<SocketAddr>, Box<dyn std::error::Error + Send + Sync>> {
    let all: Vec<SocketAddr> = tokio::net::lookup_host((name, port)).await?.collect();
    let public: Vec<SocketAddr> = all.iter().copied().filter(|found| is_public(found.ip())).collect();
    match all.first() {
        Some(first) if public.is_empty() => Err(Box::new(PrivateAddress(format!("{name} ({})", first.ip())))),
        _ => Ok(public),
    }
}

/// The resolver to set on a reqwest client; `None` where private addresses are allowed.
pub fn resolver(allow_private: bool) -> Option<Arc<PublicAddressResolver>> {
    (!allow_private).then(|| Arc::new(PublicAddressResolver))
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
    fn a_url_with_a_private_address_is_refused_unless_allowed() {
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
    async fn a_name_of_a_loopback_address_is_refused() {
        let error = public("localhost", 80).await.unwrap_err();
        assert!(error.to_string().contains("allow_private"), "{error}");
    }
}
