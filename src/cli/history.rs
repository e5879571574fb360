//! `leasehold history`: what happened to an address. An abuse desk asks this.

use std::net::IpAddr;
use std::process::ExitCode;

use clap::Args;

use super::connect::{events, refusal};
use super::event_table::print_events;
use super::exit::CommandResult;
use super::json;
use super::options::{ClientArgs, OutputFormat, ScopeArgs};
use super::terminal::outln;
use super::values;
use crate::rpc::proto::v1;

#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    /// IPv4 or IPv6 address
    #[arg(value_name = "ADDRESS")]
    address: IpAddr,
    #[command(flatten)]
    scope: ScopeArgs,
    #[command(flatten)]
    client: ClientArgs,
}

pub(crate) async fn run(args: HistoryArgs) -> CommandResult {
    let mut client = events(&args.client).await?;
    let request = v1::GetAddressHistoryRequest {
        address: args.address.to_string(),
        vrf: args.scope.vrf,
        page_size: 1000,
        ..v1::GetAddressHistoryRequest::default()
    };
    let answer = client.get_address_history(request).await.map_err(|status| refusal(&status))?.into_inner();
    match args.client.output {
        OutputFormat::Json => json::print("GetAddressHistoryResponse", &answer)?,
        OutputFormat::Table => {
            let chain: Vec<&str> = answer.chain.iter().map(|prefix| prefix.prefix.as_str()).collect();
            outln!(
                "{} is contained in {}",
                args.address,
                if chain.is_empty() { "no prefix".to_owned() } else { chain.join(", ") }
            );
            print_events(&answer.events);
            outln!(
                "What happened before {} is not known.",
                values::instant(answer.known_since_time.as_ref())
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}
