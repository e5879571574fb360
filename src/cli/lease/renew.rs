//! `leasehold lease renew`: moves the last day of a lease.

use std::process::ExitCode;

use clap::Args;
use jiff::civil::Date;

use super::key::LeasedPrefixKey;
use crate::cli::connect::{leases, refusal};
use crate::cli::exit::CommandResult;
use crate::cli::json;
use crate::cli::options::{ClientArgs, OutputFormat, ScopeArgs};
use crate::cli::records::print_lease;
use crate::cli::terminal::outln;
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
    /// Check and print what would be recorded, without writing
    #[arg(long)]
    validate_only: bool,
    #[command(flatten)]
    client: ClientArgs,
}

pub(crate) async fn run(args: RenewLeaseArgs) -> CommandResult {
    use v1::renew_lease_request::Key;
    let mut client = leases(&args.client).await?;
    let request = v1::RenewLeaseRequest {
        key: Some(match LeasedPrefixKey::parse(&args.key)? {
            LeasedPrefixKey::Id(id) => Key::PrefixId(id),
            LeasedPrefixKey::Prefix(text) => Key::Prefix(text),
        }),
        vrf: args.scope.vrf,
        expiry_date: Some(values::to_proto_date(args.expiry)),
        notice_date: args.notice.map(values::to_proto_date),
        loa_reference: args.loa,
        allow_earlier_expiry: args.allow_earlier,
        validate_only: args.validate_only,
        ..v1::RenewLeaseRequest::default()
    };
    let answer = client.renew_lease(request).await.map_err(|status| refusal(&status))?.into_inner();
    match args.client.output {
        OutputFormat::Json => json::print("RenewLeaseResponse", &answer)?,
        OutputFormat::Table => {
            let before = values::date(answer.previous_expiry_date.as_ref());
            outln!("{} (was {before}):", if args.validate_only { "would be renewed" } else { "renewed" });
            print_lease(&answer.lease.unwrap_or_default());
        }
    }
    Ok(ExitCode::SUCCESS)
}
