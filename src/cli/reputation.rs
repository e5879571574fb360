//! `leasehold reputation`: whether blocklists list a block or an address.

use std::net::IpAddr;
use std::process::ExitCode;

use clap::Args;

use super::connect::{refusal, validations};
use super::exit::{CHECK_SAID_NO, CliFailure, CommandResult};
use super::options::{ClientArgs, ScopeArgs};
use super::output::OutputArgs;
use super::progress::progress_bar;
use super::terminal::{TextTable, outln, print_facts};
use super::values;
use crate::rpc::proto::v1;
use crate::rpc::proto::v1::check_reputation_request::Target;
use crate::rpc::proto::v1::check_reputation_response::Item;

#[derive(Debug, Args)]
pub(crate) struct ReputationArgs {
    /// A block, or an address
    #[arg(value_name = "PREFIX|ADDRESS")]
    target: String,
    /// Query no list, and show what the timed checks of a leased block have found so far
    #[arg(long)]
    recorded: bool,
    #[command(flatten)]
    scope: ScopeArgs,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

pub(crate) async fn run(args: ReputationArgs) -> CommandResult {
    let target = match args.target.parse::<IpAddr>() {
        Ok(address) => Target::Address(address.to_string()),
        Err(_) => Target::Prefix(args.target.clone()),
    };
    let request =
        v1::CheckReputationRequest { target: Some(target), vrf: args.scope.vrf, recorded: args.recorded };
    let mut client = validations(&args.client).await?;
    let mut stream = client.check_reputation(request).await.map_err(|status| refusal(&status))?.into_inner();
    let bar = progress_bar("querying the lists", "queries");
    let found = loop {
        let message = stream.message().await.map_err(|status| refusal(&status))?;
        match message.and_then(|message| message.item) {
            Some(Item::Progress(progress)) => {
                bar.set_length(progress.total_query_count);
                bar.set_position(progress.answered_query_count);
                if progress.listing_count > 0 {
                    bar.set_message(format!("{} listed so far", progress.listing_count));
                }
            }
            Some(Item::Result(found)) => break found,
            None => return Err(CliFailure::new("the server ended the stream without a result")),
        }
    };
    bar.finish_and_clear();
    let names = [found.prefix.clone()];
    args.client.output.print("BlockReputation", &found, names, |output| print(output, &found))?;
    match found.reputation() {
        v1::Reputation::Clean | v1::Reputation::Watch => Ok(ExitCode::SUCCESS),
        v1::Reputation::Listed => Ok(ExitCode::from(CHECK_SAID_NO)),
        v1::Reputation::Unspecified => {
            Err(CliFailure::new(format!("could not be checked: {}", found.message)))
        }
    }
}

fn print(output: OutputArgs, found: &v1::BlockReputation) {
    let word = match found.reputation() {
        v1::Reputation::Unspecified => "could not be checked".to_owned(),
        word => values::enum_name(word.as_str_name(), "REPUTATION_"),
    };
    print_facts(&[
        ("block", found.prefix.clone()),
        ("reputation", word),
        ("why", found.message.clone()),
        ("as of", values::instant(found.observe_time.as_ref())),
    ]);
    if !found.listings.is_empty() {
        outln!("");
        print_listings(output, &found.listings);
    }
    if !found.zones.is_empty() {
        outln!("");
        print_zones(output, &found.zones);
    }
}

fn print_listings(output: OutputArgs, listings: &[v1::Listing]) {
    let mut table = TextTable::new(&["ADDRESS", "LIST", "CLASS", "CODES", "SINCE", "INHERITED", "TEXT"]);
    for listing in listings {
        table.row([
            listing.address.clone(),
            listing.zone.clone(),
            values::enum_name(listing.listing_class().as_str_name(), "LISTING_CLASS_"),
            listing.codes.join(","),
            values::instant(listing.since_time.as_ref()),
            listing.inherited.map(|inherited| inherited.to_string()).unwrap_or_default(),
            listing.text.clone(),
        ]);
    }
    output.print_table(&table);
}

fn print_zones(output: OutputArgs, zones: &[v1::ZoneCoverage]) {
    let mut table = TextTable::new(&["LIST", "COMPLETE-SINCE", "UNANSWERED", "PROBLEM"]);
    for zone in zones {
        table.row([
            zone.zone.clone(),
            values::instant(zone.complete_time.as_ref()),
            zone.unanswered_count.to_string(),
            values::failure(zone.failure.as_ref()),
        ]);
    }
    output.print_table(&table);
}
