//! `leasehold reputation`: what the blocklists say of a block or an address.

use std::net::IpAddr;
use std::process::ExitCode;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::args::{ClientArgs, Format};
use super::connect::{refusal, validations};
use super::{Failure, Outcome, SAID_NO, output};
use crate::rpc::proto::v1;
use crate::rpc::proto::v1::check_reputation_request::Target;
use crate::rpc::proto::v1::check_reputation_response::Item;

#[derive(Debug, Args)]
pub(crate) struct ReputationArgs {
    /// A block, or an address
    #[arg(value_name = "PREFIX|ADDRESS")]
    target: String,
    /// Ask nobody: show what the timed sweeps of a leased block have found so far
    #[arg(long)]
    recorded: bool,
    /// VRF of the block, by NetBox's id [default: the global table]
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "ID")]
    vrf: u64,
    #[command(flatten)]
    client: ClientArgs,
}

pub(crate) async fn run(args: ReputationArgs) -> Outcome {
    let target = match args.target.parse::<IpAddr>() {
        Ok(address) => Target::Address(address.to_string()),
        Err(_) => Target::Prefix(args.target.clone()),
    };
    let request =
        v1::CheckReputationRequest { target: Some(target), vrf_id: args.vrf, recorded: args.recorded };
    let mut client = validations(&args.client).await?;
    let mut stream = client.check_reputation(request).await.map_err(|status| refusal(&status))?.into_inner();
    let bar = ProgressBar::new(0).with_style(
        ProgressStyle::with_template(
            "{msg} [{wide_bar}] {human_pos}/{human_len} queries, {per_sec}, {eta} left",
        )
        .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    bar.set_message("asking the lists");
    let found = loop {
        let message = stream.message().await.map_err(|status| refusal(&status))?;
        match message.and_then(|message| message.item) {
            Some(Item::Progress(progress)) => {
                bar.set_length(progress.total);
                bar.set_position(progress.done);
                if progress.listed > 0 {
                    bar.set_message(format!("{} listed so far", progress.listed));
                }
            }
            Some(Item::Result(found)) => break found,
            None => return Err(Failure::new("the server ended without a result")),
        }
    };
    bar.finish_and_clear();
    match args.client.output {
        Format::Json => output::print_json("BlockReputation", &found)?,
        Format::Table => print(&found),
    }
    match found.reputation() {
        v1::Reputation::Clean | v1::Reputation::Watch => Ok(ExitCode::SUCCESS),
        v1::Reputation::Listed => Ok(ExitCode::from(SAID_NO)),
        v1::Reputation::Unspecified => Err(Failure::new(format!("could not be checked: {}", found.reason))),
    }
}

fn print(found: &v1::BlockReputation) {
    let word = match found.reputation() {
        v1::Reputation::Unspecified => "could not be checked".to_owned(),
        word => output::word(word.as_str_name(), "REPUTATION_"),
    };
    output::facts(&[
        ("block", found.prefix.clone()),
        ("reputation", word),
        ("why", found.reason.clone()),
        ("as of", output::instant(found.observe_time.as_ref())),
    ]);
    if !found.listings.is_empty() {
        let mut table = output::table(&["address", "list", "class", "codes", "reason", "since", ""]);
        for listing in &found.listings {
            let whose = match listing.inherited {
                Some(true) => "inherited",
                Some(false) => "since the lease began",
                None => "",
            };
            table.add_row([
                listing.address.as_str(),
                &listing.zone,
                &output::word(listing.listing_class().as_str_name(), "LISTING_CLASS_"),
                &listing.codes.join(" "),
                &listing.reason,
                &output::instant(listing.since_time.as_ref()),
                whose,
            ]);
        }
        say!("{table}");
    }
    let mut table = output::table(&["list", "every address asked about since", "no answer", "trouble"]);
    for zone in &found.zones {
        table.add_row([
            zone.zone.as_str(),
            &output::instant(zone.complete_time.as_ref()),
            &zone.failed.to_string(),
            &zone.trouble,
        ]);
    }
    say!("{table}");
}
