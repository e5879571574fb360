//! Every VRP, so laid out that the ones that cover a route are found in a fraction of a microsecond. Pure.
//!
//! Prefixes are sorted by their bits and then by length, so that what lies in a prefix follows it without a gap. The last
//! prefix that does not come after a route is then either one that covers it or lies in all those that do: from there, each
//! prefix's pointer to the nearest one around it leads to every prefix that covers the route. So: one binary search in a
//! table of the first 16 bits' share, then a walk of a few steps. A million VRPs take some 24 MB.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::model::{Asn, InvalidReason, Network, Route, RouteState, RouteVerdict, Vrp};

/// No prefix around it.
const NONE: u32 = u32::MAX;

/// A set of VRPs, each once.
#[derive(Clone, Debug, Default)]
pub struct VrpSet {
    four: Family<u32>,
    six: Family<u128>,
}

/// Bits of an address.
trait Bits: Copy + Ord + Default {
    const LENGTH: u8;
    /// Cuts off what is behind the mask.
    fn masked(self, length: u8) -> Self;
    /// The first 16 bits.
    fn head(self) -> usize;
}

impl Bits for u32 {
    const LENGTH: u8 = 32;

    fn masked(self, length: u8) -> Self {
        self & Self::MAX.checked_shl(u32::from(Self::LENGTH - length)).unwrap_or(0)
    }

    fn head(self) -> usize {
        (self >> 16) as usize
    }
}

impl Bits for u128 {
    const LENGTH: u8 = 128;

    fn masked(self, length: u8) -> Self {
        self & Self::MAX.checked_shl(u32::from(Self::LENGTH - length)).unwrap_or(0)
    }

    fn head(self) -> usize {
        usize::try_from(self >> 112).unwrap_or_default()
    }
}

#[derive(Clone, Debug)]
struct Node<B> {
    bits: B,
    length: u8,
    /// The nearest prefix around it.
    around: u32,
    /// Where its authorisations begin; they end where the next node's do.
    first: u32,
}

/// What a ROA says of its prefix. AS 0 is a number here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Authorised {
    max_length: u8,
    asn: u32,
}

#[derive(Clone, Debug, Default)]
struct Family<B> {
    nodes: Vec<Node<B>>,
    authorised: Vec<Authorised>,
    /// For each value of the first 16 bits, how many nodes come before those that begin with it.
    heads: Vec<u32>,
}

impl<B: Bits> Family<B> {
    /// From rows that are sorted, each once.
    fn of(rows: &[(B, u8, Authorised)]) -> Self {
        let mut family = Self { authorised: Vec::with_capacity(rows.len()), ..Self::default() };
        if rows.is_empty() {
            return family;
        }
        // Prefixes that are still open at this point of the order, outermost first.
        let mut open: Vec<u32> = Vec::new();
        for (bits, length, authorised) in rows {
            let same = family.nodes.last().is_some_and(|last| last.bits == *bits && last.length == *length);
            if !same {
                while let Some(node) = open.last().and_then(|at| family.nodes.get(*at as usize)) {
                    if node.length < *length && bits.masked(node.length) == node.bits {
                        break;
                    }
                    open.pop();
                }
                let around = open.last().copied().unwrap_or(NONE);
                open.push(index(family.nodes.len()));
                let first = index(family.authorised.len());
                family.nodes.push(Node { bits: *bits, length: *length, around, first });
            }
            family.authorised.push(*authorised);
        }
        family.nodes.shrink_to_fit();
        family.heads = vec![0; 65_537];
        for node in &family.nodes {
            if let Some(count) = family.heads.get_mut(node.bits.head() + 1) {
                *count += 1;
            }
        }
        let mut before = 0;
        for count in &mut family.heads {
            before += *count;
            *count = before;
        }
        family
    }

    /// What covers a prefix, the most specific first.
    fn covering(&self, bits: B, length: u8) -> impl Iterator<Item = (B, u8, Authorised)> + '_ {
        let head = bits.head();
        let edge = |at: usize| self.heads.get(at).map_or(0, |count| *count as usize);
        let (from, to) = (edge(head), edge(head + 1));
        let near = self.nodes.get(from..to).unwrap_or_default();
        let within = near.partition_point(|node| (node.bits, node.length) <= (bits, length));
        let start = (from + within).checked_sub(1).map_or(NONE, index);
        let mut at = start;
        std::iter::from_fn(move || {
            let here = at;
            let node = self.nodes.get(here as usize)?;
            at = node.around;
            Some((here, node))
        })
        .filter(move |(_, node)| node.length <= length && bits.masked(node.length) == node.bits)
        .flat_map(move |(at, node)| {
            self.at(at, node).iter().map(|authorised| (node.bits, node.length, *authorised))
        })
    }

    fn at(&self, at: u32, node: &Node<B>) -> &[Authorised] {
        let end = self.nodes.get(at as usize + 1).map_or(self.authorised.len(), |next| next.first as usize);
        self.authorised.get(node.first as usize..end).unwrap_or_default()
    }

    fn rows(&self) -> impl Iterator<Item = (B, u8, Authorised)> + '_ {
        self.nodes.iter().enumerate().flat_map(|(at, node)| {
            self.at(index(at), node).iter().map(|authorised| (node.bits, node.length, *authorised))
        })
    }
}

