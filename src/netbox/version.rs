//! NetBox's versions, and everything in which they differ for Leasehold.

use std::fmt;
use std::str::FromStr;

/// A version of NetBox. Suffixes of images and betas are dropped when it is parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    pub major: u16,
    pub minor: u16,
    pub patch: u16,
}

/// A text that is not a version of NetBox.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a NetBox version")]
pub struct NotAVersion(String);

impl Version {
    /// The oldest release line that Leasehold supports.
    pub const OLDEST: ReleaseLine = ReleaseLine { major: 4, minor: 2 };
    /// The newest release line that Leasehold supports.
    pub const NEWEST: ReleaseLine = ReleaseLine { major: 4, minor: 7 };

    fn line(self) -> ReleaseLine {
        ReleaseLine { major: self.major, minor: self.minor }
    }

    /// Whether the version lies between [`Version::OLDEST`] and [`Version::NEWEST`].
    pub fn is_supported(self) -> bool {
        (Self::OLDEST..=Self::NEWEST).contains(&self.line())
    }

    /// What this version can do, following from its release line alone.
    pub fn capabilities(self) -> Capabilities {
        let since = |major, minor| self.line() >= ReleaseLine { major, minor };
        Capabilities {
            cursor_pages: since(4, 6),
            if_match: since(4, 6),
            changelog_message: since(4, 4),
            only_populated_ranges_count: since(4, 3),
            whole_deletions: since(4, 7),
        }
    }
}

/// A release line: a version without its patch level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReleaseLine {
    pub major: u16,
    pub minor: u16,
}

impl fmt::Display for ReleaseLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl FromStr for Version {
    type Err = NotAVersion;

    /// Reads `4.7.3` and also `4.7.3-Docker-3.2.1` and `4.7.0-beta1`, as container images and betas call themselves.
    fn from_str(text: &str) -> Result<Self, NotAVersion> {
        let bad = || NotAVersion(text.to_owned());
        let plain = text.split(['-', '+', ' ']).next().unwrap_or(text);
        let mut parts = plain.split('.');
        let mut number = |required: bool| match parts.next() {
            Some(part) => part.parse::<u16>().map_err(|_| bad()),
            None if required => Err(bad()),
            None => Ok(0),
        };
        Ok(Self { major: number(true)?, minor: number(true)?, patch: number(false)? })
    }
}

/// What some supported versions of NetBox can do and others cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Pages by `start=ID` (since 4.6). Without it the same is asked with `ordering=id&id__gte=ID`.
    pub cursor_pages: bool,
    /// ETag and If-Match (since 4.6). Without them `last_updated` is read and compared before a write.
    pub if_match: bool,
    /// `changelog_message` of a write, which NetBox keeps with the entry of the change log (since 4.4).
    pub changelog_message: bool,
    /// Only ranges with `mark_populated` take their addresses out of available-ips (since 4.3). Before, every range did.
    pub only_populated_ranges_count: bool,
    /// A list of deletions is refused as a whole if one of them is not possible (since 4.7). Before, the others were made, and the
    /// answer was that of success.
    pub whole_deletions: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_images_and_betas_are_read() {
        let version = |text: &str| text.parse::<Version>().unwrap();
        assert_eq!(version("4.7.3"), Version { major: 4, minor: 7, patch: 3 });
        assert_eq!(version("4.2.9-Docker-3.2.1"), Version { major: 4, minor: 2, patch: 9 });
        assert_eq!(version("4.7-beta1"), Version { major: 4, minor: 7, patch: 0 });
        assert!("latest".parse::<Version>().is_err());
    }

    #[test]
    fn only_known_release_lines_are_supported() {
        let supported = |text: &str| text.parse::<Version>().unwrap().is_supported();
        assert!(!supported("4.1.11"));
        assert!(supported("4.2.0"));
        assert!(supported("4.7.99"));
        assert!(!supported("4.8.0"));
        assert!(!supported("5.0.0"));
    }
}
