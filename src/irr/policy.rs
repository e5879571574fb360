//! Judges a route by the route objects that were found. Pure.

use super::object::RouteObject;
use crate::model::Route;

/// How a route is registered in the IRR.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum IrrState {
    /// There is an object with exactly this prefix and origin.
    Registered,
    /// There are objects with exactly this prefix, but all with another origin.
    OtherOrigin,
    /// Objects with this origin exist only for covering prefixes. Filters that require an exact match drop the route.
    LessSpecific,
    /// There is an object with exactly this prefix and origin, but IRRd hides it from normal queries, because it is invalid by
    /// the RPKI.
    Hidden,
    /// There is no object for this prefix or for a covering one with this origin.
    Absent,
}

impl IrrState {
    /// A phrase for people, used in reasons.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::OtherOrigin => "registered with another origin",
            Self::LessSpecific => "only a less-specific is registered",
            Self::Hidden => "registered, but hidden as RPKI-invalid",
            Self::Absent => "not registered",
        }
    }
}

/// How a route is registered, with the objects that decide it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IrrVerdict {
    pub state: IrrState,
    /// Whether the route is registered in a registry that is responsible for the address space.
    pub authoritative: bool,
    /// The objects that normal queries return, exact prefixes first.
    pub objects: Vec<RouteObject>,
    /// The objects that only queries without IRRd's RPKI filter return.
    pub hidden: Vec<RouteObject>,
}

/// IRRd's pseudo-source, which holds copies of ROAs.
const RPKI_PSEUDO_SOURCE: &str = "RPKI";

/// Judges how a route is registered.
///
/// `visible` are the objects of normal queries, `unfiltered` those of queries without IRRd's RPKI filter. `authoritative` names
/// the registries that are responsible for address space.
pub fn judge(
    route: Route,
    visible: Vec<RouteObject>,
    unfiltered: Vec<RouteObject>,
    authoritative: &[String],
) -> IrrVerdict {
    let relevant = |objects: Vec<RouteObject>| {
        let mut objects: Vec<RouteObject> = objects
            .into_iter()
            .filter(|object| {
                object.source != RPKI_PSEUDO_SOURCE && object.route.prefix.contains(route.prefix)
            })
            .collect();
        objects.sort_by_key(|object| (std::cmp::Reverse(object.route.prefix.length()), object.clone()));
        objects.dedup();
        objects
    };
    let (visible, unfiltered) = (relevant(visible), relevant(unfiltered));
    let hidden: Vec<RouteObject> = unfiltered
        .into_iter()
        .filter(|object| {
            !visible.iter().any(|other| (other.route, &other.source) == (object.route, &object.source))
        })
        .collect();
    let has_exact_match = |objects: &[RouteObject]| objects.iter().any(|object| object.route == route);
    let same_prefix = visible.iter().any(|object| object.route.prefix == route.prefix);
    let same_origin = visible.iter().any(|object| object.route.origin == route.origin);
    let state = if has_exact_match(&visible) {
        IrrState::Registered
    } else if has_exact_match(&hidden) {
        IrrState::Hidden
    } else if same_prefix {
        IrrState::OtherOrigin
    } else if same_origin {
        IrrState::LessSpecific
    } else {
        IrrState::Absent
    };
    let authoritative = state == IrrState::Registered
        && visible.iter().any(|object| {
            object.route == route
                && authoritative.iter().any(|name| name.eq_ignore_ascii_case(&object.source))
        });
    IrrVerdict { state, authoritative, objects: visible, hidden }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Asn;

    fn object(prefix: &str, origin: u32, source: &str) -> RouteObject {
        let route = Route { prefix: prefix.parse().unwrap(), origin: Asn::try_from(origin).unwrap() };
        RouteObject { route, source: source.to_owned(), rpki_invalid: false }
    }

    fn state(visible: &[&RouteObject], unfiltered: &[&RouteObject]) -> (IrrState, bool) {
        let route = object("203.0.113.0/24", 64500, "").route;
        let cloned = |objects: &[&RouteObject]| objects.iter().map(|object| (*object).clone()).collect();
        let verdict = judge(route, cloned(visible), cloned(unfiltered), &["RIPE".to_owned()]);
        (verdict.state, verdict.authoritative)
    }

    #[test]
    fn each_state_follows_from_its_objects() {
        let mine = object("203.0.113.0/24", 64500, "RADB");
        let official = object("203.0.113.0/24", 64500, "RIPE");
        let other = object("203.0.113.0/24", 64501, "RIPE");
        let around = object("203.0.112.0/23", 64500, "RIPE");
        let roa = object("203.0.113.0/24", 64500, "RPKI");
        let inside = object("203.0.113.0/25", 64500, "RIPE");
        assert_eq!(state(&[&mine], &[]), (IrrState::Registered, false));
        assert_eq!(state(&[&mine, &official, &other], &[]), (IrrState::Registered, true));
        assert_eq!(state(&[&other, &around], &[]), (IrrState::OtherOrigin, false));
        assert_eq!(state(&[&around], &[]), (IrrState::LessSpecific, false));
        assert_eq!(state(&[&object("203.0.112.0/23", 64501, "RIPE")], &[]), (IrrState::Absent, false));
        assert_eq!(
            state(&[&roa, &inside], &[]),
            (IrrState::Absent, false),
            "a ROA and a more specific object do not count"
        );
        assert_eq!(state(&[&other], &[&mine]), (IrrState::Hidden, false));
        assert_eq!(state(&[&around], &[&mine]), (IrrState::Hidden, false));
    }
}
