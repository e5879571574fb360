//! `leasehold allocate` and `leasehold allocations`.

use std::net::IpAddr;
use std::process::ExitCode;

use clap::Args;

use super::args::{ClientArgs, Format};
use super::connect::{allocations, refusal};
use super::{Failure, Outcome, output};
use crate::model::RequestId;
use crate::rpc::proto::v1;
use crate::rpc::proto::v1::allocate_addresses_request::Source as AddressSource;
use crate::rpc::proto::v1::allocate_prefix_request::Source as PrefixSource;

#[derive(Debug, Args)]
pub(crate) struct AllocateArgs {
    /// Prefix to take from; without one, any block that fits the requirement
    #[arg(long, value_name = "PREFIX", conflicts_with_all = ["owner", "tag_wanted", "role_wanted", "min_days_left", "clean"])]
    pub(crate) prefix: Option<String>,
    /// VRF, by NetBox's id [default: the global table; with a requirement: every table]
    #[arg(long, value_name = "ID")]
    pub(crate) vrf: Option<u64>,
    /// How many addresses, 1 to 1000
    #[arg(long, default_value_t = 1, conflicts_with_all = ["length", "address"])]
    pub(crate) count: i32,
    /// Allocate a child prefix of this length instead of addresses
    #[arg(long, value_name = "LENGTH", conflicts_with = "address")]
    pub(crate) length: Option<i32>,
    /// Record this very address
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["prefix", "owner", "tag_wanted", "role_wanted"])]
    pub(crate) address: Option<IpAddr>,
    /// Requirement: lease owner
    #[arg(long)]
    pub(crate) owner: Option<String>,
    /// Requirement: tag on the block, by slug
    #[arg(long = "with-tag", value_name = "SLUG", id = "tag_wanted")]
    pub(crate) with_tag: Option<String>,
    /// Requirement: role of the block, by slug
    #[arg(long = "with-role", value_name = "SLUG", id = "role_wanted")]
    pub(crate) with_role: Option<String>,
    /// Requirement: days that the lease must have left
    #[arg(long, value_name = "DAYS")]
    pub(crate) min_days_left: Option<i32>,
    /// Requirement: recorded reputation is clean
    #[arg(long)]
    pub(crate) clean: bool,
    /// Requirement: IPv6
    #[arg(long)]
    pub(crate) ipv6: bool,
    /// Description of each record
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) description: String,
    /// DNS name of each record
    #[arg(long, default_value = "", hide_default_value = true, value_name = "NAME")]
    pub(crate) dns_name: String,
    /// NetBox's status value
    #[arg(long, default_value = "active")]
    pub(crate) status: String,
    /// Tenant of each record, by slug
    #[arg(long, default_value = "", hide_default_value = true, value_name = "SLUG")]
    pub(crate) tenant: String,
    /// Tag of each record, by slug; may be repeated
    #[arg(long = "tag", value_name = "SLUG")]
    pub(crate) tags: Vec<String>,
    /// Prefix or address not to hand out; may be repeated
    #[arg(long, value_name = "PREFIX|ADDRESS")]
    pub(crate) exclude: Vec<String>,
    /// Addresses inside child prefixes too
    #[arg(long)]
    pub(crate) include_child_prefixes: bool,
    /// Addresses that rest after they were given back, too
    #[arg(long)]
    pub(crate) include_resting: bool,
    /// For sending mail: only out of space that is kept for it
    #[arg(long, conflicts_with = "address")]
    pub(crate) mail: bool,
    /// Identity of this request, so that a retry is known as one [default: a new one, printed before it is sent]
    #[arg(long, value_name = "ID")]
    pub(crate) request_id: Option<RequestId>,
    /// Print what would be handed out, without writing
    #[arg(long)]
    pub(crate) validate_only: bool,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

