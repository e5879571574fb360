//! `leasehold lease show`: the lease that covers a prefix or an address.

use std::process::ExitCode;

use clap::Args;

use crate::cli::connect::{leases, refusal};
use crate::cli::exit::CommandResult;
use crate::cli::options::{ClientArgs, ScopeArgs};
use crate::cli::prefix_arg::LeaseKey;
use crate::cli::records::{lease_name, print_cache_note, print_lease};
use crate::rpc::proto::v1;

#[derive(Debug, Args)]
pub(crate) struct ShowLeaseArgs {
    /// Prefix, address or NetBox's id of a prefix
    #[arg(value_name = "PREFIX|ADDRESS|ID")]
    key: String,
    #[command(flatten)]
    scope: ScopeArgs,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

pub(crate) async fn run(args: ShowLeaseArgs) -> CommandResult {
    use v1::lookup_lease_request::Key;
    let key = match LeaseKey::parse(&args.key)? {
        LeaseKey::Id(id) => Key::PrefixId(id),
        LeaseKey::Address(address) => Key::Address(address.to_string()),
        LeaseKey::Prefix(network) => Key::Prefix(network.to_string()),
    };
    let request = v1::LookupLeaseRequest { key: Some(key), vrf: args.scope.vrf };
    let mut client = leases(&args.client).await?;
    let answer = client.lookup_lease(request).await.map_err(|status| refusal(&status))?.into_inner();
    print_cache_note(answer.cache.as_ref());
    args.client.output.print("LookupLeaseResponse", &answer, lease_name(answer.lease.as_ref()), |_| {
        print_lease(&answer.lease.clone().unwrap_or_default());
    })?;
    Ok(ExitCode::SUCCESS)
}
