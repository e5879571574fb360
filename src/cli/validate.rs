//! `leasehold validate`: does the RPKI authorise this announcement?

use std::process::ExitCode;

use clap::Args;

use super::args::{ClientArgs, Format, RouteArgs};
use super::connect::{refusal, validations};
use super::{Failure, Outcome, SAID_NO, output};
use crate::model::Asn;
use crate::rpc::proto::v1;

#[derive(Debug, Args)]
pub(crate) struct ValidateArgs {
    #[command(flatten)]
    route: RouteArgs,
    #[command(flatten)]
    client: ClientArgs,
}

pub(crate) async fn run(args: ValidateArgs) -> Outcome {
    let request = v1::ValidateRouteRequest {
        prefix: args.route.prefix,
        origin_asn: args.route.origin.map_or(0, Asn::number),
        vrf_id: args.route.vrf,
    };
    let mut client = validations(&args.client).await?;
    let found = client.validate_route(request).await.map_err(|status| refusal(&status))?.into_inner();
    match args.client.output {
        Format::Json => output::print_json("ValidateRouteResponse", &found)?,
        Format::Table => print(&found),
    }
    match found.state() {
        v1::RouteState::Valid => Ok(ExitCode::SUCCESS),
        v1::RouteState::Invalid | v1::RouteState::NotFound => Ok(ExitCode::from(SAID_NO)),
        v1::RouteState::CouldNotCheck | v1::RouteState::Unspecified => {
            Err(Failure::new(format!("could not be checked: {}", found.reason)))
        }
    }
}

fn print(found: &v1::ValidateRouteResponse) {
    let vrp = |vrp: &v1::Vrp| format!("{}-{} AS{}", vrp.prefix, vrp.max_length, vrp.asn);
    let list = |vrps: &[v1::Vrp]| vrps.iter().map(vrp).collect::<Vec<_>>().join(", ");
    let loose = found
        .loose
        .as_ref()
        .map(|loose| format!("{} authorises more-specifics that nobody announces (RFC 9319)", vrp(loose)));
    output::facts(&[
        ("route", format!("{} from AS{}", found.prefix, found.origin_asn)),
        ("state", output::word(found.state().as_str_name(), "ROUTE_STATE_")),
        ("why", found.reason.clone()),
        ("matching", list(&found.matching)),
        ("not matching", list(&found.failing)),
        ("loose", loose.unwrap_or_default()),
        ("source", found.source.clone()),
        ("as of", output::instant(found.observe_time.as_ref())),
    ]);
}
