//! `leasehold allocate`: addresses, or a child prefix (`--length`).

use std::net::IpAddr;
use std::process::ExitCode;

use clap::Args;

use super::assign::assign;
use super::connect::{allocations, refusal};
use super::custom_field::{self, CustomField};
use super::exit::{CliFailure, CommandResult};
use super::options::{ClientArgs, WriteArgs};
use super::records::{print_addresses, print_pool_note, print_prefixes, print_write_note};
use super::references::{parse_tenant, parse_vrf};
use super::values;
use crate::rpc::proto::v1;
use crate::rpc::proto::v1::allocate_addresses_request::Source as AddressSource;
use crate::rpc::proto::v1::allocate_prefix_request::Source as PrefixSource;

#[derive(Debug, Args)]
pub(crate) struct AllocateArgs {
    /// Prefix to allocate from [default: any block that meets the requirements]
    #[arg(long, value_name = "PREFIX", conflicts_with_all = ["owner", "tag_wanted", "role_wanted", "min_days_left", "clean"])]
    prefix: Option<String>,
    /// VRF: its id, name or RD [default: the global table; with a requirement: all VRFs and the global table]
    #[arg(long, value_name = "VRF", value_parser = parse_vrf)]
    vrf: Option<v1::VrfRef>,
    /// How many addresses, 1 to 1000
    #[arg(long, default_value_t = 1, conflicts_with_all = ["length", "address"])]
    count: i32,
    /// Allocate a child prefix of this length instead of addresses
    #[arg(long, value_name = "LENGTH", conflicts_with = "address")]
    length: Option<i32>,
    /// Record this one address; the same as `leasehold assign ADDRESS`
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["prefix", "owner", "tag_wanted", "role_wanted"])]
    address: Option<IpAddr>,
    /// Requirement: owner of the lease
    #[arg(long)]
    owner: Option<String>,
    /// Requirement: tag on the block, by slug
    #[arg(long = "with-tag", value_name = "SLUG", id = "tag_wanted")]
    with_tag: Option<String>,
    /// Requirement: role of the block, by slug
    #[arg(long = "with-role", value_name = "SLUG", id = "role_wanted")]
    with_role: Option<String>,
    /// Requirement: days that the lease must have left
    #[arg(long, value_name = "DAYS")]
    min_days_left: Option<i32>,
    /// Requirement: recorded reputation is clean
    #[arg(long)]
    clean: bool,
    /// Requirement: an IPv6 block instead of an IPv4 block
    #[arg(long)]
    ipv6: bool,
    /// Description of each record
    #[arg(long, default_value = "", hide_default_value = true)]
    description: String,
    /// DNS name of each record
    #[arg(long, default_value = "", hide_default_value = true, value_name = "NAME")]
    dns_name: String,
    /// Status of each record, as NetBox names it
    #[arg(long, default_value = "active")]
    status: String,
    /// Tenant of each record: its slug, id:12 or name:…
    #[arg(long, value_name = "TENANT", value_parser = parse_tenant)]
    tenant: Option<v1::TenantRef>,
    /// Tag of each record, by slug; may be repeated
    #[arg(long = "tag", value_name = "SLUG")]
    tags: Vec<String>,
    /// Role of each record: for addresses NetBox's value, such as anycast; with --length a slug
    #[arg(long, default_value = "", hide_default_value = true)]
    role: String,
    /// Custom field of each record; may be repeated. VALUE is JSON, or a text
    #[arg(long = "field", value_name = "NAME=VALUE", value_parser = custom_field::parse)]
    fields: Vec<CustomField>,
    /// Prefix or address that must not be allocated; may be repeated
    #[arg(long, value_name = "PREFIX|ADDRESS")]
    exclude: Vec<String>,
    /// Also allocate addresses inside child prefixes
    #[arg(long)]
    include_child_prefixes: bool,
    /// Also allocate addresses that are in quarantine after their release
    #[arg(long, alias = "include-resting")]
    include_quarantined: bool,
    /// Allocate for sending mail: only from space that is reserved for it
    #[arg(long, conflicts_with = "address")]
    mail: bool,
    #[command(flatten)]
    pub(crate) write: WriteArgs,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

