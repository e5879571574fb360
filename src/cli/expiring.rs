//! `leasehold expiring`: lists leases that expire soon; its exit code lets a cron job raise an alarm.

use std::process::ExitCode;

use clap::Args;
use jiff::ToSpan as _;

use super::connect::leases;
use super::exit::{CHECK_SAID_NO, CommandResult};
use super::options::ClientArgs;
use super::output::OutputArgs;
use super::pages::{Limit, read_pages};
use super::records::print_cache_note;
use super::references::{parse_tenant, parse_vrf};
use super::terminal::{TextCell, TextTable, errln};
use super::values;
use crate::clock::Clock;
use crate::rpc::proto::v1;

#[derive(Debug, Args)]
pub(crate) struct ExpiringArgs {
    /// List leases that expire within this time, such as 60d or 8w; expired ones are always listed
    #[arg(long, default_value = "60d", value_name = "DAYS", value_parser = days)]
    within: i32,
    /// Exit 3 if a lease expires within this time, such as 14d
    #[arg(long, value_name = "DAYS", value_parser = days)]
    fail_within: Option<i32>,
    /// Only of this owner
    #[arg(long, default_value = "", hide_default_value = true)]
    owner: String,
    /// Only of this tenant: its slug, id:12 or name:…
    #[arg(long, value_name = "TENANT", value_parser = parse_tenant)]
    tenant: Option<v1::TenantRef>,
    /// Only of this VRF: its id, name or RD; 0 for the global table
    #[arg(long, value_name = "VRF", value_parser = parse_vrf)]
    vrf: Option<v1::VrfRef>,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

/// Reads `60`, `60d` or `8w` as a number of days.
fn days(text: &str) -> Result<i32, String> {
    let (number, unit) = match text.strip_suffix('w') {
        Some(weeks) => (weeks, 7),
        None => (text.strip_suffix('d').unwrap_or(text), 1),
    };
    let days = number.parse::<u16>().ok().and_then(|number| i32::from(number).checked_mul(unit));
    days.filter(|days| *days <= 36_500).ok_or_else(|| "is not a time such as 60d or 8w".to_owned())
}

pub(crate) async fn run(args: ExpiringArgs, clock: &dyn Clock) -> CommandResult {
    let mut client = leases(&args.client).await?;
    let furthest = args.within.max(args.fail_within.unwrap_or(0));
    // The server counts days in its own time zone, so this asks for a few days more and filters by its `days_left`.
    let before = clock.today().saturating_add((furthest + 3).days());
    let all = Limit::new(None);
    let request = v1::ListLeasesRequest {
        page_size: all.page_size(),
        owner: args.owner,
        tenant: args.tenant,
        expires_before_date: Some(values::to_proto_date(before)),
        vrf: args.vrf,
        order_by: "expiry_date".to_owned(),
        ..v1::ListLeasesRequest::default()
    };
    let mut found = v1::ListLeasesResponse::default();
    read_pages(
        async |page_token| client.list_leases(v1::ListLeasesRequest { page_token, ..request.clone() }).await,
        |page| {
            found.cache = page.cache;
            all.join(&mut found.leases, page.leases, page.next_page_token)
        },
    )
    .await?;
    let inside = |lease: &v1::Lease, days: i32| lease.days_left.is_some_and(|left| left <= days);
    let failing =
        args.fail_within.map_or(0, |days| found.leases.iter().filter(|lease| inside(lease, days)).count());
    found.leases.retain(|lease| inside(lease, args.within));
    print_cache_note(found.cache.as_ref());
    let none = format!("no lease expires within {} days", args.within);
    args.client.output.print_list(
        "ListLeasesResponse",
        &found,
        (found.leases.as_slice(), none.as_str()),
        |lease| lease.prefix.clone(),
        |output| print(output, &found.leases),
    )?;
    if let (Some(days), 1..) = (args.fail_within, failing) {
        let what =
            if failing == 1 { "1 lease expires".to_owned() } else { format!("{failing} leases expire") };
        errln!("{what} within {days} days");
        return Ok(ExitCode::from(CHECK_SAID_NO));
    }
    Ok(ExitCode::SUCCESS)
}

fn print(output: OutputArgs, leases: &[v1::Lease]) {
    let mut table =
        TextTable::new(&["PREFIX", "VRF", "OWNER", "EXPIRY", "DAYS-LEFT", "NOTICE-BY", "ORIGIN", "LOA"]);
    for lease in leases {
        table.row([
            TextCell::from(&lease.prefix),
            TextCell::from(values::vrf(lease.vrf.as_ref())),
            TextCell::from(&lease.owner),
            TextCell::from(values::date(lease.expiry_date.as_ref())),
            by_urgency(TextCell::from(values::days(lease)), lease.days_left),
            TextCell::from(values::date(lease.notice_date.as_ref())),
            TextCell::from(values::asn(lease.origin_asn)),
            TextCell::from(&lease.loa_reference),
        ]);
    }
    output.print_table(&table);
}

/// Colours a cell by urgency: bold red when expired, red within a week, yellow within a month.
fn by_urgency(cell: TextCell, left: Option<i32>) -> TextCell {
    match left {
        Some(..0) => cell.bold_red(),
        Some(0..=7) => cell.red(),
        Some(8..=30) => cell.yellow(),
        _ => cell,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_weeks_are_read_and_nothing_else() {
        assert_eq!([days("60"), days("60d"), days("8w")], [Ok(60), Ok(60), Ok(56)]);
        for wrong in ["", "d", "-1", "60h", "1.5w", "99999w", "65535w"] {
            assert!(days(wrong).is_err(), "{wrong}");
        }
    }
}
