//! `leasehold allocate`: addresses, a child prefix (`--length`) or one named address (`--address`).

use std::net::IpAddr;
use std::process::ExitCode;

use clap::Args;

use super::connect::{allocations, refusal};
use super::exit::{CliFailure, CommandResult};
use super::json;
use super::options::{ClientArgs, OutputFormat};
use super::records::print_addresses;
use super::references::{parse_tenant, parse_vrf};
use super::terminal::{errln, outln};
use crate::model::RequestId;
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
    /// Allocate this one address
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
    /// Id of this request, by which a retry is recognised [default: a new one, printed before it is sent]
    #[arg(long, value_name = "ID")]
    request_id: Option<RequestId>,
    /// Print what would be allocated, without writing
    #[arg(long)]
    validate_only: bool,
    #[command(flatten)]
    client: ClientArgs,
}

pub(crate) async fn run(mut args: AllocateArgs) -> CommandResult {
    let request_id = args.request_id.take().unwrap_or_else(|| {
        let id = RequestId::random();
        // Printed before the request is sent: if the answer is lost, a retry needs it.
        errln!("request id {id}");
        id
    });
    match (args.address, args.length) {
        (Some(address), _) => assign_address(args, request_id, address).await,
        (None, Some(length)) => allocate_prefix(args, request_id, length).await,
        (None, None) => allocate_addresses(args, request_id).await,
    }
}

async fn assign_address(args: AllocateArgs, request_id: RequestId, address: IpAddr) -> CommandResult {
    let request = v1::AssignAddressRequest {
        address: address.to_string(),
        vrf: args.vrf,
        description: args.description,
        dns_name: args.dns_name,
        status: args.status,
        tenant: args.tenant,
        tags: args.tags,
        request_id: request_id.into(),
        validate_only: args.validate_only,
    };
    let mut client = allocations(&args.client).await?;
    let answer = client.assign_address(request).await.map_err(|status| refusal(&status))?.into_inner();
    match args.client.output {
        OutputFormat::Json => json::print("AssignAddressResponse", &answer)?,
        OutputFormat::Table => print_addresses(&answer.address.into_iter().collect::<Vec<_>>()),
    }
    Ok(ExitCode::SUCCESS)
}

async fn allocate_prefix(args: AllocateArgs, request_id: RequestId, length: i32) -> CommandResult {
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
        exclusions: args.exclude,
        request_id: request_id.into(),
        validate_only: args.validate_only,
        ..v1::AllocatePrefixRequest::default()
    };
    let mut client = allocations(&args.client).await?;
    let answer = client.allocate_prefix(request).await.map_err(|status| refusal(&status))?.into_inner();
    match args.client.output {
        OutputFormat::Json => json::print("AllocatePrefixResponse", &answer)?,
        OutputFormat::Table => {
            let prefix = answer.prefix.unwrap_or_default();
            outln!("{} (id {}) of {}", prefix.prefix, prefix.id, answer.parent.unwrap_or_default().prefix);
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn allocate_addresses(args: AllocateArgs, request_id: RequestId) -> CommandResult {
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
        exclusions: args.exclude,
        include_child_prefixes: args.include_child_prefixes,
        request_id: request_id.into(),
        validate_only: args.validate_only,
    };
    let mut client = allocations(&args.client).await?;
    let answer = client.allocate_addresses(request).await.map_err(|status| refusal(&status))?.into_inner();
    match args.client.output {
        OutputFormat::Json => json::print("AllocateAddressesResponse", &answer)?,
        OutputFormat::Table => {
            print_addresses(&answer.addresses);
            if answer.repeated {
                outln!("This request was answered before; these are the same addresses.");
            }
        }
    }
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
            return Err(CliFailure::new(
                "name a block: --prefix, or a requirement with --owner, --with-tag or --with-role",
            ));
        }
        Ok(Self::Requirement(requirement))
    }
}
