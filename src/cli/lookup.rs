//! `leasehold lookup`.

use std::process::ExitCode;

use super::args::{Format, LookupArgs};
use super::connect::{prefixes, refusal};
use super::{Outcome, SAID_NO, output};
use crate::rpc::proto::v1;

pub(crate) async fn run(args: LookupArgs) -> Outcome {
    let mut client = prefixes(&args.client).await?;
    let mut results = Vec::with_capacity(args.addresses.len());
    if let Some(at) = args.at {
        for address in &args.addresses {
            let request = v1::LookupAddressRequest {
                address: address.to_string(),
                vrf_id: args.vrf,
                as_of: Some(output::to_instant(at)),
            };
            let answer = client.lookup_address(request).await.map_err(|status| refusal(&status))?;
            results.push(answer.into_inner());
        }
    }
    for chunk in args.addresses.chunks(1000).filter(|_| args.at.is_none()) {
        let request = v1::BatchLookupAddressesRequest {
            addresses: chunk.iter().map(ToString::to_string).collect(),
            vrf_id: args.vrf,
        };
        let answer = client.batch_lookup_addresses(request).await.map_err(|status| refusal(&status))?;
        results.extend(answer.into_inner().results);
    }
    let known = results.iter().all(|result| !result.chain.is_empty() || !result.records.is_empty());
    match (args.client.output, results.as_slice()) {
        // One address in, one object out: what a script expects.
        (Format::Json, [only]) => output::print_json("LookupAddressResponse", only)?,
        (Format::Json, _) => {
            output::print_json(
                "BatchLookupAddressesResponse",
                &v1::BatchLookupAddressesResponse { results },
            )?;
        }
        (Format::Table, _) => {
            output::cache_note(results.first().and_then(|result| result.cache.as_ref()));
            for (nth, result) in results.iter().enumerate() {
                if nth > 0 {
                    say!("");
                }
                print(result);
            }
        }
    }
    Ok(if known { ExitCode::SUCCESS } else { ExitCode::from(SAID_NO) })
}

fn print(result: &v1::LookupAddressResponse) {
    match &result.as_of {
        Some(at) => say!("{} as of {}", result.address, output::instant(Some(at))),
        None => say!("{}", result.address),
    }
    if result.chain.is_empty() {
        say!("  no prefix holds it");
    }
    for (depth, prefix) in result.chain.iter().enumerate() {
        let lease = match &prefix.lease {
            Some(lease) => format!("  leased from {}", lease.owner),
            None => String::new(),
        };
        say!("  {:indent$}{} ({}){lease}", "", prefix.prefix, prefix.status, indent = depth * 2);
    }
    if let Some(lease) = &result.lease {
        // Days are counted from today: of a lease as it stood then, they say nothing.
        let left =
            if result.as_of.is_none() { format!(" ({})", output::days_left(lease)) } else { String::new() };
        let until = output::date(lease.expiry.as_ref());
        say!("  lease    {} from {}, until {until}{left}", lease.prefix, lease.owner);
    }
    if result.records.is_empty() {
        say!("  record   none");
    }
    for record in &result.records {
        say!("  record   {} {} {} {}", record.address, record.status, record.dns_name, record.description);
    }
    if let Some(since) = &result.known_since {
        say!("  known    since {}", output::instant(Some(since)));
    }
}