#[derive(Debug, Args)]
pub(crate) struct AllocationsArgs {
    /// Show this one; without it, list the newest
    #[arg(value_name = "REQUEST_ID")]
    pub(crate) request_id: Option<RequestId>,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

impl AllocateArgs {
    fn purpose(&self) -> v1::AllocationPurpose {
        if self.mail { v1::AllocationPurpose::Mail } else { v1::AllocationPurpose::General }
    }
}

pub(crate) async fn run(args: AllocateArgs) -> Outcome {
    let mut client = allocations(&args.client).await?;
    let request_id = if let Some(id) = &args.request_id {
        id.clone()
    } else {
        let id = RequestId::random();
        // Before it is sent: if the answer is lost, this is how to ask again.
        eprintln!("request id {id}");
        id
    };
    if let Some(address) = args.address {
        let request = v1::AssignAddressRequest {
            address: address.to_string(),
            vrf_id: args.vrf.unwrap_or(0),
            description: args.description,
            dns_name: args.dns_name,
            status: args.status,
            tenant: args.tenant,
            tags: args.tags,
            request_id: request_id.into(),
            validate_only: args.validate_only,
        };
        let answer = client.assign_address(request).await.map_err(|status| refusal(&status))?.into_inner();
        match args.client.output {
            Format::Json => output::print_json("AssignAddressResponse", &answer)?,
            Format::Table => output::addresses(&answer.address.into_iter().collect::<Vec<_>>()),
        }
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(length) = args.length {
        let request = v1::AllocatePrefixRequest {
            purpose: args.purpose().into(),
            source: Some(match source(&args)? {
                From::Prefix(text) => PrefixSource::Prefix(text),
                From::Requirement(wanted) => PrefixSource::Requirement(wanted),
            }),
            vrf_id: args.vrf.unwrap_or(0),
            prefix_length: length,
            description: args.description,
            status: args.status,
            tenant: args.tenant,
            tags: args.tags,
            exclude: args.exclude,
            request_id: request_id.into(),
            validate_only: args.validate_only,
            ..v1::AllocatePrefixRequest::default()
        };
        let answer = client.allocate_prefix(request).await.map_err(|status| refusal(&status))?.into_inner();
        match args.client.output {
            Format::Json => output::print_json("AllocatePrefixResponse", &answer)?,
            Format::Table => {
                let prefix = answer.prefix.unwrap_or_default();
                say!("{} (id {}) of {}", prefix.prefix, prefix.id, answer.parent.unwrap_or_default().prefix);
            }
        }
        return Ok(ExitCode::SUCCESS);
    }
    let request = v1::AllocateAddressesRequest {
        purpose: args.purpose().into(),
        include_resting: args.include_resting,
        source: Some(match source(&args)? {
            From::Prefix(text) => AddressSource::Prefix(text),
            From::Requirement(wanted) => AddressSource::Requirement(wanted),
        }),
        vrf_id: args.vrf.unwrap_or(0),
        count: args.count,
        description: args.description,
        dns_name: args.dns_name,
        status: args.status,
        tenant: args.tenant,
        tags: args.tags,
        exclude: args.exclude,
        include_child_prefixes: args.include_child_prefixes,
        request_id: request_id.into(),
        validate_only: args.validate_only,
    };
    let answer = client.allocate_addresses(request).await.map_err(|status| refusal(&status))?.into_inner();
    match args.client.output {
        Format::Json => output::print_json("AllocateAddressesResponse", &answer)?,
        Format::Table => {
            output::addresses(&answer.addresses);
            if answer.repeated {
                say!("This request had been answered before; these are the same addresses.");
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

enum From {
    Prefix(String),
    Requirement(v1::BlockRequirement),
}

fn source(args: &AllocateArgs) -> Result<From, Failure> {
    if let Some(prefix) = &args.prefix {
        return Ok(From::Prefix(prefix.clone()));
    }
    let wanted = v1::BlockRequirement {
        owner: args.owner.clone().unwrap_or_default(),
        tag: args.with_tag.clone().unwrap_or_default(),
        role: args.with_role.clone().unwrap_or_default(),
        vrf_id: args.vrf,
        min_days_left: args.min_days_left.unwrap_or(0),
        clean_reputation: args.clean,
        family: if args.ipv6 { 6 } else { 4 },
    };
    // Any block at all would be a strange thing to mean on a command line.
    if wanted.owner.is_empty() && wanted.tag.is_empty() && wanted.role.is_empty() {
        return Err(Failure::new(
            "name a block: --prefix, or a requirement with --owner, --with-tag or --with-role",
        ));
    }
    Ok(From::Requirement(wanted))
}

pub(crate) async fn show(args: AllocationsArgs) -> Outcome {
    let mut client = allocations(&args.client).await?;
    if let Some(id) = args.request_id {
        let request = v1::GetAllocationRequest { request_id: id.into() };
        let answer = client.get_allocation(request).await.map_err(|status| refusal(&status))?.into_inner();
        match args.client.output {
            Format::Json => output::print_json("GetAllocationResponse", &answer)?,
            Format::Table => {
                let allocation = answer.allocation.unwrap_or_default();
                output::facts(&[
                    ("request id", allocation.request_id.clone()),
                    ("kind", output::word(allocation.kind().as_str_name(), "ALLOCATION_KIND_")),
                    ("state", output::word(allocation.state().as_str_name(), "ALLOCATION_STATE_")),
                    ("made", output::instant(allocation.create_time.as_ref())),
                    ("prefix", allocation.prefix.clone().map(|prefix| prefix.prefix).unwrap_or_default()),
                ]);
                if !allocation.addresses.is_empty() {
                    output::addresses(&allocation.addresses);
                }
            }
        }
        return Ok(ExitCode::SUCCESS);
    }
    let request = v1::ListAllocationsRequest { page_size: 100, ..v1::ListAllocationsRequest::default() };
    let answer = client.list_allocations(request).await.map_err(|status| refusal(&status))?.into_inner();
    match args.client.output {
        Format::Json => output::print_json("ListAllocationsResponse", &answer)?,
        Format::Table => {
            let mut table = output::table(&["request id", "kind", "state", "records", "made"]);
            for allocation in &answer.allocations {
                let records = allocation.addresses.len() + usize::from(allocation.prefix.is_some());
                table.add_row([
                    allocation.request_id.clone(),
                    output::word(allocation.kind().as_str_name(), "ALLOCATION_KIND_"),
                    output::word(allocation.state().as_str_name(), "ALLOCATION_STATE_"),
                    records.to_string(),
                    output::instant(allocation.create_time.as_ref()),
                ]);
            }
            say!("{table}");
            if !answer.next_page_token.is_empty() {
                say!("There are more; this is the newest hundred.");
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
