//! `leasehold lease end`: ends a lease; the prefix is marked deprecated or deleted.

use std::process::ExitCode;

use clap::Args;

use super::key::LeasedPrefixKey;
use crate::cli::connect::{leases, refusal};
use crate::cli::exit::CommandResult;
use crate::cli::json;
use crate::cli::options::{ClientArgs, OutputFormat, ScopeArgs};
use crate::cli::records::print_lease;
use crate::cli::terminal::outln;
use crate::rpc::proto::v1;

#[derive(Debug, Args)]
pub(crate) struct EndLeaseArgs {
    /// Prefix, or NetBox's id of it
    #[arg(value_name = "PREFIX|ID")]
    key: String,
    /// End it even though addresses of the block are recorded
    #[arg(long)]
    allow_in_use: bool,
    /// Delete the prefix instead of marking it deprecated
    #[arg(long)]
    delete_prefix: bool,
    #[command(flatten)]
    scope: ScopeArgs,
    /// Check and print what would happen, without writing
    #[arg(long)]
    validate_only: bool,
    #[command(flatten)]
    client: ClientArgs,
}

pub(crate) async fn run(args: EndLeaseArgs) -> CommandResult {
    use v1::end_lease_request::Key;
    let mut client = leases(&args.client).await?;
    let request = v1::EndLeaseRequest {
        key: Some(match LeasedPrefixKey::parse(&args.key)? {
            LeasedPrefixKey::Id(id) => Key::PrefixId(id),
            LeasedPrefixKey::Prefix(text) => Key::Prefix(text),
        }),
        vrf: args.scope.vrf,
        allow_addresses_in_use: args.allow_in_use,
        delete_prefix: args.delete_prefix,
        validate_only: args.validate_only,
        ..v1::EndLeaseRequest::default()
    };
    let answer = client.end_lease(request).await.map_err(|status| refusal(&status))?.into_inner();
    match args.client.output {
        OutputFormat::Json => json::print("EndLeaseResponse", &answer)?,
        OutputFormat::Table => {
            let what = if args.validate_only { "would be ended" } else { "ended" };
            outln!("{what}; {} addresses of it are recorded. It was:", answer.addresses_in_use);
            print_lease(&answer.lease.unwrap_or_default());
        }
    }
    Ok(ExitCode::SUCCESS)
}
