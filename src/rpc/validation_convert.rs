//! The results of checks, as messages.

use jiff::Timestamp;

use super::bounded::{self, LIST_BYTES};
use super::convert;
use super::proto::v1;
use crate::irr::{self, IrrVerdict};
use crate::model::{
    CouldNotCheck, InvalidReason, ListingClass, Network, Observed, Route, RouteState, RouteVerdict, Vrp,
};
use crate::validation::preflight::{FindingActor, FindingSeverity, PreflightAspect, PreflightFinding};
use crate::validation::reasons;
use crate::validation::reputation::{AddressListing, BlockReputation, ZoneProgress};

fn causes(could_not: CouldNotCheck) -> Vec<v1::CheckCause> {
    could_not
        .causes
        .into_iter()
        .map(|cause| v1::CheckCause { source: cause.source, failure: Some(convert::failure(cause.failure)) })
        .collect()
}

fn invalid_reason(reason: InvalidReason) -> v1::InvalidReason {
    match reason {
        InvalidReason::Length => v1::InvalidReason::Length,
        InvalidReason::Origin => v1::InvalidReason::Origin,
        InvalidReason::As0 => v1::InvalidReason::As0,
    }
}

fn vrp(vrp: Vrp, mismatch: Option<InvalidReason>) -> v1::Vrp {
    v1::Vrp {
        prefix: vrp.prefix.to_string(),
        max_length: vrp.max_length.into(),
        asn: vrp.asn.map_or(0, Into::into),
        invalid_reason: mismatch.map_or(v1::InvalidReason::Unspecified, invalid_reason).into(),
    }
}

/// What the RPKI says about a route, or why it could not be checked.
pub(super) fn route(
    route: Route,
    checked: Result<Observed<RouteVerdict>, CouldNotCheck>,
) -> v1::ValidateRouteResponse {
    let route_only = v1::ValidateRouteResponse {
        prefix: route.prefix.to_string(),
        origin_asn: route.origin.number(),
        ..v1::ValidateRouteResponse::default()
    };
    let observed = match checked {
        Ok(observed) => observed,
        Err(could_not) => {
            return v1::ValidateRouteResponse {
                state: v1::RouteState::CouldNotCheck.into(),
                message: could_not.to_string(),
                causes: causes(could_not),
                ..route_only
            };
        }
    };
    let (state, reason) = match observed.value.state {
        RouteState::Valid => (v1::RouteState::Valid, v1::InvalidReason::Unspecified),
        RouteState::Invalid(reason) => (v1::RouteState::Invalid, invalid_reason(reason)),
        RouteState::NotFound => (v1::RouteState::NotFound, v1::InvalidReason::Unspecified),
    };
    let matching = observed.value.matching.iter().map(|found| vrp(*found, None));
    let failing = observed.value.failing.iter().map(|(found, why)| vrp(*found, Some(*why)));
    let (matching_vrps, matching_vrp_count) = bounded::first(matching, LIST_BYTES / 2);
    let (failing_vrps, failing_vrp_count) = bounded::first(failing, LIST_BYTES / 2);
    v1::ValidateRouteResponse {
        state: state.into(),
        invalid_reason: reason.into(),
        message: reasons::roa_reason(route, &observed.value),
        roa_status: convert::roa_status(Some(reasons::roa_status(observed.value.state))).into(),
        matching_vrps,
        failing_vrps,
        matching_vrp_count,
        failing_vrp_count,
        loose_vrp: observed.value.loose_vrp().map(|found| vrp(found, None)),
        source: observed.source,
        observe_time: Some(convert::timestamp(observed.time)),
        ..route_only
    }
}

