//! `leasehold irr`: do the registries hold a route object for it?

use std::process::ExitCode;

use clap::Args;

use super::args::{ClientArgs, Format, RouteArgs};
use super::connect::{refusal, validations};
use super::{Failure, Outcome, SAID_NO, output};
use crate::model::Asn;
use crate::rpc::proto::v1;

#[derive(Debug, Args)]
pub(crate) struct IrrArgs {
    #[command(flatten)]
    route: RouteArgs,
    #[command(flatten)]
    client: ClientArgs,
}

pub(crate) async fn run(args: IrrArgs) -> Outcome {
    let request = v1::CheckIrrRequest {
        prefix: args.route.prefix,
        origin_asn: args.route.origin.map_or(0, Asn::number),
        vrf_id: args.route.vrf,
    };
    let mut client = validations(&args.client).await?;
    let found = client.check_irr(request).await.map_err(|status| refusal(&status))?.into_inner();
    match args.client.output {
        Format::Json => output::print_json("CheckIrrResponse", &found)?,
        Format::Table => print(&found),
    }
    match found.state() {
        v1::IrrState::Registered => Ok(ExitCode::SUCCESS),
        v1::IrrState::CouldNotCheck | v1::IrrState::Unspecified => {
            Err(Failure::new(format!("could not be checked: {}", found.reason)))
        }
        _ => Ok(ExitCode::from(SAID_NO)),
    }
}

fn print(found: &v1::CheckIrrResponse) {
    output::facts(&[
        ("route", format!("{} from AS{}", found.prefix, found.origin_asn)),
        ("state", output::word(found.state().as_str_name(), "IRR_STATE_")),
        ("why", found.reason.clone()),
        ("source", found.source.clone()),
        ("as of", output::instant(found.observe_time.as_ref())),
    ]);
    if found.objects.is_empty() {
        return;
    }
    let mut table = output::table(&["route object", "origin", "registry", ""]);
    for object in &found.objects {
        let hidden = if object.hidden { "hidden as RPKI-invalid" } else { "" };
        table.add_row([
            object.prefix.as_str(),
            &format!("AS{}", object.origin_asn),
            &object.registry,
            hidden,
        ]);
    }
    say!("{table}");
}
