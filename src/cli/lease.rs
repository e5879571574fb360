//! `leasehold lease …`.

use std::net::IpAddr;
use std::process::ExitCode;

use super::args::{EndArgs, Format, LeaseArgs, LeaseCommand, ListArgs, RegisterArgs, RenewArgs, ShowArgs};
use super::connect::{leases, refusal};
use super::{Failure, Outcome, output};
use crate::model::{Network, Reputation, RoaStatus};
use crate::rpc::proto::v1;

pub(crate) async fn run(args: LeaseArgs) -> Outcome {
    match args.command {
        LeaseCommand::Register(args) => register(args).await,
        LeaseCommand::Show(args) => show(args).await,
        LeaseCommand::List(args) => list(args).await,
        LeaseCommand::Renew(args) => renew(args).await,
        LeaseCommand::End(args) => end(args).await,
    }
}

async fn register(args: RegisterArgs) -> Outcome {
    let mut client = leases(&args.client).await?;
    let request = v1::RegisterLeaseRequest {
        prefix: args.prefix,
        vrf_id: args.vrf,
        owner: args.owner,
        start: args.start.map(output::to_date),
        expiry: Some(output::to_date(args.expiry)),
        notice_date: args.notice.map(output::to_date),
        loa_reference: args.loa,
        origin_asn: args.origin_asn.map_or(0, Into::into),
        description: args.description,
        tenant: args.tenant,
        role: args.role,
        tags: args.tags,
        request_id: args.request_id.map(String::from).unwrap_or_default(),
        validate_only: args.validate_only,
    };
    let answer = client.register_lease(request).await.map_err(|status| refusal(&status))?.into_inner();
    match args.client.output {
        Format::Json => output::print_json("RegisterLeaseResponse", &answer)?,
        Format::Table => {
            say!(
                "{}",
                match (args.validate_only, answer.adopted) {
                    (true, _) => "would be registered:",
                    (false, true) => "registered (the prefix was there already):",
                    (false, false) => "registered:",
                }
            );
            output::lease(&answer.lease.unwrap_or_default());
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn show(args: ShowArgs) -> Outcome {
    use v1::lookup_lease_request::Key;
    let mut client = leases(&args.client).await?;
    let key = match Place::parse(&args.key).map_err(Failure::new)? {
        Place::Id(id) => Key::PrefixId(id),
        Place::Address(address) => Key::Address(address.to_string()),
        Place::Prefix(network) => Key::Prefix(network.to_string()),
    };
    let request = v1::LookupLeaseRequest { key: Some(key), vrf_id: args.vrf };
    let answer = client.lookup_lease(request).await.map_err(|status| refusal(&status))?.into_inner();
    match args.client.output {
        Format::Json => output::print_json("LookupLeaseResponse", &answer)?,
        Format::Table => {
            output::cache_note(answer.cache.as_ref());
            output::lease(&answer.lease.unwrap_or_default());
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(args: ListArgs) -> Outcome {
    let mut client = leases(&args.client).await?;
    let mut request = v1::ListLeasesRequest {
        page_size: 1000,
        page_token: String::new(),
        owner: args.owner,
        tenant: args.tenant,
        expiring_before: args.expiring_before.map(output::to_date),
        vrf_id: args.vrf,
        order_by: args.order_by,
        ..v1::ListLeasesRequest::default()
    };
    request.set_roa_status(match args.roa_status {
        None => v1::RoaStatus::Unspecified,
        Some(RoaStatus::Valid) => v1::RoaStatus::Valid,
        Some(RoaStatus::Invalid) => v1::RoaStatus::Invalid,
        Some(RoaStatus::Unknown) => v1::RoaStatus::Unknown,
    });
    request.set_reputation(match args.reputation {
        None => v1::Reputation::Unspecified,
        Some(Reputation::Clean) => v1::Reputation::Clean,
        Some(Reputation::Listed) => v1::Reputation::Listed,
        Some(Reputation::Watch) => v1::Reputation::Watch,
    });
    let mut all = v1::ListLeasesResponse::default();
    loop {
        let page = client.list_leases(request.clone()).await.map_err(|status| refusal(&status))?.into_inner();
        all.leases.extend(page.leases);
        all.total_size = page.total_size;
        all.cache = page.cache;
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    match args.client.output {
        Format::Json => output::print_json("ListLeasesResponse", &all)?,
        Format::Table => {
            output::cache_note(all.cache.as_ref());
            let mut table =
                output::table(&["prefix", "owner", "expiry", "", "origin", "ROA", "reputation", "LOA"]);
            for lease in &all.leases {
                let origin =
                    if lease.origin_asn == 0 { String::new() } else { format!("AS{}", lease.origin_asn) };
                table.add_row([
                    lease.prefix.clone(),
                    lease.owner.clone(),
                    output::date(lease.expiry.as_ref()),
                    output::days_left(lease),
                    origin,
                    output::roa(lease),
                    output::reputation(lease),
                    lease.loa_reference.clone(),
                ]);
            }
            say!("{table}");
            say!("{} leases", all.total_size);
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn renew(args: RenewArgs) -> Outcome {
    use v1::renew_lease_request::Key;
    let mut client = leases(&args.client).await?;
    let request = v1::RenewLeaseRequest {
        key: Some(match carrier(&args.key)? {
            Carrier::Id(id) => Key::PrefixId(id),
            Carrier::Prefix(text) => Key::Prefix(text),
        }),
        vrf_id: args.vrf,
        expiry: Some(output::to_date(args.expiry)),
        notice_date: args.notice.map(output::to_date),
        loa_reference: args.loa,
        allow_earlier_expiry: args.allow_earlier,
        validate_only: args.validate_only,
        ..v1::RenewLeaseRequest::default()
    };
    let answer = client.renew_lease(request).await.map_err(|status| refusal(&status))?.into_inner();
    match args.client.output {
        Format::Json => output::print_json("RenewLeaseResponse", &answer)?,
        Format::Table => {
            let before = output::date(answer.previous_expiry.as_ref());
            say!("{} (was {before}):", if args.validate_only { "would be renewed" } else { "renewed" });
            output::lease(&answer.lease.unwrap_or_default());
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn end(args: EndArgs) -> Outcome {
    use v1::end_lease_request::Key;
    let mut client = leases(&args.client).await?;
    let request = v1::EndLeaseRequest {
        key: Some(match carrier(&args.key)? {
            Carrier::Id(id) => Key::PrefixId(id),
            Carrier::Prefix(text) => Key::Prefix(text),
        }),
        vrf_id: args.vrf,
        allow_addresses_in_use: args.allow_in_use,
        delete_prefix: args.delete_prefix,
        validate_only: args.validate_only,
        ..v1::EndLeaseRequest::default()
    };
    let answer = client.end_lease(request).await.map_err(|status| refusal(&status))?.into_inner();
    match args.client.output {
        Format::Json => output::print_json("EndLeaseResponse", &answer)?,
        Format::Table => {
            let what = if args.validate_only { "would be ended" } else { "ended" };
            say!("{what}; {} addresses of it are recorded. It was:", answer.addresses_in_use);
            output::lease(&answer.lease.unwrap_or_default());
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The prefix that carries a lease: an address does not name one.
enum Carrier {
    Id(u64),
    Prefix(String),
}

fn carrier(text: &str) -> Result<Carrier, Failure> {
    match Place::parse(text).map_err(Failure::new)? {
        Place::Id(id) => Ok(Carrier::Id(id)),
        Place::Prefix(network) => Ok(Carrier::Prefix(network.to_string())),
        Place::Address(address) => Err(Failure::new(format!(
            "{address} is an address; name the prefix that carries the lease (`leasehold lease show {address}` tells which)"
        ))),
    }
}

/// A prefix, an address or an id, as people name things on a command line.
enum Place {
    Prefix(Network),
    Address(IpAddr),
    Id(u64),
}

impl Place {
    fn parse(text: &str) -> Result<Self, String> {
        if let Ok(id) = text.parse::<u64>() {
            return Ok(Self::Id(id));
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Address(address));
        }
        text.parse::<Network>().map(Self::Prefix).map_err(|error| error.to_string())
    }
}
