//! `leasehold irr`: whether the routing registries hold a route object for an announcement.

use std::process::ExitCode;

use clap::Args;

use super::connect::{refusal, validations};
use super::exit::{CHECK_SAID_NO, CliFailure, CommandResult};
use super::json;
use super::options::{ClientArgs, OutputFormat, RouteArgs};
use super::terminal::{TextTable, print_facts};
use super::values;
use crate::model::Asn;
use crate::rpc::proto::v1;

#[derive(Debug, Args)]
pub(crate) struct IrrArgs {
    #[command(flatten)]
    route: RouteArgs,
    #[command(flatten)]
    client: ClientArgs,
}

pub(crate) async fn run(args: IrrArgs) -> CommandResult {
    let request = v1::CheckIrrRequest {
        prefix: args.route.prefix,
        origin_asn: args.route.origin.map_or(0, Asn::number),
        vrf: args.route.scope.vrf,
    };
    let mut client = validations(&args.client).await?;
    let found = client.check_irr(request).await.map_err(|status| refusal(&status))?.into_inner();
    match args.client.output {
        OutputFormat::Json => json::print("CheckIrrResponse", &found)?,
        OutputFormat::Table => print(&found),
    }
    match found.state() {
        v1::IrrState::Registered => Ok(ExitCode::SUCCESS),
        v1::IrrState::CouldNotCheck | v1::IrrState::Unspecified => {
            Err(CliFailure::new(format!("could not be checked: {}", found.message)))
        }
        _ => Ok(ExitCode::from(CHECK_SAID_NO)),
    }
}

fn print(found: &v1::CheckIrrResponse) {
    print_facts(&[
        ("route", format!("{} from AS{}", found.prefix, found.origin_asn)),
        ("state", values::enum_name(found.state().as_str_name(), "IRR_STATE_")),
        ("why", found.message.clone()),
        ("source", found.source.clone()),
        ("as of", values::instant(found.observe_time.as_ref())),
    ]);
    if found.objects.is_empty() {
        return;
    }
    let mut table = TextTable::new(&["route object", "origin", "registry", ""]);
    for object in &found.objects {
        let hidden = if object.hidden { "hidden as RPKI-invalid" } else { "" };
        table.row([object.prefix.as_str(), &values::asn(object.origin_asn), &object.registry, hidden]);
    }
    table.print();
}
