//! Values of messages as text for people, and values of arguments as messages.

use crate::rpc::proto::{self, v1};

/// A date as `2027-06-01`; nothing for no date.
pub(crate) fn date(date: Option<&proto::Date>) -> String {
    date.map(|date| format!("{:04}-{:02}-{:02}", date.year, date.month, date.day)).unwrap_or_default()
}

pub(crate) fn to_proto_date(date: jiff::civil::Date) -> proto::Date {
    proto::Date { year: date.year().into(), month: date.month().into(), day: date.day().into() }
}

/// A time as `2026-11-25T00:33:29Z`; nothing for no time.
pub(crate) fn instant(at: Option<&prost_types::Timestamp>) -> String {
    at.and_then(|at| jiff::Timestamp::new(at.seconds, at.nanos).ok())
        .map(|at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
        .unwrap_or_default()
}

pub(crate) fn to_proto_timestamp(at: jiff::Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: at.as_second(), nanos: at.subsec_nanosecond() }
}

/// A span as `42s`, or as `500ms` if it is shorter than a second; nothing for none.
pub(crate) fn seconds(span: Option<&prost_types::Duration>) -> String {
    match span {
        Some(span) if span.seconds == 0 && span.nanos > 0 => milliseconds(Some(span)),
        Some(span) => format!("{}s", span.seconds),
        None => String::new(),
    }
}

/// A short span as `42ms`; nothing for none.
pub(crate) fn milliseconds(span: Option<&prost_types::Duration>) -> String {
    span.map(|span| format!("{}ms", span.seconds * 1000 + i64::from(span.nanos) / 1_000_000))
        .unwrap_or_default()
}

/// The name of an enum value without the prefix of its enum, as options take it: `not_found` for `ROUTE_STATE_NOT_FOUND`,
/// nothing for unspecified.
pub(crate) fn enum_name(name: &str, prefix: &str) -> String {
    match name.strip_prefix(prefix).unwrap_or(name) {
        "UNSPECIFIED" => String::new(),
        other => other.to_lowercase(),
    }
}

pub(crate) fn roa_status(lease: &v1::Lease) -> String {
    enum_name(lease.roa_status().as_str_name(), "ROA_STATUS_")
}

pub(crate) fn irr_status(lease: &v1::Lease) -> String {
    enum_name(lease.irr_status().as_str_name(), "IRR_STATUS_")
}

pub(crate) fn reputation(lease: &v1::Lease) -> String {
    enum_name(lease.reputation().as_str_name(), "REPUTATION_")
}

/// An AS number as `AS64500`; nothing for 0.
pub(crate) fn asn(number: u32) -> String {
    if number == 0 { String::new() } else { format!("AS{number}") }
}

/// The name of a VRF, or its id where the cache does not know the name; nothing for the global table.
pub(crate) fn vrf(vrf: Option<&v1::Vrf>) -> String {
    vrf.map(|vrf| if vrf.name.is_empty() { vrf.id.to_string() } else { vrf.name.clone() }).unwrap_or_default()
}

/// The slug of a tenant, a role or a tag; nothing for none.
pub(crate) fn named(named: Option<&v1::NamedRef>) -> String {
    named.map(|named| named.slug.clone()).unwrap_or_default()
}

/// Why something failed; nothing if it did not.
pub(crate) fn failure(failure: Option<&v1::Failure>) -> String {
    failure.map(|failure| failure.message.clone()).unwrap_or_default()
}

/// `190 days left`, `last day` or `expired 3 days ago`.
pub(crate) fn days_left(lease: &v1::Lease) -> String {
    match lease.days_left {
        None => String::new(),
        Some(0) => "last day".to_owned(),
        Some(left) if left < 0 => format!("expired {} days ago", -left),
        Some(left) => format!("{left} days left"),
    }
}

/// The days left of a lease as a number; nothing without an expiry.
pub(crate) fn days(lease: &v1::Lease) -> String {
    lease.days_left.map(|left| left.to_string()).unwrap_or_default()
}

/// NetBox's id of a record; nothing for a record that is not written.
pub(crate) fn id(id: u64) -> String {
    if id == 0 { String::new() } else { id.to_string() }
}

/// An address without its mask, as commands take it.
pub(crate) fn host(address: &v1::Address) -> String {
    address.address.split('/').next().unwrap_or_default().to_owned()
}

/// A count, where it is known.
pub(crate) fn count(count: Option<u64>) -> String {
    count.map(|count| count.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_whole_seconds_or_milliseconds() {
        let span = |whole, nanos| seconds(Some(&prost_types::Duration { seconds: whole, nanos }));
        assert_eq!([span(3600, 0), span(0, 500_000_000), span(0, 0)], ["3600s", "500ms", "0s"]);
        assert_eq!(seconds(None), "");
        let took = prost_types::Duration { seconds: 2, nanos: 1_000_000 };
        assert_eq!(milliseconds(Some(&took)), "2001ms");
    }

    #[test]
    fn an_enum_value_is_named_as_options_take_it() {
        assert_eq!(enum_name("ROUTE_STATE_NOT_FOUND", "ROUTE_STATE_"), "not_found");
        assert_eq!(enum_name("ROA_STATUS_UNSPECIFIED", "ROA_STATUS_"), "");
    }
}
