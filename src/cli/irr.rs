//! `leasehold irr`: whether the routing registries hold a route object for an announcement.

use std::process::ExitCode;

use clap::Args;

use super::connect::{refusal, validations};
use super::exit::{CHECK_SAID_NO, CliFailure, CommandResult};
use super::options::{ClientArgs, RouteArgs};
use super::output::OutputArgs;
use super::terminal::{TextTable, outln, print_facts};
use super::values;
use crate::model::Asn;
use crate::rpc::proto::v1;

#[derive(Debug, Args)]
pub(crate) struct IrrArgs {
    #[command(flatten)]
    route: RouteArgs,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

pub(crate) async fn run(args: IrrArgs) -> CommandResult {
    let request = v1::CheckIrrRequest {
        prefix: args.route.prefix,
        origin_asn: args.route.origin.map_or(0, Asn::number),
        vrf: args.route.scope.vrf,
    };
    let mut client = validations(&args.client).await?;
    let found = client.check_irr(request).await.map_err(|status| refusal(&status))?.into_inner();
    let names = [found.prefix.clone()];
    args.client.output.print("CheckIrrResponse", &found, names, |output| print(output, &found))?;
    match found.state() {
        v1::IrrState::Registered => Ok(ExitCode::SUCCESS),
        v1::IrrState::CouldNotCheck | v1::IrrState::Unspecified => {
            Err(CliFailure::new(format!("could not be checked: {}", found.message)))
        }
        _ => Ok(ExitCode::from(CHECK_SAID_NO)),
    }
}

fn print(output: OutputArgs, found: &v1::CheckIrrResponse) {
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
    outln!("");
    let mut table = TextTable::new(&["ROUTE-OBJECT", "ORIGIN", "REGISTRY", "HIDDEN"]);
    for object in &found.objects {
        let hidden = if object.hidden { "as_rpki_invalid" } else { "" };
        table.row([object.prefix.as_str(), &values::asn(object.origin_asn), &object.registry, hidden]);
    }
    output.print_table(&table);
}