/// What the IRR says about a route, or why it could not be checked.
pub(super) fn irr(
    route: Route,
    checked: Result<Observed<IrrVerdict>, CouldNotCheck>,
) -> v1::CheckIrrResponse {
    let route_only = v1::CheckIrrResponse {
        prefix: route.prefix.to_string(),
        origin_asn: route.origin.number(),
        ..v1::CheckIrrResponse::default()
    };
    let observed = match checked {
        Ok(observed) => observed,
        Err(could_not) => {
            return v1::CheckIrrResponse {
                state: v1::IrrState::CouldNotCheck.into(),
                message: could_not.to_string(),
                causes: causes(could_not),
                ..route_only
            };
        }
    };
    let state = match observed.value.state {
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
    let shown = observed.value.objects.iter().map(|found| object(found, false));
    let hidden = observed.value.hidden.iter().map(|found| object(found, true));
    let (objects, object_count) = bounded::first(shown.chain(hidden), LIST_BYTES);
    v1::CheckIrrResponse {
        state: state.into(),
        authoritative: observed.value.authoritative,
        message: reasons::irr_reason(route, &observed.value),
        objects,
        object_count,
        source: observed.source,
        observe_time: Some(convert::timestamp(observed.time)),
        ..route_only
    }
}

/// What the blocklists say about a block. `now` is the time of the answer.
pub(super) fn reputation(block: Network, found: BlockReputation, now: Timestamp) -> v1::BlockReputation {
    // They are ordered by what they weigh, so the last ones are left out.
    let (listings, listing_count) = bounded::first(found.listed.into_iter().map(listing), LIST_BYTES);
    v1::BlockReputation {
        prefix: block.to_string(),
        reputation: convert::reputation(found.verdict.as_ref().ok().copied()).into(),
        message: found.reason,
        listings,
        listing_count,
        zones: found.zones.into_iter().map(zone_coverage).collect(),
        causes: found.verdict.err().map(causes).unwrap_or_default(),
        observe_time: Some(convert::timestamp(now)),
    }
}

fn listing(row: AddressListing) -> v1::Listing {
    let class = match row.known.listing.class {
        ListingClass::Informational => v1::ListingClass::Informational,
        ListingClass::Policy => v1::ListingClass::Policy,
        ListingClass::Abuse => v1::ListingClass::Abuse,
    };
    v1::Listing {
        address: row.address.to_string(),
        zone: row.zone,
        listing_class: class.into(),
        codes: row.known.listing.codes.iter().map(ToString::to_string).collect(),
        text: row.known.listing.reason,
        since_time: Some(convert::timestamp(row.known.since)),
        inherited: row.inherited,
    }
}

fn zone_coverage(zone: ZoneProgress) -> v1::ZoneCoverage {
    v1::ZoneCoverage {
        zone: zone.zone,
        complete_time: zone.complete.map(convert::timestamp),
        unanswered_count: zone.failed as u64,
        failure: zone.zone_failure.map(convert::failure),
    }
}

/// The findings of a preflight, as far as they fit into an answer, and how many there are.
pub(super) fn findings(found: Vec<PreflightFinding>) -> (Vec<v1::PreflightFinding>, u64) {
    bounded::heaviest(found.into_iter().map(|found| (found.severity, finding(found))), LIST_BYTES)
}

fn finding(found: PreflightFinding) -> v1::PreflightFinding {
    let aspect = match found.aspect {
        PreflightAspect::Term => v1::PreflightAspect::Term,
        PreflightAspect::Loa => v1::PreflightAspect::Loa,
        PreflightAspect::Roa => v1::PreflightAspect::Roa,
        PreflightAspect::Irr => v1::PreflightAspect::Irr,
        PreflightAspect::Bgp => v1::PreflightAspect::Bgp,
        PreflightAspect::Reputation => v1::PreflightAspect::Reputation,
        PreflightAspect::Geofeed => v1::PreflightAspect::Geofeed,
    };
    let severity = match found.severity {
        FindingSeverity::Pass => v1::FindingSeverity::Pass,
        FindingSeverity::Note => v1::FindingSeverity::Note,
        FindingSeverity::Warning => v1::FindingSeverity::Warning,
        FindingSeverity::Blocking => v1::FindingSeverity::Blocking,
    };
    let actor = match found.actor {
        FindingActor::Nobody => v1::FindingActor::Unspecified,
        FindingActor::Holder => v1::FindingActor::Holder,
        FindingActor::Lessee => v1::FindingActor::Lessee,
        FindingActor::Operator => v1::FindingActor::Operator,
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
        action: found.advice,
    }
}
