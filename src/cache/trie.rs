//! A persistent Patricia trie: a map from networks to values, whose versions share the nodes that they have in common.
//!
//! Each node has a network as its key and at most two children, whose networks are inside it. A lookup visits the recorded
//! networks that contain the key, and the branching points between them. A change copies the nodes on that path
//! ([`Arc::make_mut`]) and shares all others; if no other version exists, it copies nothing.
//!
//! Each address family has nodes of its own, with addresses of its own width: most of the time of a lookup passes in waiting for
//! memory, and a node of IPv4 is a third smaller than one that could hold both.

use std::net::IpAddr;
use std::sync::Arc;

use super::family_key::{Bits, FamilyKey, Key};
use crate::model::Network;

type Link<B, V> = Option<Arc<Node<B, V>>>;

#[derive(Clone, Debug)]
struct Node<B, V> {
    key: Key<B>,
    /// `None` if the node is only a branching point. Such a node always has two children.
    value: Option<V>,
    /// How many values the subtree has, with this one.
    count: u64,
    left: Link<B, V>,
    right: Link<B, V>,
}

impl<B: Bits, V> Node<B, V> {
    fn leaf(key: Key<B>, value: V) -> Arc<Self> {
        Arc::new(Self { key, value: Some(value), count: 1, left: None, right: None })
    }

    /// Whether every host has a value, in a map of hosts.
    fn is_full(&self) -> bool {
        1u64.checked_shl(u32::from(B::LENGTH - self.key.length)) == Some(self.count)
    }

    fn recount(&mut self) {
        let below = self.left.iter().chain(&self.right).map(|child| child.count).sum::<u64>();
        self.count = below + u64::from(self.value.is_some());
    }

    fn child(&self, key: Key<B>) -> Option<&Self> {
        if key.goes_right(self.key.length) { self.right.as_deref() } else { self.left.as_deref() }
    }

    /// The node of exactly this key.
    fn find(&self, key: Key<B>) -> Option<&Self> {
        let mut link = Some(self);
        while let Some(node) = link
            && node.key.covers(key)
        {
            if node.key.length == key.length {
                return link;
            }
            link = node.child(key);
        }
        None
    }

    /// The node above everything inside a key.
    fn above(&self, key: Key<B>) -> Option<&Self> {
        let mut link = Some(self);
        while let Some(node) = link {
            if key.covers(node.key) {
                return link;
            }
            link = if node.key.covers(key) { node.child(key) } else { None };
        }
        None
    }
}

/// A map from networks of both address families to values. A clone increments two reference counts and copies nothing.
#[derive(Clone, Debug)]
pub struct Trie<V> {
    v4: Link<u32, V>,
    v6: Link<u128, V>,
}

impl<V> Default for Trie<V> {
    fn default() -> Self {
        Self { v4: None, v6: None }
    }
}

impl<V> Trie<V> {
    /// Whether the map holds nothing.
    pub fn is_empty(&self) -> bool {
        self.v4.is_none() && self.v6.is_none()
    }

    /// The value of exactly this network.
    pub fn get(&self, network: Network) -> Option<&V> {
        match FamilyKey::of(network) {
            FamilyKey::V4(key) => self.v4.as_ref()?.find(key)?.value.as_ref(),
            FamilyKey::V6(key) => self.v6.as_ref()?.find(key)?.value.as_ref(),
        }
    }

