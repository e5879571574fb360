//! `leasehold validate`: whether the RPKI authorises an announcement.

use std::process::ExitCode;

use clap::Args;

use super::connect::{refusal, validations};
use super::exit::{CHECK_SAID_NO, CliFailure, CommandResult};
use super::options::{ClientArgs, RouteArgs};
use super::terminal::print_facts;
use super::values;
use crate::model::Asn;
use crate::rpc::proto::v1;

#[derive(Debug, Args)]
pub(crate) struct ValidateArgs {
    #[command(flatten)]
    route: RouteArgs,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

pub(crate) async fn run(args: ValidateArgs) -> CommandResult {
    let request = v1::ValidateRouteRequest {
        prefix: args.route.prefix,
        origin_asn: args.route.origin.map_or(0, Asn::number),
        vrf: args.route.scope.vrf,
    };
    let mut client = validations(&args.client).await?;
    let found = client.validate_route(request).await.map_err(|status| refusal(&status))?.into_inner();
    args.client.output.print("ValidateRouteResponse", &found, [found.prefix.clone()], |_| print(&found))?;
    match found.state() {
        v1::RouteState::Valid => Ok(ExitCode::SUCCESS),
        v1::RouteState::Invalid | v1::RouteState::NotFound => Ok(ExitCode::from(CHECK_SAID_NO)),
        v1::RouteState::CouldNotCheck | v1::RouteState::Unspecified => {
            Err(CliFailure::new(format!("could not be checked: {}", found.message)))
        }
    }
}

fn print(found: &v1::ValidateRouteResponse) {
    let vrp = |vrp: &v1::Vrp| format!("{}-{} AS{}", vrp.prefix, vrp.max_length, vrp.asn);
    let list = |vrps: &[v1::Vrp]| vrps.iter().map(vrp).collect::<Vec<_>>().join(", ");
    let loose = found
        .loose_vrp
        .as_ref()
        .map(|loose| format!("{} authorises more-specifics that nobody announces (RFC 9319)", vrp(loose)));
    print_facts(&[
        ("route", format!("{} from AS{}", found.prefix, found.origin_asn)),
        ("state", values::enum_name(found.state().as_str_name(), "ROUTE_STATE_")),
        ("why", found.message.clone()),
        ("matching", list(&found.matching_vrps)),
        ("not matching", list(&found.failing_vrps)),
        ("loose", loose.unwrap_or_default()),
        ("source", found.source.clone()),
        ("as of", values::instant(found.observe_time.as_ref())),
    ]);
}
