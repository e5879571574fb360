//! Requests into types that cannot be wrong; every violation at once, each with its field named.

use std::fmt::Display;
use std::net::IpAddr;

use jiff::Timestamp;
use jiff::civil::Date;

use super::proto;
use super::status::Problem;
use crate::model::{Network, RequestId, parse_host};

/// Violations of a request, gathered while it is parsed.
#[derive(Debug, Default)]
pub(super) struct Violations {
    found: Vec<(String, String)>,
}

impl Violations {
    /// Notes that a field is wrong.
    pub(super) fn add(&mut self, field: impl Into<String>, why: impl Display) {
        self.found.push((field.into(), why.to_string()));
    }

    /// The value, or a note.
    pub(super) fn take<T, E: Display>(&mut self, field: &str, value: Result<T, E>) -> Option<T> {
        value.map_err(|why| self.add(field, why)).ok()
    }

    /// Nothing was wrong, or all that was.
    pub(super) fn finish(self) -> Result<(), Problem> {
        if self.found.is_empty() { Ok(()) } else { Err(Problem::invalid(self.found)) }
    }

    /// The parsed request, if nothing was wrong.
    pub(super) fn finish_with<T>(self, parsed: Option<T>) -> Result<T, Problem> {
        self.finish()?;
        // Whoever could not parse has noted why, so this is a defect of ours and said as one.
        parsed.ok_or_else(|| Problem::internal("a request was neither parsed nor refused"))
    }

    pub(super) fn network(&mut self, field: &str, text: &str) -> Option<Network> {
        if text.is_empty() {
            self.add(field, "is required: a prefix in CIDR notation such as 203.0.113.0/24");
            return None;
        }
        self.take(field, text.parse::<Network>())
    }

    pub(super) fn host(&mut self, field: &str, text: &str) -> Option<IpAddr> {
        if text.is_empty() {
            self.add(field, "is required: an address such as 203.0.113.5");
            return None;
        }
        self.take(field, parse_host(text))
    }

    /// Prefixes or single addresses.
    pub(super) fn networks(&mut self, field: &str, texts: &[String]) -> Vec<Network> {
        let mut found = Vec::with_capacity(texts.len());
        for (index, text) in texts.iter().enumerate() {
            let parsed = match text.parse::<IpAddr>() {
                Ok(address) => Ok(Network::host(address)),
                Err(_) => text.parse::<Network>(),
            };
            found.extend(self.take(&format!("{field}[{index}]"), parsed));
        }
        found
    }

    /// A date that may be absent.
    pub(super) fn date(&mut self, field: &str, date: Option<proto::Date>) -> Option<Date> {
        let date = date?;
        let part = |value: i32| i16::try_from(value).ok();
        let small = |value: i32| i8::try_from(value).ok();
        let parsed = part(date.year)
            .zip(small(date.month))
            .zip(small(date.day))
            .and_then(|((year, month), day)| Date::new(year, month, day).ok())
            .filter(|date| date.year() > 0);
        if parsed.is_none() {
            self.add(
                field,
                format!("{:04}-{:02}-{:02} is not a date of the calendar", date.year, date.month, date.day),
            );
        }
        parsed
    }

    /// An instant.
    pub(super) fn instant(&mut self, field: &str, at: prost_types::Timestamp) -> Option<Timestamp> {
        self.take(field, Timestamp::new(at.seconds, at.nanos).map_err(|_| "is no instant"))
    }

    pub(super) fn required_date(&mut self, field: &str, date: Option<proto::Date>) -> Option<Date> {
        if date.is_none() {
            self.add(field, "is required");
        }
        self.date(field, date)
    }

    /// A request id, or a new one of ours where none was given.
    pub(super) fn request_id(&mut self, field: &str, text: &str) -> Option<RequestId> {
        if text.is_empty() { Some(RequestId::random()) } else { self.take(field, text.parse::<RequestId>()) }
    }

    pub(super) fn required_request_id(&mut self, field: &str, text: &str) -> Option<RequestId> {
        if text.is_empty() {
            self.add(field, "is required");
            return None;
        }
        self.take(field, text.parse::<RequestId>())
    }

    /// A text that may not be longer than NetBox allows.
    pub(super) fn text(&mut self, field: &str, text: String, longest: usize) -> String {
        let length = text.chars().count();
        if length > longest {
            self.add(field, format!("has {length} characters, at most {longest} are allowed"));
        }
        text
    }

    /// A slug that may be absent.
    pub(super) fn slug(&mut self, field: &str, text: String) -> Option<String> {
        if text.is_empty() {
            return None;
        }
        if !text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')) {
            self.add(field, format!("{text:?} is not a slug: letters, digits, - and _ only"));
        }
        Some(text)
    }

    pub(super) fn slugs(&mut self, field: &str, texts: Vec<String>) -> Vec<String> {
        texts
            .into_iter()
            .enumerate()
            .filter_map(|(index, text)| {
                if text.is_empty() {
                    self.add(format!("{field}[{index}]"), "is empty");
                }
                self.slug(&format!("{field}[{index}]"), text)
            })
            .collect()
    }

    /// NetBox's status value; empty means active.
    pub(super) fn status(&mut self, text: String) -> String {
        if text.is_empty() {
            return "active".to_owned();
        }
        self.slug("status", text).unwrap_or_default()
    }

    /// A DNS name as NetBox takes it.
    pub(super) fn dns_name(&mut self, text: String) -> String {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '*');
        if let Some(other) = text.chars().find(|c| !allowed(*c)) {
            self.add("dns_name", format!("{other:?} cannot stand in a DNS name"));
        }
        self.text("dns_name", text, 255)
    }

    /// A page size; 0 means 100.
    pub(super) fn page_size(&mut self, size: i32) -> usize {
        match size {
            0 => 100,
            1..=1000 => usize::try_from(size).unwrap_or(100),
            other => {
                self.add("page_size", format!("{other} is not between 1 and 1000"));
                100
            }
        }
    }
}
