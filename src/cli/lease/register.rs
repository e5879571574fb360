//! `leasehold lease register`: records a leased block in NetBox, with or without an existing prefix.

use std::process::ExitCode;

use clap::Args;
use jiff::civil::Date;

use crate::cli::connect::{leases, refusal};
use crate::cli::custom_field::{self, CustomField};
use crate::cli::exit::CommandResult;
use crate::cli::options::{ClientArgs, ScopeArgs, WriteArgs};
use crate::cli::records::{lease_name, print_lease, print_write_note};
use crate::cli::references::parse_tenant;
use crate::cli::terminal::errln;
use crate::cli::values;
use crate::model::Asn;
use crate::rpc::proto::v1;

#[derive(Debug, Args)]
pub(crate) struct RegisterLeaseArgs {
    /// The leased block, in CIDR notation
    #[arg(value_name = "PREFIX")]
    prefix: String,
    /// Holder of the resource (lease_owner)
    #[arg(long)]
    owner: String,
    /// First day of the term
    #[arg(long, value_name = "DATE")]
    start: Option<Date>,
    /// Last day of the term, inclusive
    #[arg(long, value_name = "DATE")]
    expiry: Date,
    /// Last day to renew or give notice
    #[arg(long, value_name = "DATE")]
    notice: Option<Date>,
    /// Reference of the Letter of Authorisation
    #[arg(long, default_value = "", hide_default_value = true, value_name = "REFERENCE")]
    loa: String,
    /// The AS number that may originate the block
    #[arg(long, value_name = "ASN")]
    origin_asn: Option<Asn>,
    /// Description of the prefix
    #[arg(long, default_value = "", hide_default_value = true)]
    description: String,
    /// Tenant of the prefix: its slug, id:12 or name:…
    #[arg(long, value_name = "TENANT", value_parser = parse_tenant)]
    tenant: Option<v1::TenantRef>,
    /// Role of the prefix, by slug
    #[arg(long, default_value = "", hide_default_value = true, value_name = "SLUG")]
    role: String,
    /// Tag of the prefix, by slug; may be repeated
    #[arg(long = "tag", value_name = "SLUG")]
    tags: Vec<String>,
    /// Custom field of the prefix; may be repeated. VALUE is JSON, or a text
    #[arg(long = "field", value_name = "NAME=VALUE", value_parser = custom_field::parse)]
    fields: Vec<CustomField>,
    #[command(flatten)]
    scope: ScopeArgs,
    #[command(flatten)]
    pub(crate) write: WriteArgs,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

pub(crate) async fn run(args: RegisterLeaseArgs) -> CommandResult {
    let mut client = leases(&args.client).await?;
    let request = v1::RegisterLeaseRequest {
        prefix: args.prefix,
        vrf: args.scope.vrf,
        owner: args.owner,
        start_date: args.start.map(values::to_proto_date),
        expiry_date: Some(values::to_proto_date(args.expiry)),
        notice_date: args.notice.map(values::to_proto_date),
        loa_reference: args.loa,
        origin_asn: args.origin_asn.map_or(0, Into::into),
        description: args.description,
        tenant: args.tenant,
        role: args.role,
        tags: args.tags,
        custom_fields: custom_field::message(args.fields),
        request_id: args.write.id(),
        validate_only: args.write.validate_only,
    };
    let answer = client.register_lease(request).await.map_err(|status| refusal(&status))?.into_inner();
    print_write_note(args.write.validate_only, false);
    if answer.adopted {
        errln!("note: the prefix was recorded already");
    }
    args.client.output.print("RegisterLeaseResponse", &answer, lease_name(answer.lease.as_ref()), |_| {
        print_lease(&answer.lease.clone().unwrap_or_default());
    })?;
    Ok(ExitCode::SUCCESS)
}
