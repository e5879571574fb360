//! Routes, VRPs, and route origin validation (RFC 6811).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::asn::Asn;
use super::network::Network;

/// An announcement: a prefix and the AS that originates it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Route {
    pub prefix: Network,
    pub origin: Asn,
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} from {}", self.prefix, self.origin)
    }
}

/// A validated ROA payload (RFC 6811, section 2): this AS may originate this prefix and its more-specifics up to `max_length`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Vrp {
    pub prefix: Network,
    /// The longest mask that the ROA authorises; at least the length of the prefix.
    pub max_length: u8,
    /// `None` stands for AS 0: such a ROA authorises no AS (RFC 6483, section 4), so it never matches a route.
    pub asn: Option<Asn>,
}

/// The maxLength of a ROA is shorter than its prefix, or longer than the address family allows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("maxLength {max_length} of {prefix} is not between {} and {}", .prefix.length(), .prefix.max_length())]
pub struct VrpError {
    pub prefix: Network,
    pub max_length: u8,
}

impl Vrp {
    /// Builds a VRP from the parts of a ROA. Without a maxLength, the length of the prefix is used (RFC 9582, section 4.3.2).
    pub fn new(prefix: Network, max_length: Option<u8>, asn: u32) -> Result<Self, VrpError> {
        let max_length = max_length.unwrap_or(prefix.length());
        if max_length < prefix.length() || max_length > prefix.max_length() {
            return Err(VrpError { prefix, max_length });
        }
        Ok(Self { prefix, max_length, asn: Asn::try_from(asn).ok() })
    }

    /// Whether this VRP covers the route: its prefix contains the prefix of the route (RFC 6811, section 2).
    pub fn covers(&self, route: Route) -> bool {
        self.prefix.contains(route.prefix)
    }

    /// Whether this VRP matches the route: it covers the route, authorises its length, and names its origin (RFC 6811, section 2).
    pub fn matches(&self, route: Route) -> bool {
        self.covers(route) && route.prefix.length() <= self.max_length && self.asn == Some(route.origin)
    }

    /// The reason why this VRP does not match a route that it covers; `None` if it matches.
    pub fn mismatch(&self, route: Route) -> Option<InvalidReason> {
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

/// The reason why a route is Invalid. They are in the order in which they are easiest to correct: of several VRPs that do not
/// match, the smallest reason is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InvalidReason {
    /// A ROA authorises the AS, but for shorter prefixes only.
    Length,
    /// The ROAs authorise other ASes only.
    Origin,
    /// The ROAs authorise no AS at all.
    As0,
}

impl InvalidReason {
    /// The stored form of the reason.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Length => "length",
            Self::Origin => "origin",
            Self::As0 => "as0",
        }
    }
}

/// The three validation states of RFC 6811. A check that failed is an error ([`super::CouldNotCheck`]), not a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RouteState {
    /// At least one VRP matches the route.
    Valid,
    /// At least one VRP covers the route, and none matches it.
    Invalid(InvalidReason),
    /// No VRP covers the route.
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

/// A validation state with its evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteVerdict {
    pub state: RouteState,
    /// The VRPs that match the route.
    pub matching: Vec<Vrp>,
    /// The VRPs that cover the route and do not match it, each with the reason.
    pub failing: Vec<(Vrp, InvalidReason)>,
}

impl RouteVerdict {
    /// Validates a route by the algorithm of RFC 6811, section 2. VRPs that do not cover the route are ignored.
    pub fn validate(route: Route, vrps: impl IntoIterator<Item = Vrp>) -> Self {
        let (mut matching, mut failing) = (Vec::new(), Vec::new());
        for vrp in vrps.into_iter().filter(|vrp| vrp.covers(route)) {
            match vrp.mismatch(route) {
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

    /// A matching VRP that also authorises more-specifics, if every matching VRP does so. RFC 9319 advises against such ROAs:
    /// whoever forges the origin can announce a more-specific that the holder does not announce.
    pub fn loose_vrp(&self) -> Option<Vrp> {
        let tight = self.matching.iter().any(|vrp| vrp.max_length == vrp.prefix.length());
        if tight { None } else { self.matching.first().copied() }
    }
}
