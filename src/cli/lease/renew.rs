//! `leasehold lease renew`: moves the last day of a lease.

use std::process::ExitCode;

use clap::Args;
use jiff::civil::Date;

use crate::cli::connect::{leases, refusal};
use crate::cli::exit::CommandResult;
use crate::cli::options::{ClientArgs, ScopeArgs, WriteArgs};
use crate::cli::prefix_arg::PrefixArg;
use crate::cli::records::{lease_name, print_lease, print_write_note};
use crate::cli::terminal::errln;
use crate::cli::values;
use crate::rpc::proto::v1;

#[derive(Debug, Args)]
pub(crate) struct RenewLeaseArgs {
    /// Prefix, or NetBox's id of it
    #[arg(value_name = "PREFIX|ID")]
    key: String,
    /// New last day, inclusive
    #[arg(long, value_name = "DATE")]
    expiry: Date,
    /// New last day to renew or give notice
    #[arg(long, value_name = "DATE")]
    notice: Option<Date>,
    /// New reference of the Letter of Authorisation [default: kept]
    #[arg(long, default_value = "", hide_default_value = true, value_name = "REFERENCE")]
    loa: String,
    /// Allow an earlier last day than the recorded one
    #[arg(long)]
    allow_earlier: bool,
    #[command(flatten)]
    scope: ScopeArgs,
    #[command(flatten)]
    pub(crate) write: WriteArgs,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

pub(crate) async fn run(args: RenewLeaseArgs) -> CommandResult {
    use v1::renew_lease_request::Key;
    let request = v1::RenewLeaseRequest {
        key: Some(match PrefixArg::parse(&args.key)? {
            PrefixArg::Id(id) => Key::PrefixId(id),
            PrefixArg::Prefix(text) => Key::Prefix(text),
        }),
        vrf: args.scope.vrf,
        expiry_date: Some(values::to_proto_date(args.expiry)),
        notice_date: args.notice.map(values::to_proto_date),
        loa_reference: args.loa,
        allow_earlier_expiry: args.allow_earlier,
        request_id: args.write.id(),
        validate_only: args.write.validate_only,
        ..v1::RenewLeaseRequest::default()
    };
    let mut client = leases(&args.client).await?;
    let answer = client.renew_lease(request).await.map_err(|status| refusal(&status))?.into_inner();
    print_write_note(args.write.validate_only, false);
    let before = values::date(answer.previous_expiry_date.as_ref());
    if !before.is_empty() {
        errln!("note: the expiry before was {before}");
    }
    args.client.output.print("RenewLeaseResponse", &answer, lease_name(answer.lease.as_ref()), |_| {
        print_lease(&answer.lease.clone().unwrap_or_default());
    })?;
    Ok(ExitCode::SUCCESS)
}
