//! `leasehold assign`: records one address that the caller names.

use std::net::IpAddr;
use std::process::ExitCode;

use clap::Args;

use super::connect::{allocations, refusal};
use super::custom_field::{self, CustomField};
use super::exit::CommandResult;
use super::options::{ClientArgs, ScopeArgs, WriteArgs};
use super::records::{print_addresses, print_write_note};
use super::references::parse_tenant;
use super::values;
use crate::rpc::proto::v1;

#[derive(Debug, Args)]
pub(crate) struct AssignArgs {
    /// The address, without mask
    #[arg(value_name = "ADDRESS")]
    address: IpAddr,
    #[command(flatten)]
    scope: ScopeArgs,
    /// Description of the record
    #[arg(long, default_value = "", hide_default_value = true)]
    description: String,
    /// DNS name of the record
    #[arg(long, default_value = "", hide_default_value = true, value_name = "NAME")]
    dns_name: String,
    /// Status of the record, as NetBox names it
    #[arg(long, default_value = "active")]
    status: String,
    /// Tenant of the record: its slug, id:12 or name:…
    #[arg(long, value_name = "TENANT", value_parser = parse_tenant)]
    tenant: Option<v1::TenantRef>,
    /// Tag of the record, by slug; may be repeated
    #[arg(long = "tag", value_name = "SLUG")]
    tags: Vec<String>,
    /// Role of the record, as NetBox names it, such as loopback
    #[arg(long, default_value = "", hide_default_value = true)]
    role: String,
    /// Custom field of the record; may be repeated. VALUE is JSON, or a text
    #[arg(long = "field", value_name = "NAME=VALUE", value_parser = custom_field::parse)]
    fields: Vec<CustomField>,
    #[command(flatten)]
    pub(crate) write: WriteArgs,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

pub(crate) async fn run(args: AssignArgs) -> CommandResult {
    let request = v1::AssignAddressRequest {
        address: args.address.to_string(),
        vrf: args.scope.vrf,
        description: args.description,
        dns_name: args.dns_name,
        status: args.status,
        tenant: args.tenant,
        tags: args.tags,
        role: args.role,
        custom_fields: custom_field::message(args.fields),
        request_id: args.write.id(),
        validate_only: args.write.validate_only,
    };
    assign(&args.client, request).await
}

/// Records an address and prints the record.
pub(crate) async fn assign(args: &ClientArgs, request: v1::AssignAddressRequest) -> CommandResult {
    let validate_only = request.validate_only;
    let mut client = allocations(args).await?;
    let answer = client.assign_address(request).await.map_err(|status| refusal(&status))?.into_inner();
    print_write_note(validate_only, answer.repeated);
    args.output.print(
        "AssignAddressResponse",
        &answer,
        answer.address.as_ref().map(values::host),
        |output| print_addresses(output, answer.address.as_slice()),
    )?;
    Ok(ExitCode::SUCCESS)
}
