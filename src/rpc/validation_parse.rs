//! Requests of ValidationService, parsed.

use super::parse::Violations;
use super::problem::Problem;
use super::proto::v1;
use crate::model::{Asn, Network, VrfScope};
use crate::validation::PreflightRequest;

/// Prefixes that one preflight checks at most.
const ANNOUNCED: usize = 256;

/// Parses PreflightRequest. Every prefix to be announced must be inside the block.
pub(super) fn preflight(request: &v1::PreflightRequest) -> Result<PreflightRequest, Problem> {
    let mut violations = Violations::default();
    let block = violations.network("prefix", &request.prefix);
    if request.announce.len() > ANNOUNCED {
        violations
            .add("announce", format!("{} given, at most {ANNOUNCED} are allowed", request.announce.len()));
    }
    let mut announce: Vec<Network> = Vec::with_capacity(request.announce.len());
    for (index, text) in request.announce.iter().enumerate() {
        let field = format!("announce[{index}]");
        let Some(network) = violations.network(&field, text) else { continue };
        if let Some(block) = block.filter(|block| !block.contains(network)) {
            violations.add(field, format!("{network} is not inside {block}"));
        }
        announce.push(network);
    }
    if request.min_days_left.is_some_and(|days| days < 0) {
        violations.add("min_days_left", "must not be negative");
    }
    let parsed = block.map(|block| PreflightRequest {
        scope: VrfScope::from_number(request.vrf_id),
        block,
        origin: Asn::try_from(request.origin_asn).ok(),
        announce,
        min_days_left: request.min_days_left,
    });
    violations.finish_with(parsed)
}

/// Parses the target of CheckReputationRequest. An address is the network of that address alone.
pub(super) fn target(request: &v1::CheckReputationRequest) -> Result<Network, Problem> {
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
    violations.finish_with(network)
}
