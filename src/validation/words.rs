//! What peers said, as the article's words, with the reason that people read. Pure.

use super::standing::Sighting;
use crate::irr::{IrrState, IrrVerdict};
use crate::model::{InvalidReason, Observed, RoaStatus, Route, RouteState, RouteVerdict, Verdict, Vrp};

/// The article's word for a state of RFC 6811.
pub fn roa_status(state: RouteState) -> RoaStatus {
    match state {
        RouteState::Valid => RoaStatus::Valid,
        RouteState::Invalid(_) => RoaStatus::Invalid,
        RouteState::NotFound => RoaStatus::Unknown,
    }
}

/// What origin validation said, as a verdict to hold on what it is about.
pub fn roa(route: Route, seen: &Observed<RouteVerdict>, about: String) -> Sighting {
    Sighting {
        about,
        verdict: Verdict::Roa(roa_status(seen.value.state)),
        reason: roa_reason(route, &seen.value),
        source: seen.source.clone(),
        observed: seen.time,
    }
}

/// Why the RPKI says so.
pub fn roa_reason(route: Route, verdict: &RouteVerdict) -> String {
    let failing = |wanted: InvalidReason| {
        let vrps = verdict.failing.iter().filter(|(_, why)| *why == wanted).map(|(vrp, _)| *vrp);
        some(&vrps.collect::<Vec<_>>())
    };
    match verdict.state {
        RouteState::Valid if verdict.matching.is_empty() => format!("a ROA authorises {route}"),
        RouteState::Valid => format!("a ROA authorises {route}: {}", some(&verdict.matching)),
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

/// The first few of them.
fn some(vrps: &[Vrp]) -> String {
    const SHOWN: usize = 3;
    let mut shown: Vec<String> = vrps.iter().take(SHOWN).map(ToString::to_string).collect();
    if vrps.len() > SHOWN {
        shown.push(format!("and {} more", vrps.len() - SHOWN));
    }
    if shown.is_empty() { "the source does not say which".to_owned() } else { shown.join(", ") }
}

/// What the registries said, as a verdict to hold on what it is about: a route object that filters see, or none.
pub fn irr(route: Route, seen: &Observed<IrrVerdict>, about: String) -> Sighting {
    Sighting {
        about,
        verdict: Verdict::Irr(seen.value.state == IrrState::Registered),
        reason: irr_reason(route, &seen.value),
        source: seen.source.clone(),
        observed: seen.time,
    }
}

/// Where the route stands in the registries.
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
            format!("route objects for {} name others: {}", route.prefix, objects(&verdict.objects))
        }
        IrrState::LessSpecific => {
            format!("only a less-specific names {}: {}", route.origin, objects(&verdict.objects))
        }
        IrrState::Hidden => {
            format!(
                "the route object is hidden from filters, since the RPKI calls it invalid: {}",
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
        roa_reason(route, &RouteVerdict::of(route, vrps.iter().map(vrp)))
    }

    #[test]
    fn every_state_has_words_that_name_the_roa() {
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
