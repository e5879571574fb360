//! `leasehold expiring`: the cron script that every provider has, in one line.

use std::process::ExitCode;

use clap::Args;
use comfy_table::{Attribute, Cell, Color};
use jiff::{Timestamp, ToSpan as _};

use super::args::{ClientArgs, Format};
use super::connect::{leases, refusal};
use super::{Outcome, SAID_NO, output};
use crate::rpc::proto::v1;

#[derive(Debug, Args)]
pub(crate) struct ExpiringArgs {
    /// Leases that run out within so many days or weeks; those that have run out are within any
    #[arg(long, default_value = "60d", value_name = "DAYS", value_parser = days)]
    within: i32,
    /// Exit 3 if a lease runs out within so many days or weeks
    #[arg(long, value_name = "DAYS", value_parser = days)]
    fail_within: Option<i32>,
    /// Only of this owner
    #[arg(long, default_value = "", hide_default_value = true)]
    owner: String,
    /// Only of this tenant, by slug
    #[arg(long, default_value = "", hide_default_value = true, value_name = "SLUG")]
    tenant: String,
    /// Only of this VRF, by NetBox's id; 0 for the global table
    #[arg(long, value_name = "ID")]
    vrf: Option<u64>,
    #[command(flatten)]
    client: ClientArgs,
}

/// `60`, `60d` or `8w`.
fn days(text: &str) -> Result<i32, String> {
    let (number, unit) = match text.strip_suffix('w') {
        Some(weeks) => (weeks, 7),
        None => (text.strip_suffix('d').unwrap_or(text), 1),
    };
    let days = number.parse::<u16>().ok().and_then(|number| i32::from(number).checked_mul(unit));
    days.filter(|days| *days <= 36_500).ok_or_else(|| "is not a time such as 60d or 8w".to_owned())
}

pub(crate) async fn run(args: ExpiringArgs) -> Outcome {
    let mut client = leases(&args.client).await?;
    let furthest = args.within.max(args.fail_within.unwrap_or(0));
    // Which day it is, is for the server to say: it may stand in another time zone, so this asks for some days more.
    let before = Timestamp::now().in_tz("UTC")?.date().saturating_add((furthest + 3).days());
    let mut request = v1::ListLeasesRequest {
        page_size: 1000,
        owner: args.owner,
        tenant: args.tenant,
        expiring_before: Some(output::to_date(before)),
        vrf_id: args.vrf,
        order_by: "expiry".to_owned(),
        ..v1::ListLeasesRequest::default()
    };
    let mut found = v1::ListLeasesResponse::default();
    loop {
        let page = client.list_leases(request.clone()).await.map_err(|status| refusal(&status))?.into_inner();
        found.leases.extend(page.leases);
        found.cache = page.cache;
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    let inside = |lease: &v1::Lease, days: i32| lease.days_left.is_some_and(|left| left <= days);
    let failing =
        args.fail_within.map_or(0, |days| found.leases.iter().filter(|lease| inside(lease, days)).count());
    found.leases.retain(|lease| inside(lease, args.within));
    found.total_size = i32::try_from(found.leases.len()).unwrap_or(i32::MAX);
    match args.client.output {
        Format::Json => output::print_json("ListLeasesResponse", &found)?,
        Format::Table => print(&found, args.within),
    }
    if let (Some(days), 1..) = (args.fail_within, failing) {
        let what = if failing == 1 { "1 lease runs".to_owned() } else { format!("{failing} leases run") };
        eprintln!("{what} out within {days} days");
        return Ok(ExitCode::from(SAID_NO));
    }
    Ok(ExitCode::SUCCESS)
}

fn print(found: &v1::ListLeasesResponse, within: i32) {
    output::cache_note(found.cache.as_ref());
    if found.leases.is_empty() {
        say!("no lease runs out within {within} days");
        return;
    }
    let mut table =
        output::table(&["prefix", "vrf", "owner", "last day", "left", "notice by", "origin", "LOA"]);
    for lease in &found.leases {
        let vrf = if lease.vrf_id == 0 { String::new() } else { lease.vrf_id.to_string() };
        let origin = if lease.origin_asn == 0 { String::new() } else { format!("AS{}", lease.origin_asn) };
        table.add_row([
            Cell::new(&lease.prefix),
            Cell::new(vrf),
            Cell::new(&lease.owner),
            Cell::new(output::date(lease.expiry.as_ref())),
            urgent(Cell::new(output::days_left(lease)), lease.days_left),
            Cell::new(output::date(lease.notice_date.as_ref())),
            Cell::new(origin),
            Cell::new(&lease.loa_reference),
        ]);
    }
    say!("{table}");
}

/// Colour by urgency, where the terminal has any: run out, within a week, within a month.
fn urgent(cell: Cell, left: Option<i32>) -> Cell {
    match left {
        Some(..0) => cell.fg(Color::Red).add_attribute(Attribute::Bold),
        Some(0..=7) => cell.fg(Color::Red),
        Some(8..=30) => cell.fg(Color::Yellow),
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
