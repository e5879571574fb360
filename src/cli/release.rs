//! `leasehold release`: releases addresses by name or by the request that allocated them.

use std::net::IpAddr;
use std::process::ExitCode;

use clap::Args;

use super::connect::{allocations, refusal};
use super::exit::CommandResult;
use super::options::{ClientArgs, ScopeArgs, WriteArgs};
use super::records::{print_addresses, print_write_note};
use super::values;
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
    #[command(flatten)]
    pub(crate) write: WriteArgs,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

pub(crate) async fn run(args: ReleaseArgs) -> CommandResult {
    let mut client = allocations(&args.client).await?;
    let request = v1::ReleaseAddressesRequest {
        allocation_request_id: args.allocation.map(String::from).unwrap_or_default(),
        addresses: args.addresses.iter().map(ToString::to_string).collect(),
        vrf: args.scope.vrf,
        allow_foreign: args.allow_foreign,
        request_id: args.write.id(),
        validate_only: args.write.validate_only,
    };
    let answer = client.release_addresses(request).await.map_err(|status| refusal(&status))?.into_inner();
    print_write_note(args.write.validate_only, false);
    args.client.output.print(
        "ReleaseAddressesResponse",
        &answer,
        answer.addresses.iter().map(values::host),
        |output| print_addresses(output, &answer.addresses),
    )?;
    Ok(ExitCode::SUCCESS)
}
