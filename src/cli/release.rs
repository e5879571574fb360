//! `leasehold release`: releases addresses by name or by the request that allocated them.

use std::net::IpAddr;
use std::process::ExitCode;

use clap::Args;

use super::connect::{allocations, refusal};
use super::exit::CommandResult;
use super::json;
use super::options::{ClientArgs, OutputFormat, ScopeArgs};
use super::records::print_addresses;
use super::terminal::outln;
use crate::model::RequestId;
use crate::rpc::proto::v1;

#[derive(Debug, Args)]
pub(crate) struct ReleaseArgs {
    /// Addresses to release, without mask
    #[arg(value_name = "ADDRESS", required_unless_present = "allocation")]
    addresses: Vec<IpAddr>,
    /// Release all addresses that this request allocated
    #[arg(long, value_name = "REQUEST_ID", conflicts_with = "addresses")]
    allocation: Option<RequestId>,
    #[command(flatten)]
    scope: ScopeArgs,
    /// Also release addresses that Leasehold did not allocate
    #[arg(long)]
    allow_foreign: bool,
    /// Id of this request, by which a retry is recognised [default: a new one]
    #[arg(long, value_name = "ID")]
    request_id: Option<RequestId>,
    /// Print what would be released, without writing
    #[arg(long)]
    validate_only: bool,
    #[command(flatten)]
    client: ClientArgs,
}

pub(crate) async fn run(args: ReleaseArgs) -> CommandResult {
    let mut client = allocations(&args.client).await?;
    let request = v1::ReleaseAddressesRequest {
        allocation_request_id: args.allocation.map(String::from).unwrap_or_default(),
        addresses: args.addresses.iter().map(ToString::to_string).collect(),
        vrf: args.scope.vrf,
        allow_foreign: args.allow_foreign,
        request_id: args.request_id.map(String::from).unwrap_or_default(),
        validate_only: args.validate_only,
    };
    let answer = client.release_addresses(request).await.map_err(|status| refusal(&status))?.into_inner();
    match args.client.output {
        OutputFormat::Json => json::print("ReleaseAddressesResponse", &answer)?,
        OutputFormat::Table => {
            outln!("{}", if args.validate_only { "would be released:" } else { "released:" });
            print_addresses(&answer.addresses);
        }
    }
    Ok(ExitCode::SUCCESS)
}
