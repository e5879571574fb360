//! Origin validation by RIPEstat's `rpki-validation` data call.
//!
//! The answer carries no time of its data, so a verdict is dated with the time of the question.

use serde_json::Value;

use crate::model::{InvalidReason, Network, Route, RouteState, RouteVerdict, Vrp};
use crate::ripestat::{self, Error, RipeStat};

/// Asks RIPEstat about one route.
pub async fn validate(client: &RipeStat, route: Route) -> Result<RouteVerdict, Error> {
    let (resource, prefix) = (route.origin.to_string(), route.prefix.to_string());
    let data = client.data("rpki-validation", &[("resource", &resource), ("prefix", &prefix)]).await?;
    parse(route, &data)
}

fn parse(route: Route, data: &Value) -> Result<RouteVerdict, Error> {
    let roas = data.get("validating_roas").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    // The state is the answer; a VRP that cannot be read is only missing from the evidence.
    let mut verdict = RouteVerdict::validate(route, roas.iter().filter_map(parse_vrp));
    verdict.state = match (data.get("status").and_then(Value::as_str), verdict.state) {
        (Some("valid"), _) => RouteState::Valid,
        (Some("invalid_asn" | "invalid_length" | "invalid"), known @ RouteState::Invalid(_)) => known,
        (Some("invalid_length"), _) => RouteState::Invalid(InvalidReason::Length),
        (Some("invalid_asn" | "invalid"), _) => RouteState::Invalid(InvalidReason::Origin),
        (Some("unknown"), _) => RouteState::NotFound,
        (status, _) => return Err(Error::Undocumented(format!("status {status:?}"))),
    };
    Ok(verdict)
}

fn parse_vrp(roa: &Value) -> Option<Vrp> {
    let prefix: Network = roa.get("prefix")?.as_str()?.parse().ok()?;
    let max_length = match roa.get("max_length") {
        Some(Value::Number(number)) => Some(u8::try_from(number.as_u64()?).ok()?),
        Some(Value::String(text)) => Some(text.parse().ok()?),
        _ => None,
    };
    Vrp::new(prefix, max_length, ripestat::asn(roa.get("origin")?)?).ok()
}
