//! `leasehold preflight`: whether a block may be announced, and if not, who has to do what.

use std::process::ExitCode;

use clap::Args;

use super::connect::{refusal, validations};
use super::exit::{CHECK_SAID_NO, CommandResult};
use super::options::{ClientArgs, ScopeArgs};
use super::output::OutputArgs;
use super::terminal::{TextCell, TextTable, outln, print_facts};
use super::values;
use crate::model::Asn;
use crate::rpc::proto::v1;

#[derive(Debug, Args)]
pub(crate) struct PreflightArgs {
    /// The block that will be announced, in CIDR notation
    #[arg(value_name = "PREFIX")]
    prefix: String,
    /// The AS that will announce it [default: the one that the lease names]
    #[arg(long, value_name = "ASN")]
    origin: Option<Asn>,
    /// Part of the block that will be announced; may be repeated [default: the block itself]
    #[arg(long, value_name = "PREFIX")]
    announce: Vec<String>,
    /// Days that the lease must have left [default: the server's setting]
    #[arg(long, value_name = "DAYS")]
    min_days_left: Option<i32>,
    #[command(flatten)]
    scope: ScopeArgs,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

pub(crate) async fn run(args: PreflightArgs) -> CommandResult {
    let request = v1::PreflightRequest {
        prefix: args.prefix.clone(),
        vrf: args.scope.vrf,
        origin_asn: args.origin.map_or(0, Asn::number),
        announced_prefixes: args.announce,
        min_days_left: args.min_days_left,
    };
    let mut client = validations(&args.client).await?;
    let found = client.preflight(request).await.map_err(|status| refusal(&status))?.into_inner();
    let names = [args.prefix.clone()];
    args.client
        .output
        .print("PreflightResponse", &found, names, |output| print(output, &args.prefix, &found))?;
    match found.state() {
        v1::PreflightState::Ready => Ok(ExitCode::SUCCESS),
        v1::PreflightState::Blocked | v1::PreflightState::Unspecified => Ok(ExitCode::from(CHECK_SAID_NO)),
    }
}

fn print(output: OutputArgs, prefix: &str, found: &v1::PreflightResponse) {
    print_facts(&[
        ("block", prefix.to_owned()),
        ("origin", values::asn(found.origin_asn)),
        ("state", values::enum_name(found.state().as_str_name(), "PREFLIGHT_STATE_").to_uppercase()),
    ]);
    outln!("");
    let mut table = TextTable::new(&["CHECK", "RESULT", "REASON", "SOURCE", "OBSERVED", "FOUND"]);
    for finding in &found.findings {
        table.row([
            TextCell::from(values::enum_name(finding.aspect().as_str_name(), "PREFLIGHT_ASPECT_")),
            severity_cell(finding.severity()),
            TextCell::from(&finding.reason),
            TextCell::from(&finding.source),
            TextCell::from(values::instant(finding.observe_time.as_ref())),
            TextCell::from(&finding.message),
        ]);
    }
    output.print_table(&table);
    let asked: Vec<&v1::PreflightFinding> =
        found.findings.iter().filter(|finding| !finding.action.is_empty()).collect();
    if !asked.is_empty() {
        outln!("");
        outln!("What to do:");
    }
    for finding in asked {
        outln!("  [{}] {}", actor(finding.actor()), finding.action);
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

fn severity_cell(severity: v1::FindingSeverity) -> TextCell {
    match severity {
        v1::FindingSeverity::Blocking => TextCell::from("blocking").bold_red(),
        v1::FindingSeverity::Warning => TextCell::from("warning").yellow(),
        v1::FindingSeverity::Note => TextCell::from("note"),
        v1::FindingSeverity::Pass | v1::FindingSeverity::Unspecified => TextCell::from("pass").green(),
    }
}
