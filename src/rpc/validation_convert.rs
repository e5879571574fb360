//! What checks found, to messages.

use jiff::Timestamp;

use super::convert;
use super::proto::v1;
use crate::irr::{self, IrrVerdict};
use crate::model::{
    Class, CouldNotCheck, InvalidReason, Network, Observed, Route, RouteState, RouteVerdict, Vrp,
};
use crate::validation::preflight::{Actor, Aspect, Finding, Severity};
use crate::validation::reputation::{BlockReputation, Coverage, Listed};
use crate::validation::words;

fn causes(could_not: CouldNotCheck) -> Vec<v1::CheckCause> {
    could_not
        .causes
        .into_iter()
        .map(|cause| v1::CheckCause { source: cause.source, reason: cause.why })
        .collect()
}

fn invalid_reason(reason: InvalidReason) -> v1::InvalidReason {
    match reason {
        InvalidReason::Length => v1::InvalidReason::Length,
        InvalidReason::Origin => v1::InvalidReason::Origin,
        InvalidReason::As0 => v1::InvalidReason::As0,
    }
}

fn vrp(vrp: Vrp, fails: Option<InvalidReason>) -> v1::Vrp {
    v1::Vrp {
        prefix: vrp.prefix.to_string(),
        max_length: vrp.max_length.into(),
        asn: vrp.asn.map_or(0, Into::into),
        fails: fails.map_or(v1::InvalidReason::Unspecified, invalid_reason).into(),
    }
}

/// What the RPKI says of a route.
pub(super) fn route(
    route: Route,
    seen: Result<Observed<RouteVerdict>, CouldNotCheck>,
) -> v1::ValidateRouteResponse {
    let asked = v1::ValidateRouteResponse {
        prefix: route.prefix.to_string(),
        origin_asn: route.origin.number(),
        ..v1::ValidateRouteResponse::default()
    };
    let seen = match seen {
        Ok(seen) => seen,
        Err(could_not) => {
            return v1::ValidateRouteResponse {
                state: v1::RouteState::CouldNotCheck.into(),
                reason: could_not.to_string(),
                causes: causes(could_not),
                ..asked
            };
        }
    };
    let (state, reason) = match seen.value.state {
        RouteState::Valid => (v1::RouteState::Valid, v1::InvalidReason::Unspecified),
        RouteState::Invalid(reason) => (v1::RouteState::Invalid, invalid_reason(reason)),
        RouteState::NotFound => (v1::RouteState::NotFound, v1::InvalidReason::Unspecified),
    };
    v1::ValidateRouteResponse {
        state: state.into(),
        invalid_reason: reason.into(),
        reason: words::roa_reason(route, &seen.value),
        roa_status: convert::roa_status(Some(words::roa_status(seen.value.state))).into(),
        matching: seen.value.matching.iter().map(|found| vrp(*found, None)).collect(),
        failing: seen.value.failing.iter().map(|(found, why)| vrp(*found, Some(*why))).collect(),
        loose: seen.value.loose().map(|found| vrp(found, None)),
        source: seen.source,
        observe_time: Some(convert::timestamp(seen.time)),
        ..asked
    }
}

