//! A zone and what its codes mean. Pure.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use crate::model::Class;

/// Answers of a zone, from the first to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeRange {
    first: Ipv4Addr,
    last: Ipv4Addr,
}

/// Addresses that are no listing whatever a zone says: 127.255.255.0/24 is for errors, 127.0.0.1 must not be listed.
const ERRORS: [u8; 3] = [127, 255, 255];

impl CodeRange {
    /// From one to another, within 127/8 and clear of the error codes.
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
                "{range} holds 127.0.0.1 or error codes (127.255.255.0/24), which are never listings"
            ));
        }
        Ok(range)
    }

    /// Whether the answer lies in it.
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

    /// `127.0.0.10` or `127.0.0.2-127.0.0.9`.
    fn from_str(text: &str) -> Result<Self, String> {
        let read =
            |part: &str| part.trim().parse().map_err(|_| format!("{text:?} is no code such as 127.0.0.2"));
        match text.split_once('-') {
            Some((first, last)) => Self::new(read(first)?, read(last)?),
            None => Self::new(read(text)?, read(text)?),
        }
    }
}

/// Whether an answer is one of the operator's error codes.
pub(super) fn is_error(code: Ipv4Addr) -> bool {
    let [a, b, c, _] = code.octets();
    [a, b, c] == ERRORS
}

/// A blocklist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// Its name, without a dot at the end. Example: zen.example.org.
    pub name: String,
    /// What its answers mean; the first that fits counts. An answer that none fits is an error.
    pub codes: Vec<(CodeRange, Class)>,
    /// Queries a second.
    pub rate: u32,
    /// It lists IPv4 addresses.
    pub four: bool,
    /// It lists IPv6 addresses.
    pub six: bool,
}

impl Zone {
    /// What Spamhaus made custom: 127.0.0.10 and .11 are policy, the rest of 127.0.0.2 to .254 is abuse.
    pub fn usual_codes() -> Vec<(CodeRange, Class)> {
        let range = |first: u8, last: u8| CodeRange {
            first: Ipv4Addr::new(127, 0, 0, first),
            last: Ipv4Addr::new(127, 0, 0, last),
        };
        vec![(range(10, 11), Class::Policy), (range(2, 254), Class::Abuse)]
    }

    /// Whether it says anything about such an address.
    pub fn covers(&self, address: IpAddr) -> bool {
        if address.is_ipv4() { self.four } else { self.six }
    }

    /// What an answer means here.
    pub fn class(&self, code: Ipv4Addr) -> Option<Class> {
        self.codes.iter().find(|(range, _)| range.contains(code)).map(|(_, class)| *class)
    }

    /// The name to ask for (RFC 5782, sections 2.1 and 2.4), with its dot at the end: search domains are not for lists.
    pub fn query(&self, address: IpAddr) -> String {
        let mut name = String::with_capacity(self.name.len() + 66);
        match address {
            IpAddr::V4(four) => {
                for octet in four.octets().iter().rev() {
                    name.push_str(&format!("{octet}."));
                }
            }
            IpAddr::V6(six) => {
                for octet in six.octets().iter().rev() {
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
        Zone { name: "bl.example".into(), codes: Zone::usual_codes(), rate: 10, four: true, six: true }
    }

    #[test]
    fn names_are_reversed() {
        assert_eq!(zone().query("203.0.113.5".parse().unwrap()), "5.113.0.203.bl.example.");
        // RFC 5782, section 2.4.
        assert_eq!(
            zone().query("2001:db8:1:2:3:4:567:89ab".parse().unwrap()),
            "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.bl.example."
        );
    }

    #[test]
    fn policy_codes_are_not_abuse() {
        let class = |code: &str| zone().class(code.parse().unwrap());
        assert_eq!(class("127.0.0.2"), Some(Class::Abuse));
        assert_eq!(class("127.0.0.10"), Some(Class::Policy));
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
