//! `leasehold history`: what happened to an address. An abuse desk asks this.

use std::net::IpAddr;
use std::process::ExitCode;

use clap::Args;

use super::connect::events;
use super::event_table::{event_name, print_events};
use super::exit::CommandResult;
use super::options::{ClientArgs, ScopeArgs};
use super::pages::{Limit, read_pages};
use super::terminal::errln;
use super::values;
use crate::rpc::proto::v1;

#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    /// IPv4 or IPv6 address
    #[arg(value_name = "ADDRESS")]
    address: IpAddr,
    /// The most events to list [default: all]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    #[command(flatten)]
    scope: ScopeArgs,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

pub(crate) async fn run(args: HistoryArgs) -> CommandResult {
    let mut client = events(&args.client).await?;
    let limit = Limit::new(args.limit);
    let request = v1::GetAddressHistoryRequest {
        address: args.address.to_string(),
        vrf: args.scope.vrf,
        page_size: limit.page_size(),
        page_token: String::new(),
    };
    let mut all = v1::GetAddressHistoryResponse::default();
    read_pages(
        async |page_token| {
            client.get_address_history(v1::GetAddressHistoryRequest { page_token, ..request.clone() }).await
        },
        |page| {
            all.chain = page.chain;
            all.known_since_time = page.known_since_time;
            limit.join(&mut all.events, page.events, page.next_page_token)
        },
    )
    .await?;
    let none = format!("no events of {}", args.address);
    args.client.output.print_list(
        "GetAddressHistoryResponse",
        &all,
        (all.events.as_slice(), none.as_str()),
        event_name,
        |output| print_events(output, &all.events),
    )?;
    let since = values::instant(all.known_since_time.as_ref());
    if !since.is_empty() {
        errln!("note: what happened before {since} is not known");
    }
    Ok(ExitCode::SUCCESS)
}
