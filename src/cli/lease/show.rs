//! `leasehold lease show`: the lease that covers a prefix or an address.

use std::process::ExitCode;

use clap::Args;

use super::key::LeaseKey;
use crate::cli::connect::{leases, refusal};
use crate::cli::exit::CommandResult;
use crate::cli::json;
use crate::cli::options::{ClientArgs, OutputFormat, ScopeArgs};
use crate::cli::records::{print_cache_note, print_lease};
use crate::rpc::proto::v1;

#[derive(Debug, Args)]
pub(crate) struct ShowLeaseArgs {
    /// Prefix, address or NetBox's id of a prefix
    #[arg(value_name = "PREFIX|ADDRESS|ID")]
    key: String,
    #[command(flatten)]
    scope: ScopeArgs,
    #[command(flatten)]
    client: ClientArgs,
}

pub(crate) async fn run(args: ShowLeaseArgs) -> CommandResult {
    use v1::lookup_lease_request::Key;
    let mut client = leases(&args.client).await?;
    let key = match LeaseKey::parse(&args.key)? {
        LeaseKey::Id(id) => Key::PrefixId(id),
        LeaseKey::Address(address) => Key::Address(address.to_string()),
        LeaseKey::Prefix(network) => Key::Prefix(network.to_string()),
    };
    let request = v1::LookupLeaseRequest { key: Some(key), vrf: args.scope.vrf };
    let answer = client.lookup_lease(request).await.map_err(|status| refusal(&status))?.into_inner();
    match args.client.output {
        OutputFormat::Json => json::print("LookupLeaseResponse", &answer)?,
        OutputFormat::Table => {
            print_cache_note(answer.cache.as_ref());
            print_lease(&answer.lease.unwrap_or_default());
        }
    }
    Ok(ExitCode::SUCCESS)
}
