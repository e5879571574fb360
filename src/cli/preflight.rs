//! `leasehold preflight`: may this block be announced, and if not, whom to ask for what.

use std::process::ExitCode;

use clap::Args;
use comfy_table::{Attribute, Cell, Color};

use super::args::{ClientArgs, Format};
use super::connect::{refusal, validations};
use super::{Outcome, SAID_NO, output};
use crate::model::Asn;
use crate::rpc::proto::v1;

#[derive(Debug, Args)]
pub(crate) struct PreflightArgs {
    /// The block
    #[arg(value_name = "PREFIX")]
    prefix: String,
    /// The AS that is to announce it [default: the one that the lease names]
    #[arg(long, value_name = "ASN")]
    origin: Option<Asn>,
    /// What is to be announced of it; may be repeated [default: the block itself]
    #[arg(long, value_name = "PREFIX")]
    announce: Vec<String>,
    /// Days that the lease must have left [default: as the server is set]
    #[arg(long, value_name = "DAYS")]
    min_days_left: Option<i32>,
    /// VRF of the block, by NetBox's id [default: the global table]
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "ID")]
    vrf: u64,
    #[command(flatten)]
    client: ClientArgs,
}

pub(crate) async fn run(args: PreflightArgs) -> Outcome {
    let request = v1::PreflightRequest {
        prefix: args.prefix.clone(),
        vrf_id: args.vrf,
        origin_asn: args.origin.map_or(0, Asn::number),
        announce: args.announce,
        min_days_left: args.min_days_left,
    };
    let mut client = validations(&args.client).await?;
    let found = client.preflight(request).await.map_err(|status| refusal(&status))?.into_inner();
    match args.client.output {
        Format::Json => output::print_json("PreflightResponse", &found)?,
        Format::Table => print(&args.prefix, &found),
    }
    match found.state() {
        v1::PreflightState::Ready => Ok(ExitCode::SUCCESS),
        v1::PreflightState::Blocked | v1::PreflightState::Unspecified => Ok(ExitCode::from(SAID_NO)),
    }
}

fn print(prefix: &str, found: &v1::PreflightResponse) {
    let by = if found.origin_asn == 0 { String::new() } else { format!(" by AS{}", found.origin_asn) };
    let word = output::word(found.state().as_str_name(), "PREFLIGHT_STATE_").to_uppercase();
    say!("{prefix} announced{by}: {word}");
    let mut table = output::table(&["check", "", "found", "source", "as of"]);
    for finding in &found.findings {
        table.add_row([
            Cell::new(output::word(finding.aspect().as_str_name(), "PREFLIGHT_ASPECT_")),
            weight(finding.severity()),
            Cell::new(&finding.message),
            Cell::new(&finding.source),
            Cell::new(output::instant(finding.observe_time.as_ref())),
        ]);
    }
    say!("{table}");
    let asked: Vec<&v1::PreflightFinding> =
        found.findings.iter().filter(|finding| !finding.ask.is_empty()).collect();
    if !asked.is_empty() {
        say!("What to do:");
    }
    for finding in asked {
        say!("  [{}] {}", actor(finding.actor()), finding.ask);
    }
}

fn actor(actor: v1::FindingActor) -> &'static str {
    match actor {
        v1::FindingActor::Holder => "the holder",
        v1::FindingActor::Lessee => "you",
        v1::FindingActor::Operator => "whoever runs Leasehold",
        v1::FindingActor::Unspecified => "nobody",
    }
}

fn weight(severity: v1::FindingSeverity) -> Cell {
    match severity {
        v1::FindingSeverity::Blocking => Cell::new("BLOCKS").fg(Color::Red).add_attribute(Attribute::Bold),
        v1::FindingSeverity::Warning => Cell::new("warning").fg(Color::Yellow),
        v1::FindingSeverity::Note => Cell::new("note"),
        v1::FindingSeverity::Pass | v1::FindingSeverity::Unspecified => Cell::new("ok").fg(Color::Green),
    }
}
