//! Turns the answers of the RPKI and the IRR into verdicts, with an explanation for people. Pure.

use super::confirmation::VerdictObservation;
use crate::irr::{IrrState, IrrVerdict};
use crate::model::{InvalidReason, Observed, RoaStatus, Route, RouteState, RouteVerdict, Verdict, Vrp};

/// The value of `roa_status` for a state of RFC 6811: *not found* is called *unknown*.
pub fn roa_status(state: RouteState) -> RoaStatus {
    match state {
        RouteState::Valid => RoaStatus::Valid,
        RouteState::Invalid(_) => RoaStatus::Invalid,
        RouteState::NotFound => RoaStatus::Unknown,
    }
}

/// The result of origin validation as an observation about this subject.
pub fn roa(route: Route, answer: &Observed<RouteVerdict>, about: String) -> VerdictObservation {
    VerdictObservation {
        about,
        verdict: Verdict::Roa(roa_status(answer.value.state)),
        reason: roa_reason(route, &answer.value),
        source: answer.source.clone(),
        observed: answer.time,
    }
}

/// Explains the result of origin validation, with the ROAs that it rests on.
pub fn roa_reason(route: Route, verdict: &RouteVerdict) -> String {
    let failing = |wanted: InvalidReason| {
        let vrps = verdict.failing.iter().filter(|(_, why)| *why == wanted).map(|(vrp, _)| *vrp);
        first_of(&vrps.collect::<Vec<_>>())
    };
    match verdict.state {
        RouteState::Valid if verdict.matching.is_empty() => format!("a ROA authorises {route}"),
        RouteState::Valid => format!("a ROA authorises {route}: {}", first_of(&verdict.matching)),
        RouteState::NotFound => format!("no ROA covers {}", route.prefix),
        RouteState::Invalid(why @ InvalidReason::Length) => format!(
            "a ROA names {}, but not for a /{}: {}",
            route.origin,
            route.prefix.length(),
            failing(why)
        ),
        RouteState::Invalid(why @ InvalidReason::Origin) => {
            format!("ROAs cover {} and none names {}: {}", route.prefix, route.origin, failing(why))
        }
        RouteState::Invalid(why @ InvalidReason::As0) => {
            format!("a ROA for AS0 says that nobody may originate {}: {}", route.prefix, failing(why))
        }
    }
}

/// The first three VRPs and the number of the others.
fn first_of(vrps: &[Vrp]) -> String {
    const SHOWN: usize = 3;
    let mut shown: Vec<String> = vrps.iter().take(SHOWN).map(ToString::to_string).collect();
    if vrps.len() > SHOWN {
        shown.push(format!("and {} more", vrps.len() - SHOWN));
    }
    if shown.is_empty() { "the source does not name them".to_owned() } else { shown.join(", ") }
}

/// The result of an IRR check as an observation about this subject. Only a route object that filters use counts as registered.
pub fn irr(route: Route, answer: &Observed<IrrVerdict>, about: String) -> VerdictObservation {
    VerdictObservation {
        about,
        verdict: Verdict::Irr(answer.value.state == IrrState::Registered),
        reason: irr_reason(route, &answer.value),
        source: answer.source.clone(),
        observed: answer.time,
    }
}

/// Explains the result of an IRR check, with the route objects that it rests on.
pub fn irr_reason(route: Route, verdict: &IrrVerdict) -> String {
    let objects = |objects: &[crate::irr::RouteObject]| {
        let shown: Vec<String> =
            objects.iter().take(3).map(|object| format!("{} ({})", object.route, object.source)).collect();
        shown.join(", ")
    };
    match verdict.state {
        IrrState::Registered if verdict.authoritative => {
            format!("a route object says {route}, in the registry that is responsible for it")
        }
        IrrState::Registered => {
            format!("a route object says {route}, in a registry that is not responsible for it")
        }
        IrrState::OtherOrigin => {
            format!("route objects for {} name other origins: {}", route.prefix, objects(&verdict.objects))
        }
        IrrState::LessSpecific => {
            format!("only less-specific route objects name {}: {}", route.origin, objects(&verdict.objects))
        }
        IrrState::Hidden => {
            format!(
                "the route object is hidden from filters because the RPKI calls it invalid: {}",
                objects(&verdict.hidden)
            )
        }
        IrrState::Absent => format!("no route object says {route}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Asn;

    fn reason(route_text: &str, origin: u32, vrps: &[(&str, u8, u32)]) -> String {
        let route = Route { prefix: route_text.parse().unwrap(), origin: Asn::try_from(origin).unwrap() };
        let vrp = |(prefix, most, asn): &(&str, u8, u32)| {
            Vrp::new(prefix.parse().unwrap(), Some(*most), *asn).unwrap()
        };
        roa_reason(route, &RouteVerdict::validate(route, vrps.iter().map(vrp)))
    }

    #[test]
    fn every_state_has_a_reason_that_names_the_roa() {
        assert_eq!(
            reason("203.0.113.0/24", 64500, &[("203.0.113.0/24", 24, 64500)]),
            "a ROA authorises 203.0.113.0/24 from AS64500: 203.0.113.0/24-24 AS64500"
        );
        assert_eq!(
            reason("203.0.113.0/25", 64500, &[("203.0.113.0/24", 24, 64500)]),
            "a ROA names AS64500, but not for a /25: 203.0.113.0/24-24 AS64500"
        );
        assert_eq!(
            reason("203.0.113.0/24", 64500, &[("203.0.113.0/24", 24, 64501)]),
            "ROAs cover 203.0.113.0/24 and none names AS64500: 203.0.113.0/24-24 AS64501"
        );
        assert_eq!(reason("203.0.113.0/24", 64500, &[]), "no ROA covers 203.0.113.0/24");
        assert!(reason("203.0.113.0/24", 64500, &[("203.0.113.0/24", 24, 0)]).starts_with("a ROA for AS0"));
    }
}