    /// The values of the networks that contain this one, and of the network itself, the least specific one first.
    pub fn chain(&self, network: Network) -> Chain<'_, V> {
        Chain(match FamilyKey::of(network) {
            FamilyKey::V4(key) => FamilyPath::V4(Path { key, link: self.v4.as_deref() }),
            FamilyKey::V6(key) => FamilyPath::V6(Path { key, link: self.v6.as_deref() }),
        })
    }

    /// The values of the networks inside this one, and of the network itself, ordered by first address, then by length.
    pub fn within(&self, network: Network) -> Within<'_, V> {
        match FamilyKey::of(network) {
            FamilyKey::V4(key) => Within { v4: Walk::within(&self.v4, key), v6: Walk::nothing() },
            FamilyKey::V6(key) => Within { v4: Walk::nothing(), v6: Walk::within(&self.v6, key) },
        }
    }

    /// The values of the networks inside `within`, or of all networks, from `first` on. The order is that of
    /// [`Trie::values`]. Visits no node that sorts before `first`, except those on its path.
    pub fn values_from(&self, within: Option<Network>, first: Network) -> Within<'_, V> {
        let (v4, v6) = match within.map(FamilyKey::of) {
            None => (self.v4.as_deref(), self.v6.as_deref()),
            Some(FamilyKey::V4(key)) => (self.v4.as_ref().and_then(|root| root.above(key)), None),
            Some(FamilyKey::V6(key)) => (None, self.v6.as_ref().and_then(|root| root.above(key))),
        };
        match FamilyKey::of(first) {
            FamilyKey::V4(first) => Within { v4: Walk::from(v4, first), v6: Walk::all(v6) },
            FamilyKey::V6(first) => Within { v4: Walk::nothing(), v6: Walk::from(v6, first) },
        }
    }

    /// The lowest host from `first` to `last` that has no value; `None` if all have one, or if the two are of different families. For
    /// maps of hosts only. Visits nodes on two paths at most, however many hosts there are.
    pub fn first_missing_host(&self, first: IpAddr, last: IpAddr) -> Option<IpAddr> {
        match (first, last) {
            (IpAddr::V4(first), IpAddr::V4(last)) => {
                let missing = first_missing(&self.v4, first.to_bits())?;
                (missing <= last.to_bits()).then(|| IpAddr::V4(missing.into()))
            }
            (IpAddr::V6(first), IpAddr::V6(last)) => {
                let missing = first_missing(&self.v6, first.to_bits())?;
                (missing <= last.to_bits()).then(|| IpAddr::V6(missing.into()))
            }
            _ => None,
        }
    }

    /// All values, IPv4 before IPv6, ordered by first address, then by length.
    pub fn values(&self) -> Within<'_, V> {
        Within { v4: Walk::all(self.v4.as_deref()), v6: Walk::all(self.v6.as_deref()) }
    }
}

impl<V: Clone> Trie<V> {
    /// Changes the value of a network. `change` gets the present value, or `None`, and replaces it; `None` removes it.
    pub fn update(&mut self, network: Network, change: impl FnOnce(&mut Option<V>)) {
        match FamilyKey::of(network) {
            FamilyKey::V4(key) => update(&mut self.v4, key, change),
            FamilyKey::V6(key) => update(&mut self.v6, key, change),
        }
    }
}

/// The lowest host from `from` on without a value, in a map of hosts; `None` if there is no host behind the last one with a value.
fn first_missing<B: Bits, V>(link: &Link<B, V>, from: B) -> Option<B> {
    let Some(node) = link else { return Some(from) };
    let last = node.key.last();
    if from < node.key.bits || from > last {
        return Some(from);
    }
    if node.key.length == B::LENGTH || node.is_full() {
        return last.next();
    }
    let mut from = from;
    for child in [&node.left, &node.right] {
        let Some(held) = child else { continue };
        // What lies before the child, or between the two, has no value.
        from = first_missing(child, from)?;
        if from < held.key.bits {
            return Some(from);
        }
    }
    Some(from)
}

fn update<B: Bits, V: Clone>(link: &mut Link<B, V>, key: Key<B>, change: impl FnOnce(&mut Option<V>)) {
    let Some(shared) = link else {
        let mut value = None;
        change(&mut value);
        *link = value.map(|value| Node::leaf(key, value));
        return;
    };
    let here = shared.key;
    if !here.covers(key) {
        let mut value = None;
        change(&mut value);
        if let Some(value) = value {
            *link = Some(split(shared.clone(), key, value));
        }
        return;
    }
    let node = Arc::make_mut(shared);
    if here.length == key.length {
        change(&mut node.value);
    } else if key.goes_right(here.length) {
        update(&mut node.right, key, change);
    } else {
        update(&mut node.left, key, change);
    }
    node.recount();
    // A branching point that has lost a child is not needed any more.
    if node.value.is_none() {
        match (&node.left, &node.right) {
            (Some(_), Some(_)) => {}
            (Some(only), None) | (None, Some(only)) => *link = Some(only.clone()),
            (None, None) => *link = None,
        }
    }
}

