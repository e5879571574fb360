//! The calendar of leases as text (RFC 5545). Pure.
//!
//! Each lease has an all-day entry on its last day and one on its notice date. A calendar program reads the calendar again and
//! again, so an entry keeps its UID for as long as its prefix carries a lease, and its SEQUENCE grows with every change.

use std::sync::Arc;

use chrono::{DateTime, Duration, NaiveDate};
use icalendar::{Alarm, Component as _, Event, EventLike as _, Property};
use jiff::Timestamp;
use jiff::civil::Date;
use url::Url;

use crate::expiry::Schedule;
use crate::model::{Prefix, TermDate, VrfScope};

/// Writes the calendar of these leases, ordered by prefix id. `owner` is a part of the calendar's name, if it shows one owner only.
pub(super) fn write(leases: &[Arc<Prefix>], alarms: &Schedule, netbox: &Url, owner: Option<&str>) -> String {
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

/// The entry of one date of a lease; `None` if the prefix has no lease, or the date is outside of what the library can express.
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
    let scope = match prefix.scope {
        VrfScope::Global => String::new(),
        VrfScope::Vrf(id) => format!(" [VRF {id}]"),
    };
    let what = match which {
        TermDate::Expiry => "last day of the lease",
        TermDate::Notice => "last day to renew or give notice",
    };
    let mut about = vec![format!("{}{scope}, leased from {owner}: {what}.", prefix.network)];
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
        // The end of an all-day entry is exclusive (RFC 5545, section 3.6.1).
        .ends(day.succ_opt()?)
        .summary(&format!("{}{scope} ({owner}): {what}", prefix.network))
        .description(&about.join("\n"))
        .timestamp(stamp)
        .last_modified(stamp)
        .add_property("SEQUENCE", sequence(revised).to_string())
        .add_property("TRANSP", "TRANSPARENT")
        .add_property("CATEGORIES", "LEASE");
    if let Some(url) = crate::netbox::prefix_page(netbox, prefix.id) {
        event.url(url.as_str());
    }
    for days in alarms.days(lease.owner.as_deref(), which).iter().copied().filter(|days| *days > 0) {
        let text = format!("{} ({owner}): {what} in {days} days", prefix.network);
        let mut alarm = Alarm::display(&text, -Duration::days(days.into()));
        // Without a UID of ours the library makes a new one each time, and an unchanged calendar would change.
        alarm.uid(&format!("alarm-{days}-{uid}")).timestamp(stamp);
        event.alarm(alarm);
    }
    Some(event.done())
}

/// A SEQUENCE that grows with every change of the record: the seconds since 2020. It fits into 32 bits until 2088.
fn sequence(revised: Timestamp) -> i64 {
    const YEAR_2020: i64 = 1_577_836_800;
    (revised.as_second() - YEAR_2020).clamp(0, i32::MAX.into())
}

/// Free text as one line: control characters become blanks.
fn line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
