//! `leasehold events list`: past events, the newest first.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::connect::{events, refusal};
use super::event_filter::EventFilterArgs;
use super::event_table::print_events;
use super::exit::CommandResult;
use super::json;
use super::options::{ClientArgs, OutputFormat};
use super::values;
use crate::rpc::proto::v1;

#[derive(Debug, Args)]
pub(crate) struct EventsArgs {
    #[command(subcommand)]
    command: EventsCommand,
}

#[derive(Debug, Subcommand)]
enum EventsCommand {
    /// List events of the log, the newest first
    List(ListEventsArgs),
}

#[derive(Debug, Args)]
struct ListEventsArgs {
    #[command(flatten)]
    filter: EventFilterArgs,
    /// The most events to list
    #[arg(long, default_value_t = 50, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    #[command(flatten)]
    client: ClientArgs,
}

pub(crate) async fn run(args: EventsArgs) -> CommandResult {
    let EventsCommand::List(args) = args.command;
    let mut client = events(&args.client).await?;
    let mut request = v1::ListEventsRequest {
        types: args.filter.types(),
        owner: args.filter.owner.clone(),
        tenant: args.filter.tenant.clone(),
        tag: args.filter.tag.clone(),
        within: args.filter.within.clone(),
        vrf: args.filter.vrf.clone(),
        page_size: values::page_size(args.limit),
        page_token: String::new(),
    };
    let mut all = v1::ListEventsResponse::default();
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    while all.events.len() < limit {
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
    all.events.truncate(limit);
    match args.client.output {
        OutputFormat::Json => json::print("ListEventsResponse", &all)?,
        OutputFormat::Table => print_events(&all.events),
    }
    Ok(ExitCode::SUCCESS)
}
