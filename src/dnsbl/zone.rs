//! A blocklist zone and the meaning of its answer codes. Pure.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::str::FromStr;

use crate::model::ListingClass;

/// A range of answer codes, first and last included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeRange {
    first: Ipv4Addr,
    last: Ipv4Addr,
}

/// The first three octets of 127.255.255.0/24, which operators reserve for errors.
const ERROR_CODES: [u8; 3] = [127, 255, 255];

impl CodeRange {
    /// Makes a range. It must lie within 127.0.0.0/8 and contain neither 127.0.0.1 nor an error code (127.255.255.0/24).
    pub fn new(first: Ipv4Addr, last: Ipv4Addr) -> Result<Self, String> {
        let range = Self { first, last };
        if first > last {
            return Err(format!("{range} ends before it begins"));
        }
        if !first.is_loopback() || !last.is_loopback() {
            return Err(format!("{range} is not within 127.0.0.0/8"));
        }
        if range.contains(Ipv4Addr::LOCALHOST) || last.octets() >= [127, 255, 255, 0] {
            return Err(format!(
                "{range} contains 127.0.0.1 or error codes (127.255.255.0/24), which are never listings"
            ));
        }
        Ok(range)
    }

    /// Whether the code lies in the range.
    pub fn contains(self, code: Ipv4Addr) -> bool {
        (self.first..=self.last).contains(&code)
    }
}

impl fmt::Display for CodeRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

impl FromStr for CodeRange {
    type Err = String;

    /// Accepts one code, such as `127.0.0.10`, or a range, such as `127.0.0.2-127.0.0.9`.
    fn from_str(text: &str) -> Result<Self, String> {
        let parse = |part: &str| {
            part.trim().parse().map_err(|_| {
                format!("{text:?} is not a code such as 127.0.0.2 or a range such as 127.0.0.2-127.0.0.9")
            })
        };
        match text.split_once('-') {
            Some((first, last)) => Self::new(parse(first)?, parse(last)?),
            None => Self::new(parse(text)?, parse(text)?),
        }
    }
}

/// Whether a code is reserved for errors of the operator.
pub(super) fn is_error(code: Ipv4Addr) -> bool {
    let [a, b, c, _] = code.octets();
    [a, b, c] == ERROR_CODES
}

/// A blocklist zone and its settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// Without a dot at the end, such as zen.example.org.
    pub name: String,
    /// The meaning of the codes; the first range that contains a code counts. Any other code is an error.
    pub codes: Vec<(CodeRange, ListingClass)>,
    pub queries_per_second: NonZeroU32,
    /// Whether the zone lists IPv4 addresses.
    pub ipv4: bool,
    /// Whether the zone lists IPv6 addresses.
    pub ipv6: bool,
}

impl Zone {
    /// The convention of Spamhaus: 127.0.0.10 and .11 are policy listings, the rest of 127.0.0.2 to .254 are abuse.
    pub fn default_codes() -> Vec<(CodeRange, ListingClass)> {
        let range = |first: u8, last: u8| CodeRange {
            first: Ipv4Addr::new(127, 0, 0, first),
            last: Ipv4Addr::new(127, 0, 0, last),
        };
        vec![(range(10, 11), ListingClass::Policy), (range(2, 254), ListingClass::Abuse)]
    }

    /// Whether the zone lists addresses of this family.
    pub fn covers(&self, address: IpAddr) -> bool {
        if address.is_ipv4() { self.ipv4 } else { self.ipv6 }
    }

    /// The class of a listing with this code; `None` if the code is not configured.
    pub fn class(&self, code: Ipv4Addr) -> Option<ListingClass> {
        self.codes.iter().find(|(range, _)| range.contains(code)).map(|(_, class)| *class)
    }

    /// The name to query for an address (RFC 5782, sections 2.1 and 2.4). Its last dot keeps the resolver from appending a search
    /// domain to it.
    pub fn query_name(&self, address: IpAddr) -> String {
        let mut name = String::with_capacity(self.name.len() + 66);
        match address {
            IpAddr::V4(ipv4) => {
                for octet in ipv4.octets().iter().rev() {
                    name.push_str(&format!("{octet}."));
                }
            }
            IpAddr::V6(ipv6) => {
                for octet in ipv6.octets().iter().rev() {
                    name.push_str(&format!("{:x}.{:x}.", octet & 0xf, octet >> 4));
                }
            }
        }
        name + &self.name + "."
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone() -> Zone {
        Zone {
            name: "bl.example".into(),
            codes: Zone::default_codes(),
            queries_per_second: NonZeroU32::MIN,
            ipv4: true,
            ipv6: true,
        }
    }

    #[test]
    fn the_query_name_is_the_reversed_address() {
        assert_eq!(zone().query_name("203.0.113.5".parse().unwrap()), "5.113.0.203.bl.example.");
        // RFC 5782, section 2.4.
        assert_eq!(
            zone().query_name("2001:db8:1:2:3:4:567:89ab".parse().unwrap()),
            "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.bl.example."
        );
    }

    #[test]
    fn policy_listings_are_not_abuse() {
        let class = |code: &str| zone().class(code.parse().unwrap());
        assert_eq!(class("127.0.0.2"), Some(ListingClass::Abuse));
        assert_eq!(class("127.0.0.10"), Some(ListingClass::Policy));
        assert_eq!(class("127.0.0.1"), None);
        assert_eq!(class("127.0.1.2"), None);
    }

    #[test]
    fn a_range_that_cannot_be_listings_is_refused() {
        for text in [
            "127.0.0.1-127.0.0.9",
            "127.255.255.254",
            "127.0.0.2-127.255.255.0",
            "10.0.0.1",
            "127.0.0.9-127.0.0.2",
            "x",
        ] {
            assert!(text.parse::<CodeRange>().is_err(), "{text}");
        }
        assert_eq!("127.0.0.2-127.0.0.9".parse::<CodeRange>().unwrap().to_string(), "127.0.0.2-127.0.0.9");
    }
}
