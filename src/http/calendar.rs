//! The calendar (RFC 5545): an all-day entry on the last day of every lease, and on the last day for notice.
//!
//! What is written is pure ([`write`]); [`Calendar`] is who may read it. A calendar program asks again and again, so an entry
//! keeps its UID for as long as its prefix carries a lease, counts its revisions, and an unchanged calendar has an unchanged tag.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Duration, NaiveDate};
use icalendar::{Alarm, Component as _, Event, EventLike as _, Property};
use jiff::Timestamp;
use jiff::civil::Date;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use url::Url;

use crate::cache::Cache;
use crate::expiry::Schedule;
use crate::model::{Prefix, Table, TermDate, fingerprint};

/// Who may read the calendar, and what it is made of.
#[derive(Clone)]
pub struct Calendar {
    /// Who has it may read.
    pub token: SecretString,
    /// The leases.
    pub cache: Arc<Cache>,
    /// When a lease that runs out is told of: alarms ring on the same days.
    pub alarms: Schedule,
    /// NetBox, which entries lead to.
    pub netbox: Url,
}

/// Whose leases.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    /// Only of this owner.
    owner: Option<String>,
}

impl Calendar {
    /// Compared by digest, so that how long it takes says nothing about the token.
    fn admits(&self, offered: &str) -> bool {
        Sha256::digest(offered.as_bytes()) == Sha256::digest(self.token.expose_secret().as_bytes())
    }

    fn answer(&self, headers: &HeaderMap, wanted: &Wanted) -> Response {
        if !self.cache.is_ready() {
            return (StatusCode::SERVICE_UNAVAILABLE, "the first full pass has not ended yet\n")
                .into_response();
        }
        let index = self.cache.snapshot();
        let leases: Vec<Arc<Prefix>> = index
            .leased()
            .filter(|prefix| {
                let owner = prefix.lease.as_deref().and_then(|lease| lease.owner.as_deref());
                wanted.owner.is_none() || wanted.owner.as_deref() == owner
            })
            .cloned()
            .collect();
        let text = write(&leases, &self.alarms, &self.netbox, wanted.owner.as_deref());
        let tag = format!("\"{}\"", fingerprint(&text, 16));
        let known = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        let known = known.flat_map(|value| value.split(',')).any(|known| known.trim() == tag);
        let caching = [(ETAG, tag.as_str()), (CACHE_CONTROL, "private, no-cache")];
        if known {
            return (StatusCode::NOT_MODIFIED, caching).into_response();
        }
        (caching, [(CONTENT_TYPE, "text/calendar; charset=utf-8")], text).into_response()
    }
}