/// Inserts a key that the node does not cover: above the node, or beside it under a new branching point.
fn split<B: Bits, V>(old: Arc<Node<B, V>>, key: Key<B>, value: V) -> Arc<Node<B, V>> {
    let common = key.common(old.key);
    let old_goes_right = old.key.goes_right(common.length);
    let (beside, value) =
        if common.length == key.length { (None, Some(value)) } else { (Some(Node::leaf(key, value)), None) };
    let (left, right) = if old_goes_right { (beside, Some(old)) } else { (Some(old), beside) };
    let mut node = Node { key: common, value, count: 0, left, right };
    node.recount();
    Arc::new(node)
}

/// Iterates over the values on the path to a network. See [`Trie::chain`].
#[derive(Debug)]
pub struct Chain<'a, V>(FamilyPath<'a, V>);

#[derive(Debug)]
enum FamilyPath<'a, V> {
    V4(Path<'a, u32, V>),
    V6(Path<'a, u128, V>),
}

impl<'a, V> Iterator for Chain<'a, V> {
    type Item = &'a V;

    fn next(&mut self) -> Option<&'a V> {
        match &mut self.0 {
            FamilyPath::V4(path) => path.next(),
            FamilyPath::V6(path) => path.next(),
        }
    }
}

/// What is left of the path to a key.
#[derive(Debug)]
struct Path<'a, B, V> {
    key: Key<B>,
    link: Option<&'a Node<B, V>>,
}

impl<'a, B: Bits, V> Iterator for Path<'a, B, V> {
    type Item = &'a V;

    fn next(&mut self) -> Option<&'a V> {
        while let Some(node) = self.link {
            if !node.key.covers(self.key) {
                return None;
            }
            self.link = if node.key.length == self.key.length { None } else { node.child(self.key) };
            if let Some(value) = &node.value {
                return Some(value);
            }
        }
        None
    }
}

/// Iterates over the values of subtrees. See [`Trie::within`].
#[derive(Debug)]
pub struct Within<'a, V> {
    v4: Walk<'a, u32, V>,
    v6: Walk<'a, u128, V>,
}

impl<'a, V> Iterator for Within<'a, V> {
    type Item = &'a V;

    fn next(&mut self) -> Option<&'a V> {
        self.v4.next().or_else(|| self.v6.next())
    }
}

/// The subtrees that are still to be walked, the next one on top.
#[derive(Debug)]
struct Walk<'a, B, V> {
    stack: Vec<&'a Node<B, V>>,
}

impl<'a, B: Bits, V> Walk<'a, B, V> {
    fn nothing() -> Self {
        Self { stack: Vec::new() }
    }

    fn all(root: Option<&'a Node<B, V>>) -> Self {
        Self { stack: root.into_iter().collect() }
    }

    fn within(root: &'a Link<B, V>, key: Key<B>) -> Self {
        Self::all(root.as_ref().and_then(|root| root.above(key)))
    }

    /// A walk over everything from a key on.
    fn from(mut link: Option<&'a Node<B, V>>, first: Key<B>) -> Self {
        let mut stack = Vec::new();
        while let Some(node) = link {
            if node.key >= first {
                stack.push(node);
                break;
            }
            if !node.key.covers(first) {
                // The whole subtree sorts before the key.
                break;
            }
            link = if first.goes_right(node.key.length) {
                node.right.as_deref()
            } else {
                stack.extend(node.right.as_deref());
                node.left.as_deref()
            };
        }
        Self { stack }
    }
}

impl<'a, B: Bits, V> Iterator for Walk<'a, B, V> {
    type Item = &'a V;

