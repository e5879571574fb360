//! The numbers of autonomous systems.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An autonomous system number that may originate a route: 32 bits (RFC 6793), never 0, which RFC 7607 reserves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Asn(u32);

/// The reason why a text or a number is not the AS number of an origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AsnError {
    #[error("AS 0 cannot originate a route (RFC 7607)")]
    Zero,
    #[error("{0:?} is not an AS number (1 to 4294967295, with or without the letters AS)")]
    NotANumber(String),
}

impl Asn {
    /// The number without the letters AS.
    pub fn number(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for Asn {
    type Error = AsnError;

    fn try_from(number: u32) -> Result<Self, AsnError> {
        if number == 0 { Err(AsnError::Zero) } else { Ok(Self(number)) }
    }
}

impl From<Asn> for u32 {
    fn from(asn: Asn) -> u32 {
        asn.0
    }
}

impl FromStr for Asn {
    type Err = AsnError;

    /// Accepts `64500`, `AS64500` and `as64500`.
    fn from_str(text: &str) -> Result<Self, AsnError> {
        let digits = text.strip_prefix("AS").or_else(|| text.strip_prefix("as")).unwrap_or(text);
        let number: u32 = digits.parse().map_err(|_| AsnError::NotANumber(text.to_owned()))?;
        Self::try_from(number)
    }
}

impl fmt::Display for Asn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AS{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_as_number_is_read_with_and_without_the_letters_as() {
        assert_eq!("64500".parse(), Asn::try_from(64500));
        assert_eq!("AS64500".parse(), Asn::try_from(64500));
    }

    #[test]
    fn as_0_and_other_text_are_refused() {
        assert_eq!("0".parse::<Asn>(), Err(AsnError::Zero));
        assert!("ACME".parse::<Asn>().is_err());
        assert!("4294967296".parse::<Asn>().is_err());
    }
}