pub(crate) async fn run(args: AllocateArgs) -> CommandResult {
    match (args.address, args.length) {
        (Some(address), _) => {
            let request = v1::AssignAddressRequest {
                address: address.to_string(),
                vrf: args.vrf,
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
        (None, Some(length)) => allocate_prefix(args, length).await,
        (None, None) => allocate_addresses(args).await,
    }
}

async fn allocate_prefix(args: AllocateArgs, length: i32) -> CommandResult {
    let request = v1::AllocatePrefixRequest {
        purpose: args.purpose().into(),
        source: Some(match ParentChoice::from_args(&args)? {
            ParentChoice::Prefix(text) => PrefixSource::Prefix(text),
            ParentChoice::Requirement(requirement) => PrefixSource::Requirement(requirement),
        }),
        vrf: args.vrf,
        prefix_length: length,
        description: args.description,
        status: args.status,
        tenant: args.tenant,
        tags: args.tags,
        role: args.role,
        custom_fields: custom_field::message(args.fields),
        exclusions: args.exclude,
        request_id: args.write.id(),
        validate_only: args.write.validate_only,
    };
    let mut client = allocations(&args.client).await?;
    let answer = client.allocate_prefix(request).await.map_err(|status| refusal(&status))?.into_inner();
    print_write_note(args.write.validate_only, answer.repeated);
    args.client.output.print(
        "AllocatePrefixResponse",
        &answer,
        answer.prefix.as_ref().map(|prefix| prefix.prefix.clone()),
        |output| print_prefixes(output, answer.prefix.as_slice()),
    )?;
    Ok(ExitCode::SUCCESS)
}

async fn allocate_addresses(args: AllocateArgs) -> CommandResult {
    let request = v1::AllocateAddressesRequest {
        purpose: args.purpose().into(),
        include_quarantined: args.include_quarantined,
        source: Some(match ParentChoice::from_args(&args)? {
            ParentChoice::Prefix(text) => AddressSource::Prefix(text),
            ParentChoice::Requirement(requirement) => AddressSource::Requirement(requirement),
        }),
        vrf: args.vrf,
        count: args.count,
        description: args.description,
        dns_name: args.dns_name,
        status: args.status,
        tenant: args.tenant,
        tags: args.tags,
        role: args.role,
        custom_fields: custom_field::message(args.fields),
        exclusions: args.exclude,
        include_child_prefixes: args.include_child_prefixes,
        request_id: args.write.id(),
        validate_only: args.write.validate_only,
    };
    let mut client = allocations(&args.client).await?;
    let answer = client.allocate_addresses(request).await.map_err(|status| refusal(&status))?.into_inner();
    print_write_note(args.write.validate_only, answer.repeated);
    print_pool_note(answer.record_state());
    args.client.output.print(
        "AllocateAddressesResponse",
        &answer,
        answer.addresses.iter().map(values::host),
        |output| print_addresses(output, &answer.addresses),
    )?;
    Ok(ExitCode::SUCCESS)
}

impl AllocateArgs {
    fn purpose(&self) -> v1::AllocationPurpose {
        if self.mail { v1::AllocationPurpose::Mail } else { v1::AllocationPurpose::General }
    }
}

/// The block to allocate from: one prefix, or any block that meets a requirement.
enum ParentChoice {
    Prefix(String),
    Requirement(v1::BlockRequirement),
}

impl ParentChoice {
    fn from_args(args: &AllocateArgs) -> Result<Self, CliFailure> {
        if let Some(prefix) = &args.prefix {
            return Ok(Self::Prefix(prefix.clone()));
        }
        let requirement = v1::BlockRequirement {
            owner: args.owner.clone().unwrap_or_default(),
            tag: args.with_tag.clone().unwrap_or_default(),
            role: args.with_role.clone().unwrap_or_default(),
            vrf: args.vrf.clone(),
            min_days_left: args.min_days_left.unwrap_or(0),
            clean_reputation: args.clean,
            family: if args.ipv6 { v1::AddressFamily::Ipv6 } else { v1::AddressFamily::Ipv4 }.into(),
        };
        // The API accepts a requirement that any block meets, but on a command line that is more likely a mistake.
        if requirement.owner.is_empty() && requirement.tag.is_empty() && requirement.role.is_empty() {
            return Err(CliFailure::usage(
                "name a block: --prefix, or a requirement with --owner, --with-tag or --with-role",
            ));
        }
        Ok(Self::Requirement(requirement))
    }
}
