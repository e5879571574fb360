//! Routes and what the RPKI says of them (RFC 6811).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Asn, Network};

/// An announcement: a prefix and the AS that originates it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Route {
    /// What is announced.
    pub prefix: Network,
    /// By whom.
    pub origin: Asn,
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} from {}", self.prefix, self.origin)
    }
}

/// A validated ROA payload: this AS may originate this prefix, down to this length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Vrp {
    /// The prefix of the ROA.
    pub prefix: Network,
    /// The longest mask that it speaks for; never shorter than the prefix's own.
    pub max_length: u8,
    /// The AS; `None` for AS0, which authorises nobody (RFC 6483, section 4) and so can never match.
    pub asn: Option<Asn>,
}

/// Why something is no VRP.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("maxLength {max_length} of {prefix} is not between {} and {}", .prefix.length(), .prefix.max_length())]
pub struct VrpError {
    /// The prefix.
    pub prefix: Network,
    /// What stood beside it.
    pub max_length: u8,
}

impl Vrp {
    /// From a ROA's parts: without maxLength the prefix's own length counts (RFC 9582, section 4.3.2); AS 0 is `None`.
    pub fn new(prefix: Network, max_length: Option<u8>, asn: u32) -> Result<Self, VrpError> {
        let max_length = max_length.unwrap_or(prefix.length());
        if max_length < prefix.length() || max_length > prefix.max_length() {
            return Err(VrpError { prefix, max_length });
        }
        Ok(Self { prefix, max_length, asn: Asn::try_from(asn).ok() })
    }

    /// RFC 6811, section 2: whether the route's prefix lies in this one's.
    pub fn covers(&self, route: Route) -> bool {
        self.prefix.contains(route.prefix)
    }

    /// RFC 6811, section 2: covered, no longer than maxLength, and of this AS, which is not 0.
    pub fn matches(&self, route: Route) -> bool {
        self.covers(route) && route.prefix.length() <= self.max_length && self.asn == Some(route.origin)
    }

    /// Why it does not match a route that it covers; `None` if it does.
    pub fn fails(&self, route: Route) -> Option<InvalidReason> {
        match self.asn {
            None => Some(InvalidReason::As0),
            Some(asn) if asn != route.origin => Some(InvalidReason::Origin),
            Some(_) if route.prefix.length() > self.max_length => Some(InvalidReason::Length),
            Some(_) => None,
        }
    }
}

impl fmt::Display for Vrp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.asn {
            Some(asn) => write!(f, "{}-{} {asn}", self.prefix, self.max_length),
            None => write!(f, "{}-{} AS0", self.prefix, self.max_length),
        }
    }
}

/// Why a route is Invalid, as far as it helps whoever has to mend it: the reason that is nearest to Valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InvalidReason {
    /// A ROA names the AS, but not for prefixes so long.
    Length,
    /// ROAs name other ASes only.
    Origin,
    /// ROAs say that nobody may originate it.
    As0,
}

impl InvalidReason {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Length => "length",
            Self::Origin => "origin",
            Self::As0 => "as0",
        }
    }
}

/// RFC 6811's three states. That it could not be checked is none of them: it is an error ([`super::CouldNotCheck`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RouteState {
    /// At least one VRP matches.
    Valid,
    /// VRPs cover it and none matches.
    Invalid(InvalidReason),
    /// No VRP covers it.
    NotFound,
}

impl fmt::Display for RouteState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Valid => f.write_str("valid"),
            Self::Invalid(reason) => write!(f, "invalid ({})", reason.as_str()),
            Self::NotFound => f.write_str("not found"),
        }
    }
}

/// A state and what it rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteVerdict {
    /// The state.
    pub state: RouteState,
    /// VRPs that match.
    pub matching: Vec<Vrp>,
    /// VRPs that cover it and do not match, each with why.
    pub failing: Vec<(Vrp, InvalidReason)>,
}

impl RouteVerdict {
    /// RFC 6811, section 2, over the VRPs that cover the route. Others are passed over, so that any list will do.
    pub fn of(route: Route, vrps: impl IntoIterator<Item = Vrp>) -> Self {
        let (mut matching, mut failing) = (Vec::new(), Vec::new());
        for vrp in vrps.into_iter().filter(|vrp| vrp.covers(route)) {
            match vrp.fails(route) {
                None => matching.push(vrp),
                Some(reason) => failing.push((vrp, reason)),
            }
        }
        let state = match (matching.is_empty(), failing.iter().map(|(_, reason)| *reason).min()) {
            (false, _) => RouteState::Valid,
            (true, Some(nearest)) => RouteState::Invalid(nearest),
            (true, None) => RouteState::NotFound,
        };
        Self { state, matching, failing }
    }

    /// The VRP that makes it Valid and says more than the route needs: RFC 9319 asks for ROAs without maxLength, since
    /// whoever forges the origin can announce the more-specifics that nobody announces.
    pub fn loose(&self) -> Option<Vrp> {
        let tight = self.matching.iter().any(|vrp| vrp.max_length == vrp.prefix.length());
        if tight { None } else { self.matching.first().copied() }
    }
}