/// Where a route stands in the registries.
pub(super) fn irr(route: Route, seen: Result<Observed<IrrVerdict>, CouldNotCheck>) -> v1::CheckIrrResponse {
    let asked = v1::CheckIrrResponse {
        prefix: route.prefix.to_string(),
        origin_asn: route.origin.number(),
        ..v1::CheckIrrResponse::default()
    };
    let seen = match seen {
        Ok(seen) => seen,
        Err(could_not) => {
            return v1::CheckIrrResponse {
                state: v1::IrrState::CouldNotCheck.into(),
                reason: could_not.to_string(),
                causes: causes(could_not),
                ..asked
            };
        }
    };
    let state = match seen.value.state {
        irr::IrrState::Registered => v1::IrrState::Registered,
        irr::IrrState::OtherOrigin => v1::IrrState::OtherOrigin,
        irr::IrrState::LessSpecific => v1::IrrState::LessSpecificOnly,
        irr::IrrState::Hidden => v1::IrrState::Hidden,
        irr::IrrState::Absent => v1::IrrState::Absent,
    };
    let object = |object: &irr::RouteObject, hidden| v1::RouteObject {
        prefix: object.route.prefix.to_string(),
        origin_asn: object.route.origin.number(),
        registry: object.source.clone(),
        hidden,
    };
    let shown = seen.value.objects.iter().map(|found| object(found, false));
    let hidden = seen.value.hidden.iter().map(|found| object(found, true));
    v1::CheckIrrResponse {
        state: state.into(),
        authoritative: seen.value.authoritative,
        reason: words::irr_reason(route, &seen.value),
        objects: shown.chain(hidden).collect(),
        source: seen.source,
        observe_time: Some(convert::timestamp(seen.time)),
        ..asked
    }
}

/// A block as the lists see it.
pub(super) fn reputation(block: Network, judged: BlockReputation, now: Timestamp) -> v1::BlockReputation {
    v1::BlockReputation {
        prefix: block.to_string(),
        reputation: convert::reputation(judged.verdict.as_ref().ok().copied()).into(),
        reason: judged.reason,
        listings: judged.listed.into_iter().map(listing).collect(),
        zones: judged.zones.into_iter().map(coverage).collect(),
        causes: judged.verdict.err().map(causes).unwrap_or_default(),
        observe_time: Some(convert::timestamp(now)),
    }
}

fn listing(row: Listed) -> v1::Listing {
    let class = match row.seen.listing.class {
        Class::Informational => v1::ListingClass::Informational,
        Class::Policy => v1::ListingClass::Policy,
        Class::Abuse => v1::ListingClass::Abuse,
    };
    v1::Listing {
        address: row.address.to_string(),
        zone: row.zone,
        listing_class: class.into(),
        codes: row.seen.listing.codes.iter().map(ToString::to_string).collect(),
        reason: row.seen.listing.reason,
        since_time: Some(convert::timestamp(row.seen.since)),
        inherited: row.inherited,
    }
}

fn coverage(zone: Coverage) -> v1::ZoneCoverage {
    v1::ZoneCoverage {
        zone: zone.zone,
        complete_time: zone.complete.map(convert::timestamp),
        failed: zone.failed as u64,
        trouble: zone.trouble.unwrap_or_default(),
    }
}

/// One finding of a preflight.
pub(super) fn finding(found: Finding) -> v1::PreflightFinding {
    let aspect = match found.aspect {
        Aspect::Term => v1::PreflightAspect::Term,
        Aspect::Loa => v1::PreflightAspect::Loa,
        Aspect::Roa => v1::PreflightAspect::Roa,
        Aspect::Irr => v1::PreflightAspect::Irr,
        Aspect::Bgp => v1::PreflightAspect::Bgp,
        Aspect::Reputation => v1::PreflightAspect::Reputation,
        Aspect::Geofeed => v1::PreflightAspect::Geofeed,
    };
    let severity = match found.severity {
        Severity::Pass => v1::FindingSeverity::Pass,
        Severity::Note => v1::FindingSeverity::Note,
        Severity::Warning => v1::FindingSeverity::Warning,
        Severity::Blocking => v1::FindingSeverity::Blocking,
    };
    let actor = match found.actor {
        Actor::Nobody => v1::FindingActor::Unspecified,
        Actor::Holder => v1::FindingActor::Holder,
        Actor::Lessee => v1::FindingActor::Lessee,
        Actor::Operator => v1::FindingActor::Operator,
    };
    v1::PreflightFinding {
        aspect: aspect.into(),
        severity: severity.into(),
        reason: found.reason.to_owned(),
        message: found.message,
        prefix: found.prefix.to_string(),
        source: found.source,
        observe_time: found.observed.map(convert::timestamp),
        actor: actor.into(),
        ask: found.ask,
    }
}
