//! `leasehold lease list`: all leases, or those that match every filter.

use std::process::ExitCode;

use clap::Args;
use jiff::civil::Date;

use crate::cli::connect::leases;
use crate::cli::exit::CommandResult;
use crate::cli::options::ClientArgs;
use crate::cli::output::OutputArgs;
use crate::cli::pages::{Limit, read_pages};
use crate::cli::records::print_cache_note;
use crate::cli::references::{parse_tenant, parse_vrf};
use crate::cli::terminal::TextTable;
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
    /// The most leases to list [default: all]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

pub(crate) async fn run(args: ListLeasesArgs) -> CommandResult {
    let mut client = leases(&args.client).await?;
    let limit = Limit::new(args.limit);
    let mut request = v1::ListLeasesRequest {
        page_size: limit.page_size(),
        owner: args.owner,
        tenant: args.tenant,
        expires_before_date: args.expiring_before.map(values::to_proto_date),
        vrf: args.vrf,
        order_by: order_by(&args.order_by),
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
    read_pages(
        async |page_token| client.list_leases(v1::ListLeasesRequest { page_token, ..request.clone() }).await,
        |page| {
            all.cache = page.cache;
            limit.join(&mut all.leases, page.leases, page.next_page_token)
        },
    )
    .await?;
    print_cache_note(all.cache.as_ref());
    let rows = (all.leases.as_slice(), "no leases match");
    args.client.output.print_list(
        "ListLeasesResponse",
        &all,
        rows,
        |lease| lease.prefix.clone(),
        |output| print(output, &all.leases),
    )?;
    Ok(ExitCode::SUCCESS)
}

/// The order as the API names it. `expiry` is what this option was called before.
fn order_by(text: &str) -> String {
    match text.split_once(' ').unwrap_or((text, "")) {
        ("expiry", "") => "expiry_date".to_owned(),
        ("expiry", direction) => format!("expiry_date {direction}"),
        _ => text.to_owned(),
    }
}

fn print(output: OutputArgs, leases: &[v1::Lease]) {
    let mut table = TextTable::new(&[
        "PREFIX",
        "VRF",
        "OWNER",
        "EXPIRY",
        "DAYS-LEFT",
        "ORIGIN",
        "ROA",
        "REPUTATION",
        "LOA",
    ]);
    for lease in leases {
        table.row([
            lease.prefix.clone(),
            values::vrf(lease.vrf.as_ref()),
            lease.owner.clone(),
            values::date(lease.expiry_date.as_ref()),
            values::days(lease),
            values::asn(lease.origin_asn),
            values::roa_status(lease),
            values::reputation(lease),
            lease.loa_reference.clone(),
        ]);
    }
    output.print_table(&table);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_former_name_of_the_order_by_expiry_still_works() {
        assert_eq!(order_by("expiry"), "expiry_date");
        assert_eq!(order_by("expiry desc"), "expiry_date desc");
        assert_eq!(order_by("owner desc"), "owner desc");
        assert_eq!(order_by("expiry_date"), "expiry_date");
    }
}
