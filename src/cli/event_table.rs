//! Events as people read them.

use super::event_filter::EVENT_TYPE_PREFIX;
use super::output::OutputArgs;
use super::terminal::TextTable;
use super::values;
use crate::rpc::proto::v1;

/// Prints events as a table.
pub(crate) fn print_events(output: OutputArgs, events: &[v1::Event]) {
    let mut table = TextTable::new(&["SEQUENCE", "TIME", "TYPE", "SUBJECT"]);
    for event in events {
        table.row([
            values::id(event.sequence),
            values::instant(event.event_time.as_ref()),
            event_type(event),
            describe(event),
        ]);
    }
    output.print_table(&table);
}

/// The type of an event as `--type` takes it.
pub(crate) fn event_type(event: &v1::Event) -> String {
    values::enum_name(event.r#type().as_str_name(), EVENT_TYPE_PREFIX)
}

/// The name of an event for `-o name`: the prefix or the address that it is about, or `netbox` if it is about the sync.
pub(crate) fn event_name(event: &v1::Event) -> String {
    use v1::event::Subject;
    let lease_prefix = |lease: &Option<v1::Lease>| lease.as_ref().map(|lease| lease.prefix.clone());
    let name = match &event.subject {
        Some(Subject::Prefix(change)) => {
            change.after.as_ref().or(change.before.as_ref()).map(|prefix| prefix.prefix.clone())
        }
        Some(Subject::Address(change)) => change.after.as_ref().or(change.before.as_ref()).map(values::host),
        Some(Subject::Term(term)) => lease_prefix(&term.lease),
        Some(Subject::Verdict(change)) => lease_prefix(&change.lease),
        Some(Subject::Completion(refused)) => refused.address.as_ref().map(values::host),
        Some(Subject::Sync(_)) => Some("netbox".to_owned()),
        None => None,
    };
    name.unwrap_or_default()
}

/// A verdict before and after its change.
fn verdicts(change: &v1::VerdictChange) -> (String, String) {
    use v1::verdict_change::Verdict;
    let (before, after, prefix) = match &change.verdict {
        Some(Verdict::Roa(roa)) => (roa.before().as_str_name(), roa.after().as_str_name(), "ROA_STATUS_"),
        Some(Verdict::Irr(irr)) => (irr.before().as_str_name(), irr.after().as_str_name(), "IRR_STATUS_"),
        Some(Verdict::Reputation(reputation)) => {
            (reputation.before().as_str_name(), reputation.after().as_str_name(), "REPUTATION_")
        }
        None => return (String::new(), String::new()),
    };
    (values::enum_name(before, prefix), values::enum_name(after, prefix))
}

/// What an event is about and what changed, in one line.
pub(crate) fn describe(event: &v1::Event) -> String {
    use v1::event::Subject;
    let owner = if event.owner.is_empty() { String::new() } else { format!(" ({})", event.owner) };
    match &event.subject {
        Some(Subject::Prefix(change)) => {
            let expiry_of = |prefix: &Option<v1::Prefix>| {
                prefix
                    .as_ref()
                    .and_then(|prefix| prefix.lease.as_ref())
                    .map(|lease| values::date(lease.expiry_date.as_ref()))
            };
            let network =
                change.after.as_ref().or(change.before.as_ref()).map(|prefix| prefix.prefix.clone());
            let until = match (expiry_of(&change.before), expiry_of(&change.after)) {
                (Some(before), Some(after)) if before != after => format!(" until {after} (was {before})"),
                (_, Some(after)) if !after.is_empty() => format!(" until {after}"),
                _ => String::new(),
            };
            format!("{}{owner}{until}", network.unwrap_or_default())
        }
        Some(Subject::Address(change)) => {
            let details = |address: &v1::Address| {
                [&address.status, &address.dns_name, &address.description]
                    .into_iter()
                    .filter(|text| !text.is_empty())
                    .cloned()
                    .collect::<Vec<_>>()
                    .join(" ")
            };
            let address =
                change.after.as_ref().or(change.before.as_ref()).map(|address| address.address.clone());
            let changes = match (&change.before, &change.after) {
                (Some(before), Some(after)) if details(before) != details(after) => {
                    format!("{} (was {})", details(after), details(before))
                }
                (_, Some(after)) => details(after),
                (Some(before), None) => format!("was {}", details(before)),
                (None, None) => String::new(),
            };
            format!("{} {changes}", address.unwrap_or_default())
        }
        Some(Subject::Term(term)) => {
            let lease = term.lease.as_ref();
            let network = lease.map(|lease| lease.prefix.clone()).unwrap_or_default();
            let date = values::date(term.date.as_ref());
            match term.days_left {
                left @ ..0 => format!("{network}{owner} {date}, {} days ago", -left),
                left => format!("{network}{owner} {date}, {left} days left"),
            }
        }
        Some(Subject::Verdict(change)) => {
            let network = change.lease.as_ref().map(|lease| lease.prefix.clone()).unwrap_or_default();
            let (before, after) = verdicts(change);
            format!("{network}{owner} {after} (was {before}): {}", change.message)
        }
        Some(Subject::Completion(refused)) => {
            let address = refused.address.as_ref().map(|address| address.address.clone()).unwrap_or_default();
            format!("{address} is allocated, and NetBox refuses its record: {}", refused.message)
        }
        Some(Subject::Sync(change)) => change.message.clone(),
        None => String::new(),
    }
}
