//! What route objects mean for a route. Pure.

use super::object::RouteObject;
use crate::model::Route;

/// Where a route stands in the registries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum IrrState {
    /// An object says exactly this.
    Registered,
    /// Objects for exactly this prefix, all of other origins.
    OtherOrigin,
    /// Objects of this origin only for prefixes around it: filters that want an exact one drop the route.
    LessSpecific,
    /// An object says exactly this, and is hidden from those who filter, since the RPKI calls it Invalid.
    Hidden,
    /// Nothing.
    Absent,
}

impl IrrState {
    /// Its word.
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

/// A state and what it rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IrrVerdict {
    /// The state.
    pub state: IrrState,
    /// Whether an object that makes it Registered comes from the registry that is responsible for the space.
    pub authoritative: bool,
    /// Objects that were found: exact ones first.
    pub objects: Vec<RouteObject>,
    /// Objects that only those see who do not filter.
    pub hidden: Vec<RouteObject>,
}

/// ROAs in disguise.
const NOT_A_REGISTRY: &str = "RPKI";

/// Judges a route by the objects that are shown, those that are shown to nobody who filters, and the names of registries
/// that are responsible for space.
pub fn judge(
    route: Route,
    shown: Vec<RouteObject>,
    unfiltered: Vec<RouteObject>,
    authoritative: &[String],
) -> IrrVerdict {
    let about = |objects: Vec<RouteObject>| {
        let mut objects: Vec<RouteObject> = objects
            .into_iter()
            .filter(|object| object.source != NOT_A_REGISTRY && object.route.prefix.contains(route.prefix))
            .collect();
        objects.sort_by_key(|object| (std::cmp::Reverse(object.route.prefix.length()), object.clone()));
        objects.dedup();
        objects
    };
    let (shown, unfiltered) = (about(shown), about(unfiltered));
    let hidden: Vec<RouteObject> = unfiltered
        .into_iter()
        .filter(|object| {
            !shown.iter().any(|other| (other.route, &other.source) == (object.route, &object.source))
        })
        .collect();
    let says = |objects: &[RouteObject]| objects.iter().any(|object| object.route == route);
    let exact = shown.iter().any(|object| object.route.prefix == route.prefix);
    let around = shown.iter().any(|object| object.route.origin == route.origin);
    let state = if says(&shown) {
        IrrState::Registered
    } else if says(&hidden) {
        IrrState::Hidden
    } else if exact {
        IrrState::OtherOrigin
    } else if around {
        IrrState::LessSpecific
    } else {
        IrrState::Absent
    };
    let authoritative = state == IrrState::Registered
        && shown.iter().any(|object| {
            object.route == route
                && authoritative.iter().any(|name| name.eq_ignore_ascii_case(&object.source))
        });
    IrrVerdict { state, authoritative, objects: shown, hidden }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Asn;

    fn object(prefix: &str, origin: u32, source: &str) -> RouteObject {
        let route = Route { prefix: prefix.parse().unwrap(), origin: Asn::try_from(origin).unwrap() };
        RouteObject { route, source: source.to_owned(), rpki_invalid: false }
    }

    fn state(shown: &[&RouteObject], unfiltered: &[&RouteObject]) -> (IrrState, bool) {
        let route = object("203.0.113.0/24", 64500, "").route;
        let own = |objects: &[&RouteObject]| objects.iter().map(|object| (*object).clone()).collect();
        let verdict = judge(route, own(shown), own(unfiltered), &["RIPE".to_owned()]);
        (verdict.state, verdict.authoritative)
    }

    #[test]
    fn each_state_has_its_objects() {
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
            "a ROA and a more-specific say nothing"
        );
        assert_eq!(state(&[&other], &[&mine]), (IrrState::Hidden, false));
        assert_eq!(state(&[&around], &[&mine]), (IrrState::Hidden, false));
    }
}