fn index(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(NONE)
}

fn sorted<B: Bits>(mut rows: Vec<(B, u8, Authorised)>) -> Family<B> {
    rows.sort_unstable();
    rows.dedup();
    Family::of(&rows)
}

fn vrp4((bits, length, authorised): (u32, u8, Authorised)) -> Option<Vrp> {
    let net = Ipv4Net::new(bits.into(), length).ok()?;
    Some(vrp(Network::from(net), authorised))
}

fn vrp6((bits, length, authorised): (u128, u8, Authorised)) -> Option<Vrp> {
    let net = Ipv6Net::new(bits.into(), length).ok()?;
    Some(vrp(Network::from(net), authorised))
}

fn vrp(prefix: Network, authorised: Authorised) -> Vrp {
    Vrp { prefix, max_length: authorised.max_length, asn: Asn::try_from(authorised.asn).ok() }
}

impl FromIterator<Vrp> for VrpSet {
    fn from_iter<I: IntoIterator<Item = Vrp>>(vrps: I) -> Self {
        let (mut four, mut six) = (Vec::new(), Vec::new());
        for vrp in vrps {
            let authorised = Authorised { max_length: vrp.max_length, asn: vrp.asn.map_or(0, Asn::number) };
            match vrp.prefix.first() {
                IpAddr::V4(bits) => four.push((u32::from(bits), vrp.prefix.length(), authorised)),
                IpAddr::V6(bits) => six.push((u128::from(bits), vrp.prefix.length(), authorised)),
            }
        }
        Self { four: sorted(four), six: sorted(six) }
    }
}

/// A change that does not fit the set that it is for: the peer and we are not of one mind, and only a full reload helps.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// It announces what is there (RFC 8210, section 12, code 7).
    #[error("{0} is announced a second time")]
    Duplicate(Vrp),
    /// It withdraws what is not there (code 6).
    #[error("{0} is withdrawn and was never announced")]
    Unknown(Vrp),
}

impl VrpSet {
    /// How many VRPs.
    pub fn len(&self) -> usize {
        self.four.authorised.len() + self.six.authorised.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = Vrp> + '_ {
        self.four.rows().filter_map(vrp4).chain(self.six.rows().filter_map(vrp6))
    }

