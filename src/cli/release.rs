//! `leasehold release`.

use std::net::IpAddr;
use std::process::ExitCode;

use clap::Args;

use super::args::{ClientArgs, Format};
use super::connect::{allocations, refusal};
use super::{Outcome, output};
use crate::model::RequestId;
use crate::rpc::proto::v1;

#[derive(Debug, Args)]
pub(crate) struct ReleaseArgs {
    /// Addresses to give back
    #[arg(value_name = "ADDRESS", required_unless_present = "allocation")]
    pub(crate) addresses: Vec<IpAddr>,
    /// All addresses that this request allocated
    #[arg(long, value_name = "REQUEST_ID", conflicts_with = "addresses")]
    pub(crate) allocation: Option<RequestId>,
    /// VRF, by NetBox's id [default: the global table]
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "ID")]
    pub(crate) vrf: u64,
    /// Also addresses that Leasehold did not allocate
    #[arg(long)]
    pub(crate) allow_foreign: bool,
    /// Identity of this release, so that a retry is known as one [default: a new one]
    #[arg(long, value_name = "ID")]
    pub(crate) request_id: Option<RequestId>,
    /// Print what would be released, without writing
    #[arg(long)]
    pub(crate) validate_only: bool,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

pub(crate) async fn run(args: ReleaseArgs) -> Outcome {
    let mut client = allocations(&args.client).await?;
    let request = v1::ReleaseAddressesRequest {
        allocation_request_id: args.allocation.map(String::from).unwrap_or_default(),
        addresses: args.addresses.iter().map(ToString::to_string).collect(),
        vrf_id: args.vrf,
        allow_foreign: args.allow_foreign,
        request_id: args.request_id.map(String::from).unwrap_or_default(),
        validate_only: args.validate_only,
    };
    let answer = client.release_addresses(request).await.map_err(|status| refusal(&status))?.into_inner();
    match args.client.output {
        Format::Json => output::print_json("ReleaseAddressesResponse", &answer)?,
        Format::Table => {
            say!("{}", if args.validate_only { "would be released:" } else { "released:" });
            output::addresses(&answer.addresses);
        }
    }
    Ok(ExitCode::SUCCESS)
}
