//! `leasehold events list`: past events, the newest first.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::connect::events;
use super::event_filter::EventFilterArgs;
use super::event_table::{event_name, print_events};
use super::exit::CommandResult;
use super::options::ClientArgs;
use super::pages::{Limit, read_pages};
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
    let limit = Limit::new(Some(args.limit));
    let request = v1::ListEventsRequest {
        types: args.filter.types(),
        owner: args.filter.owner.clone(),
        tenant: args.filter.tenant.clone(),
        tag: args.filter.tag.clone(),
        within: args.filter.within.clone(),
        vrf: args.filter.vrf.clone(),
        page_size: limit.page_size(),
        page_token: String::new(),
    };
    let mut all = v1::ListEventsResponse::default();
    read_pages(
        async |page_token| client.list_events(v1::ListEventsRequest { page_token, ..request.clone() }).await,
        |page| {
            if all.resume_token.is_empty() {
                all.resume_token = page.resume_token;
            }
            limit.join(&mut all.events, page.events, page.next_page_token)
        },
    )
    .await?;
    args.client.output.print_list(
        "ListEventsResponse",
        &all,
        (all.events.as_slice(), "no events match"),
        event_name,
        |output| print_events(output, &all.events),
    )?;
    Ok(ExitCode::SUCCESS)
}

impl EventsArgs {
    pub(crate) fn client(&self) -> &ClientArgs {
        let EventsCommand::List(args) = &self.command;
        &args.client
    }
}
