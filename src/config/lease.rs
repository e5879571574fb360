//! `[lease]`, `[expiry]`, `[events]` and `[calendar]`: terms, and what is published about them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use super::error::Problems;
use super::secret::{self, Reported, SecretText};
use super::settings::EventSettings;
use super::values::{CENTURY_DAYS, in_range, not_empty, seconds};
use crate::expiry::{OwnerSchedule, Schedule, Thresholds};

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LeaseSection {
    time_zone: String,
}

impl Default for LeaseSection {
    fn default() -> Self {
        Self { time_zone: "UTC".to_owned() }
    }
}

impl LeaseSection {
    /// The time zone in which leases begin and end.
    pub(super) fn check(&self, problems: &mut Problems) -> Option<TimeZone> {
        let zone = TimeZone::get(&self.time_zone).ok();
        if zone.is_none() {
            let message = format!(
                "{:?} is not a time zone of the IANA database, such as Europe/Berlin",
                self.time_zone
            );
            problems.add("lease.time_zone", message);
        }
        zone
    }
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct EventsSection {
    bookmark_seconds: u64,
    retention_days: u32,
    max_events: u64,
}

impl Default for EventsSection {
    fn default() -> Self {
        Self { bookmark_seconds: 30, retention_days: 400, max_events: 5_000_000 }
    }
}

impl EventsSection {
    pub(super) fn check(&self, problems: &mut Problems) -> EventSettings {
        let days = in_range("events.retention_days", self.retention_days, 1..=CENTURY_DAYS, problems);
        EventSettings {
            bookmark_interval: seconds("events.bookmark_seconds", self.bookmark_seconds, 1..=3600, problems),
            retention: Duration::from_secs(u64::from(days) * 24 * 3600),
            max_events: in_range("events.max_events", self.max_events, 1000..=1_000_000_000_000, problems),
        }
    }
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ExpirySection {
    thresholds: Vec<i32>,
    notice_thresholds: Vec<i32>,
    /// A list and not a table, because a name of an owner need not be a valid key.
    owners: Vec<OwnerEntry>,
}

impl Default for ExpirySection {
    fn default() -> Self {
        let thresholds = vec![60, 30, 14, 7, 1, 0];
        Self { notice_thresholds: thresholds.clone(), thresholds, owners: Vec::new() }
    }
}

/// Thresholds of one owner; those that are not written are the common ones.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct OwnerEntry {
    owner: String,
    thresholds: Option<Vec<i32>>,
    notice_thresholds: Option<Vec<i32>>,
}

impl ExpirySection {
    pub(super) fn check(&self, problems: &mut Problems) -> Option<Schedule> {
        let mut owners = BTreeMap::new();
        for (index, entry) in self.owners.iter().enumerate() {
            let at = format!("expiry.owners[{index}]");
            not_empty(format!("{at}.owner"), &entry.owner, problems);
            let own = OwnerSchedule {
                expiry: own_thresholds(&format!("{at}.thresholds"), entry.thresholds.as_ref(), problems),
                notice: own_thresholds(
                    &format!("{at}.notice_thresholds"),
                    entry.notice_thresholds.as_ref(),
                    problems,
                ),
            };
            if owners.insert(entry.owner.clone(), own).is_some() {
                problems.add(format!("{at}.owner"), format!("there are two entries for {:?}", entry.owner));
            }
        }
        let expiry = thresholds("expiry.thresholds", &self.thresholds, problems);
        let notice = thresholds("expiry.notice_thresholds", &self.notice_thresholds, problems);
        Some(Schedule { expiry: expiry?, notice: notice?, owners })
    }
}

fn thresholds(key: &str, days: &[i32], problems: &mut Problems) -> Option<Thresholds> {
    Thresholds::new(days.to_vec()).map_err(|error| problems.add(key, error)).ok()
}

fn own_thresholds(key: &str, days: Option<&Vec<i32>>, problems: &mut Problems) -> Option<Thresholds> {
    days.and_then(|days| thresholds(key, days, problems))
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct CalendarSection {
    token: SecretText,
    token_file: Option<PathBuf>,
}

/// A shorter token could be found by trying.
const MIN_TOKEN_LENGTH: usize = 16;

impl CalendarSection {
    /// The token of the calendar; `None` if the calendar is off.
    pub(super) fn check(&self, problems: &mut Problems) -> Result<Option<SecretString>, Reported> {
        let token = secret::optional("calendar.token", &self.token, self.token_file.as_deref(), problems)?;
        if token.as_ref().is_some_and(|token| token.expose_secret().len() < MIN_TOKEN_LENGTH) {
            problems.add(
                "calendar.token",
                format!(
                    "is shorter than {MIN_TOKEN_LENGTH} characters: make one with `openssl rand -hex 24`"
                ),
            );
            return Err(Reported);
        }
        Ok(token)
    }
}
