//! `leasehold allocate` and `leasehold allocations`.

use std::process::ExitCode;

use super::args::{AllocateArgs, AllocationsArgs, Format};
use super::connect::{allocations, refusal};
use super::{Failure, Outcome, output};
use crate::model::RequestId;
use crate::rpc::proto::v1;
use crate::rpc::proto::v1::allocate_addresses_request::Source as AddressSource;
use crate::rpc::proto::v1::allocate_prefix_request::Source as PrefixSource;

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
