//! Tables for people, JSON for programs.

use std::sync::OnceLock;

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{ContentArrangement, Table};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};

use super::Failure;
use crate::rpc::proto::{self, v1};

/// A message as the JSON that grpcurl prints (proto3's canonical mapping).
pub(crate) fn json<M: Message>(name: &str, message: &M) -> Result<serde_json::Value, Failure> {
    static POOL: OnceLock<Result<DescriptorPool, String>> = OnceLock::new();
    let pool = POOL
        .get_or_init(|| DescriptorPool::decode(proto::DESCRIPTORS).map_err(|error| error.to_string()))
        .as_ref()
        .map_err(Failure::new)?;
    let descriptor = pool
        .get_message_by_name(&format!("leasehold.v1.{name}"))
        .ok_or_else(|| Failure::new(format!("no message {name} in the API")))?;
    let mut dynamic = DynamicMessage::new(descriptor);
    dynamic.transcode_from(message)?;
    let options = SerializeOptions::new().skip_default_fields(true);
    Ok(dynamic.serialize_with_options(serde_json::value::Serializer, &options)?)
}

/// Prints a message as JSON.
pub(crate) fn print_json<M: Message>(name: &str, message: &M) -> Result<(), Failure> {
    say!("{}", serde_json::to_string_pretty(&json(name, message)?)?);
    Ok(())
}

/// An empty table with a head.
pub(crate) fn table(head: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(head.iter().copied());
    table
}

/// Names and values beneath one another; what is empty is left out.
pub(crate) fn facts(rows: &[(&str, String)]) {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, value) in rows.iter().filter(|(_, value)| !value.is_empty()) {
        say!("{name:width$}  {value}");
    }
}

pub(crate) fn date(date: Option<&proto::Date>) -> String {
    date.map(|date| format!("{:04}-{:02}-{:02}", date.year, date.month, date.day)).unwrap_or_default()
}

pub(crate) fn to_date(date: jiff::civil::Date) -> proto::Date {
    proto::Date { year: date.year().into(), month: date.month().into(), day: date.day().into() }
}

pub(crate) fn to_instant(at: jiff::Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: at.as_second(), nanos: at.subsec_nanosecond() }
}

pub(crate) fn instant(at: Option<&prost_types::Timestamp>) -> String {
    at.and_then(|at| jiff::Timestamp::new(at.seconds, at.nanos).ok())
        .map(|at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
        .unwrap_or_default()
}

/// The last words of an enum's name: `ROA_STATUS_VALID` is `valid`.
pub(crate) fn word(name: &str, prefix: &str) -> String {
    match name.strip_prefix(prefix).unwrap_or(name) {
        "UNSPECIFIED" => String::new(),
        other => other.to_lowercase().replace('_', " "),
    }
}

pub(crate) fn roa(lease: &v1::Lease) -> String {
    word(lease.roa_status().as_str_name(), "ROA_STATUS_")
}

pub(crate) fn reputation(lease: &v1::Lease) -> String {
    word(lease.reputation().as_str_name(), "REPUTATION_")
}

/// The age of an answer, where it is worth a word.
pub(crate) fn cache_note(cache: Option<&v1::CacheState>) {
    if let Some(cache) = cache.filter(|cache| !cache.live) {
        eprintln!(
            "note: NetBox is out of reach; this is from the cache, {} s old (as of {})",
            cache.age_seconds,
            instant(cache.synced_at.as_ref())
        );
    }
}

/// The days left, in words.
pub(crate) fn days_left(lease: &v1::Lease) -> String {
    match lease.days_left {
        None => String::new(),
        Some(0) => "last day".to_owned(),
        Some(left) if left < 0 => format!("expired {} days ago", -left),
        Some(left) => format!("{left} days left"),
    }
}

/// A lease in full.
pub(crate) fn lease(lease: &v1::Lease) {
    let vrf = if lease.vrf_id == 0 { String::new() } else { lease.vrf_id.to_string() };
    let asn = if lease.origin_asn == 0 { String::new() } else { format!("AS{}", lease.origin_asn) };
    facts(&[
        ("prefix", lease.prefix.clone()),
        ("prefix id", lease.prefix_id.to_string()),
        ("vrf id", vrf),
        ("owner", lease.owner.clone()),
        ("start", date(lease.start.as_ref())),
        ("expiry", date(lease.expiry.as_ref())),
        ("", days_left(lease)),
        ("notice by", date(lease.notice_date.as_ref())),
        ("LOA", lease.loa_reference.clone()),
        ("origin", asn),
        ("ROA", roa(lease)),
        ("IRR registered", lease.irr_registered.map(|flag| flag.to_string()).unwrap_or_default()),
        ("reputation", reputation(lease)),
        ("tenant", lease.tenant.clone()),
        ("description", lease.description.clone()),
    ]);
}

/// Addresses as a table.
pub(crate) fn addresses(addresses: &[v1::Address]) {
    let mut table = table(&["address", "status", "dns name", "description", "allocation", "id"]);
    for address in addresses {
        let id = if address.id == 0 { "(not written)".to_owned() } else { address.id.to_string() };
        table.add_row([
            &address.address,
            &address.status,
            &address.dns_name,
            &address.description,
            &address.allocation_id,
            &id,
        ]);
    }
    say!("{table}");
}