/// `GET /calendar.ics` with `Authorization: Bearer TOKEN`.
pub(super) async fn by_header(
    State(calendar): State<Calendar>,
    headers: HeaderMap,
    Query(wanted): Query<Wanted>,
) -> Response {
    let offered = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let offered = offered.and_then(|value| value.strip_prefix("Bearer "));
    match offered {
        Some(offered) if calendar.admits(offered) => calendar.answer(&headers, &wanted),
        _ => (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Bearer")], "a token is required\n")
            .into_response(),
    }
}

/// `GET /calendar/TOKEN/calendar.ics`, for programs that take a URL and nothing else.
pub(super) async fn by_path(
    State(calendar): State<Calendar>,
    Path(offered): Path<String>,
    headers: HeaderMap,
    Query(wanted): Query<Wanted>,
) -> Response {
    if calendar.admits(&offered) {
        calendar.answer(&headers, &wanted)
    } else {
        (StatusCode::NOT_FOUND, "there is nothing here\n").into_response()
    }
}

/// Writes the calendar of these leases. Entries stand in the order of their prefixes' ids.
fn write(leases: &[Arc<Prefix>], alarms: &Schedule, netbox: &Url, owner: Option<&str>) -> String {
    let mut calendar = icalendar::Calendar::empty();
    calendar.append_property(Property::new("VERSION", "2.0"));
    calendar.append_property(Property::new("PRODID", "-//Leasehold//Leases//EN"));
    calendar.append_property(Property::new("CALSCALE", "GREGORIAN"));
    calendar.append_property(Property::new("METHOD", "PUBLISH"));
    calendar.name(&owner.map_or_else(|| "Leases".to_owned(), |owner| format!("Leases of {}", line(owner))));
    calendar.ttl(&Duration::hours(1));
    let mut ordered: Vec<&Arc<Prefix>> = leases.iter().collect();
    ordered.sort_unstable_by_key(|prefix| prefix.id);
    for prefix in ordered {
        let Some(lease) = prefix.lease.as_deref() else { continue };
        for (which, date) in [(TermDate::Expiry, lease.term.expiry), (TermDate::Notice, lease.term.notice)] {
            if let Some(entry) = date.and_then(|date| entry(prefix, which, date, alarms, netbox)) {
                calendar.push(entry);
            }
        }
    }
    calendar.to_string()
}

fn entry(prefix: &Prefix, which: TermDate, date: Date, alarms: &Schedule, netbox: &Url) -> Option<Event> {
    let lease = prefix.lease.as_deref()?;
    let day = NaiveDate::from_ymd_opt(
        date.year().into(),
        date.month().unsigned_abs().into(),
        date.day().unsigned_abs().into(),
    )?;
    let revised = prefix.revision.instant().unwrap_or(Timestamp::UNIX_EPOCH);
    let stamp = DateTime::from_timestamp(revised.as_second(), 0)?;
    let owner = lease.owner.as_deref().map(line).unwrap_or_default();
    let table = match prefix.table {
        Table::Global => String::new(),
        Table::Vrf(id) => format!(" [VRF {id}]"),
    };
    let what = match which {
        TermDate::Expiry => "last day of the lease",
        TermDate::Notice => "last day to renew or give notice",
    };
    let mut about = vec![format!("{}{table}, leased from {owner}: {what}.", prefix.network)];
    if let Some(loa) = &lease.loa_reference {
        about.push(format!("LOA: {}", line(loa)));
    }
    if let Some(origin) = lease.origin {
        about.push(format!("Origin: {origin}"));
    }
    about.push(format!("Renew: leasehold lease renew {} --expiry DATE", prefix.network));

    let uid =
        format!("lease-{}-{}@{}", prefix.id.0, which.as_str(), netbox.host_str().unwrap_or("leasehold"));
    let mut event = Event::with_uid(&uid);
    event
        .starts(day)
        // Exclusive (RFC 5545, section 3.6.1).
        .ends(day.succ_opt()?)
        .summary(&format!("{}{table} ({owner}): {what}", prefix.network))
        .description(&about.join("\n"))
        .timestamp(stamp)
        .last_modified(stamp)
        .add_property("SEQUENCE", sequence(revised).to_string())
        .add_property("TRANSP", "TRANSPARENT")
        .add_property("CATEGORIES", "LEASE");
    if let Ok(url) = netbox.join(&format!("ipam/prefixes/{}/", prefix.id.0)) {
        event.url(url.as_str());
    }
    for days in alarms.days(lease.owner.as_deref(), which).iter().copied().filter(|days| *days > 0) {
        let words = format!("{} ({owner}): {what} in {days} days", prefix.network);
        let mut alarm = Alarm::display(&words, -Duration::days(days.into()));
        // Of its own accord the library gives a new one each time, and the calendar would seem to change.
        alarm.uid(&format!("alarm-{days}-{uid}")).timestamp(stamp);
        event.alarm(alarm);
    }
    Some(event.done())
}

/// Grows with every change of the record, and fits the 32 bits that SEQUENCE has until 2088.
fn sequence(revised: Timestamp) -> i64 {
    const FROM: i64 = 1_577_836_800;
    (revised.as_second() - FROM).clamp(0, i32::MAX.into())
}

/// Text of people on one line, without characters that would end it.
fn line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
