//! `leasehold history`: what happened to an address, for an abuse desk.

use std::net::IpAddr;
use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::args::{ClientArgs, Format};
use super::connect::{events, refusal};
use super::events::print;
use super::{Outcome, output};
use crate::rpc::proto::v1;

#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    /// IPv4 or IPv6 address
    #[arg(value_name = "ADDRESS")]
    address: IpAddr,
    /// VRF, by NetBox's id [default: the global table]
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "ID")]
    vrf: u64,
    #[command(flatten)]
    client: ClientArgs,
}

pub(crate) async fn run(args: HistoryArgs) -> Outcome {
    let mut client = events(&args.client).await?;
    let request = v1::GetAddressHistoryRequest { address: args.address.to_string(), vrf_id: args.vrf };
    let answer = client.get_address_history(request).await.map_err(|status| refusal(&status))?.into_inner();
    match args.client.output {
        Format::Json => output::print_json("GetAddressHistoryResponse", &answer)?,
        Format::Table => {
            let chain: Vec<&str> = answer.chain.iter().map(|prefix| prefix.prefix.as_str()).collect();
            say!(
                "{} is held by {}",
                args.address,
                if chain.is_empty() { "nothing".to_owned() } else { chain.join(", ") }
            );
            print(&answer.events);
            say!("What happened before {} is not known.", output::instant(answer.known_since.as_ref()));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// An instant as people write it: RFC 3339, or a date, or a date and a time, both in UTC.
pub(super) fn instant(text: &str) -> Result<Timestamp, String> {
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
        let noon = instant("2026-05-01T12:00:00Z").unwrap();
        assert_eq!(instant("2026-05-01 12:00"), Ok(noon));
        assert_eq!(instant("2026-05-01T14:00:00+02:00"), Ok(noon));
        assert_eq!(instant("2026-05-01"), instant("2026-05-01T00:00:00Z"));
        assert!(instant("yesterday").is_err());
    }
}
