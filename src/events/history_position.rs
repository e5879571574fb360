//! Positions in the history of an address, as text that a client keeps between two pages.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

use super::resume_token::ResumeToken;

/// Where a page of a history ends. The next page begins with what is older. Clients keep its text without reading it: that of the
/// resume token, and for the time before the event log, separated by dots, the instant at which that time ends and the last entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HistoryPosition {
    /// Before this event of the event log.
    Log(ResumeToken),
    /// In the time before the event log.
    Earlier {
        /// The last event that belongs to that time. With the sequence 0 none does.
        log: ResumeToken,
        /// The time before the event log ends here, for every page.
        until: Timestamp,
        /// The last entry of the page.
        entry: EarlierEntry,
    },
}

/// The place of an entry in the time before the event log: by time, and then by where it comes from and its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EarlierEntry {
    /// Microseconds since the epoch.
    pub(super) time: i64,
    pub(super) source: EarlierSource,
    /// The id of NetBox's entry, or the sequence of the event.
    pub(super) number: u64,
}

/// Where an entry of the time before the event log comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum EarlierSource {
    NetBox,
    Log,
}

/// The text of a page token cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a page token of this server")]
pub struct NotAHistoryPosition;

impl fmt::Display for HistoryPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Log(token) => write!(f, "{token}"),
            Self::Earlier { log, until, entry: EarlierEntry { time, source, number } } => {
                let source = match source {
                    EarlierSource::NetBox => 'n',
                    EarlierSource::Log => 'l',
                };
                write!(f, "{log}.{}.{time}.{source}{number}", until.as_microsecond())
            }
        }
    }
}

impl FromStr for HistoryPosition {
    type Err = NotAHistoryPosition;

    fn from_str(text: &str) -> Result<Self, NotAHistoryPosition> {
        let mut parts = text.split('.');
        let token = parts.next().unwrap_or_default();
        let log: ResumeToken = token.parse().map_err(|_| NotAHistoryPosition)?;
        let Some(until) = parts.next() else { return Ok(Self::Log(log)) };
        let until = until.parse().ok().and_then(|micros| Timestamp::from_microsecond(micros).ok());
        let time = parts.next().and_then(|text| text.parse().ok());
        let last = parts.next().and_then(|text| match text.split_at_checked(1)? {
            ("n", number) => Some((EarlierSource::NetBox, number.parse().ok()?)),
            ("l", number) => Some((EarlierSource::Log, number.parse().ok()?)),
            _ => None,
        });
        match (until, time, last, parts.next()) {
            (Some(until), Some(time), Some((source, number)), None) => {
                Ok(Self::Earlier { log, until, entry: EarlierEntry { time, source, number } })
            }
            _ => Err(NotAHistoryPosition),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_text_of_a_position_parses_to_the_same_position(
            epoch in "[0-9a-f]{16}",
            sequence: u64,
            until in 0i64..4_000_000_000_000_000,
            time: i64,
            netbox: bool,
            number: u64,
        ) {
            let log = ResumeToken { epoch, sequence };
            let in_log = HistoryPosition::Log(log.clone());
            prop_assert_eq!(in_log.to_string().parse(), Ok(in_log));
            let source = if netbox { EarlierSource::NetBox } else { EarlierSource::Log };
            let until = Timestamp::from_microsecond(until).unwrap();
            let entry = EarlierEntry { time, source, number };
            let earlier = HistoryPosition::Earlier { log, until, entry };
            prop_assert_eq!(earlier.to_string().parse(), Ok(earlier));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".*") {
            let _ = text.parse::<HistoryPosition>();
        }
    }

    #[test]
    fn the_text_of_a_position_never_changes() {
        let log = ResumeToken { epoch: "0123456789abcdef".to_owned(), sequence: 26 };
        assert_eq!(HistoryPosition::Log(log.clone()).to_string(), "0123456789abcdef-1a");
        let until = Timestamp::from_second(1_800_000_000).unwrap();
        let entry = EarlierEntry { time: 1_700_000_000_000_000, source: EarlierSource::NetBox, number: 17 };
        let earlier = HistoryPosition::Earlier { log, until, entry };
        let text = "0123456789abcdef-1a.1800000000000000.1700000000000000.n17";
        assert_eq!(earlier.to_string(), text);
    }
}
