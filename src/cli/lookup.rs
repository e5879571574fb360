//! `leasehold lookup`: the prefixes, the lease and the record of an address, now or at an earlier time.

use std::net::IpAddr;
use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::connect::{Connection, prefixes, refusal};
use super::exit::{CliFailure, CommandResult};
use super::options::{ClientArgs, ScopeArgs};
use super::records::print_cache_note;
use super::terminal::outln;
use super::values;
use crate::rpc::proto::v1;
use crate::rpc::proto::v1::prefix_service_client::PrefixServiceClient;

#[derive(Debug, Args)]
pub(crate) struct LookupArgs {
    /// IPv4 or IPv6 addresses
    #[arg(required = true, value_name = "ADDRESS")]
    addresses: Vec<IpAddr>,
    /// As of this time instead of now: a date, a date and time (UTC), or RFC 3339 with an offset
    #[arg(long, value_name = "TIME", value_parser = parse_instant)]
    at: Option<Timestamp>,
    #[command(flatten)]
    scope: ScopeArgs,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

/// How many addresses are asked for at once: 100 answers with all their fields stay far below the largest message.
const CHUNK: usize = 100;

pub(crate) async fn run(args: LookupArgs) -> CommandResult {
    let mut client = prefixes(&args.client).await?;
    let found = match args.at {
        Some(at) => as_of(&mut client, &args, at).await?,
        None => now(&mut client, &args).await?,
    };
    print_cache_note(found.cache.as_ref());
    let (known, unknown): (Vec<_>, Vec<_>) = found.results.iter().partition(|result| is_known(result));
    args.client.output.print(
        "BatchLookupAddressesResponse",
        &found,
        known.iter().map(|result| result.address.clone()),
        |_| {
            for (nth, result) in found.results.iter().enumerate() {
                if nth > 0 {
                    outln!("");
                }
                print(result);
            }
        },
    )?;
    if unknown.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let addresses: Vec<&str> = unknown.iter().map(|result| result.address.as_str()).collect();
    Err(CliFailure::new(format!("nothing is recorded about {}", addresses.join(", "))).because("NOT_FOUND"))
}

/// Whether NetBox records the address, or a prefix that contains it.
fn is_known(result: &v1::LookupAddressResponse) -> bool {
    !result.chain.is_empty() || !result.records.is_empty()
}

async fn now(
    client: &mut PrefixServiceClient<Connection>,
    args: &LookupArgs,
) -> Result<v1::BatchLookupAddressesResponse, CliFailure> {
    let mut found = v1::BatchLookupAddressesResponse::default();
    for chunk in args.addresses.chunks(CHUNK) {
        let request = v1::BatchLookupAddressesRequest {
            addresses: chunk.iter().map(ToString::to_string).collect(),
            vrf: args.scope.vrf.clone(),
            view: v1::RecordView::Full.into(),
        };
        let answer = client.batch_lookup_addresses(request).await.map_err(|status| refusal(&status))?;
        let answer = answer.into_inner();
        found.cache = answer.cache;
        found.results.extend(answer.results);
    }
    Ok(found)
}

/// The same answer for an earlier time. The API has no batch for it.
async fn as_of(
    client: &mut PrefixServiceClient<Connection>,
    args: &LookupArgs,
    at: Timestamp,
) -> Result<v1::BatchLookupAddressesResponse, CliFailure> {
    let mut found = v1::BatchLookupAddressesResponse::default();
    for address in &args.addresses {
        let request = v1::LookupAddressRequest {
            address: address.to_string(),
            vrf: args.scope.vrf.clone(),
            as_of_time: Some(values::to_proto_timestamp(at)),
            view: v1::RecordView::Full.into(),
        };
        let answer = client.lookup_address(request).await.map_err(|status| refusal(&status))?;
        let mut result = answer.into_inner();
        found.cache = result.cache.take();
        found.results.push(result);
    }
    Ok(found)
}

fn print(result: &v1::LookupAddressResponse) {
    match &result.as_of_time {
        Some(at) => outln!("{} as of {}", result.address, values::instant(Some(at))),
        None => outln!("{}", result.address),
    }
    if result.chain.is_empty() {
        outln!("  no prefix contains it");
    }
    for (depth, prefix) in result.chain.iter().enumerate() {
        let lease = match &prefix.lease {
            Some(lease) => format!("  leased from {}", lease.owner),
            None => String::new(),
        };
        outln!("  {:indent$}{} ({}){lease}", "", prefix.prefix, prefix.status, indent = depth * 2);
    }
    if let Some(lease) = &result.lease {
        // Days are counted from today, so they mean nothing for a lease as of an earlier time.
        let left = if result.as_of_time.is_none() {
            format!(" ({})", values::days_left(lease))
        } else {
            String::new()
        };
        let until = values::date(lease.expiry_date.as_ref());
        outln!("  lease    {} from {}, until {until}{left}", lease.prefix, lease.owner);
    }
    if result.records.is_empty() {
        outln!("  record   none");
    }
    for record in &result.records {
        let texts = [&record.address, &record.status, &record.dns_name, &record.description];
        let texts: Vec<&str> =
            texts.into_iter().map(String::as_str).filter(|text| !text.is_empty()).collect();
        outln!("  record   {}", texts.join(" "));
    }
    if let Some(since) = &result.known_since_time {
        outln!("  known    since {}", values::instant(Some(since)));
    }
}

/// Reads RFC 3339, or a date, or a date and a time, the last two in UTC.
fn parse_instant(text: &str) -> Result<Timestamp, String> {
    let civil = || text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    text.parse::<Timestamp>().ok().or_else(civil).ok_or_else(|| {
        "is not a time such as 2026-05-01, 2026-05-01T13:00 or 2026-05-01T13:00:00+02:00".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_read_as_people_write_them() {
        let noon = parse_instant("2026-05-01T12:00:00Z").unwrap();
        assert_eq!(parse_instant("2026-05-01 12:00"), Ok(noon));
        assert_eq!(parse_instant("2026-05-01T14:00:00+02:00"), Ok(noon));
        assert_eq!(parse_instant("2026-05-01"), parse_instant("2026-05-01T00:00:00Z"));
        assert!(parse_instant("yesterday").is_err());
    }
}
