//! Rows of the event log's tables, and what they mean.

use jiff::civil::Date;

use super::error::Error;
use super::journal::TermMarkKey;
use super::sql_values::{from_sql, impl_from_row, timestamp};
use crate::model::{DomainEvent, Event, TermDate, Threshold};

/// A row of the table `event`.
pub(super) struct EventRow {
    sequence: i64,
    recorded_at: i64,
    /// JSON of the domain event.
    body: String,
}

impl_from_row!(EventRow { sequence, recorded_at, body });

impl EventRow {
    pub(super) fn into_event(self) -> Result<Event, Error> {
        Ok(Event {
            sequence: from_sql(self.sequence),
            recorded: timestamp(self.recorded_at)?,
            domain_event: serde_json::from_str(&self.body).map_err(Error::unreadable)?,
        })
    }
}

/// The body under which a domain event is stored.
pub(super) fn event_json(domain_event: &DomainEvent) -> Result<String, Error> {
    serde_json::to_string(domain_event).map_err(Error::unreadable)
}

/// A row of the table `term_mark`.
pub(super) struct TermMarkRow {
    prefix: i64,
    which: String,
    date: String,
    threshold: i64,
}

impl_from_row!(TermMarkRow { prefix, which, date, threshold });

impl TermMarkRow {
    pub(super) fn into_mark(self) -> Result<(TermMarkKey, Threshold), Error> {
        let which = match self.which.as_str() {
            "expiry" => TermDate::Expiry,
            "notice" => TermDate::Notice,
            other => return Err(Error::Unreadable(format!("a term mark for the date {other:?}"))),
        };
        let date: Date = self.date.parse().map_err(Error::unreadable)?;
        let threshold = Threshold(i32::try_from(self.threshold).unwrap_or(i32::MAX));
        Ok(((from_sql(self.prefix), which, date), threshold))
    }
}
