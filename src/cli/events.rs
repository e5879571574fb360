//! `leasehold events list`, and how an event is told to people.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::args::{ClientArgs, Format};
use super::connect::{events, refusal};
use super::{Outcome, output};
use crate::rpc::proto::v1;

#[derive(Debug, Args)]
pub(crate) struct EventsArgs {
    #[command(subcommand)]
    command: EventsCommand,
}

#[derive(Debug, Subcommand)]
enum EventsCommand {
    /// List events of the log, the newest first
    List(ListArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    #[command(flatten)]
    wanted: WantedArgs,
    /// At most so many
    #[arg(long, default_value_t = 50, value_name = "COUNT")]
    limit: usize,
    #[command(flatten)]
    client: ClientArgs,
}

/// Which events.
#[derive(Clone, Debug, Args)]
pub(super) struct WantedArgs {
    /// Only of this type, such as lease_expiring; may be repeated
    #[arg(long = "type", value_name = "TYPE", value_parser = event_type)]
    pub(super) types: Vec<v1::EventType>,
    /// Only of leases of this owner
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(super) owner: String,
    /// Only of this tenant, by slug
    #[arg(long, default_value = "", hide_default_value = true, value_name = "SLUG")]
    pub(super) tenant: String,
    /// Only with this tag, by slug
    #[arg(long, default_value = "", hide_default_value = true, value_name = "SLUG")]
    pub(super) tag: String,
    /// Only within this prefix
    #[arg(long, default_value = "", hide_default_value = true, value_name = "PREFIX")]
    pub(super) within: String,
    /// Only of this VRF, by NetBox's id; 0 for the global table
    #[arg(long, value_name = "ID")]
    pub(super) vrf: Option<u64>,
}

impl WantedArgs {
    pub(super) fn types(&self) -> Vec<i32> {
        self.types.iter().map(|kind| i32::from(*kind)).collect()
    }
}

/// `lease_expiring`, `LEASE-EXPIRING` or `EVENT_TYPE_LEASE_EXPIRING`.
fn event_type(text: &str) -> Result<v1::EventType, String> {
    let word = text.to_uppercase().replace('-', "_");
    let word = word.strip_prefix(PREFIX).unwrap_or(&word);
    v1::EventType::from_str_name(&format!("{PREFIX}{word}"))
        .filter(|kind| *kind != v1::EventType::Unspecified)
        .ok_or_else(|| format!("is none of {}", words().join(", ")))
}

const PREFIX: &str = "EVENT_TYPE_";

fn words() -> Vec<String> {
    (1..)
        .map_while(|number| v1::EventType::try_from(number).ok())
        .map(|kind| kind.as_str_name().trim_start_matches(PREFIX).to_lowercase())
        .collect()
}

pub(crate) async fn run(args: EventsArgs) -> Outcome {
    let EventsCommand::List(args) = args.command;
    let mut client = events(&args.client).await?;
    let mut request = v1::ListEventsRequest {
        types: args.wanted.types(),
        owner: args.wanted.owner.clone(),
        tenant: args.wanted.tenant.clone(),
        tag: args.wanted.tag.clone(),
        within: args.wanted.within.clone(),
        vrf_id: args.wanted.vrf,
        page_size: i32::try_from(args.limit.clamp(1, 1000)).unwrap_or(1000),
        page_token: String::new(),
    };
    let mut all = v1::ListEventsResponse::default();
    while all.events.len() < args.limit {
        let page = client.list_events(request.clone()).await.map_err(|status| refusal(&status))?.into_inner();
        all.events.extend(page.events);
        if all.resume_token.is_empty() {
            all.resume_token = page.resume_token;
        }
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    all.events.truncate(args.limit);
    match args.client.output {
        Format::Json => output::print_json("ListEventsResponse", &all)?,
        Format::Table => print(&all.events),
    }
    Ok(ExitCode::SUCCESS)
}

/// Events as a table.
pub(super) fn print(events: &[v1::Event]) {
    if events.is_empty() {
        say!("no events");
        return;
    }
    let mut table = output::table(&["no", "time", "type", "what"]);
    for event in events {
        let number = if event.sequence == 0 { String::new() } else { event.sequence.to_string() };
        let kind = output::word(event.r#type().as_str_name(), PREFIX);
        table.add_row([number, output::instant(event.time.as_ref()), kind, what(event)]);
    }
    say!("{table}");
}

/// What an event is about, in a line.
pub(super) fn what(event: &v1::Event) -> String {
    use v1::event::Subject;
    let owner = if event.owner.is_empty() { String::new() } else { format!(" ({})", event.owner) };
    match &event.subject {
        Some(Subject::Prefix(change)) => {
            let of = |prefix: &Option<v1::Prefix>| {
                prefix
                    .as_ref()
                    .and_then(|prefix| prefix.lease.as_ref())
                    .map(|lease| output::date(lease.expiry.as_ref()))
            };
            let network =
                change.after.as_ref().or(change.before.as_ref()).map(|prefix| prefix.prefix.clone());
            let until = match (of(&change.before), of(&change.after)) {
                (Some(before), Some(after)) if before != after => format!(" until {after} (was {before})"),
                (_, Some(after)) if !after.is_empty() => format!(" until {after}"),
                _ => String::new(),
            };
            format!("{}{owner}{until}", network.unwrap_or_default())
        }
        Some(Subject::Address(change)) => {
            let of = |address: &v1::Address| {
                [&address.status, &address.dns_name, &address.description]
                    .into_iter()
                    .filter(|text| !text.is_empty())
                    .cloned()
                    .collect::<Vec<_>>()
                    .join(" ")
            };
            let address =
                change.after.as_ref().or(change.before.as_ref()).map(|address| address.address.clone());
            let words = match (&change.before, &change.after) {
                (Some(before), Some(after)) if of(before) != of(after) => {
                    format!("{} (was {})", of(after), of(before))
                }
                (_, Some(after)) => of(after),
                (Some(before), None) => format!("was {}", of(before)),
                (None, None) => String::new(),
            };
            format!("{} {words}", address.unwrap_or_default())
        }
        Some(Subject::Term(term)) => {
            let lease = term.lease.as_ref();
            let network = lease.map(|lease| lease.prefix.clone()).unwrap_or_default();
            let date = output::date(term.date.as_ref());
            match term.days_left {
                left @ ..0 => format!("{network}{owner} {date}, {} days ago", -left),
                left => format!("{network}{owner} {date}, {left} days left"),
            }
        }
        Some(Subject::Verdict(change)) => {
            let network = change.lease.as_ref().map(|lease| lease.prefix.clone()).unwrap_or_default();
            format!("{network}{owner} {} (was {}): {}", change.after, change.before, change.reason)
        }
        Some(Subject::Sync(change)) => change.reason.clone(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_read_in_every_spelling() {
        for text in ["lease_expiring", "lease-expiring", "EVENT_TYPE_LEASE_EXPIRING"] {
            assert_eq!(event_type(text), Ok(v1::EventType::LeaseExpiring));
        }
        assert!(event_type("unspecified").is_err());
        assert!(event_type("lease").unwrap_err().contains("lease_expiring"));
    }
}
