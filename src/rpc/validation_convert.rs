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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Asn, KnownListing, Listing, Reputation};
    use prost::Message as _;
    use std::net::{IpAddr, Ipv4Addr};

    /// The largest message that a gRPC client takes unless it is told otherwise.
    const CLIENT_LIMIT: usize = 4 << 20;

    #[test]
    fn a_block_with_every_address_on_three_lists_fits_into_an_answer_and_the_worst_are_kept() {
        let block: Network = "10.1.0.0/16".parse().unwrap();
        let row = |class, nth: u32| AddressListing {
            zone: "a-blocklist-with-a-long-name.example.org".to_owned(),
            address: IpAddr::V4(Ipv4Addr::from(0x0a01_0000 + nth)),
            known: KnownListing {
                listing: Listing { class, codes: vec![[127, 0, 0, 2].into()], reason: "r".repeat(300) },
                since: Timestamp::UNIX_EPOCH,
                checked: Timestamp::UNIX_EPOCH,
            },
            inherited: Some(true),
        };
        let of_class = |class, count| (0..count).map(move |nth| row(class, nth));
        let listed = of_class(ListingClass::Abuse, 1_000)
            .chain(of_class(ListingClass::Policy, 65_536))
            .chain(of_class(ListingClass::Informational, 65_536))
            .collect();
        let found = BlockReputation {
            verdict: Ok(Reputation::Listed),
            observed: None,
            reason: "listed".to_owned(),
            listed,
            zones: Vec::new(),
        };
        let answer = reputation(block, found, Timestamp::UNIX_EPOCH);
        assert_eq!(answer.listing_count, 132_072);
        assert!(answer.listings.len() > 5_000, "{}", answer.listings.len());
        assert!(answer.encoded_len() < CLIENT_LIMIT);
        let abuse = answer.listings.iter().filter(|row| row.listing_class() == v1::ListingClass::Abuse);
        assert_eq!(abuse.count(), 1_000);
        assert!(answer.listings.iter().all(|row| row.listing_class() != v1::ListingClass::Informational));
    }

    #[test]
    fn a_route_with_two_hundred_thousand_vrps_fits_into_an_answer() {
        let route = Route { prefix: "203.0.113.0/24".parse().unwrap(), origin: Asn::try_from(1).unwrap() };
        let vrp = |asn| Vrp::new(route.prefix, None, asn).unwrap();
        let verdict = RouteVerdict::validate(route, (1..=200_000).map(vrp));
        let observed = Observed { value: verdict, source: "test".to_owned(), time: Timestamp::UNIX_EPOCH };
        let answer = super::route(route, Ok(observed));
        assert_eq!((answer.matching_vrp_count, answer.failing_vrp_count), (1, 199_999));
        assert_eq!(answer.matching_vrps.len(), 1);
        assert!(answer.failing_vrps.len() > 10_000 && answer.encoded_len() < CLIENT_LIMIT);
    }

    #[test]
    fn a_preflight_with_more_findings_than_fit_keeps_those_that_block() {
        let finding = |severity, nth: usize| PreflightFinding {
            aspect: PreflightAspect::Roa,
            severity,
            reason: "ROA_VALID",
            message: format!("{nth} {}", "x".repeat(40_000)),
            prefix: "203.0.113.0/24".parse().unwrap(),
            source: String::new(),
            observed: None,
            actor: FindingActor::Nobody,
            advice: String::new(),
        };
        let severity = |nth| if nth == 199 { FindingSeverity::Blocking } else { FindingSeverity::Pass };
        let (kept, count) = findings((0..200).map(|nth| finding(severity(nth), nth)).collect());
        assert_eq!(count, 200);
        assert!(kept.len() < 100);
        assert_eq!(kept.last().unwrap().severity(), v1::FindingSeverity::Blocking);
        assert!(kept.iter().map(prost::Message::encoded_len).sum::<usize>() < CLIENT_LIMIT);
    }
}
