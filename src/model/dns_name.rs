//! The DNS name of an address record.

use std::fmt;
use std::str::FromStr;

/// The most characters that NetBox stores.
const LONGEST: usize = 255;

/// A name as NetBox takes one in `dns_name` of an address: labels of letters, digits, `-` and `_` between dots, of which the first may
/// be `*` alone. A dot may end it. NetBox stores it in lower case, and so it is displayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsName(String);

impl DnsName {
    /// The name as it was written: a request is told from another one by it.
    pub fn as_written(&self) -> &str {
        &self.0
    }
}

/// The name as NetBox stores it.
impl fmt::Display for DnsName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.to_ascii_lowercase())
    }
}

/// The reason why a text is not a DNS name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DnsNameError {
    #[error("{0:?} is not allowed in a DNS name")]
    Character(char),
    #[error("has an empty label: two dots beside each other, or one at the beginning")]
    EmptyLabel,
    #[error("has * in another place than alone as the first label")]
    Wildcard,
    #[error("has {0} characters, at most {LONGEST} are allowed")]
    TooLong(usize),
}

impl FromStr for DnsName {
    type Err = DnsNameError;

    fn from_str(text: &str) -> Result<Self, DnsNameError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '*');
        if let Some(other) = text.chars().find(|c| !allowed(*c)) {
            return Err(DnsNameError::Character(other));
        }
        if text.len() > LONGEST {
            return Err(DnsNameError::TooLong(text.len()));
        }
        for (nth, label) in text.strip_suffix('.').unwrap_or(text).split('.').enumerate() {
            if label.is_empty() {
                return Err(DnsNameError::EmptyLabel);
            }
            if label.contains('*') && !(nth == 0 && label == "*") {
                return Err(DnsNameError::Wildcard);
            }
        }
        Ok(Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_as_netbox_takes_it_and_shown_as_it_is_stored() {
        let stored = |text: &str| text.parse::<DnsName>().map(|name| name.to_string());
        for (written, name) in [
            ("WEB-01.Example.", "web-01.example."),
            ("*.example", "*.example"),
            ("*", "*"),
            ("_dmarc.example", "_dmarc.example"),
            ("-", "-"),
            ("xn--mnchen-3ya.example", "xn--mnchen-3ya.example"),
        ] {
            assert_eq!(stored(written).as_deref(), Ok(name));
        }
        assert_eq!("WEB".parse::<DnsName>().map(|name| name.as_written().to_owned()), Ok("WEB".to_owned()));
        assert_eq!(stored(&"a".repeat(255)), Ok("a".repeat(255)));
        assert_eq!(stored(&"a".repeat(256)), Err(DnsNameError::TooLong(256)));
        assert_eq!(stored("münchen.example"), Err(DnsNameError::Character('ü')));
        for empty in ["", ".", "..", "a..b", ".a", "a.."] {
            assert_eq!(stored(empty), Err(DnsNameError::EmptyLabel), "{empty:?}");
        }
        for wildcard in ["a.*", "*a.example", "**"] {
            assert_eq!(stored(wildcard), Err(DnsNameError::Wildcard), "{wildcard:?}");
        }
    }
}
