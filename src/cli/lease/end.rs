//! `leasehold lease end`: ends a lease; the prefix is marked deprecated or deleted.

use std::process::ExitCode;

use clap::Args;

use crate::cli::connect::{leases, refusal};
use crate::cli::exit::CommandResult;
use crate::cli::options::{ClientArgs, ScopeArgs, WriteArgs};
use crate::cli::prefix_arg::PrefixArg;
use crate::cli::records::{lease_name, print_lease, print_write_note};
use crate::cli::terminal::errln;
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
    #[command(flatten)]
    pub(crate) write: WriteArgs,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

pub(crate) async fn run(args: EndLeaseArgs) -> CommandResult {
    use v1::end_lease_request::Key;
    let request = v1::EndLeaseRequest {
        key: Some(match PrefixArg::parse(&args.key)? {
            PrefixArg::Id(id) => Key::PrefixId(id),
            PrefixArg::Prefix(text) => Key::Prefix(text),
        }),
        vrf: args.scope.vrf,
        allow_addresses_in_use: args.allow_in_use,
        delete_prefix: args.delete_prefix,
        request_id: args.write.id(),
        validate_only: args.write.validate_only,
        ..v1::EndLeaseRequest::default()
    };
    let mut client = leases(&args.client).await?;
    let answer = client.end_lease(request).await.map_err(|status| refusal(&status))?.into_inner();
    print_write_note(args.write.validate_only, false);
    errln!(
        "note: {} addresses of the block are recorded; this is the lease as it was",
        answer.address_in_use_count
    );
    args.client.output.print("EndLeaseResponse", &answer, lease_name(answer.lease.as_ref()), |_| {
        print_lease(&answer.lease.clone().unwrap_or_default());
    })?;
    Ok(ExitCode::SUCCESS)
}
