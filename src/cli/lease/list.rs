//! `leasehold lease list`: all leases, or those that match every filter.

use std::process::ExitCode;

use clap::Args;
use jiff::civil::Date;

use crate::cli::connect::{leases, refusal};
use crate::cli::exit::CommandResult;
use crate::cli::json;
use crate::cli::options::{ClientArgs, OutputFormat};
use crate::cli::records::print_cache_note;
use crate::cli::references::{parse_tenant, parse_vrf};
use crate::cli::terminal::{TextTable, outln};
use crate::cli::values;
use crate::model::{Reputation, RoaStatus};
use crate::rpc::proto::v1;

#[derive(Debug, Args)]
pub(crate) struct ListLeasesArgs {
    /// Only of this owner
    #[arg(long, default_value = "", hide_default_value = true)]
    owner: String,
    /// Only of this tenant: its slug, id:12 or name:…
    #[arg(long, value_name = "TENANT", value_parser = parse_tenant)]
    tenant: Option<v1::TenantRef>,
    /// Only with a last day before this date
    #[arg(long, value_name = "DATE")]
    expiring_before: Option<Date>,
    /// Only with this verdict of origin validation
    #[arg(long, value_name = "valid|invalid|unknown")]
    roa_status: Option<RoaStatus>,
    /// Only with this reputation
    #[arg(long, value_name = "clean|listed|watch")]
    reputation: Option<Reputation>,
    /// Only of this VRF: its id, name or RD; 0 for the global table
    #[arg(long, value_name = "VRF", value_parser = parse_vrf)]
    vrf: Option<v1::VrfRef>,
    /// Order: expiry_date, owner or prefix, with " desc" for the highest first
    #[arg(long, default_value = "expiry_date", value_name = "ORDER")]
    order_by: String,
    #[command(flatten)]
    client: ClientArgs,
}

pub(crate) async fn run(args: ListLeasesArgs) -> CommandResult {
    let mut client = leases(&args.client).await?;
    let mut request = v1::ListLeasesRequest {
        page_size: 1000,
        page_token: String::new(),
        owner: args.owner,
        tenant: args.tenant,
        expires_before_date: args.expiring_before.map(values::to_proto_date),
        vrf: args.vrf,
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
        all.cache = page.cache;
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    match args.client.output {
        OutputFormat::Json => json::print("ListLeasesResponse", &all)?,
        OutputFormat::Table => {
            print_cache_note(all.cache.as_ref());
            let mut table =
                TextTable::new(&["prefix", "owner", "expiry", "", "origin", "ROA", "reputation", "LOA"]);
            for lease in &all.leases {
                table.row([
                    lease.prefix.clone(),
                    lease.owner.clone(),
                    values::date(lease.expiry_date.as_ref()),
                    values::days_left(lease),
                    values::asn(lease.origin_asn),
                    values::roa_status(lease),
                    values::reputation(lease),
                    lease.loa_reference.clone(),
                ]);
            }
            table.print();
            outln!("{} leases", all.leases.len());
        }
    }
    Ok(ExitCode::SUCCESS)
}
