//! Checks of single values, shared by the sections. Each adds a problem if the value cannot be used.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use url::Url;

use super::error::Problems;

/// A year, the longest interval that is accepted in seconds.
pub(super) const YEAR_SECONDS: u64 = 366 * 24 * 3600;
/// A century, the longest interval that is accepted in hours.
pub(super) const CENTURY_HOURS: u64 = 876_600;
/// A century, the longest time that is accepted in days.
pub(super) const CENTURY_DAYS: u32 = 36_500;

/// Checks that a number lies within a range, and returns it as it is.
pub(super) fn in_range<T: PartialOrd + Display>(
    key: impl Into<String>,
    value: T,
    range: RangeInclusive<T>,
    problems: &mut Problems,
) -> T {
    // Not a number lies in no range.
    if !range.contains(&value) {
        let (first, last) = (range.start(), range.end());
        problems.add(key, format!("{value} is out of range: it must be between {first} and {last}"));
    }
    value
}

/// Checks a number of whole seconds.
pub(super) fn seconds(
    key: impl Into<String>,
    value: u64,
    range: RangeInclusive<u64>,
    problems: &mut Problems,
) -> Duration {
    Duration::from_secs(in_range(key, value, range, problems))
}

/// Checks a number of seconds that may have a fraction.
pub(super) fn fractional_seconds(
    key: impl Into<String>,
    value: f64,
    range: RangeInclusive<f64>,
    problems: &mut Problems,
) -> Duration {
    Duration::try_from_secs_f64(in_range(key, value, range, problems)).unwrap_or_default()
}

/// Checks a number of hours.
pub(super) fn hours(
    key: impl Into<String>,
    value: u64,
    range: RangeInclusive<u64>,
    problems: &mut Problems,
) -> Duration {
    Duration::from_secs(in_range(key, value, range, problems).saturating_mul(3600))
}

/// Checks a number of days before the end of a lease; 0 is its last day.
pub(super) fn days_left(key: impl Into<String>, days: i32, problems: &mut Problems) -> i32 {
    in_range(key, days, 0..=CENTURY_DAYS.cast_signed(), problems)
}

/// Checks a number of days before the end of a lease, or after it where the number is negative.
pub(super) fn days_around_end(key: impl Into<String>, days: i32, problems: &mut Problems) -> i32 {
    let century = CENTURY_DAYS.cast_signed();
    in_range(key, days, -century..=century, problems)
}

/// Parses each word of a list; every word that is not allowed is reported.
pub(super) fn choices<T: FromStr + Ord>(key: &str, words: &[String], problems: &mut Problems) -> BTreeSet<T>
where
    T::Err: Display,
{
    let mut parsed = BTreeSet::new();
    for (index, word) in words.iter().enumerate() {
        match word.parse() {
            Ok(value) => {
                parsed.insert(value);
            }
            Err(error) => problems.add(format!("{key}[{index}]"), error),
        }
    }
    parsed
}

/// Checks that a text is not empty.
pub(super) fn not_empty(key: impl Into<String>, text: &str, problems: &mut Problems) {
    if text.is_empty() {
        problems.add(key, "is required and must not be empty");
    }
}

/// Parses an http or https URL.
pub(super) fn http_url(key: impl Into<String>, text: &str, problems: &mut Problems) -> Option<Url> {
    let url: Option<Url> = text.parse().ok();
    let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if url.is_none() {
        problems.add(key, format!("{text:?} is not a URL such as https://host.example"));
    }
    url
}

/// Checks that a text is `host:port` with a port other than 0.
pub(super) fn host_and_port(key: impl Into<String>, text: &str, problems: &mut Problems) -> Option<String> {
    match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0) => {
            Some(text.to_owned())
        }
        _ => {
            problems.add(key, format!("{text:?} is not a host and a port such as 127.0.0.1:8282"));
            None
        }
    }
}
