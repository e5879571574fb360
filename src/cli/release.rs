//! `leasehold release`.

use std::process::ExitCode;

use super::args::{Format, ReleaseArgs};
use super::connect::{allocations, refusal};
use super::{Outcome, output};
use crate::rpc::proto::v1;

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