    /// The VRPs that cover a prefix, the most specific first.
    pub fn covering(&self, prefix: Network) -> impl Iterator<Item = Vrp> + '_ {
        let (four, six) = match prefix.net() {
            IpNet::V4(net) => (Some(self.four.covering(net.network().into(), net.prefix_len())), None),
            IpNet::V6(net) => (None, Some(self.six.covering(net.network().into(), net.prefix_len()))),
        };
        four.into_iter().flatten().filter_map(vrp4).chain(six.into_iter().flatten().filter_map(vrp6))
    }

    /// RFC 6811's state of a route.
    pub fn state(&self, route: Route) -> RouteState {
        let mut nearest: Option<InvalidReason> = None;
        for vrp in self.covering(route.prefix) {
            match vrp.fails(route) {
                None => return RouteState::Valid,
                Some(reason) => nearest = Some(nearest.map_or(reason, |before| before.min(reason))),
            }
        }
        nearest.map_or(RouteState::NotFound, RouteState::Invalid)
    }

    /// The state with its evidence.
    pub fn validate(&self, route: Route) -> RouteVerdict {
        RouteVerdict::of(route, self.covering(route.prefix))
    }

    /// The set after a change; each step must fit what the ones before it left (RFC 8210, section 5.6).
    pub fn changed(&self, changes: impl IntoIterator<Item = (bool, Vrp)>) -> Result<Self, Misfit> {
        let mut touched = BTreeMap::new();
        for (announced, vrp) in changes {
            let there = touched.entry(vrp).or_insert_with(|| self.holds(vrp));
            match (*there, announced) {
                (true, true) => return Err(Misfit::Duplicate(vrp)),
                (false, false) => return Err(Misfit::Unknown(vrp)),
                _ => *there = announced,
            }
        }
        let kept = self.iter().filter(|vrp| !touched.contains_key(vrp));
        let added = touched.iter().filter(|(_, there)| **there).map(|(vrp, _)| *vrp);
        Ok(kept.chain(added).collect())
    }

    fn holds(&self, vrp: Vrp) -> bool {
        self.covering(vrp.prefix).any(|held| held == vrp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn vrp(prefix: &str, max_length: Option<u8>, asn: u32) -> Vrp {
        Vrp::new(prefix.parse().unwrap(), max_length, asn).unwrap()
    }

    fn route(prefix: &str, origin: u32) -> Route {
        Route { prefix: prefix.parse().unwrap(), origin: Asn::try_from(origin).unwrap() }
    }

    #[test]
    fn what_covers_a_route_is_found_from_the_inside_out() {
        let set: VrpSet = [
            vrp("10.0.0.0/8", None, 1),
            vrp("10.0.0.0/16", None, 2),
            vrp("10.0.0.0/16", Some(24), 3),
            vrp("10.0.1.0/24", None, 4),
            vrp("10.0.2.0/24", None, 5),
            vrp("0.0.0.0/0", None, 0),
            vrp("10.0.0.0/16", None, 2),
        ]
        .into_iter()
        .collect();
        assert_eq!(set.len(), 6);
        let asns = |prefix: &str| -> Vec<u32> {
            set.covering(prefix.parse().unwrap()).map(|vrp| vrp.asn.map_or(0, Asn::number)).collect()
        };
        assert_eq!(asns("10.0.2.0/25"), [5, 2, 3, 1, 0]);
        assert_eq!(asns("10.0.0.0/16"), [2, 3, 1, 0]);
        assert_eq!(asns("10.0.0.0/15"), [1, 0]);
        assert_eq!(asns("11.0.0.0/24"), [0]);
        assert_eq!(asns("2001:db8::/32"), [0u32; 0]);
    }

    #[test]
    fn a_change_that_does_not_fit_is_refused() {
        let (a, b) = (vrp("10.0.0.0/8", None, 1), vrp("2001:db8::/32", Some(48), 2));
        let set: VrpSet = [a].into_iter().collect();
        assert_eq!(set.changed([(true, a)]).unwrap_err(), Misfit::Duplicate(a));
        assert_eq!(set.changed([(false, b)]).unwrap_err(), Misfit::Unknown(b));
        let next = set.changed([(true, b), (false, a), (true, a)]).unwrap();
        assert_eq!(next.iter().collect::<Vec<_>>(), [a, b]);
        assert!(next.changed([(false, a), (false, b)]).unwrap().is_empty());
    }

    #[test]
    fn the_nearest_reason_is_told() {
        let set: VrpSet =
            [vrp("10.0.0.0/16", None, 1), vrp("10.0.0.0/16", None, 0), vrp("10.0.0.0/16", None, 9)]
                .into_iter()
                .collect();
        assert_eq!(set.state(route("10.0.0.0/24", 1)), RouteState::Invalid(InvalidReason::Length));
        assert_eq!(set.state(route("10.0.0.0/16", 2)), RouteState::Invalid(InvalidReason::Origin));
        let nobody: VrpSet = [vrp("10.0.0.0/16", Some(24), 0)].into_iter().collect();
        assert_eq!(nobody.state(route("10.0.0.0/16", 2)), RouteState::Invalid(InvalidReason::As0));
    }

    /// Few bits, so that prefixes lie in each other.
    fn network() -> impl Strategy<Value = Network> {
        (any::<bool>(), 0u8..16, 0u8..=8).prop_map(|(four, bits, length)| {
            if four {
                Network::containing(IpNet::V4(
                    Ipv4Net::new((u32::from(bits) << 28 | 5 << 20).into(), length * 3).unwrap(),
                ))
            } else {
                Network::containing(IpNet::V6(
                    Ipv6Net::new((u128::from(bits) << 124 | 5 << 96).into(), length * 9).unwrap(),
                ))
            }
        })
    }

    proptest! {
        #[test]
        fn a_set_answers_as_a_plain_list_does(
            parts in prop::collection::vec((network(), 0u8..40, 0u32..4), 0..40),
            asked in network(),
            origin in 1u32..4,
        ) {
            let vrps: Vec<Vrp> = parts
                .iter()
                .filter_map(|(prefix, more, asn)| Vrp::new(*prefix, prefix.length().checked_add(*more), *asn).ok())
                .collect();
            let set: VrpSet = vrps.iter().copied().collect();
            let asked = Route { prefix: asked, origin: Asn::try_from(origin).unwrap() };
            let plain = RouteVerdict::of(asked, vrps);
            let sorted = |mut vrps: Vec<Vrp>| { vrps.sort(); vrps.dedup(); vrps };
            let verdict = set.validate(asked);
            prop_assert_eq!(verdict.state, plain.state);
            prop_assert_eq!(set.state(asked), plain.state);
            prop_assert_eq!(sorted(verdict.matching), sorted(plain.matching));
            let vrps_of = |failing: Vec<(Vrp, InvalidReason)>| sorted(failing.into_iter().map(|(vrp, _)| vrp).collect());
            prop_assert_eq!(vrps_of(verdict.failing), vrps_of(plain.failing));
        }
    }
}
