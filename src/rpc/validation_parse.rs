//! Requests of ValidationService, parsed.

use super::parse::Violations;
use super::problem::Problem;
use super::proto::v1;
use crate::cache::Cache;
use crate::model::{Asn, Network, VrfScope};
use crate::validation::PreflightRequest;

/// Prefixes that one preflight checks at most.
const ANNOUNCED: usize = 256;

/// Parses PreflightRequest. Every prefix to be announced must be inside the block.
pub(super) fn preflight(cache: &Cache, request: &v1::PreflightRequest) -> Result<PreflightRequest, Problem> {
    let mut violations = Violations::default();
    let block = violations.network("prefix", &request.prefix);
    let scope = violations.scope(cache, request.vrf.as_ref());
    let given = request.announced_prefixes.len();
    if given > ANNOUNCED {
        violations.add("announced_prefixes", format!("{given} given, at most {ANNOUNCED} are allowed"));
    }
    let mut announce: Vec<Network> = Vec::with_capacity(given);
    for (index, text) in request.announced_prefixes.iter().enumerate() {
        let field = format!("announced_prefixes[{index}]");
        let Some(network) = violations.network(&field, text) else { continue };
        if let Some(block) = block.filter(|block| !block.contains(network)) {
            violations.add(field, format!("{network} is not inside {block}"));
        }
        announce.push(network);
    }
    if request.min_days_left.is_some_and(|days| days < 0) {
        violations.add("min_days_left", "must not be negative");
    }
    let parsed = block.zip(scope).map(|(block, scope)| PreflightRequest {
        scope,
        block,
        origin: Asn::try_from(request.origin_asn).ok(),
        announce,
        min_days_left: request.min_days_left,
    });
    violations.finish_with(parsed)
}

/// Parses the prefix and the origin of a route. The VRF serves to find the covering lease: with an origin it is ignored, and the
/// cache is not asked.
pub(super) fn route(
    cache: &Cache,
    prefix: &str,
    origin: u32,
    vrf: Option<&v1::VrfRef>,
) -> Result<(VrfScope, Network, Option<Asn>), Problem> {
    let mut violations = Violations::default();
    let network = violations.network("prefix", prefix);
    let origin = Asn::try_from(origin).ok();
    let scope = if origin.is_some() { Some(VrfScope::Global) } else { violations.scope(cache, vrf) };
    violations.finish_with(network.zip(scope).map(|(network, scope)| (scope, network, origin)))
}

/// Parses the target of CheckReputationRequest and the VRF that it is in. An address is the network of that address alone.
pub(super) fn target(
    cache: &Cache,
    request: &v1::CheckReputationRequest,
) -> Result<(VrfScope, Network), Problem> {
    use v1::check_reputation_request::Target;
    let mut violations = Violations::default();
    let network = match &request.target {
        Some(Target::Address(text)) => violations.host("address", text).map(Network::host),
        Some(Target::Prefix(text)) => violations.network("prefix", text),
        None => {
            violations.add("target", "address or prefix is required");
            None
        }
    };
    let scope = violations.scope(cache, request.vrf.as_ref());
    violations.finish_with(scope.zip(network))
}