    fn next(&mut self) -> Option<&'a V> {
        while let Some(node) = self.stack.pop() {
            self.stack.extend(node.right.as_deref());
            self.stack.extend(node.left.as_deref());
            if let Some(value) = &node.value {
                return Some(value);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::address_from_number;
    use ipnet::{Ipv4Net, Ipv6Net};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// Only a few bits vary, so that networks are often nested or equal.
    fn network() -> impl Strategy<Value = Network> {
        prop_oneof![
            (any::<u8>(), 0u8..=32).prop_map(|(bits, length)| {
                let address = u32::from(bits) << 26 | u32::from(bits) >> 3;
                Network::from(Ipv4Net::new(address.into(), length).unwrap())
            }),
            (any::<u8>(), 0u8..=128).prop_map(|(bits, length)| {
                let address = u128::from(bits) << 122 | u128::from(bits) >> 3;
                Network::from(Ipv6Net::new(address.into(), length).unwrap())
            }),
        ]
    }

    fn build(entries: &[(Network, Option<u16>)]) -> (Trie<u16>, BTreeMap<Network, u16>) {
        let (mut trie, mut model) = (Trie::default(), BTreeMap::new());
        for (network, value) in entries {
            trie.update(*network, |slot| *slot = *value);
            match value {
                Some(value) => model.insert(*network, *value),
                None => model.remove(network),
            };
        }
        (trie, model)
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_linear_search(
            entries in prop::collection::vec((network(), any::<Option<u16>>()), 0..60),
            asked in network(),
        ) {
            let (trie, model) = build(&entries);
            prop_assert_eq!(trie.get(asked), model.get(&asked));

            let mut covering: Vec<_> = model.iter().filter(|(network, _)| network.contains(asked)).collect();
            covering.sort_by_key(|(network, _)| network.length());
            let covering: Vec<u16> = covering.into_iter().map(|(_, value)| *value).collect();
            prop_assert_eq!(trie.chain(asked).copied().collect::<Vec<_>>(), covering);

            let mut inside: Vec<_> = model.iter().filter(|(network, _)| asked.contains(**network)).collect();
            inside.sort_by_key(|(network, _)| (network.first(), network.length()));
            let inside: Vec<u16> = inside.into_iter().map(|(_, value)| *value).collect();
            prop_assert_eq!(trie.within(asked).copied().collect::<Vec<_>>(), inside);
            prop_assert_eq!(trie.values().count(), model.len());
        }

        #[test]
        fn a_walk_begins_at_any_network_and_stays_within_another(
            entries in prop::collection::vec((network(), any::<Option<u16>>()), 0..60),
            within in prop::option::of(network()),
            first in network(),
        ) {
            let (trie, model) = build(&entries);
            let expected: Vec<u16> = model
                .range(first..)
                .filter(|(network, _)| within.is_none_or(|within| within.contains(**network)))
                .map(|(_, value)| *value)
                .collect();
            prop_assert_eq!(trie.values_from(within, first).copied().collect::<Vec<_>>(), expected);
        }

        #[test]
        fn a_missing_host_is_found_as_by_trying_each(
            hosts in prop::collection::vec((0u8..40, any::<bool>()), 0..80),
            first in 0u8..45,
            length in 0u8..45,
            ipv4: bool,
        ) {
            // Around a boundary of many bits, and at the end of the space.
            for base in if ipv4 { [0x0a00_fff0u128, 0xffff_ffc0] } else { [0xffff_ffff_ffff_fff0, u128::MAX - 63] } {
                let host = |number: u8| address_from_number(base + u128::from(number), ipv4);
                let (mut trie, mut model) = (Trie::default(), std::collections::BTreeSet::new());
                for (number, recorded) in &hosts {
                    let network = Network::host(host(*number));
                    trie.update(network, |slot| *slot = recorded.then_some(()));
                    if *recorded { model.insert(*number); } else { model.remove(number); }
                }
                let last = first + length.min(50 - first);
                let expected = (first..=last).find(|number| !model.contains(number)).map(host);
                prop_assert_eq!(trie.first_missing_host(host(first), host(last)), expected);
            }
        }

        #[test]
        fn an_older_version_never_changes(
            before in prop::collection::vec((network(), any::<Option<u16>>()), 0..40),
            after in prop::collection::vec((network(), any::<Option<u16>>()), 0..40),
        ) {
            let (trie, model) = build(&before);
            let mut newer = trie.clone();
            for (network, value) in &after {
                newer.update(*network, |slot| *slot = *value);
            }
            prop_assert_eq!(trie.values().count(), model.len());
            for (network, value) in &model {
                prop_assert_eq!(trie.get(*network), Some(value));
            }
        }
    }
}
